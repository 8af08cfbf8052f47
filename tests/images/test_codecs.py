"""Headers of compressed streams, and what is refused before a decoder sees it."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lucidray.errors import ImageError
from lucidray.images.codecs import decode_frame
from lucidray.images.jpeg import read_header, without_remarks

JPEG = "1.2.840.10008.1.2.4."
FILM = (np.add.outer(np.arange(64), np.arange(48)) * 30 + 100).astype(np.uint16)


def streams() -> dict[str, bytes]:
    """One stream of every process."""
    eight = (FILM >> 4).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(eight).save(buffer, "JPEG", progressive=True)
    return {
        "baseline": imagecodecs.jpeg8_encode(eight, level=95),
        "extended": imagecodecs.jpeg8_encode(FILM, level=95, bitspersample=12),
        "lossless": imagecodecs.ljpeg_encode(FILM, bitspersample=12),
        "ls": imagecodecs.jpegls_encode(FILM),
        "2000": imagecodecs.jpeg2k_encode(FILM, level=None, reversible=True, codecformat="j2k"),
        "progressive": buffer.getvalue(),
    }


STREAMS = streams()
SYNTAXES = {"baseline": "50", "extended": "51", "lossless": "70", "ls": "80", "2000": "90"}


@pytest.mark.parametrize("process", sorted(STREAMS))
def test_headers_say_what_was_written(process: str) -> None:
    header = read_header(STREAMS[process])
    assert (header.process, header.height, header.width) == (process, 64, 48)
    assert header.components == 1
    assert header.precision >= (8 if process in {"baseline", "progressive"} else 12)
    assert bool(header.lossy) == (process in {"baseline", "extended", "progressive"})


def test_irreversible_jpeg_2000_and_near_lossless_jpeg_ls_are_lossy() -> None:
    wavelet = imagecodecs.jpeg2k_encode(FILM, level=30, reversible=False, codecformat="j2k")
    assert read_header(wavelet).lossy
    assert read_header(imagecodecs.jpegls_encode(FILM, level=3)).lossy


@pytest.mark.parametrize("process", sorted(STREAMS))
def test_truncated_streams_are_refused(process: str) -> None:
    stream = STREAMS[process]
    for length in (2, 3, 10, 25, 50, len(stream) // 2, len(stream) - 20):
        with pytest.raises(ImageError, match=r"truncated|damaged"):
            read_header(stream[:length])


def test_impossible_headers_are_refused() -> None:
    stream = bytearray(STREAMS["baseline"])
    frame = stream.find(b"\xff\xc0")
    for place, value in ((4, 13), (5, 0), (9, 7)):
        broken = bytearray(stream)
        broken[frame + place] = value
        if place == 5:
            broken[frame + 5 : frame + 7] = b"\0\0"
        with pytest.raises(ImageError):
            read_header(bytes(broken))
    table = stream.find(b"\xff\xc4")
    stream[table + 5 : table + 21] = b"\xff" * 16
    with pytest.raises(ImageError, match="Huffman"):
        read_header(bytes(stream))
    with pytest.raises(ImageError, match="begin"):
        read_header(b"no jpeg at all")


def test_remarks_are_left_out_and_the_picture_stays() -> None:
    eight = (FILM >> 4).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(eight).save(buffer, "JPEG", comment=b"hello", dpi=(72, 72))
    lean = without_remarks(buffer.getvalue())
    assert b"hello" not in lean
    assert b"JFIF" not in lean
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(lean))), np.asarray(Image.open(buffer))
    )


@pytest.mark.parametrize(("process", "number"), sorted(SYNTAXES.items()))
def test_decoded_frames(process: str, number: str) -> None:
    frame = decode_frame(STREAMS[process], JPEG + number, (64, 48), None)
    wanted = FILM >> 4 if process == "baseline" else FILM
    off = np.abs(frame.pattern.astype(int) - wanted).max()
    assert off <= (3 if process in {"baseline", "extended"} else 0)


@pytest.mark.parametrize(("process", "number"), sorted(SYNTAXES.items()))
def test_streams_of_another_process_or_size_are_refused(process: str, number: str) -> None:
    for other, stream in STREAMS.items():
        if {other, process} <= {"baseline", "extended"} or other == process:
            continue
        with pytest.raises(ImageError, match="not compressed as"):
            decode_frame(stream, JPEG + number, (64, 48), None)
    with pytest.raises(ImageError, match="promises"):
        decode_frame(STREAMS[process], JPEG + number, (48, 64), None)


@settings(max_examples=50, deadline=None)
@given(process=st.sampled_from(sorted(SYNTAXES)), seed=st.integers(0, 10**6))
def test_damaged_frames_are_decoded_or_refused(process: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    stream = bytearray(STREAMS[process])
    for place in rng.integers(2, len(stream), 4):
        stream[place] = rng.integers(256)
    try:
        frame = decode_frame(bytes(stream), JPEG + SYNTAXES[process], (64, 48), None)
    except ImageError:
        return
    assert frame.pattern.shape == (64, 48)
