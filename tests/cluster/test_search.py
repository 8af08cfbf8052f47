"""A search over workers: the trials, values and ranking of one process, a worker killed or not."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from lucidray.config import from_mapping, read_toml
from lucidray.errors import UnknownNameError
from lucidray.training import Found, Search, run_search, search_apart, search_strategies

#: Head alone or last block, dropout where there is no hidden layer: some trials train the same.
VALUES = {
    "phases.0.policy": ["classifier_only", "last_block"],
    "model.dropout_after": [0.0, 0.2],
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Compute as the workers do."""
    torch.set_num_threads(1)


def plan(**options: Any) -> Search:
    return from_mapping(Search, {"values": VALUES, **options}, where="test")


def facts(found: Found) -> list[tuple[Any, ...]]:
    return [
        (t.number, dict(t.settings), t.status, t.same_as, t.value, t.epoch) for t in found.trials
    ]


def test_a_grid_comes_to_the_same_though_a_worker_is_killed(
    work: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, mark, whole = read_toml(work / "recipe.toml"), work / "trial", search_apart._trial

    def killed_once(config: dict[str, Any], **rest: Any) -> None:
        if '"number": 2' in config["trial"] and not mark.exists():
            mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        whole(config, **rest)

    monkeypatch.setattr(search_apart, "_trial", killed_once)
    apart = run_search(base, plan(), work / "films", work / "grid_apart", cluster=cluster)
    assert mark.exists(), "no worker was killed"
    alone = run_search(base, plan(), work / "films", work / "grid_alone")
    assert facts(apart) == facts(alone)
    assert [trial.same_as for trial in apart.trials] == [None, 0, None, 2]
    assert [t.number for t in apart.ranked()] == [t.number for t in alone.ranked()]
    assert apart.feature_passes == alone.feature_passes
    assert not (apart.folder / "tune").exists() and not (apart.folder / "features").exists()
    again = run_search(base, plan(), work / "films", apart.folder, resume=True, cluster=cluster)
    assert facts(again) == facts(alone)


def test_a_random_search_goes_on_in_many_processes(work: Path, cluster: str) -> None:
    base = read_toml(work / "recipe.toml")
    drawn = {"strategy": "random", "seed": 3}
    first = run_search(base, plan(**drawn, trials=1), work / "films", work / "random")
    given = (base, plan(**drawn, trials=4), work / "films")
    found = run_search(*given, work / "random", resume=True, cluster=cluster)
    alone = run_search(*given, work / "random_alone")
    assert facts(found) == facts(alone)
    assert facts(found)[:1] == facts(first)


@pytest.mark.slow
def test_a_bayesian_search_learns_from_what_its_workers_found(
    work: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna", reason="needs Optuna: pip install 'lucidray[search]'")
    base, known, propose = (
        read_toml(work / "recipe.toml"),
        list[list[float]](),
        search_apart.propose,
    )

    def seen(given: Any, found: Found, earlier: Any) -> Any:
        known.append([trial.value for trial in earlier])
        return propose(given, found, earlier)

    monkeypatch.setattr(search_apart, "propose", seen)
    monkeypatch.setattr(search_strategies, "_BLIND", 2)
    rates = {"phases.0.learning_rate": {"low": 1e-4, "high": 0.1, "log": True}}

    def search(trials: int) -> Search:
        given = {"values": rates, "strategy": "bayesian", "trials": trials, "seed": 2}
        return from_mapping(Search, given, where="test")

    apart = run_search(base, search(4), work / "films", work / "bayesian", cluster=cluster)
    alone = run_search(base, search(2), work / "films", work / "bayesian_alone")
    assert [trial.status for trial in apart.trials] == ["finished"] * 4
    assert facts(apart)[:2] == facts(alone), "the first are drawn without looking"
    assert len({trial.settings["phases.0.learning_rate"] for trial in apart.trials}) == 4
    for number in (2, 3):  # by the time of a third and a fourth proposal something is known
        assert any(map(math.isfinite, known[number]))
    more = run_search(base, search(5), work / "films", apart.folder, resume=True)
    assert facts(more)[:4] == facts(apart), "one process goes on with what many have found"


def test_a_mistake_of_a_trial_comes_through(work: Path, cluster: str) -> None:
    base, wrong = read_toml(work / "recipe.toml"), {"data.findings": [["Pneumonia"], ["Fracture"]]}
    search = from_mapping(Search, {"values": wrong, "strategy": "bayesian"}, where="test")
    with pytest.raises(UnknownNameError, match="Fracture"):
        run_search(base, search, work / "films", work / "wrong", cluster=cluster)
