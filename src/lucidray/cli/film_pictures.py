"""What is written about one film: its maps as numbers, and pictures of where the model looked."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lucidray.cli.films import safe_name
from lucidray.cli.results import write_whole
from lucidray.images.contrast import to_levels
from lucidray.images.geometry import compose, heatmap_to_source, invert, map_boxes, scaling
from lucidray.images.render import BOX_COLORS, Picture, draw_boxes, overlay, to_rgb, with_legend
from lucidray.images.resample import resample
from lucidray.pipeline import Judgment
from lucidray.records import Bool, Box, Diagnosis, Float32, XRay

#: Longer side of the pictures in pixels; the maps themselves are kept as the model made them.
PICTURE_SIDE = 1024
#: Below this part of its maximum a map is not drawn.
THRESHOLD = 0.2
#: Colors of an outlined region, and of boxes that the model itself found.
OUTLINE, FOUND = (64, 196, 255), BOX_COLORS[1]

THUMBNAILS, PICTURES, MAPS = "thumbnails", "pictures", "maps"
#: What the picture of predicted gaze is called among those of findings.
GAZE = "Predicted gaze"
#: Its colors, which are not those of evidence.
GAZE_COLORS = "viridis"


@dataclass(frozen=True)
class Desk:
    """Where results go, and how much of them is written.

    Args:
        folder: The folder of results.
        pictures: Whether large pictures and the maps themselves are written.
        thumbnails: Longer side of the small pictures for the page in pixels; 0: none.
    """

    folder: Path
    pictures: bool
    thumbnails: int

    def write(self, name: str, xray: XRay, judged: Judgment, said: Diagnosis) -> dict[str, Any]:
        """Write what is drawn of a film that was judged.

        Args:
            name: What the names of the files begin with.
            xray: The film.
            judged: Its raw maps.
            said: Which findings are explained, and their boxes.

        Returns:
            The files by what they are, relative to the folder.
        """
        drawn = [each.finding for each in said.attributions if each.status == "ok"]
        files: dict[str, Any] = {}
        if self.pictures and said.prediction.refusal is None:
            files["maps"] = self._save(f"{MAPS}/{name}.npz", packed(judged))
            large = Easel(xray, judged, PICTURE_SIDE)
            files["pictures"] = {
                finding: self._save(
                    _place(PICTURES, name, finding),
                    encode_jpeg(large.titled(finding, said.boxes[finding])),
                )
                for finding in drawn
            }
            if large.looks:
                place = _place(PICTURES, name, GAZE)
                files["pictures"][GAZE] = self._save(place, encode_jpeg(large.gazed(titled=True)))
        if self.thumbnails:
            small = Easel(xray, judged, self.thumbnails)
            files["film"] = self._save(f"{THUMBNAILS}/{name}.jpg", encode_jpeg(small.plain()))
            files["thumbnails"] = {
                finding: self._save(
                    _place(THUMBNAILS, name, finding),
                    encode_jpeg(small.overlaid(finding, said.boxes[finding])),
                )
                for finding in drawn
            }
            if small.looks:
                place = _place(THUMBNAILS, name, GAZE)
                files["thumbnails"][GAZE] = self._save(place, encode_jpeg(small.gazed()))
        return files

    def write_mask(self, name: str, xray: XRay, mask: Bool, what: str) -> dict[str, Any]:
        """Write a mask in the film's own pixels, 0 and 255, and a picture of it.

        Args:
            name: What the names of the files begin with.
            xray: The film.
            mask: bool, on the file's own pixels.
            what: What it outlines.

        Returns:
            The files by what they are, relative to the folder.
        """
        files: dict[str, Any] = {}
        if self.pictures:
            files["mask"] = self._save(f"{name}.png", _png(mask))
        if self.thumbnails:
            shape = fitted(xray.pixels.shape, self.thumbnails)
            film = resample(xray.pixels, shape)
            picture = outlined(film, resample(mask.astype(np.float32), shape) >= 0.5)
            files["film"] = self._save(f"{THUMBNAILS}/{name}.jpg", encode_jpeg(to_levels(film)))
            place = _place(THUMBNAILS, name, what)
            files["thumbnails"] = {what: self._save(place, encode_jpeg(picture))}
        return files

    def write_film(self, name: str, xray: XRay) -> dict[str, Any]:
        """Write a small picture of a film of which there is nothing more to show."""
        if not self.thumbnails:
            return {}
        film = resample(xray.pixels, fitted(xray.pixels.shape, self.thumbnails))
        return {"film": self._save(f"{THUMBNAILS}/{name}.jpg", encode_jpeg(to_levels(film)))}

    def _save(self, place: str, data: bytes) -> str:
        write_whole(self.folder / place, data)
        return place


class Easel:
    """A film at the size of a picture, and maps laid over it.

    Args:
        xray: The film.
        judged: Its raw maps.
        side: Longer side of the pictures in pixels; a smaller film keeps its size.
    """

    def __init__(self, xray: XRay, judged: Judgment, side: int) -> None:
        shape = fitted(xray.pixels.shape, side)
        self._film = resample(xray.pixels, shape)
        self._judged = judged
        self._shrink = scaling(judged.geometry.source_shape, shape)
        self._way = compose(invert(self._shrink), judged.geometry)

    def plain(self) -> Picture:
        """Return the film alone."""
        return to_levels(self._film)

    def overlaid(self, finding: str, boxes: Sequence[Box]) -> Picture:
        """Return the film under the map of a finding, with its boxes and those that were found."""
        values = heatmap_to_source(self._judged.raw(finding), self._way)
        picture = overlay(self._film, values, threshold=THRESHOLD)
        if boxes:
            picture = draw_boxes(picture, map_boxes(np.array(boxes, np.float64), self._shrink))
        found = [each for each in self._judged.prediction.detections if each.finding == finding]
        if not found:
            return picture
        corners = map_boxes(np.array([each.box for each in found]), self._shrink)
        labels = [f"found {each.score:.2f}" for each in found]
        return draw_boxes(picture, corners, labels=labels, color=FOUND)

    @property
    def looks(self) -> bool:
        """Whether the model says where a reader would look."""
        return self._judged.prediction.gaze is not None

    def gazed(self, *, titled: bool = False) -> Picture:
        """Return the film under predicted gaze, with or without a title and the colors' meaning."""
        given = self._judged.prediction.gaze
        if given is None:
            return to_rgb(self._film)
        picture = overlay(
            self._film,
            heatmap_to_source(given, self._way),
            color_map=GAZE_COLORS,
            threshold=THRESHOLD,
        )
        if not titled:
            return picture
        title = f"{GAZE}: where a reader would look"
        return with_legend(picture, color_map=GAZE_COLORS, threshold=THRESHOLD, title=title)

    def titled(self, finding: str, boxes: Sequence[Box]) -> Picture:
        """Return the same with a title above and the colors' meaning beside it."""
        told, title = self._judged.prediction, finding
        if finding in told.findings:
            title += f" {told.probabilities[told.findings.index(finding)]:.3f}"
        return with_legend(
            self.overlaid(finding, boxes),
            threshold=THRESHOLD,
            highest=float(self._judged.raw(finding).max()),
            title=f"{title} · {self._judged.method}",
        )


