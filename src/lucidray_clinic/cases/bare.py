"""What a child process that touches foreign files is given of our environment."""

from __future__ import annotations

import os


def bare_environment() -> dict[str, str]:
    """Return what such a child needs; no keys, no database."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR", "SYSTEMROOT")
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {name: os.environ[name] for name in kept if name in os.environ} | threads
