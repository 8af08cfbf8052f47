"""A small stand-in for the site: the built viewer, generated films and the shipped models.

Run ``python web/dev/stand_in.py`` and open the address that it prints; the tests of the viewer use
it too. Everything lives in memory. The Content Security Policy is the site's own.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "src" / "lucidray_clinic" / "static" / "lucidray"
SHIPPED = ROOT / "src" / "lucidray" / "bundle" / "shipped"
EXAMPLES = ROOT / "src" / "lucidray" / "examples"
CSP = (
    "default-src 'none'; connect-src 'self'; img-src 'self' blob: data:; "
    "script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; worker-src 'self'; font-src 'self'"
)
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".wasm": "application/wasm",
    ".bin": "application/octet-stream",
}
FINDINGS = [
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Effusion",
    "Lung Opacity",
    "Nodule",
    "Other Lesion",
    "Pneumonia",
    "Pneumothorax",
]


@dataclass
class Site:
    """What the stand-in knows.

    Args:
        films: Bytes by instance.
        priors: Instances of earlier cases.
        bundles: Files by digest.
        read_first: Whether an own opinion comes first.
        theme: ``"dark"`` or ``"light"``.
        direction: ``"ltr"`` or ``"rtl"``.
        painter: How films are painted.
        requests: Method, path and body of every request, for tests.
        boxes: Of the case, by reader.
        version: Of the boxes.
        offline: Whether every write fails as a lost connection does.
        age: Of the patient, in whole years.
        user: Who reads; drafts of others cannot be opened.
    """

    films: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    priors: list[str] = field(default_factory=list)
    bundles: dict[str, dict[str, Any]] = field(default_factory=dict)
    read_first: bool = False
    revealed: bool = False
    theme: str = "dark"
    direction: str = "ltr"
    painter: str = "auto"
    strings: dict[str, str] = field(default_factory=dict)
    permissions: tuple[str, ...] = ("case.view", "case.read")
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    version: int = 1
    readings: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    offline: bool = False
    age: int | None = None
    user: str = "reader-1"

    @property
    def draft_key(self) -> str:
        """What seals the reader's drafts; empty where nobody is named."""
        digest = hashlib.sha256(self.user.encode()).digest()
        return base64.b64encode(digest).decode() if self.user else ""

    def case(self) -> dict[str, Any]:
        """The case as the JSON interface tells it."""
        current = [name for name in self.films if name not in self.priors]
        return {
            "id": "case-1",
            "title": "Chest, two views",
            "patient": {"id": "p", "label": "P-000123", "age_years": self.age},
            "version": 1,
            "boxes_version": self.version,
            "read_first": self.read_first,
            "revealed": self.revealed or not self.read_first,
            "instances": [self.instance(each) for each in current],
            "priors": [
                {
                    "case": "case-0",
                    "date": "2025-03-02",
                    "instances": [self.instance(each) for each in self.priors],
                }
            ]
            if self.priors
            else [],
            "readings": self.readings if self.revealed or not self.read_first else [],
            "boxes": [each | {"own": True, "author": "me"} for each in self.boxes] + self.others,
            "notes": self.notes,
            "decisions": list(self.decisions.values()),
            "findings": [{"name": each, "title": each} for each in FINDINGS],
            "permissions": list(self.permissions),
        }

    def instance(self, key: str) -> dict[str, Any]:
        name, data = self.films[key]
        return {
            "id": key,
            "name": name,
            "media_type": "application/octet-stream",
            "url": f"/api/v1/instances/{key}/file",
            "sha256": hashlib.sha256(data).hexdigest(),
            "view_position": None,
            "acquired": "2026-05-01",
        }

    def put_boxes(self, told: dict[str, Any]) -> tuple[int, Any]:
        """Take boxes; refuse a stale version where one that was changed since is changed again."""
        current = {
            "version": self.version,
            "boxes": [each | {"own": True, "author": "me"} for each in self.boxes] + self.others,
        }
        if told["version"] != self.version:
            return 409, {
                "error": {"code": "conflict", "message": "Changed elsewhere.", "hint": ""},
                "current": current,
            }
        self.boxes = told["boxes"]
        self.version += 1
        return 200, {"version": self.version, "boxes": self.boxes}


