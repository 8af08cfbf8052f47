"""Forms of the care of models."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.care.shadows import MOST_DAYS_BACK


class _Beside(forms.Form):
    beside = forms.UUIDField(label=_("Beside"))
    days = forms.IntegerField(
        label=_("Days of earlier films"), min_value=0, max_value=MOST_DAYS_BACK, initial=0
    )


class StartForm(_Beside):
    """A model of the shelf for the shadow."""

    bundle = forms.UUIDField(label=_("Model"))


class InstallForm(_Beside):
    """A new model for the shadow."""

    file = forms.FileField(label=_("Bundle"))


class ReferenceForm(forms.Form):
    """What is compared anew from now on."""

    bundle = forms.UUIDField(required=False)
