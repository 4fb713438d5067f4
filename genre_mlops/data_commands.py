"""`genre-mlops data`: list, fetch, verify and show sources of audio."""

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from genre_mlops.console import ProgressBars, err, exit_codes, out
from genre_mlops.errors import ConfigError, DataError
from genre_mlops.wording import counted, printable

if TYPE_CHECKING:
    import pandas as pd

    from genre_mlops.config import Config
    from genre_mlops.datasets import Dataset, Listing
    from genre_mlops.datasets.verification import Verification
    from genre_mlops.engine import Engine
    from genre_mlops.quality import Inspection

app = typer.Typer(help="Sources of audio: list, fetch, verify, show.", no_args_is_help=True)

_PASSED_OVER_SHOWN = 10

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Source = Annotated[
    str, typer.Argument(help="A source's name, a folder, a table, or NAME:PATH.", metavar="SOURCE")
]


@app.command("list")
def list_sources(as_json: AsJson = False) -> None:
    """List the sources that have a name, and which of them are on this machine.

    Example: genre-mlops data list
    """
    from genre_mlops.datasets import SOURCES, is_here

    with exit_codes():
        root = _root()
        here = {source.name: is_here(source.name, root=root) for source in SOURCES}
    if as_json:
        rows = [asdict(source) | {"here": here[source.name]} for source in SOURCES]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "what", "tracks", "download", "licence", "here"):
        table.add_column(column, justify="right" if column in {"tracks", "download"} else "left")
    for source in SOURCES:
        size = f"{source.download_bytes / 1e9:.1f} GB" if source.download_bytes else "none"
        table.add_row(
            Text(source.name, style="bold"),
            source.what,
            f"{source.n_tracks:,}" if source.n_tracks else "",
            size,
            source.licence,
            "yes" if here[source.name] else "no",
        )
    out.print(table)
    out.print("\nA folder with one subfolder for each genre, or a table, is named by its path.")


@app.command()
def fetch(source: Source) -> None:
    """Bring a source to this machine, as the pipeline would; one that was cut off goes on.

    Example: genre-mlops data fetch gtzan-mini
    """
    with exit_codes(), _at_work() as engine:
        dataset = _open(source)
        dataset.prepare(engine.map, engine.progress)
        listing = dataset.listing()
    _say(f"{dataset.name}: {counted(len(listing.tracks), 'track')}")
    _say(f"licence: {dataset.licence}")
    quoted = shlex.quote(source)
    _say(f'next: genre-mlops data verify {quoted}, or make run ARGS="-P dataset={quoted}"')


