"""What the entry points share: parameters, config, where work runs and how it is shown."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from pydantic import SecretStr

from genre_mlops.config import Config, load_config
from genre_mlops.console import ProgressBars, err, exit_codes, set_up_logging
from genre_mlops.datasets import Dataset, open_dataset
from genre_mlops.engine import Engine, stop_workers
from genre_mlops.errors import ConfigError
from genre_mlops.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger("genre_mlops.job")
PROJECT = Path(__file__).resolve().parents[1]
# Steps whose workers write runs and studies, and those that need the studies at all.
_TRAINING = {"main", "train"}
_STUDYING = {*_TRAINING, "register"}
PRESETS = Path(__file__).with_name("configs")
_SHORTCUTS = {
    "split": "split.scheme",
    "network": "network.kind",
    "trials": "search.trials",
    "epochs": "training.epochs",
    "minutes": "search.minutes",
    "workers": "search.workers",
    "objective": "search.objective",
    "seed": "seed",
}


@dataclass(frozen=True)
class Job:
    """One run of the pipeline.

    Attributes
    ----------
    config : Config
        All settings.
    workspace : Path
        Holds what the pipeline makes and may use again.
    engine : Engine
        For work on many files, on all cores.
    storage : SecretStr
        The database of the searches' studies; empty: a file in the workspace.
    """

    config: Config
    workspace: Path
    engine: Engine
    storage: SecretStr = field(default_factory=lambda: SecretStr(""))


@dataclass(frozen=True)
class Validated:
    """The usable tracks with their splits.

    Attributes
    ----------
    source : Dataset
        Where they come from.
    catalog : DataFrame
        Indexed by `track_id`, with `split`.
    path : Path
        The same as a Parquet file.
    digest : str
        Of content, genres and splits.
    scheme : str
        How it was split.
    genres : tuple of str
        In the order of the labels.
    n_quarantined : int
        Files set aside.
    """

    source: Dataset
    catalog: "pd.DataFrame"
    path: Path
    digest: str
    scheme: str
    genres: tuple[str, ...]
    n_quarantined: int

    @property
    def tags(self) -> dict[str, str]:
        """What every run that uses the data says of it."""
        return {
            "genre.dataset": self.source.name,
            "genre.data_licence": self.source.licence,
            "genre.split_digest": self.digest,
            "genre.split_scheme": self.scheme,
        }

    def log(self) -> None:
        """Say in the open run which data it is about."""
        from genre_mlops import tracking

        tracking.set_tags(self.tags)
        self.log_tracks(self.catalog, digest=self.digest, context="splits")

    def log_tracks(self, tracks: "pd.DataFrame", *, digest: str, context: str) -> None:
        """Log some of the tracks as an input of the open run."""
        from genre_mlops import tracking

        source = self.source
        tracking.log_dataset(
            tracks,
            digest=digest,
            context=context,
            name=source.name,
            source=source.source,
            licence=source.licence,
        )


def start(step: str, line: Callable[[Job], Any]) -> None:
    """Read the parameters from the command line and run one entry point inside its MLflow run."""

    def command(
        dataset: Annotated[str, typer.Option(help="a source, a folder or a table")] = "",
        split: Annotated[str, typer.Option(help="grouped, kfold, or one the source brings")] = "",
        network: Annotated[str, typer.Option(help="cnn1d, cnn2d or cnn1d+cnn2d")] = "",
        trials: Annotated[str, typer.Option(help="trials of the search")] = "",
        epochs: Annotated[str, typer.Option(help="epochs of a trial, at the most")] = "",
        minutes: Annotated[str, typer.Option(help="for the search, at the most")] = "",
        workers: Annotated[str, typer.Option(help="trials at the same time")] = "",
        objective: Annotated[str, typer.Option(help="accuracy or accuracy+size")] = "",
        engine: Annotated[str, typer.Option(help="local or dask: where the work runs")] = "",
        seed: Annotated[str, typer.Option(help="of everything random")] = "",
        config: Annotated[str, typer.Option(help="a preset, or a YAML file")] = "",
        overrides: Annotated[
            str, typer.Option("--set", help="overrides a.b=c, separated by spaces")
        ] = "",
    ) -> None:
        shortcuts = {"dataset": dataset, "split": split, "network": network, "trials": trials}
        shortcuts |= {"epochs": epochs, "minutes": minutes, "workers": workers}
        shortcuts |= {"objective": objective, "seed": seed}
        with exit_codes():
            run(step, line, read_config(config, shortcuts, overrides), engine=engine)

    command.__doc__ = f"Run `{step}`. Example: python -m pipelines.{step} --dataset demo"
    set_up_logging()
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(command)
    try:
        app(prog_name=f"python -m pipelines.{step}", standalone_mode=False)
    except Exception as error:
        # Usage errors come with a usage text of their own; one line is wanted.
        if not hasattr(error, "format_message"):
            raise
        err.print(f"error: {error.format_message()}", style="red", markup=False, soft_wrap=True)
        raise SystemExit(ConfigError.exit_code) from None


def read_config(preset: str, shortcuts: dict[str, str], overrides: str) -> Config:
    """Combine preset or file, named parameters and `--set`; the later ones win.

    Raises
    ------
    ConfigError
        A key is unknown or a value is out of range.
    """
    config = load_config(find_config(preset) if preset else None)
    # A path is taken as it is; everything else is read as YAML, as in `set`.
    if shortcuts.get("dataset"):
        config = config.override({"data.dataset": shortcuts["dataset"]})
    named = [f"{key}={shortcuts[name]}" for name, key in _SHORTCUTS.items() if shortcuts.get(name)]
    return config.override_texts([*named, *overrides.split()])


def find_config(name: str) -> Path:
    """Return a preset's file, or the file itself.

    Raises
    ------
    ConfigError
        There is neither.
    """
    preset, path = PRESETS / f"{name}.yaml", Path(name)
    if preset.is_file():
        return preset
    if path.is_file():
        return path
    known = ", ".join(sorted(file.stem for file in PRESETS.glob("*.yaml")))
    raise ConfigError(f"config {name}: neither a preset ({known}) nor a file")


def run(step: str, line: Callable[[Job], Any], config: Config, *, engine: str = "") -> None:
    """Run one entry point inside its MLflow run.

    Raises
    ------
    ConfigError
        The engine is none, or a cluster whose address is not named.
    """
    from genre_mlops import tracking

    settings = Settings()
    scheduler = _scheduler(engine, settings)
    # What cannot work is said before anything is begun.
    source = open_dataset(config.data, root=settings.workspace / "datasets")
    workspace = settings.made_workspace()
    if step in _TRAINING and scheduler and not _is_loopback(scheduler):
        _warn_of_files(settings)
    if step in _STUDYING and settings.search_storage.get_secret_value():
        from genre_mlops.search.storage import open_storage

        open_storage(settings.search_storage.get_secret_value())
    name = f"{step}: {source.name}" + (" (synthetic music)" if source.synthetic else "")
    with ProgressBars() as progress:
        there = Engine(progress=progress, dask=scheduler, shared=workspace)
        there.check()
        tracking.sweep_dead_runs()
        try:
            with tracking.open_run(step, name):
                tracking.log_params(config.flat(), prefix="cfg.")
                line(Job(config, workspace, there, settings.search_storage))
        finally:
            # Workers that were cut off cannot close their trials' runs themselves.
            stop_workers()
            tracking.sweep_dead_runs(own=True)


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _warn_of_files(settings: Settings) -> None:
    """Warn where workers on other machines would write to a database that is a file."""
    from genre_mlops import tracking

    named = {
        "MLFLOW_TRACKING_URI": tracking.tracking_uri(),
        "GENRE_SEARCH_STORAGE": settings.search_storage.get_secret_value() or "sqlite:",
    }
    if files := [name for name, address in named.items() if address.startswith("sqlite:")]:
        _log.warning(
            "SQLite is for one machine: if the cluster has several, name databases that all of "
            "them reach (%s; docs/cluster.md)",
            ", ".join(files),
        )


def _scheduler(engine: str, settings: Settings) -> str:
    """Return the address of the cluster that is asked for, empty for this machine."""
    if engine not in {"", "local", "dask"}:
        raise ConfigError(f"engine {engine}: expected local or dask")
    if engine == "dask" and not settings.dask_scheduler:
        raise ConfigError(
            "engine=dask: name the cluster's scheduler, GENRE_DASK_SCHEDULER=tcp://10.0.0.5:8786"
        )
    return settings.dask_scheduler if engine == "dask" else ""
