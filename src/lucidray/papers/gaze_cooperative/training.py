"""Every network of the experiment, trained and asked about the test films, one seed at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lucidray.explain import explain
from lucidray.images.geometry import heatmap_to_source, identity
from lucidray.models import Classifier, GazeClassifier
from lucidray.papers.arm_run import ArmRun, Steps, read_history, tell_run
from lucidray.papers.catalog import Plan
from lucidray.papers.gaze_cooperative.films import Divided
from lucidray.papers.gaze_cooperative.protocol import Settings
from lucidray.papers.gaze_cooperative.published import (
    DN,
    DN_CL,
    FULL,
    GRAD_CAM,
    GRAPH,
    INCEPTION,
    MT_UNET,
    RES_SE,
    UNET,
)
from lucidray.papers.gaze_cooperative.recipes import (
    classifier_of,
    image_of,
    pretraining_of,
    weights_of,
)
from lucidray.papers.gaze_cooperative.stages import (
    Films,
    Ground,
    Saw,
    Tell,
    train_cooperative,
    train_graph,
    train_unet,
)
from lucidray.papers.spreading import each
from lucidray.records import Float32
from lucidray.training import Run, predict, pretrain, train
from lucidray.training.inputs import normalize, to_unit

#: What one seed is made of, in order.
PARTS = ("triplets", DN_CL, DN, INCEPTION, UNET, RES_SE, MT_UNET, FULL, GRAPH, GRAD_CAM)

#: Those that need no other network, but for the one that triplets begin.
_ALONE = (DN_CL, DN, INCEPTION, UNET, RES_SE, MT_UNET, GRAPH)


@dataclass(frozen=True)
class Seed:
    """What one seed's networks make of the test films.

    Args:
        saw: Arm → what it makes of them.
        network: The cooperative network.
        encoder: The run of stage 1.
        triplets: How pretraining went.
    """

    saw: Mapping[str, Saw]
    network: GazeClassifier
    encoder: Run
    triplets: ArmRun


def train_seed(
    plan: Plan,
    divided: Divided,
    ground: Ground,
    seed: int,
    tell: Callable[[int, str], Tell],
) -> Seed:
    """Train all networks of one seed, or take up what lies there of them.

    Args:
        plan: What is asked for.
        divided: The films.
        ground: What all trainings share.
        seed: Of start and order.
        tell: From a part's number and name to what its progress is told.
    """
    told = {name: tell(number, name) for number, name in enumerate(PARTS)}
    weights = weights_of(ground.chosen, plan.weights)
    start, other = weights[ground.chosen.encoder], weights[ground.chosen.other]
    triplets, beginning = _pretrain(plan, divided, ground, seed, start, told["triplets"])
    runs = {
        DN_CL: _classify(plan, divided, ground, DN_CL, seed, beginning, told[DN_CL]),
        DN: _classify(plan, divided, ground, DN, seed, start, told[DN]),
        INCEPTION: _classify(plan, divided, ground, INCEPTION, seed, other, told[INCEPTION]),
    }
    saw = {name: _saw_run(run, ground, name, seed) for name, run in runs.items()}
    saw |= {name: train_unet(ground, name, seed, told[name]) for name in (UNET, RES_SE, MT_UNET)}
    encoder = runs[DN_CL].models()[0]
    saw[FULL], network = train_cooperative(ground, encoder, seed, told[FULL])
    saw[GRAPH] = train_graph(ground, seed, told[GRAPH])
    maps = grad_cam_maps(encoder, ground.parts["test"], ground.chosen, told[GRAD_CAM])
    saw[GRAD_CAM] = Saw(saw[DN_CL].told, gaze=maps)
    return Seed(saw, network.eval(), runs[DN_CL], triplets)


def train_apart(plan: Plan, divided: Divided, ground: Ground, steps: Steps) -> None:
    """Train on the plan's cluster what needs no other network; `train_seed` takes it up.

    Args:
        plan: What is asked for.
        divided: The films.
        ground: What all trainings share.
        steps: Told how far it is.
    """
    calls = [(divided, ground, arm, seed) for seed in range(plan.seeds) for arm in _ALONE]
    tells = [
        steps.within(1 + seed * len(PARTS) + PARTS.index(arm), arm) for _, _, arm, seed in calls
    ]
    each(plan, _train_alone, calls, tells)


def _train_alone(
    plan: Plan, divided: Divided, ground: Ground, arm: str, seed: int, tell: Tell
) -> None:
    weights = weights_of(ground.chosen, plan.weights)
    start, other = weights[ground.chosen.encoder], weights[ground.chosen.other]
    if arm == DN_CL:
        _, start = _pretrain(plan, divided, ground, seed, start, tell)
    if arm in (DN_CL, DN, INCEPTION):
        given = other if arm == INCEPTION else start
        _classify(plan, divided, ground, arm, seed, given, tell)
    elif arm == GRAPH:
        train_graph(ground, seed, tell)
    else:
        train_unet(ground, arm, seed, tell)


def _pretrain(
    plan: Plan, divided: Divided, ground: Ground, seed: int, weights: str, tell: Tell
) -> tuple[ArmRun, str]:
    place = ground.place("triplets", seed)
    found = pretrain(
        pretraining_of(ground.chosen, seed, weights),
        divided.learning(),
        place,
        resume=plan.resume,
        cache=ground.out / "pixels",
        progress=tell,
    )
    history, _ = read_history(place / "history.csv")
    folder = place.relative_to(ground.out).as_posix()
    spent = sum(row["seconds"] for row in found.rows)
    told = ArmRun("triplets", seed, folder, history, found.epoch + 1, 0, 0, spent)
    return told, str(found.weights)


def _classify(
    plan: Plan, divided: Divided, ground: Ground, arm: str, seed: int, weights: str, tell: Tell
) -> Run:
    chosen = ground.chosen
    backbone = chosen.other if arm == INCEPTION else chosen.encoder
    return train(
        classifier_of(chosen, backbone, seed, weights),
        divided.learning(),
        ground.place(arm, seed),
        resume=plan.resume,
        cache=ground.out / "pixels",
        progress=tell,
    )


def _saw_run(run: Run, ground: Ground, arm: str, seed: int) -> Saw:
    logits = predict(run, ground.parts["test"].table, cache=ground.out / "pixels").logits
    folder = Path(run.folder).relative_to(ground.out).as_posix()
    return Saw(tell_run(run, arm, seed, folder), logits.astype(np.float64))


def grad_cam_maps(
    model: Classifier, films: Films, chosen: Settings, tell: Tell | None = None
) -> Float32:
    """Explain by Grad-CAM the likeliest finding of each film, on the networks' pixels.

    Args:
        model: The classifier.
        films: The films.
        chosen: Says how they are normalized.
        tell: Told films done and in all.

    Returns:
        float32 ``(N, S, S)``, raw and signed, bilinear.
    """
    found = []
    for start in range(0, len(films.table), 32):
        rows = np.arange(start, min(start + 32, len(films.table)))
        levels = torch.from_numpy(np.ascontiguousarray(films.pixels[rows]))[:, None]
        x = normalize(to_unit(levels), image_of(chosen))
        logits, maps = explain(model, x)
        for raw, called in zip(maps, logits.argmax(1), strict=True):
            values = raw[int(called)].numpy()
            found.append(heatmap_to_source(values, identity((chosen.size, chosen.size))))
        if tell is not None:
            tell(int(rows[-1]) + 1, len(films.table))
    return np.stack(found)
