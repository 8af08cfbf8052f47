"""Findings under one name each, however a publisher spells them, with their codes.

Names follow ChestX-ray14 where it has one. ``Normal`` is a reader's word for a film without
disease; ``No Finding`` only says that none of a data set's own labels applies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from lucidray.errors import unknown_name


@dataclass(frozen=True)
class Finding:
    """A condition that an image may show.

    Args:
        name: The canonical name.
        snomed: SNOMED CT concept id, None where no exact one is known to us.
        radlex: RadLex id, None where no exact one is known to us.
        region: The part of the body.
        kind_of: The finding that this is a kind of, so that it cannot be present without it.
    """

    name: str
    snomed: str | None = None
    radlex: str | None = None
    region: Literal["chest", "brain"] = "chest"
    kind_of: str | None = None


_ALL = (
    Finding("Air Trapping", None, "RID28537"),
    Finding("Alveolar Pattern"),
    Finding("Aortic Elongation"),
    Finding("Aortic Enlargement"),
    Finding("Atelectasis", "46621007", "RID28493"),
    Finding("Bacterial Pneumonia", "53084003", kind_of="Pneumonia"),
    Finding("Bronchiectasis", "12295008"),
    Finding("COPD", "13645005"),
    Finding("COVID-19", "840539006"),
    Finding("Calcification", None, "RID5196"),
    Finding("Cardiomegaly", "8186001"),
    Finding("Clavicle Fracture", "58150001"),
    Finding("Consolidation", "95436008", "RID43255"),
    Finding("Costophrenic Angle Blunting"),
    Finding("Edema", "19242006", "RID4866"),
    Finding("Effusion", "60046008", "RID34539"),
    Finding("Emphysema", "87433001", "RID4799"),
    Finding("Enlarged Cardiomediastinum"),
    Finding("Enlarged Pulmonary Artery"),
    Finding("Fibrosis", "51615001"),
    Finding("Fracture", "125605004", "RID4650"),
    Finding("Heart Failure", "42343007"),
    Finding("Hemidiaphragm Elevation"),
    Finding("Hernia"),
    Finding("Infiltration", "409609008"),
    Finding("Interstitial Lung Disease", "233703007"),
    Finding("Interstitial Pattern"),
    Finding("Lung Cavity"),
    Finding("Lung Cyst"),
    Finding("Lung Lesion"),
    Finding("Lung Opacity"),
    Finding("Lung Tumor", "126713003"),
    Finding("Mass", "309529002"),
    Finding("Mediastinal Shift"),
    Finding("No Finding"),
    Finding("Nodule", "786838002", "RID50149"),
    Finding("Nodule or Mass"),
    Finding("Normal"),
    Finding("Other Disease"),
    Finding("Other Lesion"),
    Finding("Pleural Other"),
    Finding("Pleural Thickening"),
    Finding("Pneumonia", "233604007", "RID5350"),
    Finding("Pneumothorax", "36118008", "RID5352"),
    Finding("Rib Fracture", "33737001"),
    Finding("Scoliosis", "298382003"),
    Finding("Support Devices"),
    Finding("Tuberculosis", "154283005"),
    Finding("Viral Pneumonia", "75570004", kind_of="Pneumonia"),
    Finding("Glioma", "393564001", region="brain"),
    Finding("Meningioma", "302820008", region="brain"),
    Finding("No Tumor", region="brain"),
    Finding("Pituitary Tumor", "127024001", region="brain"),
)

#: Every finding, by canonical name.
FINDINGS: Mapping[str, Finding] = MappingProxyType({finding.name: finding for finding in _ALL})

#: Findings that say that nothing is there.
ABSENCES = frozenset({"No Finding", "No Tumor", "Normal"})

#: The 14 labels of ChestX-ray14, in the order of Wang et al. 2017 (alphabetical).
CHESTXRAY14 = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural Thickening",
    "Pneumonia",
    "Pneumothorax",
)

#: The 14 observations of CheXpert and MIMIC-CXR-JPG, in the publisher's order.
CHEXPERT = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)

#: Publishers' spellings that differ from ours by more than case, space, hyphen or underscore.
SPELLINGS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "nih_chestxray14": {
            "Infiltrate": "Infiltration",
            "Airspace opacity": "Lung Opacity",
        },
        "chexpert": {"Pleural Effusion": "Effusion"},
        "chexlocalize": {"Airspace Opacity": "Lung Opacity", "Pleural Effusion": "Effusion"},
        "mimic_cxr_jpg": {"Pleural Effusion": "Effusion"},
        "vindr_cxr": {
            "Enlarged PA": "Enlarged Pulmonary Artery",
            "ILD": "Interstitial Lung Disease",
            "Nodule/Mass": "Nodule or Mass",
            "Other diseases": "Other Disease",
            "Pleural effusion": "Effusion",
            "Pulmonary fibrosis": "Fibrosis",
        },
        "padchest": {
            "COPD signs": "COPD",
            "apical pleural thickening": "Pleural Thickening",
            "ascendent aortic elongation": "Aortic Elongation",
            "atelectasis basal": "Atelectasis",
            "atypical pneumonia": "Pneumonia",
            "calcified pleural thickening": "Pleural Thickening",
            "callus rib fracture": "Rib Fracture",
            "catheter": "Support Devices",
            "central venous catheter": "Support Devices",
            "central venous catheter via jugular vein": "Support Devices",
            "central venous catheter via subclavian vein": "Support Devices",
            "central venous catheter via umbilical vein": "Support Devices",
            "chest drain tube": "Support Devices",
            "dai": "Support Devices",
            "descendent aortic elongation": "Aortic Elongation",
            "dual chamber device": "Support Devices",
            "electrical device": "Support Devices",
            "endotracheal tube": "Support Devices",
            "heart insufficiency": "Heart Failure",
            "hiatal hernia": "Hernia",
            "hydropneumothorax": "Pneumothorax",
            "infiltrates": "Infiltration",
            "laminar atelectasis": "Atelectasis",
            "lobar atelectasis": "Atelectasis",
            "loculated fissural effusion": "Effusion",
            "loculated pleural effusion": "Effusion",
            "multiple nodules": "Nodule",
            "NSG tube": "Support Devices",
            "pacemaker": "Support Devices",
            "pleural effusion": "Effusion",
            "pulmonary edema": "Edema",
            "pulmonary fibrosis": "Fibrosis",
            "pulmonary mass": "Mass",
            "reservoir central venous catheter": "Support Devices",
            "round atelectasis": "Atelectasis",
            "segmental atelectasis": "Atelectasis",
            "single chamber device": "Support Devices",
            "supra aortic elongation": "Aortic Elongation",
            "total atelectasis": "Atelectasis",
            "tracheostomy tube": "Support Devices",
        },
        "covidx": {"COVID-19 pneumonia": "COVID-19"},
        "pediatric_pneumonia": {"bacteria": "Bacterial Pneumonia", "virus": "Viral Pneumonia"},
        "brain_mri": {
            "glioma_tumor": "Glioma",
            "meningioma_tumor": "Meningioma",
            "notumor": "No Tumor",
            "pituitary": "Pituitary Tumor",
        },
        "eye_gaze": {"CHF": "Heart Failure"},
    }
)


def canonical(name: str) -> str:
    """Return the canonical name of a finding, whichever data set spelled it.

    Args:
        name: A canonical name or a spelling of `SPELLINGS`; case and the separators space,
            hyphen and underscore do not matter.

    Raises:
        UnknownNameError: No finding is spelled like this; the message names the nearest.

    >>> canonical("Pleural_Thickening"), canonical("pleural effusion"), canonical("notumor")
    ('Pleural Thickening', 'Effusion', 'No Tumor')
    """
    try:
        return _BY_SPELLING[_plain(name)]
    except KeyError:
        raise unknown_name("finding", name, FINDINGS) from None


def is_known(name: str) -> bool:
    """Tell whether `canonical` knows a spelling."""
    return _plain(name) in _BY_SPELLING


def spellings(finding: str, data_set: str) -> tuple[str, ...]:
    """Return how a data set spells a finding where it differs from our name.

    Args:
        finding: A canonical name.
        data_set: A registered data set's name.

    Returns:
        The publisher's spellings; empty where it uses our name, or has not got the finding.

    >>> spellings("Atelectasis", "padchest")[:2]
    ('atelectasis basal', 'laminar atelectasis')
    """
    if finding not in FINDINGS:
        raise unknown_name("finding", finding, FINDINGS)
    table = SPELLINGS.get(data_set, {})
    return tuple(spelled for spelled, name in table.items() if name == finding)


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", name).strip().casefold()


_BY_SPELLING: dict[str, str] = {_plain(name): name for name in FINDINGS} | {
    _plain(spelled): name for table in SPELLINGS.values() for spelled, name in table.items()
}


def kinds_among(findings: Iterable[str]) -> dict[str, str]:
    """Return which findings are kinds of others among them.

    >>> kinds_among(["Pneumonia", "Viral Pneumonia", "Mass"])
    {'Viral Pneumonia': 'Pneumonia'}
    """
    names = tuple(findings)
    known = {name: FINDINGS[name].kind_of for name in names if name in FINDINGS}
    return {name: above for name, above in known.items() if above is not None and above in names}
