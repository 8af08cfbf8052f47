"""What was printed: tables 5.1 to 5.4 of source document S2, and what cannot be true in them."""

from __future__ import annotations

from dataclasses import dataclass

from lucidray.findings import CHESTXRAY14
from lucidray.papers.catalog import Arm, Fault, PublishedTable

TITLE = "Interpretable Deep Learning for Chest X-ray Disease Classification and Visualization"
AUTHORS = "C.-A. Pop, diploma thesis, Babeş-Bolyai University Cluj-Napoca, 2025"
QUESTION = (
    "Does a network that learns where findings are, beside which findings there are, tell them "
    "better than one that learns only which?"
)

FINDINGS = CHESTXRAY14
AVERAGE = "Average"

AUC, AP, DETECTION = "AUC", "AP", "Detection AP (IoU .5)"


@dataclass(frozen=True)
class Network:
    """A backbone of the single-task networks.

    Args:
        name: Its folder and key.
        title: What a reader sees.
        backbone: The name that a recipe gives.
        printed: Its column in Table 5.2; empty: not published.
    """

    name: str
    title: str
    backbone: str
    printed: str = ""

    def __str__(self) -> str:
        return f"{self.title} (`{self.backbone}`)"


NETWORKS = (
    Network("densenet121", "DenseNet121", "densenet121", "DenseNet121"),
    Network("efficientnet_b0", "EfficientNet-B0", "efficientnet_b0", "EfficientNet"),
    Network("resnet50", "ResNet50", "resnet50", "ResNet50"),
    Network("mobilenetv2", "MobileNetV2", "mobilenetv2", "MobileNetV2"),
)

_BY_FINDING: dict[str, tuple[float, float, float, float]] = {
    "Atelectasis": (0.679, 0.583, 0.589, 0.678),
    "Cardiomegaly": (0.767, 0.631, 0.673, 0.774),
    "Consolidation": (0.642, 0.581, 0.617, 0.683),
    "Edema": (0.805, 0.708, 0.736, 0.780),
    "Effusion": (0.735, 0.607, 0.628, 0.732),
    "Emphysema": (0.751, 0.599, 0.621, 0.768),
    "Fibrosis": (0.707, 0.679, 0.733, 0.752),
    "Hernia": (0.879, 0.724, 0.853, 0.843),
    "Infiltration": (0.627, 0.488, 0.566, 0.633),
    "Mass": (0.647, 0.471, 0.591, 0.675),
    "Nodule": (0.666, 0.595, 0.621, 0.688),
    "Pleural Thickening": (0.633, 0.545, 0.603, 0.659),
    "Pneumonia": (0.582, 0.554, 0.545, 0.641),
    "Pneumothorax": (0.733, 0.589, 0.654, 0.747),
}
_MULTI: dict[str, tuple[float | None, float | None, float | None]] = {
    "Atelectasis": (0.778, 0.526, 0.137),
    "Cardiomegaly": (0.871, 0.421, 0.423),
    "Consolidation": (0.670, 0.162, None),
    "Edema": (0.854, 0.233, None),
    "Effusion": (0.819, 0.617, 0.254),
    "Emphysema": (0.891, 0.487, None),
    "Fibrosis": (0.778, 0.135, None),
    "Hernia": (0.880, 0.520, None),
    "Infiltration": (0.702, 0.585, 0.221),
    "Mass": (0.793, 0.461, 0.121),
    "Nodule": (0.704, 0.381, 0.000),
    "Pleural Thickening": (0.734, 0.174, None),
    "Pneumonia": (0.687, 0.057, 0.317),
    "Pneumothorax": (0.823, 0.407, 0.268),
    AVERAGE: (0.789, 0.369, 0.213),
}
_LITERATURE: dict[str, tuple[float, float, float]] = {
    "Atelectasis": (0.810, 0.809, 0.778),
    "Cardiomegaly": (0.925, 0.919, 0.871),
    "Consolidation": (0.790, 0.815, 0.670),
    "Edema": (0.835, 0.910, 0.854),
    "Effusion": (0.864, 0.890, 0.819),
    "Emphysema": (0.829, 0.929, 0.891),
    "Fibrosis": (0.785, 0.833, 0.778),
    "Hernia": (0.916, 0.917, 0.880),
    "Infiltration": (0.735, 0.741, 0.702),
    "Mass": (0.867, 0.873, 0.793),
    "Nodule": (0.780, 0.806, 0.770),
    "Pleural Thickening": (0.806, 0.813, 0.734),
    "Pneumonia": (0.768, 0.776, 0.687),
    "Pneumothorax": (0.888, 0.902, 0.824),
    AVERAGE: (0.829, 0.854, 0.789),
}
_COLUMNS = tuple(network.printed for network in NETWORKS)

