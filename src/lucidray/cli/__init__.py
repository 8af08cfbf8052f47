"""The command line: a thin layer that parses, calls one function of the library and prints."""

from __future__ import annotations

import sys

from lucidray.cli import data as data
from lucidray.cli import demo as demo
from lucidray.cli import explain as explain
from lucidray.cli import look_up as look_up
from lucidray.cli import paper as paper
from lucidray.cli import train as train
from lucidray.cli.app import app as app
from lucidray.cli.console import fail
from lucidray.errors import LucidRayError


def main() -> None:
    """Run the command line; a user's mistake ends in one clear message and exit code 2."""
    try:
        app()
    except LucidRayError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. What was finished is kept; --resume continues training.\n")
        sys.exit(130)
    except OSError as error:
        fail(f"{error.strerror or error}: {error.filename or 'the disk'}")
