"""What DICOM costs: objects of a result, de-identification, and a node that waits for the disk.

The node takes the same objects in turn with a bare pynetdicom one that writes them without waiting
for the disk and looks at nothing; de-identification is beside pydicom reading all elements of the
same file and writing it again, which is the least it could take. Ratios are medians over rounds.

    python benchmarks/dicom.py
    python benchmarks/dicom.py --objects 200 --rounds 5 --size 2048
"""

from __future__ import annotations

import argparse
import copy
import datetime
import io
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from lucidray.datasets.phantom import PhantomConfig, make_phantom
from lucidray.datasets.phantom.dicom import to_dicom
from lucidray.dicom import Extras, Key, Result, objects_of, source_of
from lucidray.dicom.deidentify import deidentify
from lucidray.dicom.files import to_bytes
from lucidray.dicom.network import Inbox, Node, NodeSettings, Peer, send
from lucidray.dicom.network.node_settings import IMAGES, SYNTAXES
from lucidray.dicom.statement import Algorithm, StatedFinding, Statement

NOON = datetime.datetime(2026, 1, 1, 12)


def main() -> None:
    """Measure and print."""
    options = parse()
    image = to_dicom(make_phantom(1, 0, PhantomConfig(size=options.size)))
    print(f"one film of {options.size} x {options.size}, {len(to_bytes(image)) / 1e6:.1f} MB")
    objects(image, options.rounds)
    cleaning(image, options.rounds)
    storing(image, options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:,.0f} MB")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=1024)
    return parser.parse_args()


def seconds(task: Callable[[], object]) -> float:
    """Return how long a task takes."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def objects(image: Dataset, rounds: int) -> None:
    """Time each kind of object of a result with 14 findings, two of them with two boxes."""
    size = image.Rows
    boxes = ((10, 10, size // 2, size // 2), (size // 2, 5, size, size))
    findings = [StatedFinding(f"Finding {n}", n / 14, 0.5, n > 6) for n in range(12)]
    findings += [StatedFinding(name, 0.9, 0.5, True, boxes=boxes) for name in ("Mass", "Nodule")]
    result = Result(source_of(image), Statement(tuple(findings), Algorithm("m", "1")), NOON)
    mask = np.zeros((size, size), np.bool_)
    mask[50:-50, 50:-50] = True
    extras = Extras({"Mass": np.zeros((size, size, 3), np.uint8)}, {"lungs": mask})
    for kind in ("sr", "gsps", "kos", "sc", "seg"):
        times = [
            seconds(lambda kind=kind: to_bytes(*objects_of(result, [kind], extras).values()))
            for _ in range(rounds + 1)
        ][1:]
        print(f"{kind:5} {1000 * statistics.median(times):8.1f} ms")


def cleaning(image: Dataset, rounds: int) -> None:
    """Time de-identification beside reading and writing."""
    data, key = to_bytes(image), Key(b"0123456789abcdef")

    def copied() -> None:
        dataset = pydicom.dcmread(io.BytesIO(data))
        dataset.walk(lambda _, element: element.value)
        to_bytes(dataset)

    pairs = [
        (seconds(lambda: to_bytes(deidentify(data, key).dataset)), seconds(copied))
        for _ in range(rounds + 1)
    ][1:]
    ours = statistics.median(pair[0] for pair in pairs)
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    print(f"de-identify {1000 * ours:6.1f} ms a file, {ratio:.1f} times reading and writing it")


def storing(image: Dataset, options: argparse.Namespace) -> None:
    """Time storing of many objects in both nodes, in turn."""
    batch = []
    for number in range(options.objects):
        each = copy.deepcopy(image)
        each.SOPInstanceUID = each.file_meta.MediaStorageSOPInstanceUID = f"1.2.{number + 1}"
        batch.append(each)
    rates, ratios = [], []
    for _ in range(options.rounds):
        ours, bare = stored_by_ours(batch), stored_by_bare(batch)
        rates.append(len(batch) / ours)
        ratios.append(bare / ours)
    print(
        f"node {statistics.median(rates):6.1f} objects a second, "
        f"{statistics.median(ratios):.2f} times as many as a bare one that does not wait"
    )


def stored_by_ours(batch: list[Dataset]) -> float:
    """Return how long our node takes."""
    with tempfile.TemporaryDirectory() as folder:
        settings = NodeSettings(peers={"LUCIDRAY": frozenset()}, port=0)
        with Node(settings, Inbox(Path(folder)).keep) as node:
            peer = Peer("LUCIDRAY", "127.0.0.1", node.port)
            taken = seconds(lambda: send(batch, peer))
            assert node.counts["stored"] == len(batch)
    return taken


def stored_by_bare(batch: list[Dataset]) -> float:
    """Return how long pynetdicom takes to write what comes."""
    with tempfile.TemporaryDirectory() as folder:

        def write(event: evt.Event) -> int:
            name = f"{event.request.AffectedSOPInstanceUID}.dcm"
            Path(folder, name).write_bytes(event.encoded_dataset())
            return 0

        entity = AE("BARE")
        for kind in IMAGES:
            entity.add_supported_context(kind, list(SYNTAXES))
        server = entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, write)]
        )
        peer = Peer("BARE", "127.0.0.1", server.server_address[1])
        taken = seconds(lambda: send(batch, peer))
        entity.shutdown()
    return taken


if __name__ == "__main__":
    main()
