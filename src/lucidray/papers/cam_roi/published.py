"""What source document S0 printed, and what of it cannot be true together."""

from __future__ import annotations

from lucidray.papers.catalog import Arm, Fault, PublishedTable

TITLE = (
    "Evaluating the Impact of Region of Interest Detection Methods on Medical Image Classification"
)
AUTHORS = "S. Derouiche and A. Merrad, Master's thesis, Amar Telidji University of Laghouat, 2025"
QUESTION = (
    "Does a network classify chest radiographs and brain MRI better when it is given images on "
    "which another network's Grad-CAM marks the region of interest?"
)

CHEST = "chest_multiclass"
BRAIN = "brain_mri"
SET_TITLES = {CHEST: "Chest radiographs", BRAIN: "Brain MRI"}

#: Roles of the networks, as the publication names them.
FIRST_ROLES = ("ResNet50V2", "VGG16", "Xception", "NASNetLarge")
SECOND_ROLES = ("EfficientNetB4", "DenseNet201")
#: Our own addition: a small network that is trained whole.
OWN_ROLE = "Small network"

STRATEGIES = {
    "frozen": "frozen backbone (S1)",
    "partly": "last 25 % of layers trained (S2)",
    "all": "all layers trained (not in the publication)",
}

VIEWS = {
    "full": "full image",
    "overlay": "ROI: heat map painted over the image",
    "hidden": "ROI: all but the hottest region hidden",
    "faded": "ROI: the image fades where the map is weak",
    "cropped": "ROI: the box around the hottest region cut out",
}

ARMS = tuple(
    Arm(
        f"{role}_{strategy}_{view}",
        f"{role}, {STRATEGIES[strategy]}, {VIEWS[view]}",
        f"{role}, {STRATEGIES[strategy]}; input: {VIEWS[view]}.",
    )
    for role in SECOND_ROLES
    for strategy in ("frozen", "partly")
    for view in ("full", "overlay")
)

_COLUMNS = ("accuracy", "loss", "minutes")

FIRST = {
    CHEST: PublishedTable(
        "Table 4.2",
        "Frozen backbones on chest radiographs",
        _COLUMNS,
        {
            "ResNet50V2": (0.96, 0.22, 210),
            "VGG16": (0.97, 0.09, 200),
            "Xception": (0.95, 0.30, 124),
            "NASNetLarge": (0.91, 0.23, 250),
        },
    ),
    BRAIN: PublishedTable(
        "Table 4.3",
        "Frozen backbones on brain MRI",
        _COLUMNS,
        {
            "ResNet50V2": (0.88, 0.34, 350),
            "VGG16": (0.93, 0.20, 255),
            "Xception": (0.97, 0.13, 700),
            "NASNetLarge": (0.77, 0.48, 100),
        },
    ),
}


def row_name(role: str, strategy: str, view: str) -> str:
    """Name a configuration as our copy of Table 4.5 does.

    >>> row_name("DenseNet201", "partly", "overlay")
    'DenseNet201, S2, ROI'
    """
    shown = {"frozen": "S1", "partly": "S2", "all": "all layers"}[strategy]
    return f"{role}, {shown}, {'ROI' if view == 'overlay' else view}"


def _second(rows: tuple[tuple[float, float, float], ...]) -> dict[str, tuple[float, ...]]:
    names = [
        row_name(role, strategy, view)
        for role in SECOND_ROLES
        for strategy in ("frozen", "partly")
        for view in ("full", "overlay")
    ]
    return dict(zip(names, rows, strict=True))


SECOND = {
    CHEST: PublishedTable(
        "Table 4.5 (chest)",
        "Full images against Grad-CAM images, chest radiographs",
        _COLUMNS,
        _second(
            (
                (0.40, 1.07, 83), (0.39, 1.07, 66), (0.94, 0.18, 400), (0.94, 0.18, 470),
                (0.96, 0.093, 170), (0.94, 0.15, 85), (0.98, 0.10, 100), (0.96, 0.28, 100),
            )
        ),
    ),
    BRAIN: PublishedTable(
        "Table 4.5 (brain)",
        "Full images against Grad-CAM images, brain MRI",
        _COLUMNS,
        _second(
            (
                (0.52, 1.15, 30), (0.48, 1.24, 35), (0.95, 0.14, 42), (0.91, 0.24, 35),
                (0.92, 0.20, 35), (0.90, 0.27, 38), (0.99, 0.02, 40), (0.97, 0.09, 33),
            )
        ),
    ),
}  # fmt: skip

_CLASS_COLUMNS = (
    *("precision, full", "recall, full", "F1, full"),
    *("precision, ROI", "recall, ROI", "F1, ROI"),
)

