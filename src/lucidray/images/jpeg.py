"""What the headers of JPEG, JPEG-LS and JPEG 2000 streams say, read before anything is decoded.

The decoders trust these headers, some to the point of crashing; so everything that is wrong with
them is found here, in Python, and a stream that passes has the size that it is expected to have.
"""

from __future__ import annotations

from dataclasses import dataclass

from lucidray.errors import ImageError

_FRAMES = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive", 0xC3: "lossless", 0xF7: "ls"}
_OTHER_FRAMES = {0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_END = b"\xff\xd9"


@dataclass(frozen=True)
class StreamHeader:
    """The measures of one compressed frame.

    Args:
        process: ``"baseline"``, ``"extended"``, ``"progressive"``, ``"lossless"``, ``"ls"`` or
            ``"2000"``.
        height: Rows.
        width: Columns.
        components: Samples a pixel.
        precision: Bits a sample.
        signed: Whether samples are signed (JPEG 2000 only).
        lossy: Whether the process loses information; None where the header does not tell.
        levels: How many times a JPEG 2000 decoder may halve the image.
    """

    process: str
    height: int
    width: int
    components: int
    precision: int
    signed: bool = False
    lossy: bool | None = True
    levels: int = 0


def read_header(stream: bytes) -> StreamHeader:
    """Read the header of a JPEG, JPEG-LS or JPEG 2000 stream and check that the stream is whole.

    Args:
        stream: The compressed bytes of one frame.

    Raises:
        ImageError: It is no such stream, its header is damaged, or its end is missing.
    """
    if stream[:4] == b"\xff\x4f\xff\x51":
        return _jpeg2000(stream)
    if stream[:2] != b"\xff\xd8":
        raise ImageError("damaged file: the compressed pixels do not begin as a JPEG stream.")
    header = _jpeg(stream)
    if stream.rfind(_END) < 0:
        raise ImageError("truncated file: the JPEG stream ends before its end marker.")
    return header


def _jpeg(stream: bytes) -> StreamHeader:
    header: StreamHeader | None = None
    position = 2
    while position + 4 <= len(stream):
        if stream[position] != 0xFF:
            raise _damaged("a marker is missing")
        marker = stream[position + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:
            position += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(stream[position + 2 : position + 4])
        body = stream[position + 4 : position + 2 + length]
        if length < 2 or len(body) != length - 2:
            raise _truncated()
        if marker in _FRAMES:
            if header is not None:
                raise _damaged("it has two frame headers")
            header = _frame(marker, body)
        elif marker in _OTHER_FRAMES:
            raise ImageError("this JPEG process (arithmetic or hierarchical) is not supported.")
        elif marker == 0xDA:
            return _at_scan(header, body)
        else:
            _check_tables(marker, body)
        position += 2 + length
    raise _truncated()


def _frame(marker: int, body: bytes) -> StreamHeader:
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise _damaged("its frame header has the wrong length")
    process = _FRAMES[marker]
    precision, height, width = body[0], _number(body[1:3]), _number(body[3:5])
    allowed = {"baseline": (8, 8), "progressive": (8, 12), "extended": (8, 12)}
    low, high = allowed.get(process, (2, 16))
    if not (low <= precision <= high and height and width and body[5] in {1, 3, 4}):
        raise _damaged("its frame header is impossible")
    lossy = {"lossless": False, "ls": None}.get(process, True)
    return StreamHeader(process, height, width, body[5], precision, lossy=lossy)


def _at_scan(header: StreamHeader | None, body: bytes) -> StreamHeader:
    if header is None:
        raise _damaged("a scan comes before the frame header")
    count = body[0] if body else 0
    if not 1 <= count <= header.components or len(body) != 4 + 2 * count:
        raise _damaged("its scan header is impossible")
    first, last = body[-3], body[-2]
    sequential = header.process in {"baseline", "extended"}
    if sequential and (first, last) != (0, 63):
        raise _damaged("its scan header is impossible")
    if header.process == "lossless" and not 1 <= first <= 7:
        raise _damaged("its scan header names an unknown predictor")
    if header.process == "ls" and header.lossy is None:
        return StreamHeader(**{**vars(header), "lossy": first > 0})
    return header


def _check_tables(marker: int, body: bytes) -> None:
    if marker == 0xC4:
        _check_huffman(body)
    elif marker == 0xDB and not _quantization_fits(body):
        raise _damaged("a quantization table is impossible")


def _check_huffman(body: bytes) -> None:
    while body:
        counts = body[1:17]
        codes = sum(counts)
        room = 1
        for count in counts:
            room = 2 * room - count
            if room < 0:
                raise _damaged("a Huffman table is impossible")
        if len(body) < 17 + codes or codes > 256 or body[0] & 0xEC:
            raise _damaged("a Huffman table is impossible")
        body = body[17 + codes :]


def _quantization_fits(body: bytes) -> bool:
    while body:
        size = 65 if body[0] < 16 else 129
        if body[0] & 0x0F > 3 or body[0] >> 4 > 1 or len(body) < size:
            return False
        body = body[size:]
    return True


def _jpeg2000(stream: bytes) -> StreamHeader:
    if stream[-3:].rstrip(b"\x00")[-2:] != _END and _END not in stream[-16:]:
        raise ImageError("truncated file: the JPEG 2000 stream ends before its end marker.")
    size = stream[4:]
    if len(size) < 39 + 3:
        raise _truncated()
    x_size, y_size, x_offset, y_offset = (_number(size[4 + 4 * i : 8 + 4 * i]) for i in range(4))
    components, depth = _number(size[36:38]), size[38]
    if x_size <= x_offset or y_size <= y_offset or not 1 <= components <= 4:
        raise _damaged("its size marker is impossible")
    levels, reversible = _coding_style(stream, 4 + _number(size[:2]))
    return StreamHeader(
        process="2000",
        height=y_size - y_offset,
        width=x_size - x_offset,
        components=components,
        precision=(depth & 0x7F) + 1,
        signed=depth >= 128,
        lossy=None if reversible else True,
        levels=levels if (x_offset, y_offset) == (0, 0) else 0,
    )


def _coding_style(stream: bytes, position: int) -> tuple[int, bool]:
    while position + 4 <= len(stream) and stream[position] == 0xFF:
        marker, length = stream[position + 1], _number(stream[position + 2 : position + 4])
        if marker == 0x52:
            body = stream[position + 4 : position + 2 + length]
            if len(body) < 10 or body[5] > 32:
                break
            return body[5], body[9] == 1
        if marker == 0x90 or length < 2:
            break
        position += 2 + length
    raise _damaged("it has no coding style")


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _damaged(what: str) -> ImageError:
    return ImageError(f"damaged file: its JPEG stream cannot be read; {what}.")


def _truncated() -> ImageError:
    return ImageError("truncated file: its JPEG stream ends inside the header.")
