"""``lucidray demo``: the shipped models read films at once, without torch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from lucidray.cli.app import START, app
from lucidray.cli.console import say, shown
from lucidray.cli.film_stream import FilmStream
from lucidray.cli.places import folder_to_write

#: What a reading with a folder leaves for a browser.
PAGE = "index.html"

#: Generated films that come with LucidRay.
EXAMPLES = Path(__file__).parents[1] / "examples"

#: The models that read them, and what each is asked.
MODELS = {
    "pediatric-pneumonia": "Is there pneumonia, on the film of a child?",
    "adult-opacity": "Is there a lung opacity, on the film of an adult?",
    "lung-fields": "Where are the lungs?",
}


@app.command(rich_help_panel=START)
def demo(
    films: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILM]...", help="Your own films; generated ones if left out."),
    ] = None,
    folder: Annotated[Path, typer.Option("--out", help="Where everything goes.")] = Path("demo"),
    train: Annotated[
        bool, typer.Option("--train", help="Instead: train a model on generated films, measure it.")
    ] = False,
    n: Annotated[int, typer.Option("--n", min=60, help="Films that --train generates.")] = 700,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs that --train takes.")] = 9,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a film and model; else nothing.")
    ] = False,
) -> None:
    """Read generated films, or your own, with the shipped models; no torch, half a minute.

    Each model writes a page with its calls, heat maps and limits. With --train the whole line
    instead, in a few minutes: generate films, train, measure, explain.
    """
    folder_to_write(folder)
    if train:
        from lucidray.cli.training_demo import train_demo

        train_demo(folder, n, epochs, as_json=as_json)
        return
    started = time.monotonic()
    for name in MODELS:
        _read(name, films or [str(EXAMPLES)], folder / name, as_json=as_json)
    if as_json:
        return
    say(f"Done in {time.monotonic() - started:.0f} s. Open in a browser:")
    for name in MODELS:
        say(f"  {shown(folder / name / PAGE)}")
    say("Next: lucidray read YOUR_FILM --bundle NAME, or docs/getting-started.md.")


def _read(name: str, films: list[str], folder: Path, *, as_json: bool) -> None:
    from lucidray.cli.read_session import Wish, open_session

    if not as_json:
        say(f"[bold]{name}[/]: {MODELS[name]}")
    wish = Wish(
        bundle=name,
        folder=folder,
        as_json=as_json,
        as_csv=False,
        as_html=False,
        engine="onnxruntime",
        threads=None,
        workers=None,
        findings=(),
        maps=True,
        anew=False,
    )
    with open_session(wish, FilmStream(films)) as session:
        session.run()