def add_bundles(site: Site, folder: Path = SHIPPED) -> None:
    """Offer the shipped models."""
    from lucidray.bundle.archive import read

    for path in sorted(folder.glob("*.lucid")):
        archive = read(path)
        card = json.loads(archive.members["card.json"])
        site.bundles[archive.digest] = {
            "path": path,
            "entry": {
                "id": archive.digest[:8],
                "name": path.stem,
                "version": "1",
                "title": path.stem.replace("-", " ").capitalize(),
                "digest": archive.digest,
                "size": path.stat().st_size,
                "task": card["task"],
                "experimental": card["experimental"],
                "findings": [
                    {
                        "name": each["name"],
                        "title": each["name"],
                        "threshold": card["operating_points"]
                        .get(each["name"], {})
                        .get("threshold"),
                        "trust": card["explanation_verdicts"].get(each["name"], ""),
                    }
                    for each in card["findings"]
                ],
                "ages_years": [0, 17] if "children" in card["intended_use"] else [18, 150],
                "url": f"/api/v1/bundles/{archive.digest}/file",
            },
        }


def phantom_film(side: int = 2000, seed: int = 0) -> bytes:
    """A generated film as DICOM, with spacing, 12 bits, MONOCHROME1."""
    import numpy as np
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset

    from lucidray.images.read import read_xray
    from lucidray.images.resample import resample

    source = read_xray(sorted(EXAMPLES.glob("adult_*.jpg"))[seed % 4]).pixels
    pixels = resample(source, (side, side))
    noise = np.random.default_rng(seed).normal(0, 6, pixels.shape)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = (
        "1.2.840.10008.5.1.4.1.1.1.1",
        "1.2.3",
        "DX",
    )
    data.PatientName, data.PatientID, data.ViewPosition = "Secret^Name", "SECRET-ID", "PA"
    data.Rows = data.Columns = side
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME1"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.ImagerPixelSpacing = [0.2, 0.2]
    data.WindowCenter, data.WindowWidth = [2048, 1700], [4096, 2000]
    data.WindowCenterWidthExplanation = ["Standard", "Lung"]
    data.PixelData = np.clip(4095 * (1 - pixels) + noise, 0, 4095).astype("<u2").tobytes()
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def example_site(side: int = 2000) -> Site:
    """A case of two films and an earlier one, and the shipped models."""
    site = Site()
    site.films["film-1"] = ("chest.dcm", phantom_film(side, 0))
    site.films["film-2"] = ("child.jpg", (EXAMPLES / "child_pneumonia_a.jpg").read_bytes())
    site.films["film-0"] = ("earlier.dcm", phantom_film(side // 2, 3))
    site.priors = ["film-0"]
    box = {
        "id": str(uuid.uuid4()),
        "instance": "film-1",
        "finding": "Effusion",
        "box": [1200, 1150, 1600, 1500],
        "certainty": 0.6,
        "note": "",
        "source": "reader",
    }
    site.others = [box | {"author": "Dr Other", "own": False, "read_only": True}]
    add_bundles(site)
    return site


def page(site: Site, mode: str) -> str:
    """A page as the site renders it around the viewer."""
    config = {
        "mode": mode,
        "api": "/api/v1",
        "case": "case-1",
        "csrf": "token",
        "bundles_url": "/api/v1/bundles",
        "private": True,
        "language": "en",
        "painter": site.painter,
        "strings": site.strings,
        "user": site.user,
        "draft_key": site.draft_key,
    }
    theme, direction, told = site.theme, site.direction, json.dumps(config)
    return f"""<!doctype html>
<html lang="en" dir="{direction}" data-theme="{theme}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Viewer</title>
<link rel="stylesheet" href="/static/lucidray/tokens.css">
<link rel="stylesheet" href="/dev.css">
<link rel="stylesheet" href="/static/lucidray/viewer/viewer.css"></head>
<body><main><h1 class="unseen">Read</h1>
<script type="application/json" id="viewer-config">{told}</script>
<div id="viewer" data-mode="{mode}"></div></main>
<script type="module" src="/static/lucidray/viewer/viewer.js"></script></body></html>"""


DEV_CSS = """html,body,main{margin:0;height:100%}body{background:#0b0c0d}#viewer{height:100vh}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}"""


class Handler(BaseHTTPRequestHandler):
    """Answers for one site."""

    site: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Pages, static files, reads."""
        site, path = self.site, self.path.split("?")[0]
        site.requests.append(("GET", self.path, b""))
        if path in ("/", "/case", "/quicklook"):
            return self._send(
                page(site, "quicklook" if path == "/quicklook" else "case").encode(),
                "text/html; charset=utf-8",
            )
        if path == "/dev.css":
            return self._send(DEV_CSS.encode(), "text/css")
        if path.startswith("/static/lucidray/"):
            return self._static(path.removeprefix("/static/lucidray/"))
        if path == "/api/v1/bundles":
            return self._json(200, [each["entry"] for each in site.bundles.values()])
        if found := re.fullmatch(r"/api/v1/bundles/(\w+)/file", path):
            return self._send(site.bundles[found[1]]["path"].read_bytes(), "application/zip")
        if found := re.fullmatch(r"/api/v1/instances/([\w-]+)/file", path):
            return self._send(site.films[found[1]][1], "application/octet-stream")
        if path == "/api/v1/cases/case-1":
            return self._json(200, site.case())
        return self._json(
            404, {"error": {"code": "not_found", "message": "Nothing here.", "hint": ""}}
        )

    def do_PUT(self) -> None:
        """Boxes and decisions."""
        told = self._told()
        if self.site.offline:
            return self._json(503, {"error": {"code": "down", "message": "Down.", "hint": ""}})
        if self.path.endswith("/boxes"):
            return self._json(*self.site.put_boxes(told))
        finding = self.path.rsplit("/", 1)[1].replace("%20", " ")
        self.site.decisions[finding] = {"finding": finding, **told}
        return self._json(200, self.site.decisions[finding])

    def do_POST(self) -> None:
        """Readings, notes, the reveal."""
        told = self._told()
        if self.site.offline:
            return self._json(503, {"error": {"code": "down", "message": "Down.", "hint": ""}})
        if self.path.endswith("/readings"):
            entry = next(
                each["entry"]
                for digest, each in self.site.bundles.items()
                if digest == told["bundle_digest"]
            )
            reading = told | {
                "id": str(uuid.uuid4()),
                "bundle": entry,
                "made_at": "2026-11-21T10:00:00Z",
                "made_by": "me",
            }
            self.site.readings.insert(0, reading)
            return self._json(201, reading)
        if self.path.endswith("/notes"):
            self.site.notes.append(told | {"author": "me", "created": "2026-11-21"})
            return self._json(201, self.site.notes[-1])
        if self.path.endswith("/reveal"):
            self.site.revealed = True
            return self._json(
                200,
                {
                    "revealed": True,
                    "first_opinion": told["first_opinion"],
                    "readings": self.site.readings,
                },
            )
        return self._json(
            404, {"error": {"code": "not_found", "message": "Nothing here.", "hint": ""}}
        )

    def _told(self) -> Any:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.site.requests.append((self.command, self.path, body))
        return json.loads(body) if body[:1] in (b"{", b"[") else {}

    def _static(self, name: str) -> None:
        target = (STATIC / name).resolve()
        if not target.is_relative_to(STATIC) or not target.is_file():
            return self._json(404, {})
        return self._send(target.read_bytes(), TYPES.get(target.suffix, "application/octet-stream"))

    def _json(self, status: int, value: Any) -> None:
        self._send(json.dumps(value).encode(), "application/json", status)

    def _send(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", CSP)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


def serve(site: Site, port: int = 0) -> tuple[ThreadingHTTPServer, str]:
    """Serve a site in a thread; returns the server and its address."""
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Bound", (Handler,), {"site": site}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"


if __name__ == "__main__":
    _, address = serve(example_site(), 8765)
    print(f"case {address}/case   quick look {address}/quicklook")
    threading.Event().wait()