#: DenseNet201, last 25 % trained.
CLASSES = {
    CHEST: PublishedTable(
        "Figure 4.20",
        "DenseNet201, last 25 % of layers trained, class by class, chest radiographs",
        _CLASS_COLUMNS,
        {
            "Normal": (0.976, 0.9653, 0.9706, 0.9443, 0.9634, 0.9538),
            "Pneumonia": (0.9745, 0.9836, 0.979, 0.9672, 0.9672, 0.9672),
            "Tuberculosis": (0.9809, 0.9856, 0.9833, 0.9852, 0.9592, 0.9721),
        },
    ),
    BRAIN: PublishedTable(
        "Figure 4.21",
        "DenseNet201, last 25 % of layers trained, class by class, brain MRI",
        _CLASS_COLUMNS,
        {
            "Glioma": (1.0, 0.9833, 0.9916, 0.9868, 1.0, 0.9934),
            "Meningioma": (0.9684, 1.0, 0.9839, 0.9088, 0.9771, 0.9417),
            "No Tumor": (1.0, 0.9951, 0.9975, 0.9975, 0.9951, 0.9963),
            "Pituitary Tumor": (1.0, 0.99, 0.995, 0.9868, 1.0, 0.9934),
        },
    ),
}

TABLES = (*FIRST.values(), *SECOND.values(), *CLASSES.values())

#: Test images of each class of the brain set, which the printed recalls fit exactly.
BRAIN_SUPPORT = {"Glioma": 300, "Meningioma": 306, "No Tumor": 405, "Pituitary Tumor": 300}

FAULTS = (
    Fault(
        "EfficientNet is fed images divided by 255 twice",
        "All images are divided by 255, but Keras' EfficientNet divides by 255 itself and expects "
        "0 to 255. What reaches its first convolution is nearly the same for every image: the "
        "likely reason for the frozen EfficientNetB4's 40 % and 52 % with classes of F1 = 0.",
        "Reproduced and named the [0, 1]-input fault: EfficientNet's images are divided by 255 "
        "again before they are normalized; all other networks are fed [0, 1].",
        "Every network is fed what its own weights expect.",
    ),
    Fault(
        "The region of interest is the whole image",
        "The map is painted over the whole image with a factor of .3, so that nothing is taken "
        "away; the text explains the results by lost context.",
        "The overlay, as described (threshold .3, JET, factor .3).",
        "The overlay, and beside it images in which all but the region is really hidden.",
    ),
    Fault(
        "The heat maps of training images come from the network that was fitted on them",
        "One network is trained on the training images and then explains them, and the map shows "
        "its predicted class: nearly always the label on training images, not so on test images. "
        "The second network can read the answer from the colors in training.",
        "Repeated.",
        "Maps are cross-fitted: the image's map comes from a network that never saw it, neither "
        "for training nor for choosing an epoch. Test images were never seen by any.",
    ),
    Fault(
        "The network that makes the maps was chosen on test images",
        "VGG16 and Xception were chosen by Tables 4.2 and 4.3, which are test results.",
        "VGG16 for chest, Xception for brain, as published.",
        "Whichever has the smallest validation loss.",
    ),
    Fault(
        "The brain test set holds copies of training images",
        "The printed recalls and counts fit Nickparvar's test set of 300, 306, 405 and 300 "
        "images, not the cited set. 216 of these 1,311 are byte for byte in its training set and "
        "470 nearly so. Test accuracies exceed validation accuracies by 6 to 8 points.",
        "Left in. The result without them stands beside it.",
        "One image of each group of copies is kept, and groups lie on one side of every border.",
    ),
    Fault(
        "The brain class table does not belong to the accuracy",
        "The rows of DenseNet201 with ROI imply 99.3 %, Table 4.5 has 97 %; the row of glioma is "
        "that of pituitary tumor. The column totals imply a glioma recall of about 90 %.",
        "The sums are done again on the page.",
        "The same.",
    ),
    Fault(
        "NASNetLarge's F1 of 95 % for normal chests contradicts its other rows",
        "They imply a precision of about .81 and an F1 of about .87.",
        "Not used.",
        "Not used.",
    ),
    Fault(
        "Grad-CAM saw other inputs than training did",
        "Maps were made with `preprocess_input` of Keras, networks trained on images / 255.",
        "Reproduced for the roles of VGG16 (channel means removed from 0 to 255) and of Xception "
        "([-1, 1]); the predicted class is the one that the network then sees.",
        "Maps are made from what the network was trained on.",
    ),
    Fault(
        "One run, no intervals, no test",
        "Differences of one or two points are stated from one training each, and “consistently "
        "outperform” stands beside a tie of 94 % and 94 %.",
        "As many seeds as asked for; intervals, McNemar's test and a paired bootstrap are added.",
        "The same.",
    ),
    Fault(
        "Words and deeds differ",
        "“Training loss .09” is a test loss; early stopping and augmentation are given as reasons "
        "and were not used; ResNet50 and ResNet50V2 are exchanged; Table 2.2 calls the false "
        "omission rate “True Discovery Rate”.",
        "ResNet50V2, no early stopping, no augmentation; the last epoch counts.",
        "The epoch with the smallest validation loss counts.",
    ),
    Fault(
        "What is not stated",
        "The learning rate, where the dropout stands, the first phase's head (its figure is "
        "missing), the mode of frozen batch normalization.",
        "Keras' default of 1e-3, dropout before the dense layer, one dense layer, evaluation mode.",
        "The same.",
    ),
)
