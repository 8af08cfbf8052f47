"""The experiment on Grad-CAM and depth, end to end on a few phantoms."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lucidray.papers import Outcome, papers, run
from lucidray.papers.cam_depth import experiment
from lucidray.papers.cam_depth.protocol import SMOKE, Schedule, Settings, settings
from lucidray.papers.catalog import Mode, Scale


def tiny(mode: Mode, scale: Scale, *, pretrained: bool) -> Settings:
    """Return scale smoke, smaller still."""
    short = Schedule("adamw", 1e-3, 1)
    chosen = settings(mode, scale, pretrained=pretrained)
    return replace(
        chosen, networks=SMOKE[:2], images=54, size=32, cnn=short, vit=short, replicates=50
    )


@pytest.fixture(scope="module", autouse=True)
def small_world() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    patch = pytest.MonkeyPatch()
    patch.setattr(experiment, "settings", tiny)
    yield
    patch.undo()
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("no_data")


@pytest.fixture(scope="module")
def careful(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    out = tmp_path_factory.mktemp("careful")
    return run(papers["cam_depth"], empty, out, mode="careful", scale="smoke", seeds=2)


def test_results_hold_every_network_beside_chance(careful: Outcome) -> None:
    found = json.loads(careful.results.read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(careful.numbers))
    assert found["phantoms"]
    assert found["substitute_schedule"]
    assert [(item["network"], item["seed"]) for item in found["runs"]] == [
        ("plain_cnn", 0),
        ("plain_cnn", 1),
        ("resnet_toy", 0),
        ("resnet_toy", 1),
    ]
    places = found["localization"]
    assert set(places) == {"plain_cnn", "resnet_toy", "uniform", "center", "prior"}
    assert places["uniform"]["inside_outside_difference"]["value"] == 0
    assert places["uniform"]["ehr_auc"]["value"] == pytest.approx(found["mask_share"])
    assert places["uniform"]["pixel_auroc"]["value"] == pytest.approx(0.5)
    assert len(found["tests"]["pairs"]) == 1
    for values in found["diagnosis"].values():
        assert 0 <= values["AUC"]["value"] <= 1


def test_tables_set_ours_under_theirs(careful: Outcome) -> None:
    tables = careful.numbers["tables"]
    rows = {row[0]: row for row in tables["diff_gradcam"]["rows"]}
    assert rows["ResNet101, printed"][1:] == ["0.183", "0.265", "−0.32", "0.78"]
    assert "Plain CNN, ours" in rows
    assert rows["Chance: uniform map"][1].startswith("0.000")
    ratios = {row[0]: row for row in tables["ehr_auc"]["rows"]}
    assert ratios["ResNet101"][1:4] == ["0.0319", "2.25", "not run"]
    assert ratios["ResNet18"][1:3] == ["0.21 to 0.23", "1.48 to 1.62"]
    assert ratios["VGG19"][1] == "as VGG16"
    for table in tables.values():
        assert all(len(row) == len(table["columns"]) for row in table["rows"])


def test_the_page_is_self_contained_and_says_what_it_is(careful: Outcome) -> None:
    html = careful.report.read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(?!#|data:image/png;base64,)', html) == []
    assert "http" not in re.sub(r"http-equiv", "", html)
    title = re.search(r"<title>(.*?)</title>", html, re.DOTALL)
    assert title is not None
    assert "on phantom pneumothoraces" in title[1]
    for text in (
        "Phantoms, not patients",
        "Table 3.1 beside ours",
        "Table 3.2 beside ours",
        "Chance: mean training mask",
        "Friedman (repeated measures)",
        "One-way ANOVA (published)",
        "The published tests, done again",
        "How much one training differs from another",
        "lucidray paper run cam_depth",
    ):
        assert text in html, text
    assert "data:image/png" in html
    plain = html.replace("&#39;", "'").replace("&lt;", "<")
    for fault in papers["cam_depth"].faults:
        assert fault.what[:30] in plain


def test_a_finished_run_is_taken_up_again(
    empty: Path, careful: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lucidray.training import member

    def forbidden(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(member, "_train_phase", forbidden)
    told: list[tuple[int, int]] = []
    again = run(
        papers["cam_depth"],
        empty,
        careful.report.parent,
        mode="careful",
        scale="smoke",
        seeds=2,
        progress=lambda done, total, _: told.append((done, total)),
    )
    assert again.numbers["localization"] == careful.numbers["localization"]
    assert told[-1][0] == told[-1][1]


def test_a_killed_run_goes_on(empty: Path, careful: Outcome, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(done: int, total: int, text: str) -> None:
        if text == "Toy ResNet" and done % 1000:
            raise Killed

    order = {"mode": "careful", "scale": "smoke", "seeds": 1}
    with pytest.raises(Killed):
        run(papers["cam_depth"], empty, tmp_path, progress=kill, **order)  # type: ignore[arg-type]
    assert (tmp_path / "runs" / "plain_cnn" / "seed_0" / "best.safetensors").is_file()
    resumed = run(papers["cam_depth"], empty, tmp_path, **order)  # type: ignore[arg-type]
    for network, values in careful.numbers["localization_by_seed"].items():
        for name, (first, _) in values.items():
            assert resumed.numbers["localization_by_seed"][network][name] == [first]
