"""Heat maps of phase 1, cross-fitted or not, and the images of regions that are made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lucidray.errors import unknown_name
from lucidray.explain import explain
from lucidray.images.geometry import heatmap_to_source, identity, scaling
from lucidray.images.render import strength
from lucidray.images.resample import resample
from lucidray.images.roi import crop_to_map, fade_outside, hide_outside, mask_of_map, overlay_roi
from lucidray.models import Classifier
from lucidray.papers.cam_roi.material import Int, Material, Pixels
from lucidray.papers.cam_roi.networks import Input, feed
from lucidray.papers.cam_roi.protocol import OPACITY, THRESHOLD
from lucidray.papers.cam_roi.published import VIEWS
from lucidray.records import Float32
from lucidray.training.weights import write_whole

_BATCH = 32


@dataclass(frozen=True)
class Maps:
    """What phase 1 says of the images, and where it looked.

    Args:
        values: float32 ``(N, h, w)``, raw and signed, for the predicted class.
        called: int64 ``(N,)``, the predicted class.
    """

    values: Float32
    called: Int

    def empty(self) -> npt.NDArray[np.bool_]:
        """Return which maps have no positive value, bool ``(N,)``."""
        return np.asarray(~(self.values > 0).any(axis=(1, 2)))


def maps_of(
    model: Classifier,
    pixels: Pixels,
    kind: Input,
    progress: Callable[[int, int], None] | None = None,
) -> Maps:
    """Explain the predicted class of images by Grad-CAM on the last convolutional map.

    Args:
        model: A trained network.
        pixels: uint8 ``(N, S, S)``.
        kind: What it is fed.
        progress: Called with images done and in all.
    """
    values, called = [], []
    for start in range(0, len(pixels), _BATCH):
        inputs = feed(pixels[start : start + _BATCH], kind, model)
        logits, maps = explain(model, inputs)
        best = logits.argmax(1)
        values.append(maps[np.arange(len(inputs)), best].numpy())
        called.append(best.numpy())
        if progress is not None:
            progress(start + len(inputs), len(pixels))
    return Maps(np.concatenate(values).astype(np.float32), np.concatenate(called).astype(np.int64))


def spread(values: Float32, side: int) -> Float32:
    """Bring a map ``(h, w)`` to ``(side, side)``, bilinearly: its positive part, up to 1."""
    heat = strength(values)
    if heat.shape == (side, side):
        return heat
    shape = (heat.shape[0], heat.shape[1])
    return heatmap_to_source(heat, scaling((side, side), shape))


def view_of(pixels: Pixels, values: Float32, view: str) -> Pixels:
    """Make the image that phase 2 is given.

    Args:
        pixels: uint8 ``(S, S)``.
        values: ``(h, w)``, raw and signed.
        view: A name of `VIEWS`.

    Returns:
        uint8 ``(S, S)``, or ``(S, S, 3)`` of an overlay. Where the map is empty nothing is known
        of a region: a hidden or faded image is black, a cropped one is whole.

    Raises:
        UnknownNameError: No such view.
    """
    if view not in VIEWS:
        raise unknown_name("view", view, VIEWS)
    if view == "full":
        return pixels
    unit = (pixels / np.float32(255)).astype(np.float32)
    if view == "overlay":
        return overlay_roi(unit, values, threshold=THRESHOLD, opacity=OPACITY)
    heat = spread(values, len(pixels))
    if view == "hidden":
        made = hide_outside(unit, mask_of_map(heat, THRESHOLD))
    elif view == "faded":
        made = fade_outside(unit, heat)
    else:
        cut, _ = crop_to_map(unit, identity((len(pixels), len(pixels))), heat, THRESHOLD)
        made = resample(cut, (len(pixels), len(pixels)))
    return np.asarray(np.rint(np.clip(made, 0, 1) * 255), dtype=np.uint8)


def views_of(pixels: Pixels, maps: Maps, view: str) -> Pixels:
    """Make one view of all images, uint8 ``(N, S, S)`` or ``(N, S, S, 3)``."""
    if view == "full":
        return pixels
    pairs = zip(pixels, maps.values, strict=True)
    return np.stack([view_of(one, heat, view) for one, heat in pairs])


def write_mirrored(material: Material, made: Pixels, root: Path) -> None:
    """Write images into folders that mirror the data set's, as the publication did.

    Args:
        material: Names the images.
        made: uint8 ``(N, S, S)`` or ``(N, S, S, 3)``.
        root: ``SPLIT/CLASS/NAME.png`` is written under it; what is there is written again.
    """
    rows = material.table.rows
    for row, (split, image) in enumerate(zip(rows["split"], rows["image"], strict=True)):
        name = Path(str(image)).with_suffix(".png").name
        folder = root / str(split) / material.classes[material.labels[row]].replace(" ", "_")
        picture = Image.fromarray(made[row])
        write_whole(folder / name, partial(picture.save, format="PNG"))


def save_maps(maps: Maps, path: Path) -> None:
    """Write maps as one file."""

    def write(beside: Path) -> None:
        with beside.open("wb") as file:
            np.savez(file, values=maps.values, called=maps.called)

    write_whole(path, write)


def load_maps(path: Path) -> Maps | None:
    """Read maps; None where there are none."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as found:
        return Maps(found["values"], found["called"])
