"""Canonical names of findings, marked so that the languages' catalogs hold them.

Rows, exports and the JSON interface keep the canonical English names; only what people read is
translated, where it is shown (`gettext(name)`, and ``{% finding name %}`` in a template).
"""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

#: Every finding of `lucidray.findings` and of the shipped bundles.
NAMES = (
    _("Air Trapping"),
    _("Alveolar Pattern"),
    _("Aortic Elongation"),
    _("Aortic Enlargement"),
    _("Atelectasis"),
    _("Bacterial Pneumonia"),
    _("Bronchiectasis"),
    _("COPD"),
    _("COVID-19"),
    _("Calcification"),
    _("Cardiomegaly"),
    _("Clavicle Fracture"),
    _("Consolidation"),
    _("Costophrenic Angle Blunting"),
    _("Edema"),
    _("Effusion"),
    _("Emphysema"),
    _("Enlarged Cardiomediastinum"),
    _("Enlarged Pulmonary Artery"),
    _("Fibrosis"),
    _("Fracture"),
    _("Glioma"),
    _("Heart Failure"),
    _("Hemidiaphragm Elevation"),
    _("Hernia"),
    _("Infiltration"),
    _("Interstitial Lung Disease"),
    _("Interstitial Pattern"),
    _("Lung Cavity"),
    _("Lung Cyst"),
    _("Lung Lesion"),
    _("Lung Opacity"),
    _("Lung Tumor"),
    _("Lungs"),
    _("Mass"),
    _("Mediastinal Shift"),
    _("Meningioma"),
    _("No Finding"),
    _("No Tumor"),
    _("Nodule"),
    _("Nodule or Mass"),
    _("Normal"),
    _("Other Disease"),
    _("Other Lesion"),
    _("Pituitary Tumor"),
    _("Pleural Other"),
    _("Pleural Thickening"),
    _("Pneumonia"),
    _("Pneumothorax"),
    _("Rib Fracture"),
    _("Scoliosis"),
    _("Support Devices"),
    _("Tuberculosis"),
    _("Viral Pneumonia"),
)


def named_findings(names: Iterable[str]) -> str:
    """Return several findings in the reader's language.

    Args:
        names: Their canonical names.

    >>> named_findings(["Edema", "Effusion"])
    'Edema, Effusion'
    """
    return gettext(", ").join(gettext(name) for name in names)
