"""What measuring maps costs: deletion and insertion beside bare forward passes, and Quantus.

Deletion and insertion: ``lucidray.metrics.faithfulness_curves.removal_curves`` against (a) the bare
forward passes that it needs, in batches of the same size, and (b) Quantus' ``PixelFlipping`` on the
map and on its inverse, which takes as many passes. The same images, maps (without ties, which
Quantus breaks by place), network, steps and black fill; with a torch and with an ONNX Runtime
predict, and with OpenVINO in bfloat16 where it is installed: the fastest that a bundle may ask for,
whose curves differ by what is printed. Curves are compared point by point. ROAD is shown beside the
same bare passes, though it needs one fewer of each direction. Maps alone: pointing game, energy
inside, Gini sparseness and entropy of a batch of maps against Quantus' four classes, values
compared too.

All variants of one row run in one process, in shuffled order within each round, after a warm-up; a
ratio is the median over rounds of ratios of the same round. Without Quantus its columns are left
out: ``pip install --no-deps quantus`` into a folder of its own and put that on PYTHONPATH.

    python benchmarks/metrics.py                       # some minutes
    python benchmarks/metrics.py --size 96 --rounds 3  # one minute
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from lucidray.explain import explain
from lucidray.metrics.complexity import entropy_complexity, gini_sparseness
from lucidray.metrics.faithfulness_curves import removal_curves
from lucidray.metrics.faithfulness_fill import Removal
from lucidray.metrics.localization import energy_inside, pointing_game
from lucidray.models import Classifier, ModelSpec, build_model
from rounds import Variant, measure, median_ratio

FINDINGS = tuple(f"finding {number}" for number in range(1, 15))
GOAL_BARE, GOAL_PEER, GOAL_MAPS = 1.1, 3.0, 100.0
#: Torch slows down with larger batches on a processor, where each allocates its pages anew.
BATCH = {"torch": 8, "ort": 16, "openvino bf16": 16}

Predict = Callable[[np.ndarray], np.ndarray]


def main() -> int:
    """Measure, print, and say whether the goals are met."""
    options = parse()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, ", end="")
    print(f"{options.threads} threads, {options.rounds} rounds, Quantus: {has_quantus()}")
    met = curves(options)
    met &= maps_alone(options)
    print(f"goals: curves at most {GOAL_BARE} x bare passes and {GOAL_PEER:.0f} x Quantus' speed, ")
    judged = "" if has_quantus() else " (Quantus is not installed: its two goals are not judged)"
    print(f"maps alone {GOAL_MAPS:.0f} x Quantus' speed: {'met' if met else 'MISSED'}{judged}")
    return 0 if met else 1


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--backbone", default="densenet121")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--maps", type=int, default=64, help="of the part without a network")
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


def has_quantus() -> bool:
    """Say whether the peer is installed."""
    return importlib.util.find_spec("quantus") is not None


def curves(options: argparse.Namespace) -> bool:
    """Measure deletion, insertion and ROAD."""
    model, images = lively(options)
    with torch.no_grad():
        maps = explain(model, torch.from_numpy(images))[1][:, :1].numpy()
    fine = torch.nn.functional.interpolate(
        torch.from_numpy(maps), (options.size, options.size), mode="bilinear"
    ).numpy()
    fine += 1e-4 * np.ptp(fine) * np.random.default_rng(0).random(fine.shape, np.float32)
    predicts = by_engine(model, images, options.threads)
    fills = ("black", "blur", "road")
    variants: dict[str, Variant] = {}
    for engine, predict in predicts.items():
        variants[f"bare {engine}"] = bare(predict, images, 2 * options.steps, BATCH[engine])
        for fill in fills:
            how = Removal(
                fill=fill,
                steps=options.steps,
                link="softmax",
                random_orders=0,
                batch_size=BATCH[engine],
            )
            variants[f"{fill} {engine}"] = ours(predict, images, fine, how)
    if has_quantus():
        variants["quantus"] = quantus_flipping(model, images, fine, options.steps)
    times = measure(variants, options.rounds)
    print(f"\n{options.backbone}, {options.images} images of {options.size}, {options.steps} steps")
    for engine in predicts:
        shown = {
            fill: median_ratio(times[f"{fill} {engine}"], times[f"bare {engine}"]) for fill in fills
        }
        each = 1e3 * statistics.median(times[f"bare {engine}"]) / options.images
        print(f"  {engine:6} bare passes {each:8.0f} ms/image, times: ", end="")
        print(", ".join(f"{fill} {ratio:.3f}" for fill, ratio in shown.items()))
    return judge(times, variants)


def judge(times: dict[str, list[float]], variants: dict[str, Variant]) -> bool:
    """Print the ratio to Quantus and how equal the curves are; say whether the goals are met."""
    engines = [name.removeprefix("bare ") for name in times if name.startswith("bare ")]
    met = all(
        median_ratio(times[f"{fill} {engine}"], times[f"bare {engine}"]) <= GOAL_BARE
        for fill in ("black", "blur")
        for engine in engines
    )
    if "quantus" not in times:
        return met
    theirs, gains = variants["quantus"](), []
    for engine in engines:
        gains.append(median_ratio(times["quantus"], times[f"black {engine}"]))
        found = variants[f"black {engine}"]().probability
        mine = np.stack([found.most_first, found.least_first])[:, :, 0, 1:]
        far, area = np.abs(mine - theirs).max(), np.abs((mine - theirs).mean(-1)).max()
        print(f"  Quantus needs {gains[-1]:.2f} x the time of ours in {engine}; ", end="")
        print(f"curves differ {far:.0e}, areas under them {area:.0e}")
    return met and max(gains) >= GOAL_PEER


def lively(options: argparse.Namespace) -> tuple[Classifier, np.ndarray]:
    """Build a model whose batch norms have seen noise, and smooth images."""
    torch.manual_seed(0)
    spec = ModelSpec(backbone=options.backbone, in_channels=1)
    model = build_model(spec, FINDINGS, image_size=options.size)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    coarse = torch.randn(options.images, 1, 12, 12)
    images = torch.nn.functional.interpolate(coarse, (options.size, options.size), mode="bicubic")
    with torch.no_grad():
        model(images)
    return model.eval(), images.numpy()


def by_torch(model: Classifier) -> Predict:
    """Predict with torch."""

    def predict(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(batch)).numpy()

    return predict


def by_engine(model: Classifier, images: np.ndarray, threads: int) -> dict[str, Predict]:
    """Predict with torch and, from the graph of the same model, with what else is installed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            model,
            (torch.from_numpy(images),),
            path,
            input_names=["x"],
            dynamic_shapes={"x": {0: torch.export.Dim("batch", min=1, max=1024)}},
            dynamo=True,
            verbose=False,
        )
        predicts = {"torch": by_torch(model), "ort": by_ort(path, threads)}
        if importlib.util.find_spec("openvino") is not None:
            predicts["openvino bf16"] = by_openvino(path, images.shape[1:], threads)
    return predicts


