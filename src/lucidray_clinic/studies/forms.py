"""Forms of reader studies."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.accounts.models import Team
from lucidray_clinic.analyses.models import ModelBundle
from lucidray_clinic.studies.models import Design


class StudyForm(forms.Form):
    """A study to prepare of the cases that a filter finds."""

    team = forms.ModelChoiceField(Team.objects.none(), label=_("Team"), empty_label=None)
    name = forms.CharField(label=_("Name"), max_length=120)
    question = forms.CharField(
        label=_("What readers are asked"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2, "wide": True}),
    )
    asked = forms.MultipleChoiceField(
        label=_("Findings to rate"), widget=forms.CheckboxSelectMultiple(attrs={"wide": True})
    )
    design = forms.ChoiceField(label=_("Design"), choices=Design.choices)
    bundle = forms.ModelChoiceField(
        ModelBundle.objects.none(), label=_("Model"), required=False, empty_label=_("None")
    )
    washout_days = forms.IntegerField(
        label=_("Days between the rounds"), min_value=0, max_value=365, initial=28
    )

    def __init__(
        self,
        *args: Any,
        teams: Any,
        bundles: Any,
        findings: list[tuple[str, str]],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        team: Any = self.fields["team"]
        team.queryset = teams
        bundle: Any = self.fields["bundle"]
        bundle.queryset = bundles
        asked: Any = self.fields["asked"]
        asked.choices = findings


class RatingForm(forms.Form):
    """How sure a reader is of each finding."""

    answer = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, findings: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._findings = findings
        for number, _name in enumerate(findings):
            self.fields[f"rating-{number}"] = forms.IntegerField(min_value=0, max_value=100)

    def ratings(self) -> dict[str, int]:
        """Return the ratings by finding."""
        return {
            name: self.cleaned_data[f"rating-{number}"]
            for number, name in enumerate(self._findings)
        }
