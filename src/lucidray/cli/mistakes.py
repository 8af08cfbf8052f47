"""What a user sees when something goes wrong: one message, no traceback, an exit code."""

from __future__ import annotations

import errno
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import typer

from lucidray.cli.console import print_error
from lucidray.errors import LucidRayError

#: What Typer raises for a wrong option or argument; it gives the class no public name.
_Usage: Any = typer.BadParameter.__bases__[0]

MISTAKE, STOPPED = 2, 130

_DISK = {
    errno.ENOENT: "missing. Restore it from a copy, or run again what makes it",
    errno.ENOSPC: "the disk is full. Free some room, then run the same command again",
    errno.EDQUOT: "the disk quota is used up. Free some room, then run the same command again",
    errno.EACCES: "no permission. Name another place, or change its permissions",
    errno.EPERM: "no permission. Name another place, or change its permissions",
    errno.EROFS: "this disk is read-only. Name another place",
    errno.ENAMETOOLONG: "this name is too long. Choose a shorter one",
}


def run(app: typer.Typer, argv: Sequence[str]) -> int:
    """Run a command and return the exit code.

    Args:
        app: The commands.
        argv: Arguments after the program's name.
    """
    try:
        code = app(args=list(argv), prog_name="lucidray", standalone_mode=False)
    except LucidRayError as error:
        return _mistake(str(error))
    except _Usage as error:
        return _usage(error)
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads any more; keep the interpreter from saying so
        return 1
    except OSError as error:
        return _mistake(_of_disk(error))
    except MemoryError:
        return _mistake("not enough memory. Ask for fewer or smaller images, or a smaller batch.")
    except KeyboardInterrupt:
        code = STOPPED
    if code == STOPPED:
        sys.stderr.write(f"\nStopped. {_going_on(argv)}\n")
    return code if isinstance(code, int) else 0


def _mistake(message: str) -> int:
    print_error(message)
    return MISTAKE


def _usage(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":  # the help has been printed by then
        return MISTAKE
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "lucidray"
    told = " ".join(error.format_message().split()).replace("Value error, ", "")
    told = told[:1].lower() + told[1:].replace(": Input", ": input")
    end = "" if told.endswith((".", "?")) else "."
    return _mistake(f"{told}{end} See: {command} --help")


def _of_disk(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{_DISK.get(error.errno or 0, error.strerror or str(error))}."


def _going_on(argv: Sequence[str]) -> str:
    """Say how to go on with a command that was stopped."""
    if argv[:1] == ["train"]:
        again = [*argv, *([] if "--resume" in argv else ["--resume"])]
        return f"Go on where it stopped with: {shlex.join(['lucidray', *again])}"
    kept = argv[:1] == ["read"] and any(word.split("=")[0] == "--out" for word in argv)
    if kept or argv[:1] == ["demo"] or list(argv[:2]) in (["data", "phantom"], ["paper", "run"]):
        return "The same command goes on where it stopped."
    return "Nothing half-written is left; the same command starts again."
