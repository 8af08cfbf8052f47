"""What was printed is typed in rightly, and every paper says all that it must."""

from __future__ import annotations

from pathlib import Path

import pytest

from lucidray.errors import ConfigError, UnknownNameError
from lucidray.papers import MODES, SCALES, papers
from lucidray.papers.catalog import Plan, PublishedTable
from lucidray.papers.lung_crop import background, published
from lucidray.papers.lung_crop.protocol import settings

DOCS = Path(__file__).resolve().parents[2] / "docs" / "papers"

#: Source document S4, Table I and Figures 1 and 3, as its text prints them.
PRINTED = {
    "before crop": {
        "accuracy": 66,
        "AUC": 0.88,
        "normal recall": 15,
        "pneumonia recall": 97,
        "macro F1": 0.51,
    },
    "after crop": {
        "accuracy": 86,
        "AUC": 0.96,
        "normal recall": 98,
        "pneumonia recall": 81,
        "macro F1": 0.83,
    },
}
CELLS = {"true positive": 627, "true negative": 263, "false positive": 6, "false negative": 20}


@pytest.mark.parametrize("column", PRINTED)
def test_table_1_is_typed_in_rightly(column: str) -> None:
    table = papers["lung_crop"].table("Table I")
    assert set(table.rows) == set(PRINTED[column])
    for row, printed in PRINTED[column].items():
        expected = printed if printed < 1 else printed / 100
        assert table.number(row, column) == pytest.approx(expected)


def test_figures_are_typed_in_rightly() -> None:
    paper = papers["lung_crop"]
    figure = paper.table("Figure 1")
    assert {name: figure.number(name, "count") for name in figure.rows} == CELLS
    assert paper.table("Figure 3").number("average precision", "value") == 0.94
    assert paper.table("Parameters").number("trainable", "millions") == 17.2
    assert paper.table("Parameters").number("not trainable", "millions") == 6.6


def test_the_contradictions_are_found_by_arithmetic() -> None:
    lines = background.contradictions()
    assert any(line.startswith("Table I, before crop: consistent") for line in lines)
    assert any("Table I, after crop: no matrix of 390 positives" in line for line in lines)
    assert any("916, not 624" in line for line in lines)
    assert any("97.2%" in line for line in lines)


@pytest.mark.parametrize("name", papers)
def test_every_paper_says_all_that_it_must(name: str) -> None:
    paper, entry = papers[name], papers.entry(name)
    assert paper.name == name
    assert entry.source
    assert paper.title
    assert paper.authors
    assert paper.question.endswith("?")
    assert len(paper.arms) >= 2
    assert len({arm.name for arm in paper.arms}) == len(paper.arms)
    assert paper.tables
    for fault in paper.faults:
        assert all((fault.what, fault.evidence, fault.faithful, fault.careful))


@pytest.mark.parametrize("name", papers)
def test_every_paper_has_a_protocol_for_every_mode_and_scale(name: str) -> None:
    paper = papers[name]
    told = {(mode, scale): paper.protocol(mode, scale) for mode in MODES for scale in SCALES}
    assert all(len(steps) >= 5 for steps in told.values())
    assert len(set(told.values())) == len(told), "modes and scales must differ in words"


@pytest.mark.parametrize("name", papers)
def test_every_paper_has_a_page_in_the_docs_with_its_printed_numbers(name: str) -> None:
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    paper = papers[name]
    assert paper.title in page
    for arm in paper.arms:
        assert arm.title.lower() in page.lower()
    for fault in paper.faults:
        assert fault.what in page
    table = paper.tables[0]
    for row, numbers in table.rows.items():
        lines = [line for line in page.splitlines() if line.startswith(f"| {row} ")]
        assert any(all(_stands(n, line) for n in numbers) for line in lines), (row, numbers)


def _stands(number: float | None, line: str) -> bool:
    if number is None:
        return True
    return any(text in line for text in (f"{number:.2f}", f"{number:g}", f"{number:g}".lstrip("0")))


def test_unknown_names_are_refused_with_the_choices() -> None:
    paper = papers["lung_crop"]
    with pytest.raises(UnknownNameError, match="did you mean 'careful'"):
        paper.protocol("carefull")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="smoke"):
        paper.protocol("careful", "tiny")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="Table I"):
        paper.table("Table II")
    with pytest.raises(UnknownNameError, match="accuracy"):
        published.TABLE_1.number("acuracy", "after crop")


def test_a_plan_refuses_what_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seeds is 0"):
        Plan(tmp_path, tmp_path, seeds=0)
    with pytest.raises(ConfigError, match="no weights file"):
        Plan(tmp_path, tmp_path, weights=tmp_path / "none.safetensors")
    with pytest.raises(UnknownNameError, match="faithful"):
        Plan(tmp_path, tmp_path, mode="faithfull")  # type: ignore[arg-type]


def test_a_table_with_a_short_row_is_refused() -> None:
    with pytest.raises(ConfigError, match="row 'AUC' of T has 1 numbers; expected 2"):
        PublishedTable("T", "", ("a", "b"), {"AUC": (0.5,)})


def test_with_weights_the_recipe_is_the_published_one() -> None:
    chosen = settings("faithful", "full", pretrained=True)
    assert not chosen.substitute
    assert (chosen.backbone, chosen.size, chosen.trainable_layers) == ("resnet50", 224, 50)
    assert (chosen.learning_rate, chosen.batch_size, chosen.epochs) == (1e-5, 32, 15)
    assert (chosen.patience, chosen.plateau_patience, chosen.plateau_factor) == (3, 2, 0.2)
    assert (chosen.gamma, chosen.dropouts, chosen.hidden) == (2.0, (0.5, 0.3), 128)
    assert not chosen.own_threshold


@pytest.mark.parametrize("mode", MODES)
def test_without_weights_the_schedule_is_announced_as_a_substitute(mode: str) -> None:
    chosen = settings(mode, "full", pretrained=False)  # type: ignore[arg-type]
    assert chosen.substitute
    assert chosen.trainable_layers is None
    assert chosen.learning_rate == 1e-3
