"""Passwords that anybody who knows the house would try first."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from lucidray_clinic.accounts.roles import Role

#: Words that do not make a password any harder to guess here; the roles count, too.
WORDS = frozenset(
    {
        *("lucidray", "lucid", "radiology", "radiologist", "xray", "chest", "film", "pacs"),
        *("orthanc", "hospital", "clinic", "doctor", "patient", "reading", "room", "password"),
        *Role.values,
    }
)

#: Letters and digits that must be left when those words are taken out.
LEAST_LEFT = 8


class NoWordsOfTheHouse:
    """Refuse a password that is little more than words of this place."""

    def validate(self, password: str, user: Any = None) -> None:  # noqa: ARG002
        """Raise where too little is left without those words."""
        left = password.lower()
        for word in sorted(WORDS, key=len, reverse=True):
            left = left.replace(word, "")
        if len(re.sub(r"[\W_]", "", left)) < LEAST_LEFT:
            raise ValidationError(self.get_help_text(), code="password_of_the_house")

    def get_help_text(self) -> str:
        """Say what is asked."""
        return _("Words such as “radiology”, “clinic” or “lucidray” do not count towards it.")
