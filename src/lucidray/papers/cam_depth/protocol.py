"""What is done: every choice of a mode and a scale, as values and in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from lucidray.papers.cam_depth.published import NETWORKS, Network
from lucidray.papers.catalog import MODE_WORDS, Mode, Scale

#: Training, validation and test are 7 : 1 : 1 parts.
PARTS = 9

#: Seed of the splits and of the phantoms; the same for every network and run.
SPLIT_SEED = 0

#: Networks of scale small: the published ones that fit, and stand-ins for those that do not.
SMALL = (
    Network("plain_cnn", "Plain CNN", "VGG", 4, "baseline_cnn", "Stands in for VGG: three plain "
            "blocks of convolution, without shortcuts."),
    NETWORKS[2],
    NETWORKS[3],
    Network("vit_tiny", "ViT-Ti", "ViT", 12, "vit_tiny_patch16_224", "Stands in for ViT-S: 12 "
            "transformer blocks of width 192."),
)  # fmt: skip

SMOKE = (
    Network("plain_cnn", "Plain CNN", "VGG", 4, "baseline_cnn", "Three plain blocks."),
    Network("resnet_toy", "Toy ResNet", "ResNet", 10, "test_resnet", "A residual network of "
            "half a million numbers."),
    Network("vit_toy", "Toy ViT", "ViT", 6, "test_vit", "Six narrow transformer blocks."),
)  # fmt: skip


@dataclass(frozen=True)
class Schedule:
    """How networks of one kind are trained.

    Args:
        optimizer: Its registered name.
        learning_rate: Step size at its highest.
        epochs: At most so many.
        scheduler: How the rate changes.
        warmup_epochs: Epochs over which it first rises.
        patience: Epochs without a better validation loss before training ends; 0: never.
    """

    optimizer: str
    learning_rate: float
    epochs: int
    scheduler: str = "none"
    warmup_epochs: int = 0
    patience: int = 0


@dataclass(frozen=True)
class Settings:
    """Every number of one mode and scale.

    Args:
        networks: What is compared.
        size: Side of the networks' input in pixels.
        images: At most so many images, half of them with pneumothorax.
        phantom_size: Side of phantoms in pixels, where these are needed.
        cnn: Schedule of convolutional networks with normalization.
        plain: Schedule of VGG, which has none.
        vit: Schedule of transformers.
        batch_size: Images a step.
        replicates: Bootstrap replicates.
        panels: Explained images on the page.
        split_patients: Whether patients are dealt (else images).
        keep_best: Whether the epoch with the smallest validation loss is kept (else the last).
        own_threshold: Whether the operating point comes from validation (else .5).
        scaling: How a map is scaled before its difference is taken.
        substitute: Whether schedules had to be changed for want of pretrained weights.
    """

    networks: tuple[Network, ...] = NETWORKS
    size: int = 224
    images: int = 7200
    phantom_size: int = 512
    cnn: Schedule = Schedule("adam", 1e-4, 50)
    plain: Schedule = Schedule("adam", 1e-4, 50)
    vit: Schedule = Schedule("sgd", 1e-4, 300)
    batch_size: int = 32
    replicates: int = 2000
    panels: int = 3
    split_patients: bool = True
    keep_best: bool = True
    own_threshold: bool = True
    scaling: Literal["max", "minmax"] = "max"
    substitute: bool = False

    def schedule(self, network: Network) -> Schedule:
        """Return how a network is trained."""
        if network.family == "ViT":
            return self.vit
        return self.plain if network.backbone.startswith("vgg") else self.cnn


#: Schedules from random weights.
_CNN = Schedule("adamw", 1e-3, 50, "cosine", 1)
_PLAIN = Schedule("adamw", 1e-4, 50, "cosine", 3)
_VIT = Schedule("adamw", 5e-4, 300, "cosine", 10)


def settings(mode: Mode, scale: Scale, *, pretrained: bool) -> Settings:
    """Return every choice of a mode and a scale.

    Args:
        mode: ``"faithful"`` or ``"careful"``.
        scale: ``"smoke"``, ``"small"`` or ``"full"``.
        pretrained: Whether pretrained weights are given; without them, and at the smaller scales,
            whose networks have none, the published rates teach nothing and others are taken.
    """
    careful = mode == "careful"
    chosen = Settings(
        split_patients=careful,
        keep_best=careful,
        own_threshold=careful,
        scaling="max" if careful else "minmax",
    )
    if scale == "full" and pretrained:
        return chosen
    chosen = replace(chosen, cnn=_CNN, plain=_PLAIN, vit=_VIT, substitute=True)
    if scale == "small":
        return replace(
            chosen,
            networks=SMALL,
            size=128,
            images=1440,
            phantom_size=256,
            cnn=replace(_CNN, epochs=12),
            vit=replace(_VIT, epochs=24, warmup_epochs=2),
        )
    if scale == "smoke":
        return replace(
            chosen,
            networks=SMOKE,
            size=64,
            images=108,
            phantom_size=128,
            cnn=replace(_CNN, epochs=2),
            vit=replace(_VIT, epochs=2, warmup_epochs=0),
            batch_size=16,
            replicates=200,
            panels=1,
        )
    return chosen


#: What a scale leaves out, in words.
CUT: dict[Scale, str] = {
    "smoke": (
        "Scale smoke: three toy networks at 64 x 64 pixels, two epochs and 108 images. It shows "
        "that everything runs; its numbers mean nothing."
    ),
    "small": (
        "Scale small: ResNet18 and ResNet34, a plain network of three blocks in the place of VGG "
        "and ViT-Ti in the place of the larger transformers, at 128 x 128 pixels instead of "
        "224 x 224, on at most 1,440 images, for 12 epochs (transformer: 24), meant to fit "
        "into three quarters of an hour on two idle cores. VGG16, VGG19, ResNet50, "
        "ResNet101 and the three published transformers are not run."
    ),
    "full": "",
}

SUBSTITUTE = (
    "The published networks start from ImageNet weights. None are used here, and from random "
    "weights the published rates (Adam and SGD at 1e-4) teach little. A substitute schedule is "
    "used instead: AdamW with a warm-up and a cosine, at 1e-3 (networks without normalization "
    "1e-4, transformers 5e-4). Results are therefore not a reproduction of the published numbers, "
    "but of the published comparison. At scale full, give ImageNet weights with `--weights`."
)

PHANTOM = (
    "The folder holds no SIIM-ACR images, which are free but not free to pass on. The films here "
    "are **phantoms**: generated radiographs with the true mask of each pneumothorax, half of them "
    "with one. They are easier than films, their masks are exact, and no number of this page "
    "says anything about patients."
)


def words(mode: Mode, scale: Scale) -> tuple[str, ...]:
    """Say in words what a mode and a scale do, given pretrained weights."""
    chosen = settings(mode, scale, pretrained=True)
    return (f"Mode {mode}: {MODE_WORDS[mode]}.", *describe(chosen, scale))


def describe(chosen: Settings, scale: Scale) -> tuple[str, ...]:
    """Say in words what is done, one entry a part."""
    parts = (
        _data(chosen),
        _preparation(chosen),
        _networks(chosen),
        _training(chosen),
        _judgment(chosen),
        _explanation(chosen),
        _testing(),
    )
    return (*parts, CUT[scale]) if CUT[scale] else parts


def _data(chosen: Settings) -> str:
    unit = "patients, where they are known," if chosen.split_patients else "images"
    return (
        "Data: SIIM-ACR, one row an image, its masks united; phantoms where the folder has none. "
        f"At most {chosen.images:,} images, half of them with pneumothorax; {unit} are dealt to "
        "training, validation and test, 7 : 1 : 1, stratified."
    )


def _preparation(chosen: Settings) -> str:
    return (
        f"Preparation: resized to {chosen.size} x {chosen.size}, CLAHE (clip limit 2, 8 x 8 tiles; "
        "none is stated), each image to mean 0 and deviation 1, grey repeated in three channels. "
        "Training images: Gaussian noise up to .02, rotation up to 10 degrees, mirrored at random, "
        "brightness and contrast shifted by up to .1 (no strengths are stated but the rotation)."
    )


def _networks(chosen: Settings) -> str:
    names = ", ".join(network.title for network in chosen.networks)
    return (
        f"Networks: {names}; all layers are trained. One logit with binary cross-entropy, which "
        "is the difference of two logits with cross-entropy."
    )


def _training(chosen: Settings) -> str:
    kept = (
        "the epoch with the smallest validation loss is kept"
        if chosen.keep_best
        else "the last epoch is kept"
    )
    kinds = dict.fromkeys((network.family, chosen.schedule(network)) for network in chosen.networks)
    parts = "; ".join(
        f"{family}: {_optimizer(plan)} at {plan.learning_rate:g}, {plan.epochs} epochs"
        for family, plan in kinds
    )
    return f"Training: {parts}; batches of {chosen.batch_size}; {kept}."


def _optimizer(plan: Schedule) -> str:
    names = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD with momentum .9 (none is stated)"}
    return names[plan.optimizer]


def _judgment(chosen: Settings) -> str:
    point = (
        "an operating point chosen on validation images (Youden's index)"
        if chosen.own_threshold
        else "a threshold of .5"
    )
    return (
        f"Judgment: accuracy, precision and recall at {point}, from one confusion matrix; AUC. "
        f"Intervals are 95 % bootstrap intervals over patients ({chosen.replicates:,} replicates), "
        "with the same patients for all networks; several seeds are averaged image by image."
    )


def _explanation(chosen: Settings) -> str:
    scaled = (
        "divided by its maximum" if chosen.scaling == "max" else "stretched from minimum to maximum"
    )
    return (
        "Explanation: Grad-CAM for pneumothorax on the last convolution (VGG), the last residual "
        "block (ResNet) or the last block's first normalization (ViT), of every test image with "
        "a pneumothorax, whatever the network says; bilinear to the network's input, where it is "
        f"measured; negative values to 0, then {scaled}. Diff_GradCAM is the mean inside the mask "
        "minus that outside; EHR AUC the area under the effective heat ratio over 101 equidistant "
        "thresholds. Beside each: a uniform map, a Gaussian in the middle, and the mean mask of "
        "the training images."
    )


def _testing() -> str:
    return (
        "Tests: one-way ANOVA and Tukey's test, as published; Friedman's test, Wilcoxon's signed "
        "ranks for each pair with Holm's correction, and a paired bootstrap over patients, as the "
        "design calls for."
    )