def packed(judged: Judgment) -> bytes:
    """Return raw maps and where they lie as the bytes of an ``.npz`` file.

    ``maps`` float32 ``(F, h, w)``; ``findings`` their names; ``matrix``, ``source_shape`` and
    ``shape``: the `Geometry` from the file's pixels to what the maps span; ``gaze`` float32
    ``(h, w)`` over the same, where the model predicts it; ``region_maps``, the part of ``maps``
    that a second branch gives, where the model looks twice.
    """
    buffer = io.BytesIO()
    gaze = judged.prediction.gaze
    more: dict[str, Any] = {} if gaze is None else {"gaze": gaze}
    if judged.prediction.region is not None:
        more["region_maps"] = judged.prediction.region.maps
    np.savez_compressed(
        buffer,
        maps=judged.maps,
        findings=np.array(judged.prediction.findings),
        matrix=np.array(judged.geometry.matrix),
        source_shape=np.array(judged.geometry.source_shape),
        shape=np.array(judged.geometry.shape),
        **more,
    )
    return buffer.getvalue()


def encode_jpeg(picture: Picture, quality: int = 88) -> bytes:
    """Return a picture as the bytes of a JPEG file.

    Args:
        picture: uint8 ``(H, W)`` or ``(H, W, 3)``.
        quality: 1 to 95.
    """
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def outlined(film: Float32, mask: Bool, width: int = 2) -> Picture:
    """Draw the edge of a mask on a film.

    Args:
        film: ``(H, W)`` in [0, 1].
        mask: bool ``(H, W)``.
        width: Of the edge, in pixels.
    """
    inner = mask.copy()
    for _ in range(width):
        framed = np.pad(inner, 1)
        sides = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
        inner = inner & sides
    picture = np.repeat(to_levels(film)[..., None], 3, axis=2)
    picture[mask & ~inner] = OUTLINE
    return picture


def fitted(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return the height and width of an image whose longer side is `side` at most.

    >>> fitted((3000, 2000), 600), fitted((100, 50), 600)
    ((600, 400), (100, 50))
    """
    scale = min(1.0, side / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _place(folder: str, name: str, finding: str) -> str:
    return f"{folder}/{name}.{safe_name(finding)}.jpg"


def _png(mask: Bool) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(buffer, "PNG")
    return buffer.getvalue()
