"""Headers of compressed streams, and what is refused before a decoder sees it."""

from __future__ import annotations

import io
from importlib.util import find_spec

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder, pixel_array

from lucidray.errors import ImageError
from lucidray.images import codecs
from lucidray.images.codecs import decode_frame
from lucidray.images.jpeg import StreamHeader, read_header

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


@pytest.mark.parametrize("bits", range(2, 17))
@pytest.mark.parametrize("predictor", range(1, 8))
def test_lossless_jpeg_of_every_precision_and_predictor(bits: int, predictor: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (13, 17))
    stored = values.astype(np.uint8 if bits <= 8 else np.uint16)
    stream = imagecodecs.jpeg8_encode(
        stored, lossless=True, predictor=predictor, bitspersample=bits
    )
    frame = decode_frame(stream, f"{JPEG}57", (13, 17), None)
    np.testing.assert_array_equal(frame.pattern, stored)
    assert (frame.bits, frame.lossy) == (bits, False)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", ["57", "70", "80", "81"])
def test_the_same_values_as_by_gdcm(bits: int, syntax: str) -> None:
    pytest.importorskip("gdcm")
    y, x = np.mgrid[0:40, 0:51] / 50
    film = (np.sin(9 * x + 3 * y) + np.random.default_rng(bits).random(x.shape)) / 4 + 0.3
    stored = np.rint(film * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    predictor, loss = {"57": (6, 0), "70": (1, 0), "80": (0, 0), "81": (0, 2)}[syntax]
    stream = (
        imagecodecs.jpeg8_encode(stored, lossless=True, predictor=predictor, bitspersample=bits)
        if predictor
        else imagecodecs.jpegls_encode(stored, level=loss)
    )
    frame = decode_frame(stream, JPEG + syntax, (40, 51), None)
    theirs, _ = get_decoder(JPEG + syntax).as_array(
        encapsulate([stream]),
        rows=40,
        columns=51,
        number_of_frames=1,
        samples_per_pixel=1,
        bits_allocated=8 * stored.dtype.itemsize,
        bits_stored=bits,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
        pixel_keyword="PixelData",
        decoding_plugin="gdcm",
    )
    np.testing.assert_array_equal(frame.pattern, theirs)


@pytest.mark.parametrize(
    ("name", "plugin", "tolerance"),
    [
        ("JPGExtended.dcm", "pylibjpeg", 1),  # another inverse transform
        ("JPEGLSNearLossless_08.dcm", "gdcm", 0),
        ("JPEGLSNearLossless_16.dcm", "pylibjpeg", 0),
        ("MR_small_jpeg_ls_lossless.dcm", "gdcm", 0),
        ("MR_small_jp2klossless.dcm", "pylibjpeg", 0),
        ("JPEG2000.dcm", "gdcm", 0),
        ("693_J2KI.dcm", "gdcm", 0),
    ],
)
def test_files_of_others_are_decoded_as_by_others(name: str, plugin: str, tolerance: int) -> None:
    path = get_testdata_file(name, download=False)
    if path is None or find_spec(plugin.removeprefix("py")) is None:
        pytest.skip(f"{name} or {plugin} is not installed")
    dataset = pydicom.dcmread(path)
    theirs = pixel_array(dataset, raw=True, decoding_plugin=plugin)
    stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    frame = decode_frame(stream, dataset.file_meta.TransferSyntaxUID, theirs.shape, None)
    ours = frame.pattern.astype(np.int64)
    if theirs.dtype.kind == "i":
        ours -= (ours >> (frame.bits - 1)) << frame.bits
    assert np.abs(ours - theirs).max() <= tolerance


def test_the_decoder_writes_only_where_the_header_made_room() -> None:
    """A second size inside the stream, hidden from the header's reader, is refused."""
    stream = imagecodecs.jpegls_encode(FILM)
    place = stream.find(b"\xff\xf7")
    larger = stream[place : place + 5] + (6400).to_bytes(2) + stream[place + 7 :]
    with pytest.raises(ImageError, match="promises"):
        decode_frame(stream[:place] + larger, f"{JPEG}80", (64, 48), None)
    hidden = imagecodecs.jpegls_encode(np.zeros((640, 48), np.uint16))
    header = StreamHeader("ls", 64, 48, 1, 16)
    with pytest.raises(ImageError, match="cannot be decoded"):
        codecs._whole(hidden, header)


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
