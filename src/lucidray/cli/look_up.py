"""``lucidray list``: what can be named, read from the registries."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lucidray.cli.app import LOOK_UP, app
from lucidray.cli.console import add_row, needs, new_table, out, print_json
from lucidray.errors import unknown_name
from lucidray.registry import Registry


def _registries() -> dict[str, Registry[Any]]:
    with needs("train", "listing what can be named"):
        from lucidray.datasets import datasets
        from lucidray.explain import explainers
        from lucidray.metrics import metrics
        from lucidray.models import backbones
        from lucidray.papers import papers
        from lucidray.training import losses
    return {
        "backbones": backbones,
        "datasets": datasets,
        "explainers": explainers,
        "losses": losses,
        "metrics": metrics,
        "papers": papers,
    }


@app.command("list", rich_help_panel=LOOK_UP)
def list_names(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="backbones, datasets, explainers, losses, metrics or papers; all if left out."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List what can be named: backbones, data sets, losses, metrics, explainers, papers."""
    registries = _registries()
    if kind is not None and kind not in registries:
        raise unknown_name("kind", kind, registries)
    chosen = registries if kind is None else {kind: registries[kind]}
    if as_json:
        print_json(
            {key: [_row(entry) for entry in value.entries()] for key, value in chosen.items()}
        )
        return
    for key, registry in chosen.items():
        table = new_table("name", "what it is", "source", title=key)
        for entry in registry.entries():
            add_row(table, entry.name, entry.summary, entry.source)
        out.print(table)


def _row(entry: Any) -> dict[str, str]:
    return {"name": entry.name, "summary": entry.summary, "source": entry.source}
