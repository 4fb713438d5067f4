"""`genre-mlops data`: list, fetch, verify and show sources of audio, and verify their features."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from genre_mlops.console import ProgressBars, err, exit_codes, out
from genre_mlops.data_answers import (
    about,
    as_table,
    by_genre,
    say,
    tell_checks,
    tell_checksums,
    tell_features,
    tell_passed_over,
)
from genre_mlops.errors import ConfigError, DataError
from genre_mlops.files import make_writable
from genre_mlops.wording import counted

if TYPE_CHECKING:
    from genre_mlops.config import Config
    from genre_mlops.datasets import Dataset, Listing
    from genre_mlops.engine import Engine
    from genre_mlops.settings import Settings

app = typer.Typer(help="Sources of audio: list, fetch, verify, show.", no_args_is_help=True)

_PASSED_OVER_SHOWN = 10

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Overrides = Annotated[str, typer.Option("--set", help='Settings, as in "quality.min_sr=16000".')]
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
    say(f"{dataset.name}: {counted(len(listing.tracks), 'track')}")
    say(f"licence: {dataset.licence}")
    quoted = shlex.quote(source)
    say(f'next: genre-mlops data verify {quoted}, or make run ARGS="-P dataset={quoted}"')


@app.command()
def verify(
    source: Source,
    report: Annotated[
        str | None,
        typer.Option(help="Write the quality report and its tables there.", metavar="FOLDER"),
    ] = None,
    overrides: Overrides = "",
    as_json: AsJson = False,
) -> None:
    """Compare files with their published checksums, then check them as the pipeline would.

    Ends with exit code 3 if a published file is missing or changed, or if the set would be
    refused. Files that would be set aside are named.

    Example: genre-mlops data verify ~/music --report report
    """
    from genre_mlops.datasets.verification import verify as verify_checksums
    from genre_mlops.quality import inspect_listing
    from genre_mlops.quality.evidence import REPORT, write_evidence

    with exit_codes(), _at_work() as engine:
        config = _config(source, overrides)
        folder = None if report is None else _report_folder(report)
        dataset, listing = _open_here(source, engine, config)
        checked = verify_checksums(dataset, engine.map)
        found = inspect_listing(listing, config, cache=_cache(), run=engine.map)
        if folder:
            write_evidence(folder, found, listing, dataset)
    if as_json:
        answer = about(dataset, listing) | {"checksums": asdict(checked)} | found.as_json()
        typer.echo(json.dumps(answer, indent=2))
    else:
        tell_checksums(checked)
        tell_checks(found)
        tell_passed_over(listing, n_shown=_PASSED_OVER_SHOWN)
        if folder:
            say(f"report: {folder / REPORT}")
    if not checked.passed or found.refusals:
        raise typer.Exit(DataError.exit_code)


@app.command("verify-features")
def verify_features(
    source: Source,
    n_sample: Annotated[
        int, typer.Option("--sample", min=0, help="Spectrograms to compute anew.")
    ] = 20,
    seed: Annotated[int, typer.Option(help="Of the choice of these.")] = 0,
    overrides: Overrides = "",
    as_json: AsJson = False,
) -> None:
    """Compare the feature store with the files: every track looked up, a sample computed anew.

    Ends with exit code 3 if a spectrogram is missing, damaged, or not what its file gives.

    Example: genre-mlops data verify-features ~/music --sample 100
    """
    from genre_mlops.feature_checks import Content
    from genre_mlops.feature_checks import verify_features as compare
    from genre_mlops.quality import inspect_listing
    from genre_mlops.store import FeatureStore

    with exit_codes(), _at_work() as engine:
        config = _config(source, overrides)
        dataset, listing = _open_here(source, engine, config)
        found = inspect_listing(listing, config, cache=_cache(), run=engine.map)
        if found.refusals:
            raise DataError("\n".join([f"{dataset.name} is refused", *found.refusal()]))
        usable = found.usable
        contents = zip(usable["sha256"], map(Path, usable["path"]), strict=True)
        tracks = dict(zip(usable.index, map(Content._make, contents), strict=True))
        store = FeatureStore(_settings().workspace / "features", config.features)
        checked = compare(store, tracks, engine.map, n_sample=n_sample, seed=seed)
    if as_json:
        answer = {"dataset": dataset.name, "store": str(store.folder), **asdict(checked)}
        typer.echo(json.dumps(answer | {"passed": checked.passed}, indent=2))
    else:
        tell_features(checked, store.folder, _features_step(source, overrides))
    if not checked.passed:
        raise typer.Exit(DataError.exit_code)


def _features_step(source: str, overrides: str) -> str:
    """Return the command that computes what `verify-features` looks up."""
    asked = f"-e features -P dataset={shlex.quote(source)}"
    asked += f' -P set="{overrides}"' if overrides else ""
    return f"make run ARGS={shlex.quote(asked)}"


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
        rows = by_genre(build_catalog(listing, cache=_cache(), run=engine.map))
    if as_json:
        typer.echo(json.dumps(about(dataset, listing) | {"genres": rows}, indent=2))
        return
    out.print(as_table(rows))
    say("")
    say(f"source:  {dataset.source}")
    say(f"licence: {dataset.licence}")
    if listing.splits:
        say(f"splits:  {', '.join(listing.splits)}")
    tell_passed_over(listing)


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
                say(f"{name:<{width}}  {text}")
    if reading["error"]:
        raise typer.Exit(DataError.exit_code)


def _report_folder(text: str) -> Path:
    """Make the folder of a report, or say before anything is read that it cannot be."""
    if not text:
        raise ConfigError("--report: names no folder")
    try:
        folder = Path(text).expanduser().absolute()
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"--report {text}: is a file; name a folder")
        make_writable(folder)
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"--report {text}: cannot be written to: {reason}") from error
    return folder


@contextmanager
def _at_work() -> Iterator["Engine"]:
    from genre_mlops.engine import Engine, stop_workers

    with ProgressBars(err) as progress:
        try:
            yield Engine(progress=progress)
        finally:
            stop_workers()


def _config(source: str, overrides: str) -> "Config":
    from genre_mlops.config import load_config

    if "data.dataset=" in overrides:
        raise ConfigError(f"--set data.dataset: the source is the argument, {source}")
    return load_config(None, overrides.split())


def _open(source: str, config: "Config | None" = None) -> "Dataset":
    from genre_mlops.config import Config
    from genre_mlops.datasets import open_dataset

    chosen = (config or Config()).override({"data.dataset": source})
    dataset = open_dataset(chosen.data, root=_root())
    # Said before anything is read.
    _settings().made_workspace()
    return dataset


def _open_here(
    source: str, engine: "Engine", config: "Config | None" = None
) -> "tuple[Dataset, Listing]":
    """Open a source without asking any network."""
    dataset = _open(source, config)
    if dataset.local:
        dataset.prepare(engine.map, engine.progress)
    return dataset, dataset.listing()


def _root() -> Path:
    return _settings().workspace / "datasets"


def _cache() -> Path:
    return _settings().workspace / "catalogs"


def _settings() -> "Settings":
    from genre_mlops.settings import Settings

    return Settings()
