"""``lucidray demo``: what comes with LucidRay reads films, torch or not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from lucidray.bundle import bundles, find_bundle, load_bundle
from lucidray.bundle.reference import verify
from lucidray.cli.demo import EXAMPLES, MODELS

FILMS = sorted(path.name for path in EXAMPLES.glob("*.jpg"))

#: Runs the demo where nothing but the base install could be imported.
BARE = """
import sys
for name in ("torch", "scipy", "pandas", "matplotlib", "sklearn", "timm", "onnx"):
    sys.modules[name] = None
from lucidray.cli import main
sys.argv = ["lucidray", "demo", *sys.argv[1:]]
main()
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-c", BARE, "--out", str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert all(str(folder / name / "index.html") in done.stdout for name in MODELS)
    return folder


def results(folder: Path) -> dict[str, dict]:
    lines = (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return {Path(line["path"]).name: line for line in map(json.loads, lines)}


def test_every_model_reads_every_example(shown: Path) -> None:
    assert len(FILMS) == 9
    for name in MODELS:
        assert sorted(results(shown / name)) == FILMS
        page = (shown / name / "index.html").read_text(encoding="utf-8")
        assert all(film in page for film in FILMS)


@pytest.mark.parametrize("name", ["pediatric-pneumonia", "adult-opacity"])
def test_what_is_no_film_is_refused_and_films_are_not(shown: Path, name: str) -> None:
    for film, line in results(shown / name).items():
        assert (line["refused"] is not None) == film.startswith("not_judged"), film


def test_severe_pneumonia_is_called_and_health_is_not(shown: Path) -> None:
    told = {
        film: {each["name"]: each["positive"] for each in line["findings"]}
        for film, line in results(shown / "pediatric-pneumonia").items()
    }
    assert told["child_pneumonia_a.jpg"]["Pneumonia"]
    assert not told["child_healthy.jpg"]["Pneumonia"]


def test_lungs_are_outlined(shown: Path) -> None:
    folder = shown / "lung-fields"
    for film in ("child_healthy", "adult_healthy"):
        share = results(folder)[f"{film}.jpg"]["lung_area_share"]
        assert 0.1 < share < 0.5
        with Image.open(folder / f"{film}.png") as mask:
            assert mask.size == (512, 512)


@pytest.mark.parametrize("name", MODELS)
def test_each_model_answers_as_it_did_when_it_was_shipped(name: str) -> None:
    path = find_bundle(name)
    assert bundles()[name] == path and path.stat().st_size <= 15e6
    assert verify(path, threads=1).passed
    card = load_bundle(name, threads=1).card
    assert card.license != "not stated" and card.limits != "not stated" and card.performance
    assert card.training.digest and card.training.recipe


def test_ones_own_film_and_json(shown: Path, tmp_path: Path) -> None:
    film = EXAMPLES / "adult_effusion.jpg"
    command = [sys.executable, "-c", BARE, str(film), "--out", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["bundle"] for line in told] == list(MODELS)
    assert {line["path"] for line in told} == {str(film)}
