"""Documentation that cannot lie."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_link_leads_somewhere_and_every_command_has_help(build: ModuleType) -> None:
    assert [*build.command_faults(), *build.dead_links()] == []


def test_a_dead_link_is_seen(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "page.md").write_text("[here](page.md) [gone](nowhere.md)", encoding="utf-8")
    monkeypatch.setattr(build, "DOCS", docs)
    assert list(build.dead_links()) == ["docs/page.md links to nowhere.md, which is not there"]
