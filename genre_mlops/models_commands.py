"""The commands `genre-mlops models`: the versions of the registered model, and who was champion."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from genre_mlops.config import RegistryConfig
from genre_mlops.console import ProgressBars, err, exit_codes, out
from genre_mlops.errors import GenreError

if TYPE_CHECKING:
    from genre_mlops.tracking import VersionInfo

app = typer.Typer(
    help="See the versions of the registered model, and who was champion, when and why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Model = Annotated[str, typer.Option(help="The registered model.", metavar="NAME")]
DEFAULT_MODEL = RegistryConfig().model


@app.command(name="list")
def list_(as_json: AsJson = False, model: Model = DEFAULT_MODEL) -> None:
    """List the versions, the newest first.

    Example: genre-mlops models list
    """
    from genre_mlops import tracking

    with exit_codes():
        there = tracking.has_store()
        versions = tracking.list_versions(model)[::-1] if there else []
        named = tracking.aliases(model) if there else {}
    rows = [_Row.of(version, named) for version in versions]
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    if not rows:
        out.print(f"no version of {model} yet: a run registers one, `make run`")
        return
    table = Table("version", "", "data", "test accuracy", "the gate said", box=None, pad_edge=False)
    for row in rows:
        accuracy = f"{'synthetic ' * row.synthetic}{row.accuracy}" if row.accuracy else ""
        told = (Text(row.data), accuracy, row.verdict)
        table.add_row(str(row.version), ", ".join(row.aliases), *told)
    out.print(table)


@app.command()
def show(
    version: Annotated[str, typer.Argument(help="A number, or an alias such as champion.")],
    as_json: AsJson = False,
    model: Model = DEFAULT_MODEL,
) -> None:
    """Say where a version comes from: data, config, code, libraries, machine, runs.

    Example: genre-mlops models show champion
    """
    from genre_mlops import registry, tracking

    with exit_codes():
        tracking.need_store()
        found = registry.find_version(model, _number(model, version))
        lineage = registry.read_lineage(found.bundle)
    said = lineage.model_dump(mode="json")
    if as_json:
        typer.echo(json.dumps(said, indent=2))
        return
    config = said.pop("config")
    out.print(f"[bold]{model} {found.version}[/bold]")
    for key, value in {**said, **{f"config.{k}": v for k, v in config.items()}}.items():
        table = Table.grid(padding=(0, 2))
        told = value.items() if isinstance(value, dict) else [(key, value)]
        prefix = f"{key}." if isinstance(value, dict) else ""
        for name, text in told:
            table.add_row(Text(f"{prefix}{name}", style="dim"), Text(_in_words(text)))
        out.print(table)


@app.command()
def reproduce(
    version: Annotated[str, typer.Argument(help="A number, or an alias such as champion.")],
    model: Model = DEFAULT_MODEL,
) -> None:
    """Train a version once more and compare the weights; exit code 1 if they are not the same.

    On the same machine, with the same libraries, they are, to the last bit.

    Example: genre-mlops models reproduce champion
    """
    from genre_mlops import registry, reproduction, tracking
    from genre_mlops.engine import Engine
    from genre_mlops.settings import Settings

    with exit_codes(), ProgressBars(err) as progress:
        tracking.need_store()
        found = registry.find_version(model, _number(model, version))
        engine = Engine(1, progress)
        told = reproduction.reproduce(found, Settings().made_workspace(), engine)
    for key, (then, now) in told.changed.items():
        out.print(Text(f"{key}: {then} then, {now} now"))
    if not told.same:
        out.print(f"{model} {found.version}: other weights: {told.now}, it has {told.was}")
        raise typer.Exit(1)
    out.print(f"{model} {found.version}: the same weights to the last bit, sha256 {told.now}")


@app.command()
def history(as_json: AsJson = False, model: Model = DEFAULT_MODEL) -> None:
    """Say who was champion, since when, by whom and why; the last decision comes last.

    Example: genre-mlops models history
    """
    from genre_mlops import registry, tracking

    with exit_codes():
        entries = registry.read_history(model).entries if tracking.has_store() else ()
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries], indent=2))
        return
    if not entries:
        out.print(f"nothing was decided about {model} yet")
        return
    for entry in entries:
        when = entry.at.replace("T", " ").removesuffix("+00:00")
        out.print(Text(f"{when} UTC  {registry.in_words(entry)}"))


@dataclass(frozen=True)
class _Row:
    """What `models list` says of a version."""

    version: int
    aliases: list[str]
    data: str
    synthetic: bool
    accuracy: str
    verdict: str

    @classmethod
    def of(cls, version: "VersionInfo", named: dict[str, int]) -> "_Row":
        tags = version.tags
        return cls(
            version.number,
            sorted(alias for alias, number in named.items() if number == version.number),
            tags.get("dataset", ""),
            tags.get("synthetic") == "true",
            tags.get("test_accuracy", tags.get("synthetic_test_accuracy", "")),
            tags.get("verdict", ""),
        )


def _number(model: str, version: str) -> int:
    """Return the number that a number or an alias stands for."""
    from genre_mlops import registry

    if version.isdigit():
        return int(version)
    number = registry.version_of(model, version)
    if number is None:
        raise GenreError(f"{model} has no version with the alias {version}")
    return number


def _in_words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
