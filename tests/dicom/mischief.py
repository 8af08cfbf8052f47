"""Callers and files that are not as they should be: for tests and benchmarks of the node."""

from __future__ import annotations

import random
import socket
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE

from lucidray.dicom.files import to_bytes
from lucidray.dicom.network.send import keep_answers

IMAGE_CLASS = "1.2.840.10008.5.1.4.1.1.1.1"


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat or drop some bytes; mostly in the header."""
    left = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        place = rng.randrange(min(len(left), 2500))
        match rng.randrange(5):
            case 0:
                left[place] = rng.randrange(256)
            case 1:
                left[place : place + 4] = rng.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
            case 2:
                del left[place : place + rng.randint(1, 40)]
            case 3:
                left[place:place] = left[place : place + rng.randint(1, 40)]
            case 4:
                left = left[: rng.randrange(1, len(left))]
        if len(left) < 10:
            break
    return bytes(left)


def dataset_bytes(image: Dataset) -> bytes:
    """Return a data set without preamble and file meta information."""
    data = to_bytes(image)
    length = int.from_bytes(data[140:144], "little")
    return data[144 + length :]


def raw_store(port: int, bodies: list[bytes], instance: str = "1.2.3") -> list[int | None]:
    """Send bytes as they are, in the name of an image; return the answers."""
    entity = AE("LUCIDRAY")
    entity.add_requested_context(IMAGE_CLASS, ExplicitVRLittleEndian)
    answers: list[int | None] = []
    association = None
    for body in bodies:
        if association is None or not association.is_established:
            association = entity.associate("127.0.0.1", port, ae_title="LUCIDRAY")
            keep_answers(association)
        request = C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID = IMAGE_CLASS
        request.AffectedSOPInstanceUID = instance
        request.DataSet = BytesIO(body)
        context = association.accepted_contexts[0].context_id
        association._reactor_checkpoint.clear()
        association.dimse.send_msg(request, context)
        _, answer = association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
        answers.append(getattr(answer, "Status", None))
    if association is not None:
        association.release()
    return answers


def recorded(port: int, image: Dataset) -> bytes:
    """Return all that a sender says in one association."""
    said = bytearray()
    entity = AE("LUCIDRAY")
    entity.add_requested_context(image.SOPClassUID, ExplicitVRLittleEndian)
    association = entity.associate(
        "127.0.0.1",
        port,
        ae_title="LUCIDRAY",
        evt_handlers=[(evt.EVT_DATA_SENT, lambda event: said.extend(event.data))],
    )
    association.send_c_store(image)
    association.release()
    return bytes(said)


def talk(line: socket.socket, script: bytes, rng: random.Random) -> None:
    """Say all of it in pieces, hearing what is answered, until the other side hangs up."""
    place = 0
    try:
        while place < len(script):
            step = rng.choice([1, 7, 500, 20_000])
            line.sendall(script[place : place + step])
            place += step
        while line.recv(4096):
            pass
    except OSError:
        return
