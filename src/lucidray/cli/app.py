"""The table of contents: every command, in the order in which one meets them."""

from __future__ import annotations

from typing import Annotated

import typer

import lucidray
from lucidray.cli.console import out

DATA, LEARN, EXPLAIN, REPRODUCE, LOOK_UP = (
    "1. Data",
    "2. Train and measure",
    "3. Explain",
    "4. Reproduce what was published",
    "Look things up",
)

app = typer.Typer(
    name="lucidray",
    help=(
        "Interpretable chest X-ray diagnosis, from training to the reading room. "
        "For research and education; not a medical device."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Interpretable chest X-ray diagnosis, from training to the reading room."""
    if version:
        out.print(lucidray.__version__)
        raise typer.Exit
