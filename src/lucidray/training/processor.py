"""What this machine can do for training, and how to make it do so."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch

Precision = Literal["auto", "bf16", "fp32"]

#: glibc's numbers for `mallopt`: trim threshold, top padding, number of mapped blocks.
_MALLOPT = ((-1, -1), (-2, 256 << 20), (-4, 0))


def keep_memory() -> bool:
    """Tell the C library to keep freed memory instead of handing it back after each operation.

    Torch frees and asks again for tensors of many MiB in every step; by default each round trip
    costs page faults, up to half of a training step. Takes effect for the whole process.

    Returns:
        Whether the C library took the setting; False on systems without glibc, where nothing
        happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    taken = [mallopt(name, value) == 1 for name, value in _MALLOPT]
    return all(taken)


@lru_cache(maxsize=1)
def processor_flags() -> frozenset[str]:
    """Return the processor's feature names as Linux lists them; empty where it does not."""
    listing = Path("/proc/cpuinfo")
    if not listing.is_file():
        return frozenset()
    for line in listing.read_text(encoding="utf-8").splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def gains_from_bf16(accelerator: str, flags: frozenset[str] | None = None) -> bool:
    """Say whether bfloat16 is faster than float32 here.

    Args:
        accelerator: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        flags: Processor features; None reads this machine's.

    >>> gains_from_bf16("cpu", frozenset({"avx2"})), gains_from_bf16("cpu", frozenset({"amx_bf16"}))
    (False, True)
    """
    if accelerator == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if accelerator != "cpu":
        return False
    known = processor_flags() if flags is None else flags
    return not known.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})


def choose_accelerator() -> str:
    """Return ``"cuda"`` where a usable GPU is, else ``"cpu"``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_precision(wanted: Precision, accelerator: str) -> Literal["bf16", "fp32"]:
    """Resolve ``"auto"`` to bfloat16 where the processor gains from it, else to float32."""
    if wanted == "auto":
        return "bf16" if gains_from_bf16(accelerator) else "fp32"
    return wanted
