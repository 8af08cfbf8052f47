"""Films with their true boxes, the detector's, and those of heat maps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lucidray.images.geometry import map_boxes, scaling
from lucidray.images.read import read_xray
from lucidray.images.render import draw_boxes, to_rgb
from lucidray.images.resample import resample
from lucidray.papers.multitask_boxes.images import Divided
from lucidray.papers.multitask_boxes.locating import Cases, Located
from lucidray.records import Float64
from lucidray.report import Panel, Panels

#: Colors: true boxes, the detector's surest, the heat map's.
TRUE, FOUND, LOOKED = (0, 229, 255), (124, 252, 0), (255, 105, 180)

#: Pixels of a picture's longer side, which a page shows at half of it, and of a line.
_SIDE, _LINE = 384, 4
_DETECTOR, _MAP = "detector, surest box", "Grad-CAM, multi-task"


def make_panels(
    divided: Divided,
    cases: Cases,
    boxes: Mapping[str, Mapping[int, Float64]],
    located: Located,
    count: int,
) -> Panels:
    """Draw a few cases, none picked by hand: at equal steps of the rank of the detector's IoU.

    Args:
        divided: The images.
        cases: Findings with boxes.
        boxes: Whose boxes → case → its box.
        located: Their IoU.
        count: At most so many.
    """
    order = np.argsort(located.samples[_DETECTOR], kind="stable")
    places = (np.arange(count) + 0.5) / count * len(order)
    chosen = dict.fromkeys(int(order[int(place)]) for place in places) if len(order) else {}
    return Panels(
        tuple(_panel(divided, cases, boxes, located, case) for case in chosen),
        "Cyan: true boxes. Green: the detector's surest box of the finding. Pink: the box around "
        "the largest region of the multi-task network's Grad-CAM map. Films stand at equal steps "
        "of the rank of the detector's IoU.",
    )


def _panel(
    divided: Divided,
    cases: Cases,
    boxes: Mapping[str, Mapping[int, Float64]],
    located: Located,
    case: int,
) -> Panel:
    xray = read_xray(divided.test.paths()[cases.rows[case]])
    height, width = xray.pixels.shape
    scale = _SIDE / max(height, width)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    way = scaling(cases.shapes[case], shape)
    picture = to_rgb(resample(xray.pixels, shape))
    parts = (
        (cases.boxes[case], TRUE),
        (boxes[_DETECTOR][case], FOUND),
        (boxes[_MAP][case], LOOKED),
    )
    drawn = picture
    for own, color in parts:
        if len(own):
            drawn = draw_boxes(drawn, map_boxes(own, way), color=color, width=_LINE)
    finding = divided.findings[cases.places[case]]
    facts = tuple(
        (name, f"IoU {located.samples[whose][case]:.2f}")
        for name, whose in (("detector", _DETECTOR), ("Grad-CAM", _MAP))
    )
    return Panel((("film", picture), ("boxes", drawn)), finding, facts)