def by_ort(path: Path, threads: int) -> Predict:
    """Predict with ONNX Runtime."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})[0]


def by_openvino(path: Path, shape: tuple[int, ...], threads: int) -> Predict:
    """Predict with OpenVINO in bfloat16, compiled once for each size of batch."""
    import openvino

    core = openvino.Core()
    graph = core.read_model(path)
    how = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = {}

    def predict(batch: np.ndarray) -> np.ndarray:
        if len(batch) not in compiled:
            fixed = graph.clone()
            fixed.reshape([len(batch), *shape])
            compiled[len(batch)] = core.compile_model(fixed, "CPU", how)
        return compiled[len(batch)](batch)[0]

    return predict


def bare(predict: Predict, images: np.ndarray, passes: int, size: int) -> Variant:
    """Only the forward passes, in batches of one size."""
    total = passes * len(images)
    batch = np.resize(images, (size, *images.shape[1:]))

    def run() -> None:
        for start in range(0, total, size):
            predict(batch[: min(size, total - start)])

    return run


def ours(predict: Predict, images: np.ndarray, maps: np.ndarray, removal: Removal) -> Variant:
    """Both directions of removal in one pass."""
    return lambda: removal_curves(predict, images, maps, removal=removal)


def quantus_flipping(
    model: Classifier, images: np.ndarray, maps: np.ndarray, steps: int
) -> Variant:
    """Run Quantus on the map and on its inverse."""
    import quantus

    size = -(-images[0].size // steps)
    metric = quantus.PixelFlipping(
        features_in_step=size, normalise=False, perturb_baseline=0.0, disable_warnings=True
    )
    labels = np.zeros(len(images), int)

    def run() -> np.ndarray:
        ways = [
            metric(model=model, x_batch=images, y_batch=labels, a_batch=sign * maps, device="cpu")
            for sign in (1, -1)
        ]
        return np.array(ways)

    return run


def maps_alone(options: argparse.Namespace) -> bool:
    """Measure what needs no network."""
    rng = np.random.default_rng(0)
    shape = (options.maps, options.size, options.size)
    maps = rng.random(shape).astype(np.float32)
    masks = np.zeros(shape, bool)
    masks[:, 30:70, 20:60] = True

    def mine() -> list[np.ndarray]:
        located = [pointing_game(maps, masks), energy_inside(maps, masks)]
        return [*located, gini_sparseness(maps), entropy_complexity(maps)]

    variants: dict[str, Variant] = {"ours": mine}
    if has_quantus():
        variants["quantus"] = quantus_maps(maps, masks)
    times = measure(variants, options.rounds)
    each = 1e3 * statistics.median(times["ours"]) / options.maps
    print(f"\n4 measures of {options.maps} maps alone: ours {each:.2f} ms/map")
    if "quantus" not in times:
        return True
    gain = median_ratio(times["quantus"], times["ours"])
    exact = quantus_maps(maps.astype(np.float64), masks)()
    far = [np.abs(a - np.asarray(b, float)).max() for a, b in zip(mine(), exact, strict=True)]
    print(f"  Quantus needs {gain:.0f} x the time; values differ {max(far):.0e}")
    return gain >= GOAL_MAPS


def quantus_maps(maps: np.ndarray, masks: np.ndarray) -> Variant:
    """Run Quantus' four classes on the same maps; the network that it asks for is never run."""
    import quantus

    quiet = {"normalise": False, "abs": False, "disable_warnings": True}
    classes = [
        quantus.PointingGame(**quiet),
        quantus.RelevanceMassAccuracy(**quiet),
        quantus.Sparseness(**quiet),
        quantus.Complexity(**quiet),
    ]
    given = {"y_batch": np.zeros(len(maps), int), "model": torch.nn.Identity()}
    x, a, s = maps[:, None], maps[:, None].copy(), masks[:, None]  # Complexity writes into a
    return lambda: [
        metric(x_batch=x, a_batch=a, s_batch=s, device="cpu", **given) for metric in classes
    ]


if __name__ == "__main__":
    sys.exit(main())
