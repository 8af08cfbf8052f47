"""The bill of materials: valid to CycloneDX's own schema, whole, and the same each time."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("sbom", ROOT / "deploy" / "sbom.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bill(script: Any) -> dict[str, Any]:
    return dict(script.bill())


def parts(bill: dict[str, Any], kind: str = "pkg:") -> Iterator[dict[str, Any]]:
    return (one for one in bill["components"] if one["bom-ref"].startswith(kind))


def test_it_is_valid(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    validation = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib")
    from cyclonedx.schema import SchemaVersion

    assert script.main() == 0
    first = capsys.readouterr().out
    assert validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(first) is None
    script.main()
    assert capsys.readouterr().out == first


def test_it_holds_what_runs_and_not_what_builds_or_tests(bill: dict[str, Any]) -> None:
    told = {one["name"]: one.get("version") for one in bill["components"]}
    for name in ("django", "onnxruntime", "pydicom", "psycopg", "gunicorn", "sqlparse"):
        assert told[name] == version(name)
    assert not {"pytest", "torch", "ruff", "playwright", "vite", "typescript"} & set(told)
    assert bill["metadata"]["component"]["version"] == version("lucidray")


def test_every_package_of_the_viewer_stands_in_it_with_its_digest(bill: dict[str, Any]) -> None:
    told = {one["name"]: one for one in parts(bill, "pkg:npm/")}
    wanted = json.loads((ROOT / "web" / "package.json").read_text())["dependencies"]
    assert {name: told[name]["version"] for name in wanted} == wanted
    assert told["@cornerstonejs/codec-charls"]["purl"].startswith("pkg:npm/%40cornerstonejs/")
    assert all(one["hashes"] for one in told.values())
    assert {len(one["hashes"][0]["content"]) for one in told.values()} == {64, 128}
    assert told["htmx.org"]["version"] == "2.0.11"


def test_every_shipped_model_stands_in_it_with_its_digest(bill: dict[str, Any]) -> None:
    shipped = ROOT / "src" / "lucidray" / "bundle" / "shipped"
    expected = {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in shipped.iterdir()
    }
    told = {one["name"]: one["hashes"][0]["content"] for one in parts(bill, "model:")}
    assert told == {name: digest for name, digest in expected.items() if name in told}
    assert len(told) == len(list(shipped.glob("*.lucid"))) >= 3


def test_what_needs_what_is_complete(bill: dict[str, Any]) -> None:
    known = {one["bom-ref"] for one in parts(bill, "pkg:pypi/")}
    known.add(bill["metadata"]["component"]["bom-ref"])
    of = {one["ref"]: set(one["dependsOn"]) for one in bill["dependencies"]}
    assert set(of) == known
    assert set().union(*of.values()) <= known
    assert f"pkg:pypi/sqlparse@{version('sqlparse')}" in of[f"pkg:pypi/django@{version('django')}"]


def test_most_say_their_license(bill: dict[str, Any]) -> None:
    silent = [one["name"] for one in parts(bill) if not one.get("licenses")]
    assert len(silent) < 10


def test_what_is_not_installed_is_told(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(script, "distribution", missing)
    assert script.main() == 1
    assert "is not installed here: pip install 'lucidray[server]'" in capsys.readouterr().err
