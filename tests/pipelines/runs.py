"""What MLflow holds at a place."""

from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from tests.pipelines.conftest import Place

MODEL = "genre-classifier"


def client(place: Place) -> MlflowClient:
    """Return a client of the place's database."""
    return MlflowClient(place.tracking_uri, registry_uri=place.tracking_uri)


def all_runs(place: Place) -> list[Run]:
    """Return every run, oldest first."""
    experiments = [e.experiment_id for e in client(place).search_experiments()]
    return client(place).search_runs(experiments, order_by=["attributes.start_time ASC"])


def step_of(run: Run) -> str:
    """Return which step a run is of."""
    return run.data.tags["genre.step"]


def runs_of(place: Place, step: str) -> list[Run]:
    """Return a step's runs, oldest first."""
    return [run for run in all_runs(place) if step_of(run) == step]


def parent_of(run: Run) -> str | None:
    """Return the id of the run it is nested in."""
    return run.data.tags.get("mlflow.parentRunId")


def artifacts_of(
    place: Place, version: str, folder: str = "", *, model: str = MODEL
) -> dict[str, Path]:
    """Return the artifacts of the run that registered a version, by name."""
    found = client(place)
    run = found.get_run(found.get_model_version(model, version).run_id)
    root = Path(run.info.artifact_uri.removeprefix("file://")) / folder
    return {path.name: path for path in root.iterdir()}


def aliases_of(place: Place, model: str = MODEL) -> dict[str, int]:
    """Return a model's aliases, and the version of each."""
    return {a: int(v) for a, v in client(place).get_registered_model(model).aliases.items()}


def champion_of(place: Place) -> int:
    """Return the champion's version."""
    return int(client(place).get_model_version_by_alias(MODEL, "champion").version)


def statuses(place: Place) -> dict[str, int]:
    """Count the runs in each state."""
    found: dict[str, int] = {}
    for run in all_runs(place):
        found[run.info.status] = found.get(run.info.status, 0) + 1
    return found
