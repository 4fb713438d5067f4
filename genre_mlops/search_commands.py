"""The commands `genre-mlops search`: what a search tries, and how far searches are."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from genre_mlops.config import load_config
from genre_mlops.console import exit_codes, out

app = typer.Typer(
    help="See what the hyperparameter search tries, and how far searches are.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@app.command()
def space(
    config: Annotated[Path | None, typer.Option(help="A YAML file of settings.")] = None,
    overrides: Annotated[str, typer.Option("--set", help="a.b=c, separated by spaces.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print what a search tries, setting by setting, and what it leaves as it is.

    Example: genre-mlops search space --config pipelines/configs/thorough.yaml
    """
    from genre_mlops.search.space import space_rows

    with exit_codes():
        rows = space_rows(load_config(config, overrides.split()))
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    table = Table("setting", "first trial", "tried", box=None, pad_edge=False)
    for row in rows:
        tried = f"not searched: {row.left_out}" if row.left_out else row.tried
        table.add_row(row.key, Text(str(row.first)), Text(tried, style="dim" * bool(row.left_out)))
    out.print(table)


@app.command()
def studies(as_json: AsJson = False) -> None:
    """List the studies of the workspace's database, or of GENRE_SEARCH_STORAGE, newest first.

    Example: genre-mlops search studies
    """
    from genre_mlops.fitting import database_of
    from genre_mlops.search.storage import file_of
    from genre_mlops.search.studies import list_studies
    from genre_mlops.settings import Settings

    with exit_codes():
        settings = Settings()
        database = database_of(settings.search_storage, settings.workspace / "studies")
        file = file_of(database)
        # To look for a database that is a file must not make one.
        there = file is None or file.is_file()
        found = list_studies(database) if there else []
    if as_json:
        typer.echo(json.dumps([asdict(study) for study in found], indent=2))
        return
    if not found:
        where = "" if there else f" ({file} is not there)"
        out.print(f"no studies yet{where}: a search makes one, `make run`", highlight=False)
        return
    names = ("study", "data", "begun", "trials", "running", "least loss", "state")
    table = Table(*names, box=None, pad_edge=False)
    for study in found:
        best = "" if study.best is None else f"{'synthetic ' * study.synthetic}{study.best:.4f}"
        state = "registered" if study.finished else "open"
        counts = (str(study.n_ended), str(study.n_running))
        table.add_row(study.name, Text(study.data), study.begun, *counts, best, state)
    out.print(table)
