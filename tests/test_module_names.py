"""A module must not take the place of a name that its package gives away."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
PACKAGES = sorted(path.parent for path in SOURCE.rglob("__init__.py"))


def given(package: Path) -> dict[str, str]:
    """Return what a package's `__init__` imports by name, and from which module."""
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_module_shadows_a_name_from_another(package: Path) -> None:
    # Importing `package.name` later would put the module where the function was.
    name = ".".join(package.relative_to(SOURCE).parts)
    modules = {path.stem for path in package.glob("*.py")}
    wrong = [
        word
        for word, module in given(package).items()
        if word in modules and module not in (name, f"{name}.{word}")
    ]
    assert wrong == []
