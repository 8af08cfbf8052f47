"""How a DICOM node behaves, and what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydicom import uid as uids

from lucidray.dicom.network.tls import Tls
from lucidray.errors import ConfigError

#: What is taken: what can be a chest film.
IMAGES = (
    uids.ComputedRadiographyImageStorage,
    uids.DigitalXRayImageStorageForPresentation,
    uids.SecondaryCaptureImageStorage,
)
#: In which form: all that `lucidray.images` decodes but deflated data sets, which can be bombs.
SYNTAXES = (
    uids.ExplicitVRLittleEndian,
    uids.ImplicitVRLittleEndian,
    uids.JPEGBaseline8Bit,
    uids.JPEGExtended12Bit,
    uids.JPEGLossless,
    uids.JPEGLosslessSV1,
    uids.JPEGLSLossless,
    uids.JPEGLSNearLossless,
    uids.JPEG2000Lossless,
    uids.JPEG2000,
    uids.RLELossless,
)


@dataclass(frozen=True)
class NodeSettings:
    """How a node behaves.

    Args:
        peers: Who may call: AE titles, and the addresses from which each may; none: from any.
        ae_title: Its own.
        host: The address to listen at.
        port: 0: any free one.
        most_associations: At the same time; more are turned away and may come again.
        most_from_one: Of these from one address, so that no caller keeps the others out; 0: half.
        most_bytes: Of one object; who sends more is cut off.
        seconds: For how long a caller may stay silent.
        seconds_to_ask: Within which it must ask for an association.
        classes: SOP classes that are taken.
        tls: None: without.
    """

    peers: Mapping[str, frozenset[str]]
    ae_title: str = "LUCIDRAY"
    host: str = "127.0.0.1"
    port: int = 11112
    most_associations: int = 8
    most_from_one: int = 0
    most_bytes: int = 128 * 1024 * 1024
    seconds: float = 30
    seconds_to_ask: float = 5
    classes: tuple[str, ...] = IMAGES
    tls: Tls | None = None

    def __post_init__(self) -> None:
        if not self.peers:
            raise ConfigError("the node knows no peer; name the AE titles that may call it.")
        for title in (self.ae_title, *self.peers):
            if not 1 <= len(title.strip()) <= 16 or "\\" in title or not title.isascii():
                raise ConfigError(
                    f"'{title}' is no AE title; expected 1 to 16 ASCII letters and digits."
                )
