"""The file: the same bytes each time, readable by any zip reader, and no byte can be changed."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidray.bundle import archive
from lucidray.errors import BundleError

MEMBERS = {"model.onnx": bytes(range(256)), "card.json": b"{}", "a/empty": b""}


@given(st.dictionaries(st.text("abc./é", min_size=1, max_size=8), st.binary(max_size=64)))
@settings(max_examples=30, deadline=None)
def test_round_trip(members: dict[str, bytes]) -> None:
    found = archive.unpack(archive.pack(members), "x")
    assert found.members == members
    again = archive.unpack(archive.pack(dict(reversed(members.items()))), "x")
    assert again.digest == found.digest


def test_any_zip_reader_reads_it() -> None:
    with zipfile.ZipFile(io.BytesIO(archive.pack(MEMBERS))) as file:
        assert file.testzip() is None
        assert file.namelist() == ["manifest.json", *sorted(MEMBERS)]
        assert {name: file.read(name) for name in MEMBERS} == MEMBERS
        assert all(each.compress_type == zipfile.ZIP_STORED for each in file.infolist())
        assert {each.date_time for each in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        manifest = json.loads(file.read("manifest.json"))
    assert {each["name"] for each in manifest["members"]} == set(MEMBERS)


def test_every_changed_byte_is_refused() -> None:
    data = archive.pack(MEMBERS)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(BundleError):
            archive.unpack(bytes(changed), "x")


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: d[:100]])
def test_a_longer_or_shorter_file_is_refused(change: object) -> None:
    with pytest.raises(BundleError, match=r"changed|no bundle"):
        archive.unpack(change(archive.pack(MEMBERS)), "x")  # type: ignore[operator]


def test_the_digest_stands_for_the_contents() -> None:
    first = archive.unpack(archive.pack(MEMBERS), "x").digest
    other = archive.unpack(archive.pack({**MEMBERS, "card.json": b"{ }"}), "x").digest
    assert len(first) == 64
    assert first != other


def test_a_foreign_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "photo.lucid"
    path.write_bytes(b"\x89PNG" + bytes(200))
    with pytest.raises(BundleError, match=r"photo\.lucid is no bundle"):
        archive.read(path)
    with pytest.raises(BundleError, match="no such bundle"):
        archive.read(tmp_path / "none.lucid")
    with pytest.raises(BundleError, match="cannot be read"):
        archive.read(tmp_path)


def test_a_newer_format_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FORMAT_VERSION", 2)
    data = archive.pack(MEMBERS)
    monkeypatch.undo()
    with pytest.raises(BundleError, match="pip install -U lucidray"):
        archive.unpack(data, "x")


def test_the_manifest_is_ours() -> None:
    with pytest.raises(BundleError, match="another name"):
        archive.pack({"manifest.json": b""})


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.lucid"
    archive.write(path, {"a": b"1"})

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        archive.write(path, {"a": b"2"})
    assert archive.read(path).members == {"a": b"1"}
    assert list(tmp_path.iterdir()) == [path]
