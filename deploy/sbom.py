#!/usr/bin/env python3
"""What an installation is made of, as CycloneDX 1.6 in JSON: a software bill of materials.

    python deploy/sbom.py > sbom.json        # or: make sbom

The Python packages are those that this interpreter finds, from `lucidray[server]` on; what only
builds and tests is left out. The packages of the viewer are those of `web/package-lock.json`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
#: What is installed in the image, and with which extras.
START = Requirement("lucidray[server]")
HTMX = ROOT / "src" / "lucidray_clinic" / "static" / "lucidray" / "htmx.min.js"


def main() -> int:
    """Print it."""
    try:
        told = bill()
    except PackageNotFoundError as error:
        sys.stderr.write(f"{error.name} is not installed here: pip install '{START}'\n")
        return 1
    sys.stdout.write(json.dumps(told, indent=1, sort_keys=True) + "\n")
    return 0


def bill() -> dict[str, Any]:
    """Return the bill; the same installation has the same.

    Raises:
        PackageNotFoundError: Something that belongs to it is not installed.
    """
    needs = python_needs()
    parts = [python_part(name) for name in sorted(needs) if name != START.name]
    parts += [*web_parts(), htmx_part(), *model_parts()]
    body = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": python_part(START.name) | {"type": "application"}},
        "components": parts,
        "dependencies": [
            {"ref": ref_of(name), "dependsOn": sorted(map(ref_of, of))}
            for name, of in sorted(needs.items())
        ],
    }
    number = uuid5(NAMESPACE_URL, json.dumps(body, sort_keys=True))
    return body | {"serialNumber": f"urn:uuid:{number}"}


def python_needs() -> dict[str, set[str]]:
    """Return every Python package of the installation, and which it needs itself."""
    needs: dict[str, set[str]] = {}
    open_ones, seen = [(START.name, frozenset(START.extras))], set()
    while open_ones:
        name, extras = open_ones.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        lines = own_needs() if name == START.name else distribution(name).requires or ()
        found = [*needed_by(lines, extras)]
        needs.setdefault(name, set()).update(one for one, _ in found if one != name)
        open_ones += found
    return needs


def own_needs() -> Iterator[str]:
    """Yield what LucidRay itself needs, as its source says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield from project["dependencies"]
    for extra, lines in project["optional-dependencies"].items():
        yield from (f'{line} ; extra == "{extra}"' for line in lines)


def needed_by(lines: Iterable[str], extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield what is needed with some extras on this machine, and with which extras itself."""
    for line in lines:
        one = Requirement(line)
        asked = one.marker is None or any(
            one.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        )
        if asked:
            yield canonicalize_name(one.name), frozenset(one.extras)


def ref_of(name: str) -> str:
    """Return the address of a Python package."""
    return f"pkg:pypi/{name}@{distribution(name).version}"


def python_part(name: str) -> dict[str, Any]:
    """Describe a Python package."""
    package = distribution(name)
    part = {
        "type": "library",
        "name": name,
        "version": package.version,
        "purl": ref_of(name),
        "bom-ref": ref_of(name),
    }
    expression = package.metadata.get("License-Expression")
    if expression:
        return part | {"licenses": [{"expression": expression}]}
    named = [
        text.rpartition(" :: ")[2]
        for text in package.metadata.get_all("Classifier") or ()
        if text.startswith("License :: ")
    ] or [text for text in package.metadata.get_all("License") or () if 0 < len(text) < 80]
    return part | {"licenses": [{"license": {"name": one}} for one in named]}


def web_parts() -> Iterator[dict[str, Any]]:
    """Describe the packages that are built into the viewer."""
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text(encoding="utf-8"))
    for path, told in sorted(lock["packages"].items()):
        if path and not told.get("dev"):
            name = path.rpartition("node_modules/")[2]
            yield npm_part(name, told["version"], told["license"]) | {
                "hashes": [integrity(told["integrity"])]
            }


def htmx_part() -> dict[str, Any]:
    """Describe htmx, of which a copy lies among the static files."""
    found = re.search(r'version:"([\d.]+)"', HTMX.read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit(f"{HTMX} does not say its version.")
    return npm_part("htmx.org", found[1], "0BSD") | {"hashes": [sha256(HTMX)]}


def npm_part(name: str, version: str, license_id: str) -> dict[str, Any]:
    """Describe a package of npm."""
    purl = f"pkg:npm/{name.replace('@', '%40')}@{version}"
    licenses = [{"expression": license_id}]
    part = {"type": "library", "name": name, "version": version, "licenses": licenses}
    return part | {"purl": purl, "bom-ref": purl}


def model_parts() -> Iterator[dict[str, Any]]:
    """Describe the models that are shipped."""
    for path in sorted((ROOT / "src" / "lucidray" / "bundle" / "shipped").glob("*.lucid")):
        yield {
            "type": "machine-learning-model",
            "name": path.stem,
            "bom-ref": f"model:{path.stem}",
            "hashes": [sha256(path)],
        }


def sha256(path: Path) -> dict[str, str]:
    """Return a file's digest as CycloneDX has it."""
    return {"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}


def integrity(text: str) -> dict[str, str]:
    """Return a digest of npm as CycloneDX has it."""
    kind, _, digest = text.partition("-")
    return {"alg": f"SHA-{kind[3:]}", "content": base64.b64decode(digest).hex()}


if __name__ == "__main__":
    sys.exit(main())
