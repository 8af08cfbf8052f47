"""The drawings: inline SVG that loads nothing, follows the page's colors and says its numbers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import numpy as np
import pytest

from lucidray.report import Figure
from lucidray.report.bars import (
    Estimate,
    bars_figure,
    confusion_figure,
    counts_figure,
    forest_figure,
)
from lucidray.report.curves import (
    Curve,
    histogram_figure,
    pr_figure,
    reliability_figure,
    roc_figure,
    training_figure,
)

GRID = np.linspace(0, 1, 11)
LINE = Curve("arm A", GRID, GRID**0.5, GRID**0.6, GRID**0.4, mark=(0.25, 0.5))


def some_bars() -> Figure:
    ours = [Estimate("AUC", 0.9, 0.8, 0.95, published=0.88), Estimate("recall", float("nan"))]
    return bars_figure({"before": ours, "after": ours}, caption="c", chance=0.5)


def some_history() -> Figure:
    history = {
        "loss": {"train": [0.4, 0.3], "validation": [0.5, float("nan")]},
        "AUC": {"validation": [0.7, 0.8]},
        "learning rate": {"train": [1e-3, 1e-4]},
        "recall": {"validation": [0.1, 0.2]},
    }
    return training_figure(history, caption="c", best_epoch=2)


def some_reliability() -> Figure:
    holes = np.where(GRID > 0.5, np.nan, GRID)
    curve = Curve("arm A", holes, holes, holes, holes)
    return reliability_figure([curve], counts=[np.arange(11)], caption="c")


DRAWINGS: dict[str, Callable[[], Figure]] = {
    "roc": lambda: roc_figure([LINE, LINE], caption="c"),
    "pr": lambda: pr_figure([LINE], prevalence=0.7, caption="c"),
    "training": some_history,
    "reliability": some_reliability,
    "reliability without counts": lambda: reliability_figure([LINE], caption="c"),
    "histogram": lambda: histogram_figure(
        GRID, (GRID > 0.4).astype(float), names=("normal", "pneumonia"), threshold=0.4, caption="c"
    ),
    "confusion": lambda: confusion_figure(np.array([[7, 3], [2, 8]]), ["no", "yes"], caption="c"),
    "bars": some_bars,
    "forest": lambda: forest_figure(
        [Estimate("girls", 0.9, 0.8, 0.95, 120), Estimate("boys", float("nan"))],
        quantity="AUC",
        reference=0.9,
        caption="c",
    ),
    "counts": lambda: counts_figure({"train": {"no": 3, "yes": 9}, "test": {"no": 1}}, caption="c"),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_one_small_self_contained_element(name: str) -> None:
    figure = DRAWINGS[name]()
    root = ElementTree.fromstring(figure.svg)
    assert root.tag == "svg"
    assert root.attrib["aria-label"] == figure.alt
    assert "http" not in figure.svg
    assert len(figure.svg) < 120_000
    ids = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', figure.svg)) == ids


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_uses_only_the_colors_of_the_page(name: str) -> None:
    svg = DRAWINGS[name]().svg
    assert "var(--" in svg
    assert re.findall(r"#[0-9a-fA-F]{6}\b", svg) == []


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_the_same_every_time(name: str) -> None:
    assert DRAWINGS[name]().svg == DRAWINGS[name]().svg


def texts(figure: Figure) -> list[str]:
    root = ElementTree.fromstring(figure.svg)
    return ["".join(element.itertext()) for element in root.iter("text")]


def test_a_confusion_matrix_shows_counts_and_shares_of_the_true_class() -> None:
    shown = texts(DRAWINGS["confusion"]())
    for text in ("7", "3", "2", "8", "70.0%", "30.0%", "20.0%", "80.0%"):
        assert text in shown


def test_bars_show_their_values_and_say_published_once() -> None:
    shown = texts(some_bars())
    assert shown.count("0.90") == 2
    assert shown.count("published") == 1


def test_a_forest_prints_interval_and_count() -> None:
    shown = texts(DRAWINGS["forest"]())
    assert "0.900 [0.800, 0.950], n = 120" in shown
    assert "undefined" in shown


def test_counts_print_the_sum_of_each_split() -> None:
    shown = texts(DRAWINGS["counts"]())
    assert "12" in shown
    assert "1" in shown
