"""Example images: what phase 2 is given, beside the image and its heat map."""

from __future__ import annotations

import numpy as np

from lucidray.images.color_maps import color_table
from lucidray.images.render import overlay, to_rgb
from lucidray.papers.cam_roi.material import Int, Material
from lucidray.papers.cam_roi.protocol import THRESHOLD, Settings
from lucidray.papers.cam_roi.regions import Maps, spread, view_of
from lucidray.report import Legend, Panel, Panels
from lucidray.report.document import Picture, Tone

_CAPTIONS = {
    "overlay": "painted over",
    "hidden": "outside hidden",
    "faded": "faded",
    "cropped": "cut out",
}

#: Pictures are enlarged to about this side, so that small ones can be seen.
_SIDE = 160


def choose(material: Material, count: int) -> Int:
    """Choose test images to be shown: of each class in turn, every so many, none picked by hand.

    Args:
        material: The images.
        count: At most so many.
    """
    rows = material.rows("test")
    queues = []
    for value in range(len(material.classes)):
        mine = rows[material.labels[rows] == value]
        at = np.linspace(0, len(mine) - 1, min(count, len(mine))).astype(int)
        queues.append(mine[at].tolist())
    chosen: list[int] = []
    while len(chosen) < count and any(queues):
        chosen += [queue.pop(0) for queue in queues if queue]
    return np.array(chosen[:count], dtype=np.int64)


def examples(material: Material, chosen: Settings, maps: Maps) -> Panels:
    """Show test images, where phase 1 looked, and what is made of it.

    Args:
        material: The images.
        chosen: How many are shown, and which views there are.
        maps: Of all images.
    """
    items = []
    for row in choose(material, chosen.panels):
        label = material.classes[material.labels[row]]
        called = material.classes[maps.called[row]]
        pixels, values = material.pixels[row], maps.values[row]
        unit = (pixels / np.float32(255)).astype(np.float32)
        heat = spread(values, len(pixels))
        made = [("image", to_rgb(unit)), ("heat map", overlay(unit, heat, threshold=THRESHOLD))]
        for view in chosen.views[1:]:
            picture = view_of(pixels, values, view)
            grey = picture.ndim == 2
            made.append((_CAPTIONS[view], np.stack([picture] * 3, axis=-1) if grey else picture))
        tone: Tone = "good" if label == called else "bad"
        facts = (("explained class", called),)
        large = tuple((name, _enlarged(picture)) for name, picture in made)
        items.append(Panel(large, f"Label: {label}", facts, tone))
    colors = color_table("inferno")[round(255 * THRESHOLD) :]
    legend = Legend(colors, f"{THRESHOLD:.0%} of the map's maximum", "maximum", "Evidence")
    return Panels(tuple(items), legend=legend)


def _enlarged(picture: Picture) -> Picture:
    times = max(1, _SIDE // len(picture))
    return np.asarray(picture.repeat(times, axis=0).repeat(times, axis=1), dtype=np.uint8)
