"""Registered models in MLflow: how a version is logged, and how its bundle comes back."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import mlflow
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, Schema

from genre_mlops.errors import GenreError
from genre_mlops.learning.bundle import INFO
from genre_mlops.tracking.runs import quiet, tracking_uri


def client() -> MlflowClient:
    """Return a client of the store, for the registry."""
    return MlflowClient()


def find_model(name: str) -> RegisteredModel | None:
    """Return a registered model, None where there is none of the name."""
    try:
        return MlflowClient().get_registered_model(name)
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return None
        raise


def log_pyfunc(
    script: Path,
    *,
    bundle: Path,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    requirements: Sequence[str],
    name: str,
) -> int:
    """Log a model written as a script, without pickle, and register it.

    Parameters
    ----------
    script : Path
        Inside a package, whose code goes along.
    bundle : Path
        The model's artifact ``bundle``.
    inputs, outputs : mapping of str to str
        Column -> MLflow type.
    requirements : sequence of str
        Of pip; nothing is guessed.
    name : str
        The registered model's.

    Returns
    -------
    int
        The new version.
    """
    signature = ModelSignature(_schema(inputs), _schema(outputs))
    with quiet():
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(script),
            artifacts={"bundle": str(bundle)},
            code_paths=[str(script.parent)],
            signature=signature,
            pip_requirements=list(requirements),
            registered_model_name=name,
        )
    return int(logged.registered_model_version)


def download_bundle(name: str, version: int) -> Path:
    """Bring a version's bundle to this machine; for a local store it is there already.

    Raises
    ------
    GenreError
        The files are not where the registry says.
    """
    try:
        with quiet():
            folder = mlflow.artifacts.download_artifacts(f"models:/{name}/{version}")
        return next(Path(folder).glob(f"artifacts/*/{INFO}")).parent
    except (MlflowException, OSError, StopIteration) as error:
        raise GenreError(
            f"the files of {name} version {version} are gone from where {tracking_uri()} says "
            "they are: bring them back, or give the alias champion to another version"
        ) from error


def _schema(columns: Mapping[str, str]) -> Schema:
    return Schema([ColSpec(kind, column) for column, kind in columns.items()])
