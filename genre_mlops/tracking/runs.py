"""Runs in MLflow: opened and closed by `with`, nested, and none left RUNNING by a dead process."""

import io
import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import mlflow
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import LifecycleStage, Run, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from genre_mlops.errors import GenreError
from genre_mlops.processes import JOB_TAG, in_one_line, is_gone, this_process
from genre_mlops.wording import without_password

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TAG = "genre."
_KILLED = RunStatus.to_string(RunStatus.KILLED)
# `mlflow run` makes the run before it builds the environment; by then ours has tagged it.
_UNTAGGED_PATIENCE_S = 3_600.0
# The longest value that the store takes for a tag of a data set.
_TAG_CHARS = 500


@contextmanager
def open_run(
    step: str, name: str | None = None, tags: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Open a run for a step, nested in the one that is open; the first adopts `mlflow run`'s.

    Parameters
    ----------
    step : str
        For example ``"train"``; a tag, and the run's name unless `name` is given.
    name : str, optional
        The run's name.
    tags : mapping of str to str, optional
        What is known of it from the start.

    Yields
    ------
    str
        The run's id. It ends FINISHED, FAILED on an error, KILLED when the process is asked to
        stop.
    """
    nested = mlflow.active_run() is not None
    run = mlflow.start_run(nested=nested, run_name=name or step)
    if not nested:
        # Otherwise the UI opens the experiment as one of language models.
        MlflowClient().set_experiment_tag(
            run.info.experiment_id, "mlflow.experimentKind", "custom_model_development"
        )
    mlflow.set_tags({MLFLOW_RUN_NAME: name or step, **own_tags(step), **(tags or {})})
    try:
        yield run.info.run_id
    except (KeyboardInterrupt, SystemExit):
        mlflow.set_tag(f"{TAG}reason", "the job was stopped")
        mlflow.end_run(_KILLED)
        raise
    except BaseException as error:
        mlflow.set_tag(f"{TAG}error", str(error)[:5_000])
        mlflow.end_run(RunStatus.to_string(RunStatus.FAILED))
        raise
    mlflow.end_run()


def dead_runs(*, own: bool = False) -> list[str]:
    """Return the ids of the RUNNING runs of this machine whose process is gone.

    Parameters
    ----------
    own : bool
        Those too, on any machine, that workers write for this process.
    """
    ours = in_one_line(this_process()) if own else None
    client = MlflowClient()
    experiments = [e.experiment_id for e in client.search_experiments()]
    found: list[str] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            experiments, "attributes.status = 'RUNNING'", max_results=1_000, page_token=token
        )
        found += [
            run.info.run_id
            for run in page
            if _is_dead(run) or (own and run.data.tags.get(JOB_TAG) == ours)
        ]
        token = page.token
        if not token:
            return found


def sweep_dead_runs(*, own: bool = False) -> None:
    """End the runs that `dead_runs` names."""
    for run_id in dead_runs(own=own):
        kill_run(run_id, "its process is gone")


def kill_run(run_id: str, reason: str) -> None:
    """End a run as KILLED, and say why; one that is so already, or not there, stays as it is."""
    run, client = _find_run(run_id), MlflowClient()
    if run is None or run.info.status == _KILLED:
        return
    client.set_tag(run_id, f"{TAG}state", "killed")
    client.set_tag(run_id, f"{TAG}reason", reason)
    client.set_terminated(run_id, _KILLED)


def log_params(values: Mapping[str, object], *, prefix: str = "") -> None:
    """Log parameters of the open run; a prefix keeps them apart from those of `mlflow run`."""
    mlflow.log_params({f"{prefix}{key}": value for key, value in values.items()})


def log_metrics(values: Mapping[str, float]) -> None:
    """Log figures of the open run."""
    mlflow.log_metrics(dict(values))


def set_tags(values: Mapping[str, str]) -> None:
    """Tag the open run."""
    mlflow.set_tags(dict(values))


def describe(markdown: str) -> None:
    """Write the open run's note, which the UI shows above everything else."""
    mlflow.set_tag("mlflow.note.content", markdown)


def log_text(text: str, path: str, *, run_id: str | None = None) -> None:
    """Store a text as an artifact of the open run, or of another."""
    mlflow.log_text(text, path, run_id=run_id)


def ancestors(run_id: str) -> dict[str, str]:
    """Return a run's id and those of the runs that it is nested in, by their steps."""
    found: dict[str, str] = {}
    while run_id and (run := _find_run(run_id)):
        found[run.data.tags.get(f"{TAG}step", "run")] = run_id
        run_id = run.data.tags.get(MLFLOW_PARENT_RUN_ID, "")
    return found


def run_link(run_id: str) -> str:
    """Return where the UI shows a run, relative to its own address."""
    run = _find_run(run_id)
    return f"#/experiments/{run.info.experiment_id}/runs/{run_id}" if run else ""


def read_text(run_id: str, path: str) -> str | None:
    """Return a text that is stored as an artifact of a run; None where there is none."""
    try:
        with quiet():
            return str(mlflow.artifacts.load_text(f"runs:/{run_id}/{path}"))
    except (MlflowException, OSError):
        return None


def log_table(frame: "pd.DataFrame", path: str) -> None:
    """Store a frame as a table that the UI can show."""
    mlflow.log_table(frame, path)


def artifact_place(path: str) -> str:
    """Return where an artifact of the open run is: a path on this machine, or an address."""
    uri = str(mlflow.get_artifact_uri(path))
    parts = urlsplit(uri)
    return url2pathname(parts.path) if parts.scheme in {"", "file"} else uri


def log_figure(figure: "Figure", path: str, *, run_id: str | None = None) -> None:
    """Store a picture as an artifact of the open run, or of another."""
    if run_id:
        MlflowClient().log_figure(run_id, figure, path)
    else:
        mlflow.log_figure(figure, path)


def log_dataset(
    frame: "pd.DataFrame", *, digest: str, context: str, name: str, source: str, licence: str
) -> None:
    """Say which data the open run used: its digest, where it comes from, and its licence."""
    with quiet():
        dataset = from_pandas(frame, source=source, name=name, digest=digest, targets="genre")
        mlflow.log_input(dataset, context=context, tags={"licence": licence[:_TAG_CHARS]})


def log_folder(folder: Path, path: str) -> None:
    """Store the files of a folder as artifacts of the open run."""
    mlflow.log_artifacts(str(folder), path)


def current_experiment() -> str:
    """Return the id of the open run's experiment."""
    run = mlflow.active_run()
    if run is None:
        raise RuntimeError("no run is open")
    return str(run.info.experiment_id)


def tracking_uri() -> str:
    """Return where runs are kept."""
    return str(mlflow.get_tracking_uri())


def shown_uri() -> str:
    """Return where runs are kept, for people and logs."""
    return without_password(tracking_uri(), tracking_uri())


def use_tracking_uri(uri: str) -> None:
    """Keep runs there: what a worker process calls first."""
    mlflow.set_tracking_uri(uri)


def has_store() -> bool:
    """Whether there is anything to read, without making an empty database by asking."""
    scheme, _, path = tracking_uri().partition("sqlite:///")
    return bool(scheme) or Path(path.partition("?")[0]).is_file()


def need_store() -> None:
    """Raise GenreError where there is nothing to read: to ask would make an empty database."""
    if not has_store():
        raise GenreError(f"no registry in {shown_uri()}: point MLFLOW_TRACKING_URI to where it is")


def log_best_trial(number: int, run_id: str, figures: Mapping[str, float]) -> None:
    """Say in the open run which trial won, and mark that trial's run."""
    mlflow.log_metrics(dict(figures))
    mlflow.set_tags({f"{TAG}best_trial": str(number), f"{TAG}best_run": run_id})
    if _find_run(run_id):
        MlflowClient().set_tag(run_id, f"{TAG}best", "true")


def own_tags(step: str) -> dict[str, str]:
    """Return what a run says of the step and the process that made it."""
    return {f"{TAG}{key}": value for key, value in {"step": step, **this_process()}.items()}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep MLflow's remarks and hints off the terminal; its errors are exceptions."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _find_run(run_id: str) -> Run | None:
    """Return a run that can be written; None where somebody has deleted it in the UI."""
    try:
        found = MlflowClient().get_run(run_id)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise
        return None
    return found if found.info.lifecycle_stage == LifecycleStage.ACTIVE else None


def _is_dead(run: Any) -> bool:
    own = {k.removeprefix(TAG): v for k, v in run.data.tags.items() if k.startswith(TAG)}
    if "pid" in own:
        return is_gone(own)
    age_s = time.time() - run.info.start_time / 1_000
    by_project = run.data.tags.get("mlflow.source.type") == "PROJECT"
    return bool(by_project and age_s > _UNTAGGED_PATIENCE_S)
