"""Normal, pneumonia, tuberculosis: chest films gathered from several collections."""

from __future__ import annotations

import re
from pathlib import Path

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import make_table, one_hot
from lucidray.datasets.scanning import class_images, class_names
from lucidray.datasets.table import ImageTable

_FINDINGS = ("Normal", "Pneumonia", "Tuberculosis")


def _recognize(root: Path) -> bool:
    return class_names(root) == {name.lower() for name in _FINDINGS}


@adapter(
    "chest_multiclass",
    source="Rahman et al. 2020, doi:10.1109/ACCESS.2020.3031384; Chowdhury et al. 2020, "
    "doi:10.1109/ACCESS.2020.3010287",
    terms="research use, no commercial use",
    layout="{train,validation,test}/{normal,pneumonia,tuberculosis}/",
    recognize=_recognize,
)
def read_chest_multiclass(root: Path) -> ImageTable:
    """Read chest films in class folders normal, pneumonia and tuberculosis.

    `source` is guessed from the file name, whose wording differs between the collections
    (``TB.12.jpg`` against ``Tuberculosis-12.jpg``): the name without its numbers. Class and source
    are confounded in this set. No patient ids are published: `patient` is empty.

    Args:
        root: The folder of the splits, or one split.

    Source: Rahman et al. 2020; Chowdhury et al. 2020.
    """
    images = class_images(root)
    columns = {
        "image": [item.image for item in images],
        "path": [str(item.path.resolve()) for item in images],
        "split": [item.split for item in images],
        "source": [_family(item.path.stem) for item in images],
    }
    labels = one_hot([item.folder for item in images], _FINDINGS)
    return make_table("chest_multiclass", _FINDINGS, labels, columns, exclusive=True)


def _family(name: str) -> str:
    return re.sub(r"[\s.\-_()]*\d+\)?.*$", "", name).strip() or "unnamed"
