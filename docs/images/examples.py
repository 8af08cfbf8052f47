"""Generate the films that `lucidray demo` reads: nobody's, each with a known truth.

    python docs/images/examples.py            # writes src/lucidray/examples/

Needs the extra ``train`` (the hand comes from the outliers that gates are fitted to).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lucidray.datasets.phantom import PhantomConfig, make_phantom
from lucidray.export.outlier_drawings import BODY_PARTS

OUT = Path(__file__).parents[2] / "src" / "lucidray" / "examples"

CHILD = PhantomConfig(size=512, abundance=0, child_share=1, devices=0)
ADULT = PhantomConfig(size=512, abundance=0, child_share=0, devices=0.3)

#: Name, series, number, kind of patient, findings with their severity.
FILMS: tuple[tuple[str, int, int, PhantomConfig, dict[str, float]], ...] = (
    ("child_healthy", 11, 0, CHILD, {}),
    ("child_pneumonia_a", 120, 60, CHILD, {"Pneumonia": 1.0, "Edema": 0.8}),
    (
        "child_pneumonia_b",
        113,
        39,
        CHILD,
        {"Pneumonia": 1.0, "Consolidation": 1.0, "Infiltration": 1.0},
    ),
    ("adult_healthy", 512, 36, ADULT, {}),
    ("adult_edema", 502, 6, ADULT, {"Edema": 0.9}),
    ("adult_effusion", 504, 12, ADULT, {"Effusion": 0.9}),
    ("adult_consolidation", 525, 75, ADULT, {"Consolidation": 0.9}),
)


def main() -> None:
    """Write all of them, and two that no model should judge."""
    OUT.mkdir(exist_ok=True)
    for name, seed, index, config, severities in FILMS:
        pixels = make_phantom(seed, index, config, severities=severities).pixels
        save(name, pixels)
        if name == "child_healthy":
            save("not_judged_negative", 1 - pixels)
    save("not_judged_hand", BODY_PARTS["hand"](np.random.default_rng(4), 512))


def save(name: str, pixels: np.ndarray) -> None:
    """Write one film, ``(H, W)`` in [0, 1], as JPEG."""
    levels = np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
    Image.fromarray(levels).save(OUT / f"{name}.jpg", quality=88)


if __name__ == "__main__":
    main()
