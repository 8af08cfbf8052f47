"""What a bundle's gate accepts and what it refuses, by kind of image, with Wilson's 95 % intervals.

Chest films to be accepted, as they are and varied as hospitals differ; brain slices, extremities,
photographs, and generated images of every kind to be refused (other seeds than the gate saw). With
`--leave-out` rules are fitted anew, each without one group of kinds, and asked about that group:
how the gate does on what it never saw.

    python benchmarks/refusal.py --data DIR --bundle FILE
    python benchmarks/refusal.py --data DIR --bundle FILE --run RUN     # films of its test patients
    python benchmarks/refusal.py --data DIR --bundle FILE --run RUN --leave-out
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import skimage
import sklearn
from PIL import Image

from lucidray.bundle import Bundle, load_bundle
from lucidray.bundle.gate import LikenessRule
from lucidray.datasets import load_dataset
from lucidray.export.gate import choose_threshold, fit_rule, rate
from lucidray.export.gate_images import features_of
from lucidray.export.outlier_drawings import BODY_PARTS
from lucidray.export.outlier_scenes import SCENES
from lucidray.export.outliers import KINDS, SIDE, SPOILED, make_outliers, vary
from lucidray.images.read import read_xray
from lucidray.images.resample import resample
from lucidray.records import Float32

CHESTS = ("pediatric_pneumonia", "nih_chestxray14_subset", "lung_masks")
GROUPS = {"body parts": BODY_PARTS, "scenes": SCENES, "spoiled films": SPOILED}

#: Pictures that come with the packages of the checks and are photographs.
PHOTOS = frozenset(
    "astronaut brick camera cell chelsea china clock_motion coffee coins flower grace_hopper "  # noqa: SIM905
    "grass gravel hubble_deep_field ihc moon motorcycle_left motorcycle_right retina rocket".split()
)


def main() -> None:
    """Print one row a kind."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--bundle", required=True)
    parser.add_argument(
        "--run", type=Path, help="its split says which pediatric films are held out"
    )
    parser.add_argument("--count", type=int, default=100, help="images of each kind")
    parser.add_argument("--leave-out", action="store_true")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    rng = np.random.default_rng(11)
    films = {name: _films(options, name, rng) for name in CHESTS if (options.data / name).exists()}
    if options.leave_out:
        leave_out(bundle, options, films, rng)
        return
    print("| to be accepted | images | accepted | 95 % interval |\n|---|---|---|---|")
    for name, paths in films.items():
        _row(name, [not _refused(bundle, read_xray(path).pixels) for path in paths])
        varied = (vary(rng, read_xray(path).pixels) for path in paths)
        _row(f"{name}, varied", [not _refused(bundle, image) for image in varied])
    print("\n| to be refused | images | refused | 95 % interval |\n|---|---|---|---|")
    for kind, images in others(options, films, rng):
        _row(kind, [_refused(bundle, image) for image in images])