@app.command()
def verify(
    source: Source,
    report: Annotated[
        Path | None,
        typer.Option(help="Write the quality report and its tables there.", metavar="FOLDER"),
    ] = None,
    overrides: Annotated[
        str, typer.Option("--set", help='Settings, as in "quality.min_sr=16000".')
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Compare files with their published checksums, then check them as the pipeline would.

    Ends with exit code 3 if a published file is missing or changed, or if the set would be
    refused. Files that would be set aside are named.

    Example: genre-mlops data verify ~/music --report report
    """
    from genre_mlops.config import Config, load_config
    from genre_mlops.datasets.verification import verify as verify_checksums
    from genre_mlops.quality import inspect_listing
    from genre_mlops.quality.evidence import REPORT, write_evidence

    with exit_codes(), _at_work() as engine:
        config = load_config(None, overrides.split())
        if config.data.dataset != Config().data.dataset:
            raise ConfigError(f"--set data.dataset: the source is the argument, {source}")
        if report:
            _refuse_unwritable(report)
        dataset, listing = _open_here(source, engine, config)
        checked = verify_checksums(dataset, engine.map)
        found = inspect_listing(listing, config, cache=_cache(), run=engine.map)
        if report:
            write_evidence(report, found, listing, dataset)
    if as_json:
        typer.echo(json.dumps({"checksums": asdict(checked), **found.as_json()}, indent=2))
    else:
        _tell_checksums(checked)
        _tell_checks(found)
        _tell_passed_over(listing, n_shown=_PASSED_OVER_SHOWN)
        if report:
            _say(f"report: {report / REPORT}")
    if not checked.passed or found.refusals:
        raise typer.Exit(DataError.exit_code)


@app.command()
def show(source: Source, as_json: AsJson = False) -> None:
    """Say what is in an audio file, or genre by genre what is in a source. Nothing is judged.

    Example: genre-mlops data show song.mp3
    """
    from genre_mlops.catalog import build_catalog
    from genre_mlops.datasets.base import AUDIO_SUFFIXES

    with exit_codes(), _at_work() as engine:
        path = Path(source)
        if path.is_file() and path.suffix.lower() in AUDIO_SUFFIXES:
            _show_file(path, as_json=as_json)
            return
        dataset, listing = _open_here(source, engine)
        rows = _by_genre(build_catalog(listing, cache=_cache(), run=engine.map))
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    out.print(_as_table(rows))
    _say("")
    _say(f"source:  {dataset.source}")
    _say(f"licence: {dataset.licence}")
    if listing.splits:
        _say(f"splits:  {', '.join(listing.splits)}")
    _tell_passed_over(listing)


def _show_file(path: Path, *, as_json: bool) -> None:
    from genre_mlops.readings import read_files

    (found,) = read_files([str(path)])
    reading = asdict(found)
    del reading["mtime_ns"], reading["ctime_ns"]
    reading["fingerprint_words"] = len(reading.pop("fingerprint") or b"") // 4
    if as_json:
        typer.echo(json.dumps(reading, indent=2))
    else:
        width = max(map(len, reading))
        for name, value in reading.items():
            if value is not None:
                text = f"{value:.5g}" if isinstance(value, float) else str(value)
                _say(f"{name:<{width}}  {text}")
    if reading["error"]:
        raise typer.Exit(DataError.exit_code)


def _by_genre(catalog: "pd.DataFrame") -> list[dict[str, Any]]:
    rows = []
    for genre, files in catalog.groupby("genre"):
        rows.append(
            {
                "genre": str(genre),
                "files": len(files),
                "groups": int(files["group"].nunique()),
                "minutes": round(float(files["duration_s"].sum()) / 60, 1),
                "formats": ", ".join(sorted(files["format"].dropna().unique())),
                "undecodable": int(files["error"].notna().sum()),
            }
        )
    return rows


def _as_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name, value in rows[0].items():
        table.add_column(name, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row.values()))
    return table


def _tell_checksums(checked: "Verification") -> None:
    if not checked.n_checked and not checked.missing:
        _say("checksums: none published for these files")
        return
    _say(
        f"checksums: {counted(checked.n_checked, 'file')} compared, {len(checked.changed)} "
        f"changed, {len(checked.missing)} missing, {len(checked.unlisted)} not in the list"
    )
    _print(dict.fromkeys(checked.missing, "is missing"))
    _print({track: f"expected {a}, found {b}" for track, (a, b) in checked.changed.items()})


def _tell_checks(found: "Inspection") -> None:
    if found.refusals:
        _say(f"checks: refused: {', '.join(check.rule.name for check in found.refusals)}")
        for line in found.refusal():
            _say(f"  {line}")
        return
    n_genres = found.usable["genre"].nunique()
    n_usable = counted(len(found.usable), "usable track")
    _say(f"checks: {n_usable} of {n_genres} genres, split: {found.scheme}")
    if found.n_left_out:
        n_left_out = counted(found.n_left_out, "file")
        _say(f"left out: {n_left_out} that the split {found.scheme} does not name")
    if found.quarantined:
        _say(f"set aside: {counted(len(found.quarantined), 'file')}")
        _print(found.quarantined)
    for check in found.warnings:
        _say(f"warning: {check.rule.name}: {counted(check.n_failed, 'file')}")
        _print(check.offenders)


def _tell_passed_over(listing: "Listing", *, n_shown: int = 0) -> None:
    if listing.passed_over:
        _say(f"passed over: {counted(len(listing.passed_over), 'file')}")
        for name in listing.passed_over[:n_shown]:
            _say(f"  {name}")
        if n_shown and len(listing.passed_over) > n_shown:
            _say(f"  and {len(listing.passed_over) - n_shown:,} more")


def _print(offenders: Mapping[str, str]) -> None:
    from genre_mlops.quality import in_lines

    for line in in_lines(offenders):
        _say(f"  {line}")


def _say(text: str) -> None:
    # Names of files may hold what rich takes for markup, and line breaks.
    out.print(printable(text), markup=False, soft_wrap=True)


def _refuse_unwritable(report: Path) -> None:
    """Make the folder, or say before anything is read that it cannot be."""
    if report.exists() and not report.is_dir():
        raise ConfigError(f"--report {report}: is a file; name a folder")
    try:
        report.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--report {report}: cannot be made: {error.strerror}") from error
    if not os.access(report, os.W_OK):
        raise ConfigError(f"--report {report}: cannot be written to")


@contextmanager
def _at_work() -> Iterator["Engine"]:
    from genre_mlops.engine import Engine, stop_workers

    with ProgressBars(err) as progress:
        try:
            yield Engine(progress=progress)
        finally:
            stop_workers()


def _open(source: str, config: "Config | None" = None) -> "Dataset":
    from genre_mlops.config import Config
    from genre_mlops.datasets import open_dataset

    chosen = (config or Config()).override({"data.dataset": source})
    return open_dataset(chosen.data, root=_root())


def _open_here(
    source: str, engine: "Engine", config: "Config | None" = None
) -> "tuple[Dataset, Listing]":
    """Open a source without asking any network."""
    dataset = _open(source, config)
    if dataset.local:
        dataset.prepare(engine.map, engine.progress)
    return dataset, dataset.listing()


def _root() -> Path:
    return _workspace() / "datasets"


def _cache() -> Path:
    return _workspace() / "catalogs"


def _workspace() -> Path:
    from genre_mlops.settings import Settings

    return Settings().workspace
