"""What 112,120 and 1,000,000 films would take: rates measured on one core, and a plan from them.

Measured on some films, in one process with one thread: `lucidray data check`, the pixel cache,
`lucidray read` with maps and pictures, a trust report, and steps of full fine-tuning. The network
is a DenseNet121 with 14 findings and random weights (weights change no rate). Times are processor
seconds, so that others who use the machine disturb little; memory is the peak of a fresh process
that reads. The plan multiplies: nothing of it was run. What storage must deliver stands beside.

    python benchmarks/scale.py                           # 48 generated films of 1024 pixels
    python benchmarks/scale.py --data DIR --films 200    # films of ChestX-ray14's layout
    python benchmarks/scale.py --price 0.06              # dollars that a core-hour costs
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from lucidray.bundle import Bundle, load_bundle
from lucidray.bundle.card import Card
from lucidray.cli.film_pictures import Desk
from lucidray.cli.reading import Work, keep, read_film, tasks
from lucidray.cli.results import open_results
from lucidray.datasets import ImageTable, load_dataset
from lucidray.datasets.audit import audit
from lucidray.datasets.phantom import PhantomConfig, write_phantoms
from lucidray.export.from_run import finding_codes
from lucidray.export.write import export_bundle
from lucidray.findings import CHESTXRAY14
from lucidray.images import build_cache
from lucidray.images.preprocessing import Preprocessing
from lucidray.models import Classifier, build_model
from lucidray.models.spec import ModelSpec
from lucidray.training import keep_memory, this_machine
from lucidray.trust import BundleSubject, Effort, measure_trust

SIZE, BATCH = 224, 16
ARCHIVES, CORES = (112_120, 1_000_000), (1, 16, 256)
#: A trust report looks at so many films of each finding, however large the archive.
TRUST_FILMS = 200 * len(CHESTXRAY14)


@dataclass(frozen=True)
class Rate:
    """What one piece of work costs.

    Args:
        name: What is done.
        seconds: Processor seconds a film.
        reads: Bytes of the film that are read.
        writes: Bytes that are written for it.
    """

    name: str
    seconds: float
    reads: float
    writes: float


def main() -> None:
    """Measure, then print rates and plan."""
    options = parse()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="lucidray-scale-") as name:
        folder = Path(name)
        table = films(options, folder)
        size = sum(path.stat().st_size for path in table.paths()) / len(table)
        model = build_model(ModelSpec("densenet121", weights="none"), CHESTXRAY14, image_size=SIZE)
        bundle = write_bundle(model, folder)
        shown = most_shown(table, options.trust)
        rates = [
            measured("data check", lambda: checked(table), len(table), size, folder),
            measured("pixel cache", lambda: cached(table, folder), len(table), size, folder),
            measured(
                "read with maps", lambda: read(table, bundle, folder), len(table), size, folder
            ),
            measured("trust, a film", lambda: trusted(shown, bundle), len(shown), size, folder),
            measured("train, a film and epoch", lambda: stepped(model), 3 * BATCH, SIZE**2, folder),
        ]
        serial = appended(folder)
        memory = peak(
            "read", *table.paths()[:8], "--bundle", folder / "scale.lucid", "--threads", 1
        )
    report(rates, serial, memory, size, options)
    if options.json is not None:
        told = {
            "rates": [asdict(rate) for rate in rates],
            "append_seconds": serial,
            "memory": memory,
        }
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="a data set; else films are generated")
    parser.add_argument("--films", type=int, default=48)
    parser.add_argument("--trust", type=int, default=16, help="films of the trust report")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of the training planned")
    parser.add_argument("--price", type=float, default=0.05, help="of a core-hour, in dollars")
    parser.add_argument("--json", type=Path, help="also write rates to this file")
    return parser.parse_args()


def films(options: argparse.Namespace, folder: Path) -> ImageTable:
    """Return the films to measure on."""
    place = options.data
    if place is None:
        config = PhantomConfig(size=1024)
        place = write_phantoms(folder / "films", options.films, config, workers=os.cpu_count() or 1)
    table = load_dataset(place).present()
    return table.where(np.arange(len(table)) < options.films)


def write_bundle(model: Classifier, folder: Path) -> Bundle:
    """Write the network as a bundle that judges whatever it is given, and open it."""
    names, config = finding_codes(CHESTXRAY14), Preprocessing(SIZE)
    card = Card("scale", "Random weights.", names, False, config, "densenet121")
    return load_bundle(export_bundle([model], card, folder / "scale.lucid"), threads=1)


def measured(name: str, work: Callable[[], object], count: int, size: float, folder: Path) -> Rate:
    """Do some work on films, and say what one cost."""
    before, began = stored(folder), time.process_time()
    work()
    seconds = (time.process_time() - began) / count
    written = (stored(folder) - before) / count
    print(f"{name}: {1 / seconds:.1f} films a second and core", flush=True)
    return Rate(name, seconds, size, written)


def stored(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def checked(table: ImageTable) -> None:
    """Audit the films."""
    audit(table, workers=1)


def cached(table: ImageTable, folder: Path) -> None:
    """Decode the films to the pixel cache."""
    build_cache(table.paths(), Preprocessing(SIZE), folder / "cache", workers=1)


def read(table: ImageTable, bundle: Bundle, folder: Path) -> None:
    """Read the films as ``lucidray read --out`` does."""
    out = folder / "readings"
    with open_results(out, {"bundle": bundle.name}) as results:
        work = Work(bundle, Desk(out, True, 320))
        for task in tasks(table.paths(), results):
            keep(read_film(work, task), results)


def most_shown(table: ImageTable, count: int) -> ImageTable:
    """Return films that show the finding which most films show."""
    labels = table.labels(CHESTXRAY14) == 1
    kept = np.flatnonzero(labels[:, labels.sum(0).argmax()])[:count]
    return table.where(np.isin(np.arange(len(table)), kept))


def trusted(table: ImageTable, bundle: Bundle) -> None:
    """Measure a trust report of the finding that all of these films show."""
    finding = CHESTXRAY14[int((table.labels(CHESTXRAY14) == 1).sum(0).argmax())]
    share = len(table) / Effort().images
    effort = Effort(
        images=len(table),
        removal_images=max(round(share * Effort().removal_images), 1),
        road_images=max(round(share * Effort().road_images), 1),
        noise_images=max(round(share * Effort().noise_images), 1),
        moved_images=max(round(share * Effort().moved_images), 1),
    )
    measure_trust(BundleSubject(bundle), table, findings=[finding], effort=effort)


def stepped(model: Classifier) -> None:
    """Take three steps of full fine-tuning, after one that counts as well."""
    keep_memory()
    machine = this_machine()
    model = model.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(3):
        images = torch.rand(BATCH, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
        with machine.autocast():
            loss = model(images).float().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def appended(folder: Path) -> float:
    """Return the seconds that the one process which keeps all lines spends on one."""
    out = folder / "readings"
    with open_results(out, {"bundle": "scale"}) as results:
        lines = list(results.lines())
        began = time.process_time()
        for number in range(2000):
            line = lines[number % len(lines)]
            results.add({**line, "absolute_path": f"{line['absolute_path']}/{number}"})
        return (time.process_time() - began) / 2000


def peak(*argv: object) -> float:
    """Return the most memory that a command takes in a process of its own, in bytes."""
    status = "/proc/self/status"  # rusage would count the process that starts it
    run = (
        "import sys; from lucidray.cli import main\n"
        "try: main(sys.argv[1:])\n"
        f"finally: sys.stderr.write(open('{status}').read())"
    )
    said = subprocess.run(
        [sys.executable, "-c", run, *map(str, argv)], check=True, capture_output=True, text=True
    )
    line = next(line for line in said.stderr.splitlines() if line.startswith("VmHWM"))
    return 1024.0 * int(line.split()[1])


def report(
    rates: list[Rate], serial: float, memory: float, size: float, options: argparse.Namespace
) -> None:
    """Print rates and plan as Markdown."""
    print(f"\nA film has {size / 1e6:.2f} MB.\n")
    print("| work | films a second and core | written a film, KB |")
    print("|---|---|---|")
    for rate in rates:
        print(f"| {rate.name} | {1 / rate.seconds:.1f} | {rate.writes / 1e3:.0f} |")
    print(f"\nA process that reads takes {memory / 1e6:.0f} MB.")
    for archive in ARCHIVES:
        plan(archive, rates, size, options)
    reading = next(rate for rate in rates if rate.name == "read with maps")
    print(
        f"\nOne process keeps all lines, each in {1e6 * serial:.0f} microseconds, or "
        f"{1 / serial:,.0f} films a second: what {reading.seconds / serial:,.0f} cores read."
    )


def plan(archive: int, rates: list[Rate], size: float, options: argparse.Namespace) -> None:
    """Print what an archive takes."""
    heads = "".join(f" hours on {cores} |" for cores in CORES)
    print(f"\n{archive:,} films ({archive * size / 1e9:,.0f} GB)\n")
    print(f"| work | films |{heads} dollars | written, GB | read by {CORES[-1]} cores, MB/s |")
    print("|---|---|" + "---|" * (len(CORES) + 3))
    for rate in rates:
        count = films_of(rate, archive, options)
        hours = count * rate.seconds / 3600
        spread = "".join(f" {in_words(hours / cores)} |" for cores in CORES)
        flow = CORES[-1] * rate.reads / rate.seconds / 1e6
        written = archive * rate.writes / 1e9 if rate.writes else 0.0
        print(
            f"| {rate.name} | {count:,} |{spread} {hours * options.price:,.2f} | {written:,.1f} "
            f"| {flow:,.0f} |"
        )


def in_words(hours: float) -> str:
    """Return hours with two digits that say something."""
    return f"{hours:,.2f}" if hours >= 0.1 else f"{hours:.2g}"


def films_of(rate: Rate, archive: int, options: argparse.Namespace) -> int:
    """Return how many films are gone through."""
    if rate.name.startswith("trust"):
        return min(TRUST_FILMS, archive)
    return archive * options.epochs if rate.name.startswith("train") else archive


if __name__ == "__main__":
    main()
