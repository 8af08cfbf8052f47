"""Forms of peers, rules and imports."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.accounts.models import Team
from lucidray_clinic.pacs.models import Answer, Peer, Rule, Way

_VIEWS = [("", _("Any")), ("PA", "PA"), ("AP", "AP"), ("LL", "LL"), ("RL", "RL")]


class PeerForm(forms.ModelForm):
    """An archive or a modality."""

    password = forms.CharField(
        label=_("DICOMweb password"),
        required=False,
        max_length=200,
        help_text=_("Empty: as before."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    class Meta:
        model = Peer
        fields = [
            *("name", "ae_title", "may_send", "addresses", "way", "host", "port", "tls"),
            *("web_url", "web_user", "password", "active"),
        ]

    def clean_addresses(self) -> str:
        """Refuse what is no IP address: a name would never match."""
        parts = [part.strip() for part in self.cleaned_data["addresses"].split(",") if part.strip()]
        for part in parts:
            try:
                ipaddress.ip_address(part)
            except ValueError as error:
                raise forms.ValidationError(
                    _("%(part)s is no IP address; write such as 10.0.0.5."), params={"part": part}
                ) from error
        return ", ".join(parts)

    def clean_web_url(self) -> str:
        """Refuse what is no web address."""
        url = str(self.cleaned_data["web_url"]).strip().rstrip("/")
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username):
            raise forms.ValidationError(_("Write such as https://pacs.example.org/dicom-web."))
        return url

    def clean(self) -> dict[str, Any]:
        """Refuse a way for results without an address for it."""
        told = super().clean() or self.cleaned_data
        if told.get("way") == Way.STORE and not (told.get("host") and told.get("port")):
            self.add_error("host", _("C-STORE needs host and port."))
        if told.get("way") == Way.WEB and not told.get("web_url"):
            self.add_error("web_url", _("DICOMweb needs its address."))
        return told

    def secret(self) -> str | None:
        """Return the password that was entered; None: none was."""
        return self.cleaned_data["password"] or None


class RuleForm(forms.ModelForm):
    """Where films go that are like this."""

    view = forms.ChoiceField(label=_("View"), choices=_VIEWS, required=False)

    class Meta:
        model = Rule
        fields = [
            *("order", "name", "peer", "modality", "body_part", "view", "station"),
            *("team", "urgency", "bundle", "answer", "answer_to", "pictures", "active"),
        ]
        labels = {
            "peer": _("Sent by"),
            "team": _("Team"),
            "bundle": _("Read by"),
            "answer_to": _("Archive"),
        }

    def __init__(self, *args: Any, teams: Any, bundles: Any, receivers: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: Any = self.fields
        fields["team"].queryset, fields["team"].empty_label = teams, None
        fields["bundle"].queryset, fields["bundle"].empty_label = bundles, _("No model: file only")
        fields["answer_to"].queryset = receivers
        fields["answer_to"].empty_label = _("None")
        fields["peer"].empty_label = _("Anybody")
        for name in ("modality", "body_part", "station"):
            fields[name].widget.attrs["placeholder"] = _("any")

    def clean(self) -> dict[str, Any]:
        """Refuse results that are to go to an archive that is not named."""
        told = super().clean() or self.cleaned_data
        if told.get("answer") == Answer.PEER and told.get("answer_to") is None:
            self.add_error("answer_to", _("Choose the archive."))
        return told


class SearchForm(forms.Form):
    """A study to look for."""

    peer = forms.ModelChoiceField(Peer.objects.none(), label=_("Archive"), empty_label=None)
    accession = forms.CharField(label=_("Accession number"), max_length=64)

    def __init__(self, *args: Any, peers: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["peer"]
        field.queryset = peers


class ImportForm(forms.Form):
    """A study to fetch."""

    peer = forms.ModelChoiceField(Peer.objects.none())
    team = forms.ModelChoiceField(Team.objects.none())
    study = forms.RegexField(r"^[0-9.]{1,64}$")

    def __init__(self, *args: Any, peers: Any, teams: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: Any = self.fields
        fields["peer"].queryset, fields["team"].queryset = peers, teams


class SendForm(forms.Form):
    """Where a result is to go."""

    peer = forms.UUIDField()
    reading = forms.UUIDField(required=False)
