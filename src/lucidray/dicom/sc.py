"""A picture of the film with its heat map: for viewers that can show nothing else."""

from __future__ import annotations

import textwrap

import numpy as np
from highdicom import CoordinateSystemNames, PhotometricInterpretationValues
from highdicom.sc import SCImage
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from lucidray.dicom.result import RESEARCH_USE, Result
from lucidray.errors import ShapeError
from lucidray.images.lettering import font_for
from lucidray.images.render import Picture


def secondary_capture(result: Result, picture: Picture, finding: str, number: int = 1) -> Dataset:
    """Write a rendered picture as a secondary capture.

    Args:
        result: The result.
        picture: uint8 ``(H, W, 3)``, for example from `lucidray.overlay`.
        finding: What its heat map is of.
        number: Of the picture in its series.

    Returns:
        A Secondary Capture Image of its own series, with a line below that says what it is.

    Raises:
        ShapeError: The picture is not uint8 ``(H, W, 3)``.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ShapeError(f"picture is {picture.dtype} {picture.shape}; expected uint8 (H, W, 3).")
    source = result.source.header
    told = f"Where a model looked for {finding}, not the outline of a lesion. {RESEARCH_USE}"
    capture = SCImage.from_ref_dataset(
        ref_dataset=source,
        pixel_array=captioned(picture, told),
        photometric_interpretation=PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=CoordinateSystemNames.PATIENT,
        patient_orientation=result.source.orientation,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        contributing_equipment=result.contributing(),
        **result.identity("sc", number),
    )
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.SeriesDescription = result.identity("sc")["series_description"]
    capture.DerivationDescription = f"Heat map of {finding} over the film"
    capture.ImageComments = told
    capture.BurnedInAnnotation = str(source.get("BurnedInAnnotation") or "YES")
    capture.SourceImageSequence = [_reference(source)]
    return result.finish(capture)


def captioned(picture: Picture, text: str) -> Picture:
    """Set a line of text below a picture, broken where it is too long.

    Args:
        picture: uint8 ``(H, W, 3)``.
        text: What is to be said.

    Returns:
        A higher uint8 ``(H', W, 3)``.
    """
    height, width = picture.shape[:2]
    size = max(9, round(max(height, width) / 56))
    letters = max(8, round(width / (0.55 * size)))
    told = "\n".join(textwrap.wrap(text, letters))
    strip = round(size * 1.4 * (told.count("\n") + 1) + 0.6 * size)
    sheet = Image.new("RGB", (width, height + strip), "black")
    sheet.paste(Image.fromarray(picture), (0, 0))
    pen = ImageDraw.Draw(sheet)
    pen.multiline_text(
        (size * 0.5, height + size * 0.3), told, "white", font_for(told, size), spacing=size * 0.25
    )
    return np.asarray(sheet)


def _reference(source: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    return item