TABLE_1 = PublishedTable(
    "Table 5.1",
    "Average test AUC of the single-task networks.",
    ("average AUC",),
    dict(zip(_COLUMNS, ((0.694,), (0.604,), (0.638,), (0.723,)), strict=True)),
)
TABLE_2 = PublishedTable(
    "Table 5.2",
    "AUC of the single-task networks by finding.",
    _COLUMNS,
    {**_BY_FINDING, AVERAGE: (0.694, 0.604, 0.638, 0.723)},
)
TABLE_3 = PublishedTable(
    "Table 5.3", "The multi-task network by finding.", (AUC, AP, DETECTION), _MULTI
)
TABLE_4 = PublishedTable(
    "Table 5.4",
    "AUC beside the literature, as quoted there.",
    ("CheXNet", "SynthEnsemble", "Multi-task", "MobileNetV2"),
    {
        **{name: (*_LITERATURE[name], _BY_FINDING[name][3]) for name in _BY_FINDING},
        AVERAGE: (*_LITERATURE[AVERAGE], 0.723),
    },
)
TABLES = (TABLE_1, TABLE_2, TABLE_3, TABLE_4)

MULTI, TWIN = "multi_task", "twin"
#: The multi-task network judged by its boxes: a finding is as likely as its surest box.
BY_BOXES = "multi_task_by_boxes"
#: By the mean of what its head and its surest box say.
BY_BOTH = "multi_task_by_both"

ARMS = (
    *(
        Arm(n.name, n.title, f"{n.title} with a head of 512, told only which findings there are.")
        for n in NETWORKS
    ),
    Arm(MULTI, "Multi-task", "One backbone with a head of findings and a Faster R-CNN head."),
    Arm(TWIN, "Twin", "The same network, images and schedule with lambda = 0: no box is learned."),
)

FAULTS = (
    Fault(
        "Every boxed image is a test image",
        "All 880 images with a box stand in the official test list, none in train_val. If the "
        "official split was used, as is stated, then boxes of test images were learned from, with "
        "their labels, and the AUC of .789 and the mAP of .213 are not held out.",
        "As published: images of the test list with boxes are learned from too. How many, and how "
        "the AUC of these differs from that of the others, is printed.",
        "Boxes of the training list where there are any; else test patients are dealt to folds, "
        "and each network is asked only about patients of which it has seen nothing.",
    ),
    Fault(
        "Films without a finding were dropped",
        "28,775 + 7,194 + 15,704 images are, within .2 %, those of the official lists with at "
        "least one finding (36,024 and 15,735 of 112,120). CheXNet's figures, set beside, are of "
        "all films.",
        "Learned and measured on films with a finding; measured with all films besides.",
        "Learned on all films; measured on both cohorts.",
    ),
    Fault(
        "Averages do not follow from their columns",
        "Printed .694, .604, .638, .723; the columns give .704, .597, .645, .718. Multi-task .789 "
        "against .785, mAP .213 against .218.",
        "The sums are done again on the page.",
        "The same; every average of ours is computed from its column.",
    ),
    Fault(
        "Nodule has two values",
        "The multi-task AUC of Nodule is .704 in Table 5.3 and .770 in Table 5.4; only .770 gives "
        "the printed average. Pneumothorax is .823 and .824.",
        "Both are printed.",
        "Both are printed.",
    ),
    Fault(
        "The two kinds of network differ in more than boxes",
        "The single-task networks are Keras models of which 20 layers move, fed pixels in [0, 1] "
        "that EfficientNet expects in 0 to 255; the multi-task network is a PyTorch model of which "
        "all layers move for 15 epochs. The gain is laid to the boxes alone.",
        "As published; the same network with lambda = 0 stands beside.",
        "The same network with lambda = 0 on the same images is the comparison.",
    ),
    Fault(
        "The overlap of heat maps with boxes was promised and is not reported",
        "Section 5.1.3 names the IoU of Grad-CAM boxes; no number is given, nor the threshold.",
        "Otsu's threshold, the largest region of at least 1 % of the map, best true box.",
        "The same, beside the mean box of the training images.",
    ),
    Fault(
        "No thresholds, no intervals, one training",
        "Optimal thresholds are called critical and not given; differences are of single runs.",
        "Precision and recall at .5 and at thresholds with the best F1 on validation images; "
        "intervals over patients.",
        "The same; the difference to the twin is paired.",
    ),
    Fault(
        "CheXNet may be misquoted",
        "Several of the figures quoted for CheXNet are below those that its authors give.",
        "Printed as quoted.",
        "Printed as quoted.",
    ),
)
