"""From the protocol to a recipe that the training room understands."""

from __future__ import annotations

from pathlib import Path

from lucidray.images.preprocessing import Preprocessing
from lucidray.models.spec import ModelSpec
from lucidray.papers.lung_crop.protocol import CROP_COLUMNS, CROP_ROWS, Settings
from lucidray.papers.lung_crop.published import LUNG_CROP
from lucidray.papers.lung_crop.splitting import FINDING
from lucidray.training import Augment, Data, Loss, OperatingPoint, Phase, Recipe

#: The published augmentation, as Keras' generator reads it.
AUGMENT = Augment(
    rotate=20.0,
    zoom=0.2,
    zoom_separately=True,
    shift=0.2,
    shear=0.1,
    flip=0.5,
    padding="border",
)


def build_recipe(arm: str, seed: int, chosen: Settings, weights: Path | None = None) -> Recipe:
    """Build the recipe of one arm and seed.

    Args:
        arm: ``"full_image"`` or ``"lung_crop"``.
        seed: Of the start, the order of images and the augmentation.
        chosen: Every number of the protocol.
        weights: A local file of pretrained weights; None: random start, as always where the
            schedule is a substitute.
    """
    start = "none" if weights is None or chosen.substitute else str(weights)
    return Recipe(
        data=Data(
            name="pediatric_pneumonia",
            findings=(FINDING,),
            overlap="error" if chosen.split_patients else "allow",
        ),
        image=_image(arm, chosen),
        model=ModelSpec(
            backbone=chosen.backbone,
            weights=start,
            head="mlp",
            hidden=(chosen.hidden,),
            dropout_before=chosen.dropouts[0],
            dropout_after=chosen.dropouts[1],
            pool="avg",
        ),
        augment=AUGMENT,
        loss=Loss(name="focal", gamma=chosen.gamma, class_weights="balanced"),
        phases=(_phase(chosen),),
        operating_point=(
            OperatingPoint("youden") if chosen.own_threshold else OperatingPoint("fixed", 0.5)
        ),
        seeds=(seed,),
    )


def _image(arm: str, chosen: Settings) -> Preprocessing:
    return Preprocessing(
        size=chosen.size,
        crop=(*CROP_ROWS, *CROP_COLUMNS) if arm == LUNG_CROP.name else None,
        normalization="imagenet" if chosen.normalize else "unit",
    )


def _phase(chosen: Settings) -> Phase:
    partly = chosen.trainable_layers is not None
    return Phase(
        policy="last_n_layers" if partly else "full",
        layer_count=chosen.trainable_layers,
        epochs=chosen.epochs,
        learning_rate=chosen.learning_rate,
        optimizer="adam",
        weight_decay=0.0,
        scheduler="plateau",
        plateau_patience=chosen.plateau_patience,
        plateau_factor=chosen.plateau_factor,
        monitor="val_loss",
        patience=chosen.patience,
        batch_size=chosen.batch_size,
    )
