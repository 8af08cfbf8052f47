"""What the machine can do: chosen by flags, harmless where unknown."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lucidray.training import processor


def test_auto_follows_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "processor_flags", lambda: frozenset({"avx512_bf16"}))
    assert processor.choose_precision("auto", "cpu") == "bf16"
    assert processor.choose_precision("fp32", "cpu") == "fp32"
    monkeypatch.setattr(processor, "processor_flags", lambda: frozenset({"avx2"}))
    assert processor.choose_precision("auto", "cpu") == "fp32"


def test_memory_is_kept_only_where_the_library_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert processor.keep_memory() is False


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's setting")
def test_freed_memory_is_not_asked_for_again() -> None:
    script = """
import resource, sys
from lucidray.training.processor import keep_memory
import numpy as np
if sys.argv[1] == "keep" and not keep_memory(): print(-1); sys.exit()
np.ones(6_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5): np.ones(6_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = {
        mode: int(subprocess.check_output([sys.executable, "-c", script, mode], text=True))
        for mode in ("keep", "plain")
    }
    if faults["keep"] < 0:
        pytest.skip("no glibc here")
    assert faults["keep"] < faults["plain"] / 4
