"""What reading costs: a file on disk to a 224 x 224 float32 tensor, beside TorchXRayVision.

For each kind of file: ``lucidray.images.load_tensor`` against TorchXRayVision's own way
(``load_image`` or ``read_xray_dcm``, then ``XRayResizer``), both giving one channel in
[-1024, 1024]. Both run on every file of every round, in shuffled order, in one process, after a
warm-up; a ratio is the median over rounds of the ratio of times summed over the files of a round.
The last line compares an epoch of the pixel cache (batches of 32, normalized) with an epoch of
the peer on the PNGs.

Images are generated (a chest-like picture of 1024 x 1024 with detector noise) unless ``--data``
names a folder of real ones (``nih_chestxray14_subset`` and ``dicom`` in it are used).

    python benchmarks/ingest.py
    python benchmarks/ingest.py --data DIR --rounds 9
"""

from __future__ import annotations

import argparse
import io
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torchxrayvision as xrv
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from scipy import ndimage

from lucidray.images import Preprocessing, build_cache, load_tensor, normalize

CONFIG = Preprocessing(size=224, normalization="xrv", channels=1)
RESIZER = xrv.datasets.XRayResizer(224)
GOALS = {"PNG": 3.0, "JPEG": 8.0, "JPEG DICOM": 8.0, "JPEG 2000 DICOM": 3.0, "cached epoch": 300.0}

Reader = Callable[[Path], Any]


def main() -> int:
    """Measure, print, and say whether the goals are met."""
    options = parse()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        files = (
            real_files(Path(folder), options) if options.data else made_files(Path(folder), options)
        )
        print(f"{options.rounds} rounds, clock: {options.clock}, one thread; medians of ms a file")
        print(
            f"{'':18}{'files':>6}{'ours':>9}{'exact':>9}{'peer':>9}{'ratio':>8}{'goal':>6}{'off':>9}"
        )
        met = True
        for kind, paths in files.items():
            met &= row(kind, paths, options)
        met &= cached_row(files["PNG"], Path(folder), options)
    print("off: mean deviation from exact reading, in 255 levels; exact: every pixel decoded")
    print(f"goals {'met' if met else 'MISSED'}")
    return 0 if met else 1


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of real images")
    parser.add_argument("--files", type=int, default=4, help="of each kind")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    return parser.parse_args()


def row(kind: str, paths: Sequence[Path], options: argparse.Namespace) -> bool:
    """Measure one kind of file."""
    readers: dict[str, Reader] = {"ours": ours, "exact": exact, "peer": peer}
    times = measure(readers, paths, options)
    ratio = statistics.median(a / b for a, b in zip(times["peer"], times["ours"], strict=True))
    off = np.mean([np.abs(ours(path) - exact(path)).mean() for path in paths]) * 255 / 2048
    spent = "".join(f"{1e3 * statistics.median(times[name]):9.2f}" for name in readers)
    print(f"{kind:18}{len(paths):6}{spent}{ratio:7.1f}x{GOALS[kind]:5.0f}x{off:9.3f}", flush=True)
    return ratio >= GOALS[kind]


