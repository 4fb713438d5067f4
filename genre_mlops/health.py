"""`genre-mlops doctor`: what is installed, where things live, what is wrong."""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from genre_mlops import __version__, registry, tracking
from genre_mlops.cluster import count_workers
from genre_mlops.engine import available_cores
from genre_mlops.errors import GenreError
from genre_mlops.learning.bundle import Bundle
from genre_mlops.settings import Settings
from genre_mlops.wording import counted

_PACKAGES = (
    *("mlflow", "optuna", "great-expectations", "bentoml", "keras", "onnxruntime", "librosa"),
    *("soundfile", "numpy", "pandas"),
)
# TensorFlow goes by several names.
_TENSORFLOWS = ("tensorflow-cpu", "tensorflow")
_LOW_DISK_GB = 2.0

State = Literal["ok", "note", "wrong"]
_MARKS: dict[State, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "note": ("note", "yellow"),
    "wrong": ("wrong", "red"),
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `note` and `wrong` say in `text` what to do."""

    topic: str
    state: State
    text: str

    @property
    def wrong(self) -> bool:
        """Whether something is to be mended."""
        return self.state == "wrong"

    def as_json(self) -> dict[str, Any]:
        """Return the finding for scripts."""
        return asdict(self)


def examine(model: str) -> list[Finding]:
    """Look at everything; a failed look is a finding too."""
    found = [*_machine(), *_packages()]
    try:
        settings = Settings()
    except GenreError as error:
        return [*found, Finding("environment", "wrong", str(error))]
    found += [*_places(settings.workspace), *_cluster(settings), *_runs()]
    return [*found, _champion(model), *_aliases(model), _bento()]


def as_table(findings: list[Finding]) -> Table:
    """Lay findings out, a row each."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        mark, colour = _MARKS[finding.state]
        table.add_row(Text(mark, style=colour), Text(finding.topic), Text(finding.text))
    return table


def _machine() -> Iterator[Finding]:
    yield Finding("genre-mlops", "ok", f"{__version__}, Python {platform.python_version()}")
    yield Finding(
        "machine", "ok", f"{platform.system()} {platform.machine()}, {available_cores()} cores"
    )
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    low = free_gb < _LOW_DISK_GB
    advice = f"; {_LOW_DISK_GB:g} GB at least: make room" if low else ""
    yield Finding("free disk", "wrong" if low else "ok", f"{free_gb:.0f} GB{advice}")


def _packages() -> Iterator[Finding]:
    found = {name: _version(name) for name in _PACKAGES}
    found["tensorflow"] = next((v for v in map(_version, _TENSORFLOWS) if v), None)
    here = ", ".join(f"{name} {v}" for name, v in found.items() if v)
    missing = [name for name, v in found.items() if not v]
    yield Finding("libraries", "ok", here)
    if missing:
        text = f"{', '.join(missing)} missing: make the environment with `make install`"
        yield Finding("libraries", "wrong", text)


def _places(workspace: Path) -> Iterator[Finding]:
    there = "" if workspace.is_dir() else " (made by the first run)"
    nearest = next(path for path in (workspace, *workspace.parents) if path.exists())
    writable = os.access(nearest, os.W_OK)
    advice = "" if writable else ": cannot be written; GENRE_WORKSPACE names another"
    state: State = "ok" if writable else "wrong"
    yield Finding("data, features", state, f"{workspace}{there}{advice}")


def _cluster(settings: Settings) -> Iterator[Finding]:
    if not settings.dask_scheduler:
        return
    workspace = settings.workspace if settings.workspace.is_dir() else None
    try:
        n_workers = count_workers(settings.dask_scheduler, workspace)
    except (GenreError, OSError) as error:
        yield Finding("cluster", "wrong", str(error))
    else:
        yield Finding("cluster", "ok", f"{settings.dask_scheduler}, {counted(n_workers, 'worker')}")


def _runs() -> Iterator[Finding]:
    uri = tracking.shown_uri()
    if not tracking.has_store():
        yield Finding("runs, models", "note", f"{uri} (made by the first run: `make run`)")
        return
    try:
        n_dead = len(tracking.dead_runs())
    except Exception as error:  # whatever MLflow raises: to say so is what a doctor is for
        yield Finding("runs, models", "wrong", f"{uri} cannot be read: {error}")
        return
    if n_dead:
        text = (
            f"{uri}: {n_dead} run(s) left RUNNING by a process that is gone; the next run ends them"
        )
        yield Finding("runs, models", "note", text)
    else:
        yield Finding("runs, models", "ok", uri)


def _champion(model: str) -> Finding:
    try:
        found = registry.find_champion(model) if tracking.has_store() else None
        if found is None:
            return Finding("champion", "note", f"none of {model} yet: train one with `make run`")
        info = Bundle(found.bundle, threads=1).info
    except Exception as error:  # also a registry that cannot be reached, in MLflow's many words
        return Finding("champion", "wrong", str(error))
    kind = ", trained on synthetic music" if info.synthetic else ""
    return Finding("champion", "ok", f"{model} {found.version}: {len(info.genres)} genres{kind}")


def _aliases(model: str) -> Iterator[Finding]:
    try:
        if not tracking.has_store():
            return
        wrong = registry.differences(model, registry.read_history(model))
    except Exception as error:  # also a registry that cannot be reached, in MLflow's many words
        yield Finding("history", "wrong", str(error))
        return
    if wrong:
        told = ", ".join(
            f"{alias} should be {number if number is not None else 'no version'}"
            for alias, number in wrong.items()
        )
        text = f"{told}, says the history of {model}: `genre-mlops doctor --mend` moves them"
        yield Finding("aliases", "wrong", text)


def _bento() -> Finding:
    from genre_mlops.serving.packaging import latest_bento

    tag = latest_bento()
    if tag is None:
        return Finding("bento", "note", "none yet: `genre-mlops package` makes one")
    return Finding("bento", "ok", f"{tag}, serve it with `make serve`")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
