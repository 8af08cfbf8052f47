"""A real browser, and the viewer in front of a stand-in for the site."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


def load(path: str, name: str) -> Any:
    """Load a module of this repository that is in no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


stand_in = load("web/dev/stand_in.py", "viewer_stand_in")
golden = load("tests/clinic/viewer/golden.py", "viewer_golden")


@pytest.fixture(autouse=True)
def _own_folders() -> None:
    """The viewer's tests need no folders of the site."""


@pytest.fixture
def open_viewer(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open the viewer on a site; errors of the page, and what its policy blocks, fail the test."""
    servers, contexts, problems = [], [], []

    def go(
        site: Any,
        mode: str = "case",
        *,
        wait: str | None = ".lr-below .lr-line-of",
        context: Any = None,
        **options: Any,
    ) -> Any:
        server, address = stand_in.serve(site)
        servers.append(server)
        context = context or browser.new_context(viewport={"width": 1280, "height": 860}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda line: problems.append(line.text) if "Content Security" in line.text else None,
        )
        page.goto(f"{address}/{mode}")
        if wait:
            page.wait_for_selector(wait, timeout=30_000)
        return page

    yield go
    for context in contexts:
        context.close()
    for server in servers:
        server.shutdown()
        server.server_close()
    assert problems == []


@pytest.fixture
def site() -> Any:
    """A case of two small films and an earlier one, and the shipped models."""
    return stand_in.example_site(600)