def cached_row(paths: Sequence[Path], folder: Path, options: argparse.Namespace) -> bool:
    """Measure an epoch of the cache against an epoch of the peer."""
    many = [path for path in paths for _ in range(-(-128 // len(paths)))]
    cache = build_cache(many, CONFIG, folder / "cache")
    order = np.random.default_rng(0).permutation(len(many))

    def epoch(_: Path) -> None:
        for start in range(0, len(order), 32):
            normalize(cache[order[start : start + 32]] * np.float32(1 / 255), CONFIG)

    epoch(paths[0])
    kept = measure({"cache": epoch}, [paths[0]] * 4, options)["cache"]
    peers = measure({"peer": peer}, paths, options)["peer"]
    each = statistics.median(kept) / len(many)
    ratio, goal = statistics.median(peers) / each, GOALS["cached epoch"]
    peer_ms = 1e3 * statistics.median(peers)
    print(f"{'cached epoch':18}{len(many):6}{1e3 * each:9.4f}{'':9}{peer_ms:9.2f}", end="")
    print(f"{ratio:7.0f}x{goal:5.0f}x")
    return ratio >= goal


def measure(
    readers: dict[str, Reader], paths: Sequence[Path], options: argparse.Namespace
) -> dict[str, list[float]]:
    """Return, for each reader, the mean seconds a file of every round."""
    clock = time.perf_counter if options.clock == "wall" else time.process_time
    times: dict[str, list[float]] = {name: [] for name in readers}
    for number in range(options.rounds + 1):
        spent = dict.fromkeys(readers, 0.0)
        for path in paths:
            for name in random.sample(list(readers), len(readers)):
                start = clock()
                readers[name](path)
                spent[name] += clock() - start
        for name in readers if number else ():
            times[name].append(spent[name] / len(paths))
    return times


def ours(path: Path) -> np.ndarray:
    """Read as LucidRay does by default."""
    return load_tensor(path, CONFIG)


def exact(path: Path) -> np.ndarray:
    """Read as LucidRay does when every pixel is decoded."""
    return load_tensor(path, CONFIG, exact=True)


def peer(path: Path) -> np.ndarray:
    """Read as TorchXRayVision's documentation does."""
    if path.suffix == ".dcm":
        return RESIZER(xrv.utils.read_xray_dcm(path)[None])
    return RESIZER(xrv.utils.load_image(str(path)))


def made_files(folder: Path, options: argparse.Namespace) -> dict[str, list[Path]]:
    """Write generated images as files of every kind."""
    pictures = [chest(seed) for seed in range(options.files)]
    return {
        "PNG": [save(folder / f"{i}.png", p >> 4) for i, p in enumerate(pictures)],
        "JPEG": [save(folder / f"{i}.jpg", p >> 4, quality=92) for i, p in enumerate(pictures)],
        "JPEG DICOM": [jpeg_dicom(folder / f"{i}_jpeg.dcm", p) for i, p in enumerate(pictures)],
        "JPEG 2000 DICOM": [j2k_dicom(folder / f"{i}_j2k.dcm", p) for i, p in enumerate(pictures)],
    }


def real_files(folder: Path, options: argparse.Namespace) -> dict[str, list[Path]]:
    """Take real images; the PNGs are the JPEGs' pixels."""
    jpegs = sorted((options.data / "nih_chestxray14_subset" / "images").iterdir())[: options.files]
    pictures = [np.asarray(Image.open(path).convert("L")) for path in jpegs]
    dicoms = options.data / "dicom"
    return {
        "PNG": [save(folder / f"{i}.png", p) for i, p in enumerate(pictures)],
        "JPEG": jpegs,
        "JPEG DICOM": sorted(dicoms.glob("chest*.dcm")),
        "JPEG 2000 DICOM": sorted(dicoms.glob("*jpeg2000.dcm")),
    }


def chest(seed: int) -> np.ndarray:
    """Make a chest-like picture: uint16 (1024, 1024), 12 bits."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:1024, 0:1024] / 1024 - 0.5
    body = np.exp(-((x / 0.47) ** 8)) * (0.75 + 0.2 * np.exp(-((x / 0.07) ** 2)))
    lungs = sum(np.exp(-(((x - s) / 0.15) ** 4) - ((y / 0.36) ** 4)) for s in (-0.22, 0.22))
    ribs = 0.06 * lungs * np.sin(70 * y + 25 * np.abs(x) + seed)
    vessels = 0.3 * lungs * ndimage.gaussian_filter(rng.standard_normal((1024, 1024)), 5)
    noise = ndimage.gaussian_filter(rng.standard_normal((1024, 1024)), 0.7) * 0.008
    signal = 0.03 + body - 0.5 * lungs + ribs + vessels + noise
    signal[40:90, 60:110] = 1.0
    return np.rint(np.clip(signal, 0, 1) * 4095).astype(np.uint16)


def save(path: Path, picture: np.ndarray, **options: Any) -> Path:
    """Write an 8-bit picture."""
    Image.fromarray(picture.astype(np.uint8)).save(path, **options)
    return path


def jpeg_dicom(path: Path, picture: np.ndarray) -> Path:
    """Write a DICOM file of JPEG baseline pixels."""
    buffer = io.BytesIO()
    Image.fromarray((picture >> 4).astype(np.uint8)).save(buffer, "JPEG", quality=92)
    return dicom(path, buffer.getvalue(), "1.2.840.10008.1.2.4.50", allocated=8, bits=8)


def j2k_dicom(path: Path, picture: np.ndarray) -> Path:
    """Write a DICOM file of lossless JPEG 2000 pixels with a window."""
    buffer = io.BytesIO()
    Image.fromarray(picture << 4).save(buffer, "JPEG2000", no_jp2=True)
    more = {"WindowCenter": 32768, "WindowWidth": 65536}
    return dicom(path, buffer.getvalue(), "1.2.840.10008.1.2.4.90", allocated=16, bits=16, **more)


def dicom(
    path: Path, stream: bytes, syntax: str, *, allocated: int, bits: int, **more: Any
) -> Path:
    """Write a compressed frame as a CR image."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    dataset.Modality, dataset.Rows, dataset.Columns = "CR", 1024, 1024
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = allocated, bits, bits - 1
    dataset.PixelRepresentation = 0
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)
    return path


if __name__ == "__main__":
    sys.exit(main())
