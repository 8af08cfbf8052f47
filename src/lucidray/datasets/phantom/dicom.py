"""A phantom as a DICOM object: Digital X-Ray Image Storage - For Presentation."""

from __future__ import annotations

import io

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from lucidray.datasets.phantom.config import Phantom


def to_dicom(phantom: Phantom) -> Dataset:
    """Build the DICOM object of a phantom.

    Its window shows the stored values as they are, so that displayed intensity equals `pixels`.
    UIDs follow from seed and number.

    Source:
        DICOM PS3.3 A.26 (Digital X-Ray Image IOD) and its modules.
    """
    data = Dataset()
    _identify(data, phantom)
    _describe(data, phantom)
    _attach(data, phantom)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta = meta
    return data


def dicom_bytes(phantom: Phantom) -> bytes:
    """Return a phantom as the bytes of a DICOM file."""
    buffer = io.BytesIO()
    to_dicom(phantom).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _uid(phantom: Phantom, level: str, *numbers: int) -> str:
    parts = ["lucidray phantom", str(phantom.seed), level, *map(str, numbers)]
    return str(generate_uid(entropy_srcs=parts))


def _identify(data: Dataset, phantom: Phantom) -> None:
    who = phantom.patient
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID = DigitalXRayImageStorageForPresentation
    data.SOPInstanceUID = _uid(phantom, "image", phantom.index)
    data.PatientName = f"Phantom^{who.number:08d}"
    data.PatientID = f"{who.number:08d}"
    data.PatientBirthDate = ""
    data.PatientSex = who.sex
    data.PatientAge = f"{who.age_years:03d}Y"
    data.StudyInstanceUID = _uid(phantom, "study", who.number, who.follow_up)
    data.StudyID = f"{who.follow_up + 1}"
    data.StudyDate = ""
    data.StudyTime = ""
    data.ReferringPhysicianName = ""
    data.AccessionNumber = ""
    data.SeriesInstanceUID = _uid(phantom, "series", who.number, who.follow_up)
    data.SeriesNumber = 1
    data.InstanceNumber = 1
    data.Manufacturer = "LucidRay"
    data.ManufacturerModelName = "Phantom"


def _describe(data: Dataset, phantom: Phantom) -> None:
    data.Modality = "DX"
    data.PresentationIntentType = "FOR PRESENTATION"
    data.ImageType = ["DERIVED", "PRIMARY", ""]
    data.DerivationDescription = "Generated phantom, not a person"
    data.BodyPartExamined = "CHEST"
    data.AnatomicRegionSequence = Sequence([_code("51185008", "Chest")])
    data.ImageLaterality = "U"
    data.ViewPosition = phantom.view_position
    data.PatientOrientation = ["L", "F"]
    data.AcquisitionContextSequence = Sequence([])
    data.DetectorType = "DIRECT"
    data.ImagerPixelSpacing = [f"{value:.4f}" for value in phantom.spacing_mm]
    data.BurnedInAnnotation = "NO"
    data.LossyImageCompression = "00"


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue = value
    code.CodingSchemeDesignator = "SCT"
    code.CodeMeaning = meaning
    return code


def _attach(data: Dataset, phantom: Phantom) -> None:
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows, data.Columns = phantom.raw.shape
    data.BitsAllocated = 16
    data.BitsStored = 16
    data.HighBit = 15
    data.PixelRepresentation = 0
    data.PixelIntensityRelationship = "LOG"
    data.PixelIntensityRelationshipSign = -1
    data.RescaleIntercept = "0"
    data.RescaleSlope = "1"
    data.RescaleType = "US"
    data.PresentationLUTShape = "IDENTITY"
    data.WindowCenter = "32768"
    data.WindowWidth = "65536"
    data.add_new("PixelData", "OW", phantom.raw.astype("<u2").tobytes())
