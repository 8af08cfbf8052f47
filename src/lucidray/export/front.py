"""The first part of a bundle's graph: from display pixels of any size to the network's square.

Written node by node, because a tracer would fix the sizes or round them in single precision. All
sizes are whole numbers, so the graph cuts and scales exactly as `lucidray.images` does.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from lucidray.errors import ExportError
from lucidray.images.preprocessing import Preprocessing
from lucidray.images.transforms import fraction_box

#: Name of the graph's input, float32 ``(B, 1, H, W)`` in [0, 1].
IMAGE = "image"

#: Sides for which the crop in whole numbers is checked against `fraction_box`.
_SIDES = range(1, 8193)


class Front:
    """Nodes and constants that turn ``image`` into a square.

    Args:
        config: What is done to an image; its normalization belongs to the network's part.
        output: Name of the result, float32 ``(B, 1, size, size)``.

    Raises:
        ExportError: The preprocessing cannot be written as a graph.
    """

    def __init__(self, config: Preprocessing, output: str) -> None:
        if config.contrast != "none":
            raise ExportError(
                f"contrast is '{config.contrast}', which a bundle's graph cannot express. "
                'Train with contrast = "none" (add it as an augmentation instead).'
            )
        self.config = config
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._build(output)

    def _build(self, output: str) -> None:
        part = IMAGE if self.config.crop is None else self._crop(self.config.crop)
        fit = self._squash if self.config.fit == "squash" else self._letterbox
        square = self._constant([-1, 1, self.config.size, self.config.size])
        self._node("Reshape", [fit(part), square], output)

    def _crop(self, fractions: tuple[float, float, float, float]) -> str:
        top, bottom, left, right = (Fraction(f).limit_denominator(10**6) for f in fractions)
        _check_crop(fractions, (top, bottom, left, right))
        height, width = self._sides(IMAGE)
        y_min, x_min = self._part(height, top), self._part(width, left)
        y_max = self._at_least(self._part(height, bottom), y_min)
        x_max = self._at_least(self._part(width, right), x_min)
        starts = self._node("Concat", [y_min, x_min], axis=0)
        ends = self._node("Concat", [y_max, x_max], axis=0)
        return self._node("Slice", [IMAGE, starts, ends, self._constant([2, 3])])

    def _squash(self, part: str) -> str:
        return self._resize(part, self._constant([self.config.size] * 2))

    def _letterbox(self, part: str) -> str:
        size = self._constant([self.config.size])
        height, width = self._sides(part)
        longest = self._node("Max", [height, width])
        inner = self._node(
            "Concat", [self._scaled(height, longest), self._scaled(width, longest)], axis=0
        )
        missing = self._node("Sub", [size, inner])
        before = self._node("Div", [missing, self._constant([2])])
        after = self._node("Sub", [missing, before])
        pads = self._node("Concat", [before, after], axis=0)
        axes = self._constant([2, 3])
        black = self._add(np.array(0, np.float32))
        return self._node("Pad", [self._resize(part, inner), pads, black, axes], mode="constant")

    def _scaled(self, side: str, longest: str) -> str:
        """Return ``max(round(side * size / longest), 1)``, halves to the even number."""
        one, two = self._constant([1]), self._constant([2])
        double = self._node("Mul", [longest, two])
        scaled = self._node("Mul", [side, self._constant([2 * self.config.size])])
        above = self._node("Add", [scaled, longest])
        rounded = self._node("Div", [above, double])
        rest = self._node("Sub", [above, self._node("Mul", [rounded, double])])
        half = self._node("Equal", [rest, self._constant([0])])
        odd = self._node("Mod", [rounded, two])
        down = self._node("Mul", [odd, self._node("Cast", [half], to=TensorProto.INT64)])
        return self._node("Max", [self._node("Sub", [rounded, down]), one])

    def _resize(self, part: str, sizes: str) -> str:
        return self._node(
            "Resize",
            [part, "", "", sizes],
            axes=[2, 3],
            mode="linear",
            antialias=1,
            exclude_outside=1,
            coordinate_transformation_mode="half_pixel",
        )

    def _sides(self, name: str) -> tuple[str, str]:
        height = self._node("Shape", [name], start=2, end=3)
        return height, self._node("Shape", [name], start=3, end=4)

    def _part(self, side: str, fraction: Fraction) -> str:
        times = self._node("Mul", [side, self._constant([fraction.numerator])])
        return self._node("Div", [times, self._constant([fraction.denominator])])

    def _at_least(self, end: str, start: str) -> str:
        return self._node("Max", [end, self._node("Add", [start, self._constant([1])])])

    def _node(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or f"front_{len(self.nodes)}"
        name = f"front_{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name, **attributes))
        return output

    def _constant(self, values: list[int]) -> str:
        return self._add(np.array(values, np.int64))

    def _add(self, values: npt.NDArray[np.generic]) -> str:
        name = f"front_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name


def _check_crop(fractions: tuple[float, float, float, float], exact: tuple[Fraction, ...]) -> None:
    top, bottom, left, right = (
        [side * part.numerator // part.denominator for side in _SIDES] for part in exact
    )
    for side, y_min, y_max, x_min, x_max in zip(_SIDES, top, bottom, left, right, strict=True):
        wanted = fraction_box((side, side), *fractions)
        if wanted != (x_min, y_min, max(x_max, x_min + 1), max(y_max, y_min + 1)):
            raise ExportError(
                f"crop {fractions} cannot be written in whole numbers for an image of {side} "
                "pixels; use fractions with few decimals, for example 0.15."
            )
