"""From stored values to display intensity: DICOM's grayscale pipeline as one table.

A grey DICOM image has at most 65,536 different stored values. So the Modality and VOI transforms
and the inversion are worked out once for each value, in float64, and the image is looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from lucidray.errors import ImageError
from lucidray.images.codecs import Pattern
from lucidray.records import Bool, Float32, Float64

Kind = TypeVar("Kind", bound=np.generic)

_BLOCK = 1 << 15


@dataclass(frozen=True)
class LookUp:
    """A look-up table of a DICOM header.

    Args:
        first: The input value that the first entry belongs to.
        entries: The outputs; inputs below and above take the first and the last.
        bits: Bits of an output.
    """

    first: int
    entries: Float64
    bits: int

    def __call__(self, values: Float64) -> Float64:
        """Look values up, rounded to whole inputs."""
        index = np.rint(values).astype(np.int64) - self.first
        return np.asarray(self.entries[np.clip(index, 0, len(self.entries) - 1)])


def show(
    pattern: Pattern, dataset: Dataset, *, bits: int, signed: bool
) -> tuple[Float32, Bool | None]:
    """Turn stored values into display intensities.

    Args:
        pattern: Unsigned ``(H, W)``, the stored values' bit patterns, each below ``2 ** bits``.
        dataset: The header with its Modality and VOI attributes.
        bits: Bits that count.
        signed: Whether the patterns are two's complement.

    Returns:
        float32 ``(H, W)`` in [0, 1], bone bright, padding 0; and bool ``(H, W)``, True where
        padding, or None where the header declares none.

    Raises:
        ImageError: A transform in the header is damaged.

    Source:
        DICOM PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT), C.7.5.1.1.2 (pixel padding),
        C.8.11.3.1.2 (Presentation LUT Shape).

    Deviates:
        Of several windows or VOI LUTs the first is used. Without any, the smallest and largest
        value that is no padding become black and white; but 8 bits or fewer, unsigned, without a
        Modality transform, are taken as they are, like the same pixels in a PNG. A window whose
        width is not positive counts as none.
    """
    stored = stored_values(bits, signed=signed)
    is_padding = padding_values(dataset, stored)
    modality = apply_modality(dataset, stored)
    shown = apply_voi(dataset, modality)
    if shown is None and bits <= 8 and not signed and np.array_equal(modality, stored):
        shown = stored / (2.0**bits - 1)
    if shown is None:
        present = _present(pattern, len(stored)) & ~is_padding
        shown = _full_range(modality, present)
    if is_inverted(dataset):
        shown = 1.0 - shown
    table = np.where(is_padding, 0.0, shown).astype(np.float32)
    padding = _mapped(is_padding, pattern) if is_padding.any() else None
    return _mapped(table, pattern), padding


def stored_values(bits: int, *, signed: bool) -> Float64:
    """Return the stored value of every bit pattern.

    >>> stored_values(2, signed=True)
    array([ 0.,  1., -2., -1.])
    """
    values = np.arange(2**bits, dtype=np.float64)
    if signed:
        values[2 ** (bits - 1) :] -= 2**bits
    return values


def apply_modality(dataset: Dataset, stored: Float64) -> Float64:
    """Apply the Modality LUT Sequence, or else Rescale Slope and Intercept.

    Args:
        dataset: The header.
        stored: Stored values.

    Raises:
        ImageError: The look-up table or the slope is damaged.

    Source:
        DICOM PS3.3 C.11.1.
    """
    item = _first_item(dataset, "ModalityLUTSequence")
    if item is not None:
        return _look_up(item, below_zero=bool(stored.min() < 0))(stored)
    slope = first_number(dataset, "RescaleSlope", 1.0)
    intercept = first_number(dataset, "RescaleIntercept", 0.0)
    if slope == 0:
        raise ImageError("damaged file: its Rescale Slope is 0, which erases the image.")
    return np.asarray(stored * slope + intercept)


def apply_voi(dataset: Dataset, values: Float64) -> Float64 | None:
    """Apply the first VOI LUT, or else the first window.

    Args:
        dataset: The header.
        values: Values after the Modality transform.

    Returns:
        Intensities in [0, 1], or None where the header holds no VOI transform.

    Raises:
        ImageError: The look-up table is damaged, or the window's function is unknown.

    Source:
        DICOM PS3.3 C.11.2.
    """
    item = _first_item(dataset, "VOILUTSequence")
    if item is not None:
        table = _look_up(item, below_zero=bool(values.min() < 0))
        return np.clip(table(values) / (2.0**table.bits - 1), 0, 1)
    center = first_number(dataset, "WindowCenter", np.nan)
    width = first_number(dataset, "WindowWidth", np.nan)
    if not (np.isfinite(center) and width > 0):
        return None
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    return window(values, center, width, function)


def window(values: Float64, center: float, width: float, function: str = "LINEAR") -> Float64:
    """Apply a window.

    Args:
        values: Values after the Modality transform.
        center: Window Center.
        width: Window Width, positive.
        function: ``"LINEAR"``, ``"LINEAR_EXACT"`` or ``"SIGMOID"``.

    Returns:
        Intensities in [0, 1].

    Raises:
        ImageError: The function is unknown.

    Source:
        DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3.

    >>> window(np.array([0.0, 50.0, 100.0]), 50, 100, "LINEAR_EXACT")
    array([0. , 0.5, 1. ])
    """
    if function == "LINEAR":
        if width <= 1:
            return np.asarray(values > center - 0.5, dtype=np.float64)
        return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0, 1)
    if function == "SIGMOID":
        exponent = np.clip(-4 * (values - center) / width, -700, 700)
        return np.asarray(1 / (1 + np.exp(exponent)))
    raise ImageError("its VOI LUT Function is unknown; expected LINEAR, LINEAR_EXACT or SIGMOID.")


def padding_values(dataset: Dataset, stored: Float64) -> Bool:
    """Say which stored values the header declares as padding.

    Args:
        dataset: The header.
        stored: Stored values of all patterns.

    Returns:
        bool, one a pattern.

    Source:
        DICOM PS3.3 C.7.5.1.1.2.
    """
    value = _padding(dataset, "PixelPaddingValue", stored)
    if value is None:
        return np.zeros(len(stored), bool)
    limit = _padding(dataset, "PixelPaddingRangeLimit", stored)
    low, high = sorted((value, value if limit is None else limit))
    return np.asarray((stored >= low) & (stored <= high))


def is_inverted(dataset: Dataset) -> bool:
    """Say whether the smallest value is white.

    The standard pairs MONOCHROME1 with the Presentation LUT Shape INVERSE: two names of one
    inversion, so it is done once where either stands.
    """
    shape = str(dataset.get("PresentationLUTShape") or "").strip().upper()
    photometric = str(dataset.get("PhotometricInterpretation") or "").strip().upper()
    return photometric == "MONOCHROME1" or shape == "INVERSE"


def first_number(dataset: Dataset, keyword: str, default: float) -> float:
    """Return the first value of a numeric attribute, or a default where there is none.

    Args:
        dataset: The header.
        keyword: The attribute's keyword.
        default: What to return instead.
    """
    value: Any = _value(dataset, keyword)
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return default
    return number if np.isfinite(number) else default


def _mapped(table: npt.NDArray[Kind], pattern: Pattern) -> npt.NDArray[Kind]:
    """Look a whole image up, in blocks whose wide indices stay in the processor's cache."""
    mapped = np.empty(pattern.shape, table.dtype)
    inputs, outputs = pattern.reshape(-1), mapped.reshape(-1)
    for start in range(0, inputs.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        np.take(table, inputs[block], out=outputs[block], mode="clip")
    return mapped


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        return dataset.get(keyword)
    except (ValueError, TypeError, NotImplementedError, OverflowError):
        return None


def _padding(dataset: Dataset, keyword: str, stored: Float64) -> float | None:
    value = first_number(dataset, keyword, np.nan)
    if not np.isfinite(value):
        return None
    if value > stored.max() and stored.min() < 0:
        value -= 65536
    elif value < 0 <= stored.min():
        value += 65536
    return value


def _first_item(dataset: Dataset, keyword: str) -> Dataset | None:
    sequence: Any = _value(dataset, keyword)
    return sequence[0] if sequence else None


def _look_up(item: Dataset, *, below_zero: bool) -> LookUp:
    try:
        count, first, bits = (int(number) for number in item.LUTDescriptor)
        entries = _entries(item, count or 65536, bits)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ImageError("damaged file: a look-up table in its header is incomplete.") from error
    return LookUp(first - 65536 if below_zero and first > 32767 else first, entries, bits)


def _entries(item: Dataset, count: int, bits: int) -> Float64:
    data = item["LUTData"].value
    if isinstance(data, bytes):
        narrow = len(data) in {count, count + 1} and bits <= 8
        wide = "<u2" if item.original_encoding[1] is not False else ">u2"
        data = np.frombuffer(data, np.uint8 if narrow else wide)
    values: Float64 = np.atleast_1d(np.asarray(data, dtype=np.float64))
    if len(values) < count or not 1 <= bits <= 16:
        raise ValueError("too few entries")
    return values[:count]


def _present(pattern: Pattern, count: int) -> Bool:
    present: npt.NDArray[np.bool_] = np.zeros(count, bool)
    present[pattern] = True
    return present


def _full_range(values: Float64, present: Bool) -> Float64:
    if not present.any():
        return np.zeros_like(values)
    low, high = values[present].min(), values[present].max()
    if high <= low:
        return np.zeros_like(values)
    return np.asarray(np.clip((values - low) / (high - low), 0, 1))
