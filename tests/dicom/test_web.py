"""DICOMweb without an archive: what is not done, whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pydicom.dataset import Dataset

from lucidray.dicom.network import Archive
from lucidray.errors import DicomError, NetworkError


@contextmanager
def answering(status: int, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """Serve one answer to everything; yields the address and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [302, 308])
def test_redirects_are_not_followed(status: int, image: Dataset) -> None:
    with (
        answering(200) as (elsewhere, arrived),
        answering(status, Location=f"{elsewhere}/studies") as (url, asked),
    ):
        archive = Archive(url, user="lucidray", password="secret", seconds=5)
        with pytest.raises(NetworkError, match="sends on to another address"):
            archive.find_studies(AccessionNumber="A1")
        with pytest.raises(NetworkError, match="sends on to another address"):
            archive.store([image])
    assert asked
    assert arrived == []


def test_what_is_refused_is_told_with_its_status() -> None:
    with answering(403) as (url, _), pytest.raises(NetworkError, match="HTTP 403"):
        Archive(url, seconds=5).find_studies(AccessionNumber="A1")


def test_no_log_tells_what_was_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(NetworkError):
        list(Archive("http://127.0.0.1:9", seconds=1).fetch_study("1.2.3.4711"))
    assert "4711" not in caplog.text


def test_nothing_is_not_stored() -> None:
    with pytest.raises(DicomError, match="no object"):
        Archive("http://127.0.0.1:9").store([])
