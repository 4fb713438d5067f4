"""Versions of the registered model, their aliases, and how the champion changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import genre_mlops
from genre_mlops import tracking
from genre_mlops.errors import GenreError
from genre_mlops.learning.bundle import BundleInfo
from genre_mlops.learning.gate import Verdict

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
_REQUIREMENTS = (
    *("mlflow", "numpy", "onnxruntime", "pandas", "pydantic", "pyyaml"),
    *("scipy", "soundfile", "soxr"),
)


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model.

    Attributes
    ----------
    name : str
        The registered model's.
    version : int
        Its number.
    bundle : Path
        A local copy of its bundle.
    tags : dict of str to str
        What was noted when it was registered.
    """

    name: str
    version: int
    bundle: Path
    tags: dict[str, str]


def register(
    bundle: Path, info: BundleInfo, *, name: str, tags: Mapping[str, str], description: str
) -> int:
    """Log a bundle as a pickle-free pyfunc of the open run and register it as `challenger`.

    Parameters
    ----------
    bundle : Path
        The folder.
    info : BundleInfo
        Names the genres of the signature.
    name : str
        The registered model's.
    tags : mapping of str to str
        Of the version.
    description : str
        Of the version, Markdown.

    Returns
    -------
    int
        The new version.
    """
    probabilities = {f"p_{genre}": "double" for genre in info.genres}
    number = tracking.log_pyfunc(
        Path(genre_mlops.__file__).with_name("pyfunc.py"),
        bundle=bundle,
        inputs={"path": "string"},
        outputs={"genre": "string", "sure": "boolean", "duration_s": "double", **probabilities},
        requirements=[f"{package}=={version(package)}" for package in _REQUIREMENTS],
        name=name,
    )
    client = tracking.client()
    for key, value in tags.items():
        client.set_model_version_tag(name, str(number), key, value)
    client.update_model_version(name, str(number), description)
    client.set_registered_model_alias(name, CHALLENGER, str(number))
    return number


def promote(name: str, number: int) -> None:
    """Make a version the champion; the one it follows becomes `previous`."""
    client = tracking.client()
    champion = version_of(name, CHAMPION)
    if champion is not None and champion != number:
        client.set_registered_model_alias(name, PREVIOUS, str(champion))
    client.set_registered_model_alias(name, CHAMPION, str(number))
    if version_of(name, CHALLENGER) == number:
        client.delete_registered_model_alias(name, CHALLENGER)


def version_of(name: str, alias: str) -> int | None:
    """Return the version that has an alias, None where there is none."""
    model = tracking.find_model(name)
    number = model.aliases.get(alias) if model else None
    return int(number) if number is not None else None


def find_champion(name: str) -> ModelVersion | None:
    """Bring the champion's bundle to this machine; None where there is no champion."""
    number = version_of(name, CHAMPION)
    if number is None:
        return None
    found = tracking.client().get_model_version(name, str(number))
    return ModelVersion(name, number, tracking.download_bundle(name, number), dict(found.tags))


def load_champion(name: str) -> ModelVersion:
    """Bring the champion's bundle to this machine.

    Raises
    ------
    GenreError
        There is no champion.
    """
    champion = find_champion(name) if tracking.has_store() else None
    if champion is None:
        raise GenreError(
            f"no champion of {name} in {tracking.tracking_uri()}: train one with `make run`, or "
            "point MLFLOW_TRACKING_URI to where it is"
        )
    return champion


def note_verdict(name: str, number: int, verdict: Verdict) -> None:
    """Tag a version with what the gate said of it."""
    client = tracking.client()
    said = {"verdict": "promoted" if verdict.promote else "held", "reason": verdict.reason}
    for key, value in said.items():
        client.set_model_version_tag(name, str(number), key, value)
