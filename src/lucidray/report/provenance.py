"""What a page must carry so that somebody else can make it again: versions, machine, commands."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path

from lucidray.report.document import Block, Listing, Table

#: Packages that results depend on.
PACKAGES = (
    "lucidray",
    "numpy",
    "scipy",
    "pandas",
    "pillow",
    "pydicom",
    "matplotlib",
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "safetensors",
    "onnxruntime",
)


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Return the version of Python and of each installed package.

    Args:
        packages: Distribution names; those that are not installed are left out.

    >>> sorted(versions(("numpy", "no-such-package")))
    ['numpy', 'python']
    """
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """Return what the machine is, without its name or its user's."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor() or platform.machine(),
        "cores": str(os.cpu_count() or "unknown"),
    }


def command_line() -> str:
    """Return the command that runs now, as one would type it.

    The program is shown without its folder; arguments are shown as they were given.
    """
    program = Path(sys.argv[0]).name or "python"
    return shlex.join([program, *sys.argv[1:]])


def provenance_blocks(commands: tuple[str, ...], installed: dict[str, str]) -> tuple[Block, ...]:
    """Return what a page shows under "commands and versions".

    Args:
        commands: Command lines, one a step.
        installed: From `versions`.
    """
    rows = tuple(sorted({**installed, **machine()}.items()))
    return (
        Listing("\n".join(commands), "Commands"),
        Table(("What", "Version"), rows, "Software and machine", numeric=()),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
