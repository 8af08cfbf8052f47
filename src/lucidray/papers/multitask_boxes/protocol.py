"""What is done: every choice of a mode and a scale, as values and in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from lucidray.papers.catalog import MODE_WORDS, Mode, Scale
from lucidray.papers.multitask_boxes.published import NETWORKS, Network

#: Seed of splits, folds and phantoms; the same for every network and run.
SPLIT_SEED = 0

#: How often each finding stands on phantoms, and how mild it may be: none is rare, all are plain.
PREVALENCE, MILDEST = 0.12, 0.5

#: Part of the training patients kept for validation: 7,194 of 35,969.
VALIDATION = 0.2
#: Part of all patients set aside where there is no official test list.
TEST = 0.25


@dataclass(frozen=True)
class Schedule:
    """How networks of one kind are trained.

    Args:
        epochs: At most so many in the last phase.
        learning_rate: Step size at its highest in the last phase.
        optimizer: A registered optimizer.
        scheduler: How the rate changes.
        warmup_epochs: Epochs over which it first rises.
        head_epochs: Epochs of the head alone before it; 0: none.
        layer_count: Layers of the backbone that then move; None: all.
        patience: Epochs without a better validation loss before a phase ends; 0: never.
    """

    epochs: int
    learning_rate: float
    optimizer: str = "adam"
    scheduler: str = "none"
    warmup_epochs: float = 0.0
    head_epochs: int = 0
    layer_count: int | None = None
    patience: int = 0


@dataclass(frozen=True)
class Settings:
    """Every number of one mode and scale.

    Args:
        networks: The single-task networks.
        backbone: Of the multi-task network and its twin.
        detector: Where boxes are looked for: ``"map"`` or ``"fpn"``.
        width: Channels of the detector's maps.
        pool: How the multi-task network's map becomes a vector.
        size: Side of the networks' input in pixels.
        phantoms: Phantoms to be generated where the folder holds no ChestX-ray14.
        phantom_size: Their side in pixels.
        single: Schedule of the single-task networks.
        multi: Schedule of the multi-task network and its twin.
        detection: Lambda.
        batch_size: Images a step.
        positives_only: Whether films without a finding are left out of training.
        learn_test_boxes: Whether boxed images of the test list are learned from.
        folds: Folds of the test patients where only the test list has boxes.
        weighted: Whether the multi-task network's positives weigh negatives / positives too.
        replicates: Bootstrap replicates.
        panels: Films shown on the page.
        substitute: Whether schedules had to be changed for want of pretrained weights.
    """

    networks: tuple[Network, ...] = NETWORKS
    backbone: str = "densenet121"
    detector: Literal["map", "fpn"] = "map"
    width: int = 256
    pool: Literal["avg", "max"] = "avg"
    size: int = 224
    phantoms: int = 6000
    phantom_size: int = 512
    single: Schedule = Schedule(20, 1e-5, head_epochs=10, layer_count=20, patience=3)
    multi: Schedule = Schedule(15, 1e-4)
    detection: float = 1.0
    batch_size: int = 32
    positives_only: bool = True
    learn_test_boxes: bool = True
    folds: int = 5
    weighted: bool = False
    replicates: int = 2000
    panels: int = 4
    substitute: bool = False


_SCRATCH = Schedule(40, 2e-3, "adamw", "cosine", warmup_epochs=1.0)


def settings(mode: Mode, scale: Scale, *, pretrained: bool) -> Settings:
    """Return every choice of a mode and a scale.

    Args:
        mode: ``"faithful"`` or ``"careful"``.
        scale: ``"smoke"``, ``"small"`` or ``"full"``.
        pretrained: Whether pretrained weights are given; without them, and at the smaller scales,
            whose networks have none, all layers are trained from the start.
    """
    chosen = Settings()
    if mode == "careful":
        chosen = replace(
            chosen,
            detector="fpn",
            pool="max",
            positives_only=False,
            learn_test_boxes=False,
            weighted=True,
        )
    if scale == "full" and pretrained:
        return chosen
    chosen = replace(chosen, single=_SCRATCH, multi=_SCRATCH, substitute=True)
    if scale == "small":
        return replace(
            chosen,
            networks=NETWORKS[3:],
            backbone="regnetx_002",
            width=96,
            size=160,
            phantoms=4800,
            phantom_size=256,
            single=replace(_SCRATCH, epochs=8),
            multi=replace(_SCRATCH, epochs=16, learning_rate=1.5e-3),
            batch_size=24,
            folds=2,
            replicates=1000,
        )
    if scale == "smoke":
        return replace(
            chosen,
            networks=(Network("toy", "Toy network", "test_resnet"),),
            backbone="test_resnet",
            width=16,
            size=64,
            phantoms=96,
            phantom_size=128,
            single=Schedule(1, 1e-3, "adamw"),
            multi=Schedule(2, 2e-3, "adamw"),
            batch_size=8,
            folds=2,
            replicates=50,
            panels=1,
        )
    return chosen


#: What a scale leaves out, in words.
CUT: dict[Scale, str] = {
    "smoke": (
        "Scale smoke: toy networks at 64 x 64 pixels, one or two epochs, at most 96 images. It "
        "shows that everything runs; its numbers mean nothing."
    ),
    "small": (
        "Scale small: MobileNetV2 alone of the four single-task networks (the published best), and "
        "RegNetX-200MF in the place of DenseNet121 for the multi-task network and its twin, at "
        "160 x 160 pixels instead of 224 x 224, meant to fit into three quarters of an hour on two "
        "idle cores. DenseNet121, EfficientNet-B0 and ResNet50 are not run."
    ),
    "full": "",
}

SUBSTITUTE = (
    "The published networks start from ImageNet weights. None are used here, and a head on random "
    "weights learns nothing. A substitute schedule is used instead: all layers from the start, "
    "AdamW with a cosine. Results are therefore not a reproduction of the published numbers, but "
    "of the published comparison. At scale full, give ImageNet weights with `--weights`."
)

PHANTOM = (
    "The films here are **phantoms**: generated radiographs with the true boxes of all fourteen "
    "findings. They are easier than films, their labels and boxes are exact, and no number of this "
    "page says anything about patients."
)


def words(mode: Mode, scale: Scale) -> tuple[str, ...]:
    """Say in words what a mode and a scale do, given pretrained weights."""
    chosen = settings(mode, scale, pretrained=True)
    return (f"Mode {mode}: {MODE_WORDS[mode]}.", *describe(chosen, scale))


def describe(chosen: Settings, scale: Scale) -> tuple[str, ...]:
    """Say in words what is done, one entry a part."""
    parts = (
        _data(chosen),
        _boxes(chosen),
        _preparation(chosen),
        _networks(chosen),
        _training(chosen),
        _judgment(chosen),
        _explanation(),
    )
    return (*parts, CUT[scale]) if CUT[scale] else parts


def _data(chosen: Settings) -> str:
    learned = "with a finding" if chosen.positives_only else "of the training list"
    return (
        "Data: NIH ChestX-ray14 in its own layout; phantoms in that layout where the folder holds "
        f"none ({chosen.phantoms:,} of {chosen.phantom_size} pixels). The official lists where "
        f"they are, else {TEST:.0%} of the patients are set aside; {VALIDATION:.0%} of the "
        f"training patients validate. Films {learned} are learned from; results are given for "
        "test films with a finding, as published, and for all."
    )


def _boxes(chosen: Settings) -> str:
    if chosen.learn_test_boxes:
        return (
            "Boxes: those of the test list, as in ChestX-ray14, where no other list has any: boxed "
            "test images are learned from with their labels. Of phantoms a quarter of the test "
            "images with a finding keep their boxes, and no other image does. The leak is told."
        )
    return (
        "Boxes: those of the training list. Where it has none (ChestX-ray14), the test patients "
        f"are dealt to {chosen.folds} folds; a network for each learns the boxes of the other "
        "folds, and is asked only about the patients of its own."
    )


def _preparation(chosen: Settings) -> str:
    return (
        f"Preparation: resized to {chosen.size} x {chosen.size}, in [0, 1]. Training images are "
        "rotated by up to 4 degrees, shifted by up to 5 %, scaled by up to 10 %, mirrored at "
        "random, brightness and contrast changed by up to .1; boxes move along. No strengths are "
        "stated."
    )


def _networks(chosen: Settings) -> str:
    names = ", ".join(network.title for network in chosen.networks)
    where = {
        "map": "the backbone's last map",
        "fpn": "a pyramid of its stages at strides 8, 16 and 32, whose finest map is pooled by "
        f"its {chosen.pool} for the findings too",
    }[chosen.detector]
    return (
        f"Networks: {names}, each with mean pooling, a dense layer of 512 with ReLU, dropout .3 "
        f"and 14 sigmoids. Multi-task: `{chosen.backbone}` with the same head and torchvision's "
        f"Faster R-CNN (proposals, boxes) on {where}. Twin: the same with lambda = 0."
    )


def _training(chosen: Settings) -> str:
    single, multi = chosen.single, chosen.multi
    first = (
        f"the head for {single.head_epochs} epochs at 1e-3, then with the last "
        f"{single.layer_count} layers for {single.epochs} at {single.learning_rate:g} (rates and "
        f"epochs are not stated), early stopping after {single.patience}"
        if single.head_epochs
        else f"all layers for {single.epochs} epochs at {single.learning_rate:g}"
    )
    weights = " with the same weights" if chosen.weighted else ""
    return (
        f"Training: single-task networks: {first}; binary cross-entropy in which positives weigh "
        f"negatives / positives. Multi-task: all layers for {multi.epochs} epochs at "
        f"{multi.learning_rate:g}; binary cross-entropy{weights} plus lambda = "
        f"{chosen.detection:g} times the four losses of Faster R-CNN; images without boxes teach "
        "the first head alone. "
        f"Batches of {chosen.batch_size}; the epoch with the best validation average precision "
        "is kept."
    )


def _judgment(chosen: Settings) -> str:
    return (
        "Judgment: AUC and average precision of each finding and their means, of the multi-task "
        "network also where each finding is judged by its surest box alone, and by the mean of "
        "what box and head say; precision, recall "
        "and F1 at .5 and at the threshold of each finding with the best F1 on validation images; "
        "average precision of boxes at IoU .5, an image counting for the findings of which all its "
        f"boxes are known. Intervals are 95 % bootstrap intervals over patients "
        f"({chosen.replicates:,} replicates), with the same patients for all networks."
    )


def _explanation() -> str:
    return (
        "Explanation: Grad-CAM of each boxed finding on test images, cut at Otsu's threshold; the "
        "box around its largest region of at least 1 % of the image against the best true box: "
        "mean IoU, and hits at .1, .3 and .5. Beside it the mean box of the training images, and "
        "the surest box of the detector."
    )
