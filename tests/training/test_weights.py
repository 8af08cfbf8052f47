"""Weights and states on disk: whole, readable by others, refused when broken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from lucidray.errors import WeightsError
from lucidray.training.weights import (
    fingerprint,
    load_state,
    load_weights,
    save_state,
    save_weights,
    write_whole,
)


def test_weights_round_trip_and_other_readers_read_them(tmp_path: Path) -> None:
    model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    save_weights(tmp_path / "a.safetensors", model.state_dict())
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert torch.equal(file.get_tensor("weight"), model.weight)
    other = nn.Conv2d(3, 4, 3)
    load_weights(tmp_path / "a.safetensors", other)
    assert torch.equal(other.weight, model.weight)


def test_foreign_broken_and_missing_weights_are_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "a.safetensors", nn.Linear(2, 2).state_dict())
    with pytest.raises(WeightsError, match="does not hold this model's weights"):
        load_weights(tmp_path / "a.safetensors", nn.Linear(3, 2))
    (tmp_path / "b.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="does not hold"):
        load_weights(tmp_path / "b.safetensors")
    with pytest.raises(WeightsError, match="--resume"):
        load_weights(tmp_path / "c.safetensors")


def test_states_hold_no_code(tmp_path: Path) -> None:
    save_state(tmp_path / "state.pt", {"moving": {"w": torch.ones(2)}, "position": (1, 2)})
    assert load_state(tmp_path / "state.pt")["position"] == (1, 2)  # type: ignore[index]
    assert load_state(tmp_path / "none.pt") is None
    torch.save({"code": Path("x")}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match="broken"):
        load_state(tmp_path / "evil.pt")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(beside: Path) -> None:
        beside.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_fingerprints_tell_contents_shapes_and_types_apart() -> None:
    prints = [
        fingerprint([torch.zeros(4)]),
        fingerprint([torch.zeros(2, 2)]),
        fingerprint([torch.zeros(4, dtype=torch.int32)]),
        fingerprint([torch.zeros(4), ""]),
        fingerprint(["ab", "c"]),
        fingerprint(["a", "bc"]),
    ]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("broken", [SafetensorError("No space left"), RuntimeError("no space")])
def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Exception
) -> None:
    def fails(_: object, beside: Path) -> None:
        beside.write_bytes(b"half")
        raise broken

    monkeypatch.setattr("lucidray.training.weights.save_file", fails)
    monkeypatch.setattr("lucidray.training.weights.torch.save", fails)
    with pytest.raises(WeightsError, match=r"cannot be written.*Free some room"):
        save_weights(tmp_path / "a.safetensors", {})
    with pytest.raises(WeightsError, match=r"cannot be written.*Free some room"):
        save_state(tmp_path / "a.pt", {})
    assert not list(tmp_path.iterdir())
