"""The recipe: everything that decides what a training makes, in one TOML file.

```toml
seeds = [0, 1]

[data]
findings = ["Pneumonia"]

[model]
backbone = "resnet18"

[[phases]]
policy = "full"
epochs = 10
learning_rate = 3e-4
```

Whatever is left out has the default that stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from lucidray.bundle.metadata import Attribute
from lucidray.config import STRICT, from_mapping, merge, read_toml
from lucidray.datasets.split import Overlap
from lucidray.errors import ConfigError, unknown_name
from lucidray.images.preprocessing import Preprocessing
from lucidray.models.freezing import FREEZING_POLICIES
from lucidray.models.spec import ModelSpec
from lucidray.training.augmentation import Augment
from lucidray.training.loss import Loss
from lucidray.training.monitor import box_monitors, check_monitor, mask_monitors, monitors
from lucidray.training.processor import Precision
from lucidray.training.schedules import optimizers, schedulers

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Part = Annotated[float, Field(ge=0, lt=1)]

#: Plain values that a data set's reader takes as options.
Option = str | int | float | bool


@dataclass(frozen=True)
class Data:
    """Which images, which findings, which split.

    Args:
        name: A registered data set, or ``"auto"``: recognized by its layout.
        findings: What to learn, in this order; empty: all that training images show both
            present and absent, and of two that exclude each other only the abnormal one.
        options: Options of the data set's reader.
        official: Honor the data set's own splits; false draws all anew.
        keep_validation: Keep the data set's own validation images; false draws them anew.
        validation: Part of the training images, by patient, kept for validation where there are
            no official ones.
        test: The same for a test set.
        split_seed: Seed of that draw.
        split_from: Another run's folder, whose splits are taken as they are, so that a run that
            goes on from its weights meets no patient in another part; ``""``: none.
        overlap: What to do with training images whose patient is also in an official test or
            validation split: ``"error"``, ``"drop"`` or ``"allow"``.
        metadata: Of ``"age"``, ``"sex"`` and ``"view"`` what is taken beside the film; empty: the
            film alone. Fitted on validation images at the end, beside a baseline that has nothing
            else.
        skip_unreadable: Train without the files that cannot be read, instead of refusing.
    """

    name: str = "auto"
    findings: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)
    official: bool = True
    keep_validation: bool = True
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.15
    test: Annotated[float, Field(ge=0, lt=1)] = 0.0
    split_seed: Annotated[int, Field(ge=0)] = 0
    split_from: str = ""
    overlap: Overlap = "error"
    metadata: tuple[Attribute, ...] = ()
    skip_unreadable: bool = False

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if len(set(self.metadata)) != len(self.metadata):
            raise ConfigError(f"data.metadata is {list(self.metadata)}; name each once.")


@dataclass(frozen=True)
class Phase:
    """One stretch of training with its own policy and step size.

    Args:
        policy: What may move (see `lucidray.models.freezing.freeze`).
        layer_count: For ``last_n_layers``.
        fraction: For ``last_fraction``.
        epochs: At most so many.
        learning_rate: Step size at its highest.
        optimizer: A registered optimizer.
        weight_decay: Applied to weights, not to biases and normalization.
        scheduler: ``"none"``, ``"plateau"``, ``"cosine"`` or ``"onecycle"``.
        warmup_epochs: Epochs (or a part of one) over which the rate rises linearly first.
        plateau_patience: Epochs without improvement after which ``"plateau"`` cuts the rate.
        plateau_factor: By which it then multiplies the rate.
        monitor: Metric that decides what is best: ``"val_loss"``, ``"val_auc"`` or any other
            ``val_`` metric of `lucidray.training.monitor`, or ``"train_loss"``.
        patience: Epochs without improvement after which the phase ends; 0: never.
        keep: Which weights the phase hands on: its ``"best"`` or its ``"last"``.
        batch_size: Images a step.
    """

    policy: str = "full"
    layer_count: Annotated[int, Field(ge=0)] | None = None
    fraction: Annotated[float, Field(gt=0, le=1)] = 0.25
    epochs: Count = 10
    learning_rate: Positive = 1e-3
    optimizer: str = "adamw"
    weight_decay: NotNegative = 0.01
    scheduler: str = "cosine"
    warmup_epochs: NotNegative = 0.0
    plateau_patience: Count = 2
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.2
    monitor: str = "val_loss"
    patience: Annotated[int, Field(ge=0)] = 0
    keep: Literal["best", "last"] = "best"
    batch_size: Count = 32

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if self.policy not in FREEZING_POLICIES:
            raise unknown_name("freezing policy", self.policy, FREEZING_POLICIES)
        if self.policy == "last_n_layers" and self.layer_count is None:
            raise ConfigError("policy 'last_n_layers' needs layer_count, for example 50.")
        optimizers.entry(self.optimizer)
        schedulers.entry(self.scheduler)
        check_monitor(self.monitor)
        if self.warmup_epochs >= self.epochs:
            raise ConfigError(
                f"warmup_epochs is {self.warmup_epochs:g} of {self.epochs} epochs; "
                "warm-up must end before the phase does."
            )


@dataclass(frozen=True)
class OperatingPoint:
    """How the probability at which a finding counts as present is chosen, on validation only.

    Args:
        method: ``"robust_youden"`` (the middle of what is about best), ``"youden"``,
            ``"f_beta"``, ``"sensitivity"`` (the most specific that surely reaches one) or
            ``"fixed"``; see `lucidray.metrics.operating_points`.
        value: What the method takes: beta (default 1), the sensitivity (default 0.95), or the
            fixed probability (default 0.5).
        varied: Variants of each validation image, made as training images are varied, on which
            the point is chosen beside the images themselves, so that it also suits films that are
            framed and exposed otherwise; 0: none.
    """

    method: Literal["robust_youden", "youden", "f_beta", "sensitivity", "fixed"] = "robust_youden"
    value: Positive | None = None
    varied: Annotated[int, Field(ge=0, le=64)] = 0

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        bounded = self.method in {"sensitivity", "fixed"}
        if bounded and self.value is not None and self.value > 1:
            raise ConfigError(f"operating_point.value is {self.value}; expected at most 1.")


@dataclass(frozen=True)
class Recipe:
    """A whole training.

    Where the model has a detector, images without boxes teach findings alone, and each epoch is
    also measured by ``val_detection_ap50``. Where it has a decoder, each phase minimizes
    `mask_loss.mask_loss`, and `loss`, `balanced`, `mixup`, `operating_point` have no part in it.

    Args:
        data: Which images and findings.
        image: What is done to an image before a model sees it, in training and in reading.
        model: The network; one with a decoder makes masks instead of judging findings.
        augment: How training images are varied.
        loss: What is minimized.
        phases: What is trained, one after the other.
        operating_point: How thresholds are chosen.
        seeds: One model is trained for each; several make an ensemble whose logits are averaged.
        balanced: Show each finding's images (and those without any) equally often.
        mixup: Alpha of the beta distribution from which pairs of images are blended; 0: off.
        ema: Decay of the average of weights that is validated and kept; 0: off.
        clip_gradient: Largest norm of the gradient; 0: any.
        precision: ``"auto"`` takes bfloat16 where the processor gains from it.
        cache_features: Compute frozen parts once where nothing varies their input.
        test_time_augmentation: ``"flip"`` averages the logits of an image and its mirror image.
    """

    data: Data = field(default_factory=Data)
    image: Preprocessing = field(default_factory=Preprocessing)
    model: ModelSpec = field(default_factory=ModelSpec)
    augment: Augment = field(default_factory=Augment)
    loss: Loss = field(default_factory=Loss)
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)] = (Phase(),)
    operating_point: OperatingPoint = field(default_factory=OperatingPoint)
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0,)
    balanced: bool = False
    mixup: NotNegative = 0.0
    ema: Part = 0.0
    clip_gradient: NotNegative = 0.0
    precision: Precision = "auto"
    cache_features: bool = True
    test_time_augmentation: Literal["none", "flip"] = "none"

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if len(set(self.seeds)) != len(self.seeds):
            raise ConfigError(f"seeds are {list(self.seeds)}; each must differ from the others.")
        if self.operating_point.varied and not self.augment.active:
            raise ConfigError(
                "operating_point.varied asks for varied validation images but [augment] varies "
                "nothing; turn an option on, or set varied = 0."
            )
        if self.image.channels != self.model.in_channels:
            raise ConfigError(
                f"image.channels is {self.image.channels} but model.in_channels is "
                f"{self.model.in_channels}; set both to the same number (1 or 3)."
            )
        check_task(self)


def check_task(recipe: Recipe) -> None:
    """Refuse settings that a training of masks, of findings, or of boxes has no use for.

    Raises:
        ConfigError: A setting does not fit.
    """
    masks = bool(recipe.model.decoder)
    if masks and (recipe.balanced or recipe.mixup or recipe.loss != Loss()):
        raise ConfigError(
            "balanced, mixup and loss are for findings; leave them out, or leave out model.decoder."
        )
    boxes = recipe.model.detector != "none"
    if boxes and (recipe.mixup or recipe.augment.reframe):
        raise ConfigError(
            "mixup and augment.reframe hide what boxes show; leave them out, or leave out "
            "model.detector."
        )
    if recipe.data.metadata and (masks or boxes):
        raise ConfigError(
            "data.metadata stand beside a network that judges findings; leave them out, or leave "
            "out model.decoder and model.detector."
        )
    fitting = mask_monitors() if masks else box_monitors() if boxes else monitors()
    kind = "with a decoder" if masks else "with a detector" if boxes else "without a decoder"
    for phase in recipe.phases:
        if phase.monitor not in fitting:
            raise ConfigError(
                f"monitor is '{phase.monitor}', which a model {kind} does not give; choose one "
                f"of: {', '.join(fitting)}."
            )


def load_recipe(path: str | Path, *, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe.

    Args:
        path: A TOML file.
        overrides: Dotted keys that win over the file, for example ``{"model.backbone": "vgg16"}``.

    Raises:
        ConfigError: The file is missing or holds something unknown or out of range, or describes a
            search.
    """
    values = read_toml(path)
    if "search" in values:
        raise ConfigError(
            f"{path} describes a search over recipes, not one recipe: run "
            f"`lucidray search {path}`, or take out its [search] table."
        )
    return from_mapping(Recipe, merge(values, overrides or {}), where=str(path))
