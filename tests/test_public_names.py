"""What ``import lucidray`` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lucidray
from lucidray import records


def test_importing_the_package_imports_next_to_nothing() -> None:
    code = (
        "import sys, lucidray\n"
        "heavy = {'numpy', 'pydicom', 'onnxruntime', 'PIL', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there_and_listed() -> None:
    for name in lucidray.__all__:
        value = getattr(lucidray, name)
        assert value.__name__ == name
        assert value.__doc__
        assert name in dir(lucidray)
    assert lucidray.Diagnosis is records.Diagnosis


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lucidray.nothing  # noqa: B018
