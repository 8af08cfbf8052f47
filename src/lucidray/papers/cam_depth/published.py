"""What the publication on Grad-CAM and depth printed, and what it contradicts.

Source: Z. Qiu, "Enhancing Visual Interpretability in Computer-Assisted Radiological Diagnosis",
master's thesis, Concordia University, Montreal 2024, chapter 3 (source document S3); also Qiu,
Rivaz, Xiao, MLMI 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lucidray.papers.catalog import Arm, Fault, PublishedTable

Family = Literal["VGG", "ResNet", "ViT"]

TITLE = (
    "Is visual explanation with Grad-CAM more reliable for deeper neural networks? A case study "
    "with automatic pneumothorax diagnosis"
)
AUTHORS = "Z. Qiu, H. Rivaz, Y. Xiao, Concordia University, Montreal"
QUESTION = (
    "Does Grad-CAM show a pneumothorax better the deeper the network is, among VGG, ResNet and "
    "vision transformers?"
)

#: Names of the columns of Table 3.1, as the results carry them.
ACCURACY, PRECISION, RECALL, AUC = "accuracy", "precision", "recall", "AUC"

FAMILIES: tuple[Family, ...] = ("VGG", "ResNet", "ViT")


@dataclass(frozen=True)
class Network:
    """One of the networks that are compared.

    Args:
        name: Its folder and key in the results.
        title: What a reader sees, and its row in the published tables where it has one.
        family: Its architecture.
        layers: How deep it is, as its authors count.
        backbone: A registered or a timm name.
        description: What distinguishes it, in one sentence.
    """

    name: str
    title: str
    family: Family
    layers: int
    backbone: str
    description: str

    def __str__(self) -> str:
        return f"{self.title} (`{self.backbone}`)"

    @property
    def arm(self) -> Arm:
        """The network as an arm of the experiment."""
        return Arm(self.name, self.title, self.description)


NETWORKS = (
    Network("vgg16", "VGG16", "VGG", 16, "vgg16", "Sixteen plain layers."),
    Network("vgg19", "VGG19", "VGG", 19, "vgg19", "Nineteen plain layers."),
    Network("resnet18", "ResNet18", "ResNet", 18, "resnet18", "18 layers with shortcuts."),
    Network("resnet34", "ResNet34", "ResNet", 34, "resnet34", "34 layers with shortcuts."),
    Network("resnet50", "ResNet50", "ResNet", 50, "resnet50", "50 layers with bottlenecks."),
    Network("resnet101", "ResNet101", "ResNet", 101, "resnet101", "101 layers with bottlenecks."),
    Network("vit_small", "ViT-S", "ViT", 12, "vit_small", "12 transformer blocks of width 384."),
    Network("vit_base", "ViT-B", "ViT", 12, "vit_base", "12 transformer blocks of width 768."),
    Network("vit_large", "ViT-L", "ViT", 24, "vit_large", "24 transformer blocks of width 1024."),
)

ARMS = tuple(network.arm for network in NETWORKS)

TABLE_1 = PublishedTable(
    "Table 3.1",
    "Pneumothorax diagnosis on 1,000 test images (accuracy as a fraction)",
    (ACCURACY, PRECISION, RECALL, AUC),
    {
        "VGG16": (0.837, 0.8224, 0.880, 0.9069),
        "VGG19": (0.832, 0.7747, 0.908, 0.9098),
        "ResNet18": (0.876, 0.8821, 0.868, 0.9420),
        "ResNet34": (0.872, 0.8758, 0.860, 0.9417),
        "ResNet50": (0.882, 0.8802, 0.882, 0.9450),
        "ResNet101": (0.876, 0.8798, 0.878, 0.9434),
        "ViT-S": (0.858, 0.8137, 0.882, 0.9302),
        "ViT-B": (0.862, 0.8602, 0.874, 0.9356),
        "ViT-L": (0.844, 0.8356, 0.864, 0.9197),
    },
)

TABLE_2 = PublishedTable(
    "Table 3.2",
    "Difference of mean Grad-CAM values within and outside the pneumothorax (Diff_GradCAM)",
    ("mean", "std", "min", "max"),
    {
        "VGG16": (0.186, 0.212, -0.213, 0.773),
        "VGG19": (0.166, 0.220, -0.365, 0.715),
        "ResNet18": (0.162, 0.262, -0.366, 0.787),
        "ResNet34": (0.133, 0.273, -0.452, 0.782),
        "ResNet50": (0.142, 0.251, -0.287, 0.801),
        "ResNet101": (0.183, 0.265, -0.320, 0.780),
        "ViT-S": (0.052, 0.143, -0.251, 0.652),
        "ViT-B": (0.081, 0.166, -0.233, 0.786),
        "ViT-L": (0.051, 0.164, -0.319, 0.685),
    },
)

#: As printed in the text; the figure itself gives no numbers.
FIGURE_2 = PublishedTable(
    "Figure 3.2",
    "EHR AUC as the text gives it, from and to (VGG19: 'very similar' to VGG16)",
    ("from", "to"),
    {
        "VGG16": (0.0243, 0.0243),
        "VGG19": (None, None),
        "ResNet18": (0.21, 0.23),
        "ResNet34": (0.21, 0.23),
        "ResNet50": (0.21, 0.23),
        "ResNet101": (0.0319, 0.0319),
        "ViT-S": (0.0145, 0.0145),
        "ViT-B": (0.0145, 0.0171),
        "ViT-L": (0.0171, 0.0171),
    },
)

TABLES = (TABLE_1, TABLE_2, FIGURE_2)

#: Test images of each class.
PUBLISHED_TEST = (500, 500)

#: Mean share of an image that its mask covers, over the 2,669 positive images of the publisher's
#: training table: what a uniform map scores as EHR AUC.
SIIM_CHANCE = 0.0142

FAULTS = (
    Fault(
        "7,200 cases are divided into 9,000",
        "A balanced subset of 7,200 is announced, and 7,000 + 1,000 + 1,000 images are used.",
        "At most 7,200 images, balanced, divided 7 : 1 : 1.",
        "The same.",
    ),
    Fault(
        "There are not as many patients with pneumothorax",
        "3,600 patients and 3,576 masks are announced. The publisher's table has 12,954 rows, one "
        "a mask, of 12,047 images; 2,669 of them have a pneumothorax. 3,576 counts mask rows, so a "
        "balanced set has at most 5,338 images, and images with several masks stood in it several "
        "times, perhaps in training and in test.",
        "One row an image, masks united; as many images as there are.",
        "The same.",
    ),
    Fault(
        "Whether images or patients were divided is not told",
        "Nothing is said of patients; SIIM-ACR's table has none, ChestX-ray14, from which it was "
        "drawn, has 3.6 images a patient.",
        "Images are dealt at random.",
        "Patients are dealt where they are known; SIIM-ACR's table does not tell them.",
    ),
    Fault(
        "Precision and recall do not give the printed accuracy",
        "On 500 and 500 images, precision and recall imply accuracies that are off by up to 1.8 "
        "points; only ResNet18's row is consistent.",
        "All rates of a network come from one confusion matrix, at a threshold of .5; the sums "
        "are done again on the page.",
        "The same, at an operating point chosen on validation images.",
    ),
    Fault(
        "EHR AUC is printed without chance",
        "A uniform map scores the mask's share of the image, 1.42 % on average. The transformers' "
        "printed .0145 to .0171 are hardly more than that, and no network is over 2.3 times it.",
        "Uniform, centered and mean-mask maps stand beside every number.",
        "The same.",
    ),
    Fault(
        "EHR AUC of ResNet18, 34 and 50 is a tenfold of the others",
        "'0.21~0.23' is said to be below VGG's .0243; it must be .021 to .023.",
        "Printed as it stands.",
        "Printed as it stands.",
    ),
    Fault(
        "Diff_GradCAM depends on how a map is scaled",
        "Each map is stretched to [0, 1], so that a map without evidence looks as strong as one "
        "full of it, and a broad map scores lower than a narrow one that points no better. How it "
        "is stretched is not said.",
        "Negative values to 0, then from the map's minimum to its maximum.",
        "Negative values to 0, then divided by the maximum; measures that do not depend on scale "
        "(pixel AUROC, energy inside, pointing game) stand beside it; empty maps are counted.",
    ),
    Fault(
        "A one-way analysis of variance takes the networks' maps as independent",
        "All networks explain the same images, so values of one image belong together; the test "
        "asks for independent groups, and Tukey's test after it.",
        "One-way ANOVA and Tukey's test, as published; repeated measures beside it.",
        "Friedman's test, Wilcoxon's for pairs with Holm's correction, and a paired bootstrap "
        "over patients; the published tests beside it.",
    ),
    Fault(
        "The tests that are told contradict each other and the table",
        "VGG16 is said to be among the best with p < .05, and not to differ from ResNet18, "
        "ResNet50 and VGG19. By Tukey's test on the printed means and deviations it does not "
        "differ from VGG19 (p = .89) and ResNet18 (.74), and differs from ResNet50 (.046).",
        "Tukey's test is done again from the printed means and deviations.",
        "The same.",
    ),
    Fault(
        "Each network was trained once, and families by different schedules",
        "Adam for 50 epochs against SGD at 1e-4 for 300: a difference between CNNs and "
        "transformers may be one of schedules; one training each cannot tell networks from luck.",
        "The published schedules; as many seeds as asked for.",
        "The published optimizers and rates, the epoch with the smallest validation loss kept; "
        "as many seeds as asked for, and their spread printed.",
    ),
    Fault(
        "Depth is confounded with size",
        "The transformers differ in width; only ViT-L is deeper than the others.",
        "Number of parameters is printed beside layers.",
        "The same.",
    ),
)