def others(
    options: argparse.Namespace, films: dict[str, list[Path]], rng: np.random.Generator
) -> Iterator[tuple[str, Iterable[Float32]]]:
    """Give images to be refused, kind by kind: real ones, then generated ones."""
    brains = sorted((options.data / "brain_mri").rglob("*.jpg"))
    yield "brain MRI slices", (read_xray(path).pixels for path in _some(brains, options.count, rng))
    leg = options.data / "dicom" / "not_chest_extremity_jpeg2000.dcm"
    if leg.exists():
        yield "a lower leg, varied", _variants(read_xray(leg).pixels, options.count // 2, rng)
    yield "photographs, whole and parts", photographs(6, rng)
    own = [_small(path) for path in next(iter(films.values()))]
    for kind in KINDS:
        yield f"{kind} (generated)", make_outliers(kind, options.count // 2, seed=77, films=own)


def photographs(parts: int, rng: np.random.Generator) -> Iterator[Float32]:
    """Give each photograph whole, and some parts of it."""
    roots = [Path(each.__file__).parent for each in (skimage, sklearn, matplotlib)]
    found = [path for root in roots for path in root.rglob("*") if path.stem in PHOTOS]
    for path in sorted(each for each in found if each.suffix in {".png", ".jpg"}):
        grey = np.asarray(Image.open(path).convert("L"), np.float32) / np.float32(255)
        yield grey
        for _ in range(parts):
            height = int(min(grey.shape) * rng.uniform(0.3, 0.95))
            top, left = (int(rng.integers(0, side - height + 1)) for side in grey.shape)
            yield np.ascontiguousarray(grey[top : top + height, left : left + height])


def leave_out(
    bundle: Bundle,
    options: argparse.Namespace,
    films: dict[str, list[Path]],
    rng: np.random.Generator,
) -> None:
    """Fit rules without one group each and print how they do on it."""
    own = [_small(path) for path in next(iter(films.values()))]
    half = len(own) // 2
    fit = [features_of(bundle, image)[0] for image in (*own[:half], *_varied(own[:half], rng))]
    tried = [features_of(bundle, image)[0] for image in (*own[half:], *_varied(own[half:], rng))]
    third = max(options.count // 9, 1)
    made = {
        kind: [
            features_of(bundle, image)[0]
            for image in make_outliers(kind, options.count // 3, seed=5, films=own[:half])
        ]
        for kind in KINDS
    }
    print("| left out | images | refused | 95 % interval |\n|---|---|---|---|")
    for name, group in {**{kind: (kind,) for kind in KINDS}, **GROUPS}.items():
        rule = _fit(fit, {kind: made[kind][:-third] for kind in KINDS if kind not in group})
        known = np.concatenate([made[kind][-third:] for kind in KINDS if kind not in group])
        threshold = choose_threshold(rule.likeness(np.array(tried)), rule.likeness(known))
        asked = np.concatenate([made[kind] for kind in group])
        _row(name, rule.likeness(asked) < threshold)


def _fit(films: list[Float32], outliers: dict[str, list[Float32]]) -> LikenessRule:
    features = np.concatenate([films, *outliers.values()])
    kind = np.repeat(["films", *outliers], [len(films), *map(len, outliers.values())])
    return fit_rule(features, kind == "films", kind)


def _films(options: argparse.Namespace, name: str, rng: np.random.Generator) -> list[Path]:
    table = load_dataset(options.data / name).present()
    split = options.run and pd.read_csv(options.run / "split.csv").set_index("image")["split"]
    if split is not None and table.rows["image"].isin(split.index).any():
        table = table.where((table.rows["image"].map(split) == "test").to_numpy())
    return _some([Path(path) for path in table.paths()], 2 * options.count, rng)


def _variants(film: Float32, count: int, rng: np.random.Generator) -> Iterator[Float32]:
    for _ in range(count):
        turned = np.ascontiguousarray(np.rot90(film, int(rng.integers(0, 4))))
        side = rng.uniform(0.4, 1.0)
        height, width = (int(length * side) for length in turned.shape)
        top, left = (
            int(rng.integers(0, length - int(length * side) + 1)) for length in turned.shape
        )
        yield vary(rng, np.ascontiguousarray(turned[top : top + height, left : left + width]))


def _varied(films: list[Float32], rng: np.random.Generator) -> Iterator[Float32]:
    return (vary(rng, film) for film in films)


def _small(path: Path) -> Float32:
    return resample(read_xray(path).pixels, (SIDE, SIDE))


def _some(paths: list[Path], count: int, rng: np.random.Generator) -> list[Path]:
    return [paths[index] for index in rng.permutation(len(paths))[:count]]


def _refused(bundle: Bundle, image: Float32) -> bool:
    return bundle.predict(image).refusal is not None


def _row(name: str, hits: Iterable[bool]) -> None:
    found = rate(np.array(list(hits), bool))
    interval = f"{found.low:.3f} to {found.high:.3f}"
    print(f"| {name} | {found.count} | {found.value:.3f} | {interval} |", flush=True)


if __name__ == "__main__":
    main()
