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
import importlib.util, resource, sys
import numpy as np
spec = importlib.util.spec_from_file_location("processor", sys.argv[1])
processor = importlib.util.module_from_spec(spec)
spec.loader.exec_module(processor)
def faults():
    np.ones(6_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5): np.ones(6_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
plain = faults()
print(plain, faults() if processor.keep_memory() else -1)
"""
    command = [sys.executable, "-c", script, processor.__file__]
    plain, kept = map(int, subprocess.check_output(command, text=True).split())
    if kept < 0:
        pytest.skip("no glibc here")
    assert kept < plain / 4
