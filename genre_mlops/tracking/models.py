"""Registered models in MLflow: how a version is logged, and how its bundle comes back."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
    ErrorCode,
)
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, Schema

from genre_mlops.errors import GenreError
from genre_mlops.learning.bundle import INFO
from genre_mlops.tracking import clean
from genre_mlops.tracking.runs import quiet, shown_uri, tracking_uri

MOST_DESCRIBED = 5_000
"""Characters of a description that every store holds."""
_PAGE = 1_000
_ATTEMPTS = 20
_PAUSE_S = 0.05
StoreError = MlflowException
"""What MLflow raises: a store that cannot be reached, or does not do what it is asked."""
# For a clean process to load a model and answer some files.
_APART_S = 600.0
_RETRIED = {
    ErrorCode.Name(code)
    for code in (INTERNAL_ERROR, RESOURCE_ALREADY_EXISTS, TEMPORARILY_UNAVAILABLE)
}


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


@dataclass(frozen=True)
class VersionInfo:
    """A version of a registered model, as the registry has it.

    Attributes
    ----------
    number : int
        From 1.
    created_ms : int
        Milliseconds since 1970, by the store's clock.
    tags : dict of str to str
        All of them.
    run_id : str
        The run that made it; empty where none did.
    """

    number: int
    created_ms: int
    tags: dict[str, str]
    run_id: str


def aliases(name: str) -> dict[str, int]:
    """Return the aliases of a registered model with their versions; none where it is not there."""
    model = find_model(name)
    return {alias: int(number) for alias, number in model.aliases.items()} if model else {}


def set_alias(name: str, alias: str, version: int | None) -> None:
    """Give an alias to a version of a registered model, or with None to none of them."""
    client = MlflowClient()
    if version is None:
        client.delete_registered_model_alias(name, alias)
        return
    for attempt in range(_ATTEMPTS):
        try:
            client.set_registered_model_alias(name, alias, str(version))
        except MlflowException:
            # Another sets it for the first time at the same moment.
            if attempt + 1 == _ATTEMPTS or version not in version_numbers(name):
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def model_tags(name: str) -> dict[str, str]:
    """Return the tags of a registered model; none where it is not there."""
    model = find_model(name)
    return dict(model.tags) if model else {}


def tag_model(name: str, key: str, value: str) -> None:
    """Tag a registered model."""
    MlflowClient().set_registered_model_tag(name, key, value)


def tag_version(name: str, version: int, tags: Mapping[str, str]) -> None:
    """Tag a version of a registered model."""
    client = MlflowClient()
    for key, value in tags.items():
        client.set_model_version_tag(name, str(version), key, value)


def describe_version(name: str, version: int, markdown: str) -> None:
    """Describe a version of a registered model, by at most `MOST_DESCRIBED` characters."""
    MlflowClient().update_model_version(name, str(version), markdown)


def version_numbers(name: str) -> set[int]:
    """Return the numbers of all versions of a registered model."""
    return {version.number for version in list_versions(name)}


def list_versions(name: str) -> list[VersionInfo]:
    """Return all versions of a registered model, the oldest first; none where it is not there."""
    found: list[VersionInfo] = []
    token: str | None = None
    while True:
        page = MlflowClient().search_model_versions(
            f"name = '{name}'",
            max_results=_PAGE,
            # By default the one changed last comes first: changed meanwhile, one would be missed.
            order_by=["version_number ASC"],
            page_token=token,
        )
        found += [
            VersionInfo(int(v.version), int(v.creation_timestamp), dict(v.tags), v.run_id or "")
            for v in page
        ]
        token = page.token
        if not token:
            return sorted(found, key=lambda version: version.number)


def append_version(
    name: str, *, source: str, tags: Mapping[str, str], description: str, about: str
) -> int:
    """Make the next version of a registered model that stands for something written down.

    Parameters
    ----------
    name : str
        The registered model's; made where it is missing.
    source : str
        What it is about, for example ``models:/genre-classifier/3``.
    tags, description
        Of the version: written with it, or not at all.
    about : str
        Description of the registered model, where it is made.

    Returns
    -------
    int
        Its number: above that of all versions before.
    """
    client = MlflowClient()
    for _ in range(_ATTEMPTS):
        try:
            if find_model(name) is None:
                client.create_registered_model(name, description=about)
            made = client.create_model_version(
                name, source, tags=dict(tags), description=description
            )
        except MlflowException as error:
            # Another wrote at the same time, or made the model.
            if error.error_code not in _RETRIED:
                raise
            failed = error
            time.sleep(_PAUSE_S)
        else:
            return int(made.version)
    raise failed


def log_pyfunc(
    script: Path,
    *,
    bundle: Path,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    requirements: Sequence[str],
    config: Mapping[str, str],
) -> str:
    """Log a model written as a script, without pickle, in the open run.

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
    config : mapping of str to str
        What the script finds as `context.model_config`.

    Returns
    -------
    str
        Its address, for `register_model`.
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
            model_config=dict(config),
        )
    return str(logged.model_uri)


def register_model(model: str, name: str, tags: Mapping[str, str]) -> int:
    """Make a logged model the next version of a registered one, tags and all, or not at all."""
    with quiet():
        made = mlflow.register_model(model, name, tags=dict(tags))
    return int(made.version)


def predict_apart(model: str, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Predict audio files in a process of its own, which may unpickle nothing.

    Parameters
    ----------
    model : str
        For example ``models:/genre-classifier/3``.
    paths : sequence of Path
        Audio files.

    Returns
    -------
    list of dict
        What the model says of each, column -> value.

    Raises
    ------
    GenreError
        It cannot be loaded, or cannot predict; with the last line of what was said.
    """
    settings = {
        "MLFLOW_TRACKING_URI": tracking_uri(),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    # Isolated: neither this folder nor PYTHONPATH is looked into for modules.
    command = [sys.executable, "-I", clean.__file__, json.dumps([model, [*map(str, paths)]])]
    try:
        done = subprocess.run(
            command,
            env=os.environ | settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_APART_S,
        )
    except subprocess.TimeoutExpired as error:
        raise GenreError(f"{model} gave no answer within {_APART_S:g} s") from error
    if done.returncode:
        last = next(iter(done.stderr.strip().splitlines()[-1:]), f"exit code {done.returncode}")
        raise GenreError(f"{model} does not answer in a clean process: {last}")
    answers: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    return answers


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
            f"the files of {name} version {version} are gone from where {shown_uri()} says "
            "they are: bring them back; where it is the champion, `genre-mlops rollback` or "
            "`genre-mlops promote N --force --reason TEXT` makes another"
        ) from error


def _schema(columns: Mapping[str, str]) -> Schema:
    return Schema([ColSpec(kind, column) for column, kind in columns.items()])
