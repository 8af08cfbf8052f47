"""What is done: every choice of a mode and a scale, as values and in words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lucidray.papers.cam_roi.published import CHEST, VIEWS
from lucidray.papers.catalog import MODE_WORDS, Mode, Scale

#: Heat below this part of a map's largest value is set to 0; opacity of the paint.
THRESHOLD = 0.3
OPACITY = 0.3

#: The part of the layers that the second strategy trains.
FRACTION = 0.25

#: Seed of splits and draws; the same for every arm and run.
SPLIT_SEED = 0

#: The networks of the publication, by role.
NETWORKS = {
    "ResNet50V2": "resnet50v2",
    "VGG16": "vgg16",
    "Xception": "xception",
    "NASNetLarge": "nasnetlarge",
    "EfficientNetB4": "efficientnet_b4",
    "DenseNet201": "densenet201",
    "Small network": "baseline_cnn",
}

#: Smaller relatives that a machine without accelerator can train.
RELATIVES = NETWORKS | {
    "ResNet50V2": "resnetv2_18",
    "VGG16": "vgg11",
    "Xception": "mobilenetv2",
    "NASNetLarge": "mnasnet_small",
    "EfficientNetB4": "efficientnet_b0",
    "DenseNet201": "densenet121",
}

#: The smallest networks there are, to see that everything runs.
TINY = NETWORKS | {
    "ResNet50V2": "test_resnet",
    "VGG16": "baseline_cnn",
    "Xception": "test_efficientnet",
    "NASNetLarge": "test_efficientnet",
    "EfficientNetB4": "test_efficientnet",
    "DenseNet201": "baseline_cnn",
}


@dataclass(frozen=True)
class Settings:
    """Every number of one mode and scale.

    Args:
        networks: Role → registered or timm name.
        weights: What backbones start from: ``"imagenet"`` or ``"none"``.
        size: Side of a network's input in pixels.
        first_epochs: Of the networks of phase 1.
        second_epochs: Of those of phase 2.
        batch_size: Images a step.
        learning_rate: Adam's.
        dropout: Before the (first) dense layer of the head.
        hidden: Width of phase 2's dense layer.
        images: At most so many images of each data set; None: all.
        replicates: Bootstrap replicates.
        panels: Shown images of each data set.
        views: What phase 2 is given, the full image first.
        folds: Of cross-fitted heat maps; 0: each map is made by the network fitted on the image.
        normalize: Whether each network gets what its weights expect (else the [0, 1] fault).
        distinct: Whether copies are left out and their groups kept on one side.
        keep_best: Whether the epoch with the smallest validation loss counts (else the last).
        own: Whether a small network, trained whole, takes part in both phases.
    """

    networks: dict[str, str] = field(default_factory=lambda: dict(NETWORKS))
    weights: str = "imagenet"
    size: int = 224
    first_epochs: int = 30
    second_epochs: int = 20
    batch_size: int = 8
    learning_rate: float = 1e-3
    dropout: float = 0.5
    hidden: int = 256
    images: int | None = None
    replicates: int = 2000
    panels: int = 6
    views: tuple[str, ...] = ("full", "overlay")
    folds: int = 0
    normalize: bool = False
    distinct: bool = False
    keep_best: bool = False
    own: bool = False

    @property
    def scratch(self) -> bool:
        """Whether backbones start from random weights."""
        return self.weights == "none"


def settings(mode: Mode, scale: Scale) -> Settings:
    """Return every choice of a mode and a scale.

    Args:
        mode: ``"faithful"`` or ``"careful"``.
        scale: ``"smoke"``, ``"small"`` or ``"full"``.
    """
    chosen = Settings()
    if mode == "careful":
        chosen = replace(
            chosen,
            views=("full", "overlay", "hidden"),
            folds=5,
            normalize=True,
            distinct=True,
            keep_best=True,
        )
    if scale == "small":
        return replace(
            chosen,
            networks=dict(RELATIVES),
            weights="none",
            size=64,
            first_epochs=12,
            second_epochs=12,
            batch_size=32,
            images=2400,
            folds=min(chosen.folds, 3),
            own=mode == "careful",
        )
    if scale == "smoke":
        return replace(
            chosen,
            networks=dict(TINY),
            weights="none",
            size=32,
            first_epochs=1,
            second_epochs=1,
            batch_size=16,
            images=120,
            replicates=100,
            panels=2,
            folds=min(chosen.folds, 2),
            own=mode == "careful",
        )
    return chosen


def fractions(name: str) -> tuple[float, float]:
    """Return the parts of a data set that are validation and test, as published.

    >>> fractions("brain_mri")
    (0.05, 0.2)
    """
    return (0.05, 0.10) if name == CHEST else (0.05, 0.20)


#: What a scale leaves out, in words.
CUT: dict[Scale, str] = {
    "smoke": (
        "Scale smoke: tiny networks at 32 x 32 pixels, one epoch, at most 120 images of each data "
        "set. It shows that everything runs; its numbers mean nothing."
    ),
    "small": (
        "Scale small: smaller relatives stand in for the published networks (VGG11 for VGG16, "
        "MobileNetV2 for Xception, MnasNet for NASNetLarge, ResNetV2-18 for ResNet50V2, "
        "EfficientNetB0 for B4, DenseNet121 for DenseNet201), at 64 x 64 pixels instead of "
        "224 x 224, 12 epochs, batches of 32 and at most 2,400 images of each data set, so that "
        "it ends within about 45 minutes on two idle cores."
    ),
    "full": "",
}

SCRATCH = (
    "There are no pretrained weights here, so backbones start from random weights. A frozen "
    "backbone is then a fixed random filter bank, and the last 25 % of the layers stand on one: "
    "“transfer learning” has nothing to transfer. To give these filters a scale, the batch "
    "normalizations take their statistics once from training images, normalized rightly, and are "
    "frozen then. Results are a rehearsal of the published comparison, not a reproduction of its "
    "numbers. At scale full the weights are ImageNet's, through timm."
)

OWN = (
    "Because frozen random filters say little, a small network of three convolutions that is "
    "trained whole takes part in both phases: as one more candidate to make the heat maps, and as "
    "one more network that is given full or ROI images."
)


def words(mode: Mode, scale: Scale) -> tuple[str, ...]:
    """Say in words what a mode and a scale do."""
    chosen = settings(mode, scale)
    return (f"Mode {mode}: {MODE_WORDS[mode]}.", *describe(chosen, scale))


def describe(chosen: Settings, scale: Scale) -> tuple[str, ...]:
    """Say in words what given settings do, one step of the protocol an entry."""
    steps = (_data(chosen), _input(chosen), _first(chosen), _regions(chosen), _second(chosen))
    rest = (_judgment(chosen), CUT[scale], SCRATCH if chosen.scratch else "")
    return tuple(text for text in (*steps, *rest, OWN if chosen.own else "") if text)


def _data(chosen: Settings) -> str:
    copies = (
        "One image of each group of copies (equal pixels, or near duplicates) is kept."
        if chosen.distinct
        else "Images are drawn one by one, copies included; beside the raw result stands the one "
        "on test images that have no copy in training or validation, each picture once."
    )
    return (
        "Data: chest radiographs (normal, pneumonia, tuberculosis; 85 / 5 / 10 % training, "
        "validation, test) and brain MRI slices (glioma, meningioma, pituitary tumor, none; "
        "75 / 5 / 20 %). An official test split is honored where the folder has one. The "
        "publishers name no patients, so only copies can be kept apart. " + copies
    )


def _input(chosen: Settings) -> str:
    how = (
        "normalized as each network's weights expect"
        if chosen.normalize
        else "divided by 255 and not normalized; EfficientNet's are divided by 255 once more and "
        "then normalized by the network itself, which is the published [0, 1]-input fault"
    )
    side = chosen.size
    return f"Input: {side} x {side} pixels, grey in three channels, {how}. No augmentation."


def _first(chosen: Settings) -> str:
    return (
        "Phase 1: ResNet50V2, VGG16, Xception and NASNetLarge, frozen, with global average "
        f"pooling, dropout {chosen.dropout:g} and one softmax layer; Adam at "
        f"{chosen.learning_rate:g}, cross-entropy, batches of {chosen.batch_size}, "
        f"{chosen.first_epochs} epochs. {_kept(chosen)}"
    )


def _kept(chosen: Settings) -> str:
    best = "The epoch with the smallest validation loss counts."
    return best if chosen.keep_best else "The last epoch counts."


def _regions(chosen: Settings) -> str:
    who = (
        "The network with the smallest validation loss makes the heat maps, cross-fitted in "
        f"{chosen.folds} folds of training and validation images: each map comes from a network "
        "that never saw its image."
        if chosen.folds
        else "VGG16's role (chest) and Xception's (brain) make the heat maps, of their own "
        "training images too, from inputs prepared by Keras' `preprocess_input`."
    )
    views = "; ".join(VIEWS[view] for view in chosen.views[1:])
    return (
        f"Regions: {who} Grad-CAM of the predicted class on the last convolutional map, negative "
        f"values 0, the largest 1, values below {THRESHOLD:g} removed. Made of it, in folders that "
        f"mirror the data set's: {views} (the paint is JET with a factor of {OPACITY:g})."
    )


def _second(chosen: Settings) -> str:
    return (
        "Phase 2: EfficientNetB4 and DenseNet201, frozen or with the last 25 % of the layers "
        f"trained, on full and on ROI images: global average pooling, dropout {chosen.dropout:g}, "
        f"a dense layer of {chosen.hidden} with GELU, softmax; {chosen.second_epochs} epochs, the "
        f"rest as in phase 1. {_kept(chosen)}"
    )


def _judgment(chosen: Settings) -> str:
    return (
        "Judgment: the most probable class counts. Intervals are 95 % bootstrap intervals over "
        f"groups of copies ({chosen.replicates:,} replicates), drawn alike for all networks, so "
        "that differences are paired; with several seeds each replicate averages over them. ROI "
        "and full image are also compared by McNemar's test, with Holm's correction."
    )
