"""Weights and resumable states on disk: written whole or not at all, never pickled code."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import Module

from lucidray.errors import WeightsError


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file so that nobody ever finds half of it.

    Args:
        path: The file.
        write: Writes it, given a name beside it that is then renamed to `path`.

    Raises:
        WeightsError: torch or safetensors could not write, as on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    except (SafetensorError, RuntimeError) as error:
        told = str(error).partition("\n")[0]
        raise WeightsError(
            f"{path} cannot be written: {told}. Free some room, then resume."
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_whole(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def save_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors.

    Args:
        path: The file.
        state: Tensors by name; layouts other than rows-first are not kept.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    write_whole(path, lambda beside: save_file(plain, beside))


def load_weights(path: Path, model: Module | None = None) -> dict[str, Tensor]:
    """Read tensors from safetensors, and into a model if one is given.

    Raises:
        WeightsError: The file is missing or broken, or does not fit the model.
    """
    try:
        state: dict[str, Tensor] = load_file(path)
        if model is not None:
            model.load_state_dict(state)
    except FileNotFoundError as error:
        raise WeightsError(
            f"no weights at {path}; train with --resume to finish the run"
        ) from error
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(
            f"{path} does not hold this model's weights: {error}. Restore it from a copy, or "
            "train again."
        ) from error
    return state


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a resumable state: tensors and plain values only."""
    write_whole(path, lambda beside: torch.save(dict(state), beside))


def load_state(path: Path) -> dict[str, Any] | None:
    """Read a resumable state without running any code of it; None where there is none.

    Raises:
        WeightsError: The file is broken.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} is broken; delete it, or train into a new folder") from error
    return state


def fingerprint(parts: Iterable[Tensor | str | bytes]) -> str:
    """Return a SHA-256 hex digest of tensors and text, in order.

    >>> fingerprint(["a", torch.zeros(2)]) == fingerprint(["a", torch.zeros(3)])
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            content = part.detach().cpu().contiguous()
            digest.update(f"{content.dtype}{tuple(content.shape)}".encode())
            part = content.flatten().view(torch.uint8).numpy().tobytes()
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
