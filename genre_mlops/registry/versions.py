"""Versions of the registered model: how they are made, and how their bundles come back."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

import genre_mlops
from genre_mlops import tracking
from genre_mlops.errors import GenreError
from genre_mlops.learning.bundle import LINEAGE, BundleInfo, check_files, seal_of
from genre_mlops.lineage import Lineage
from genre_mlops.names import CHAMPION, SEAL

CHALLENGER, PREVIOUS = "challenger", "previous"
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
    run_id : str
        The run that registered it.
    """

    name: str
    version: int
    bundle: Path
    tags: dict[str, str]
    run_id: str


def register(bundle: Path, info: BundleInfo, *, name: str, tags: Mapping[str, str]) -> int:
    """Log a bundle as a pickle-free pyfunc of the open run and register it.

    A bundle that is registered already, by a job that was cut off or one that shared the search,
    stays the version that it is.

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

    Returns
    -------
    int
        The version.
    """
    sealed = seal_of(bundle)
    for known in tracking.list_versions(name):
        if known.tags.get(SEAL) == sealed:
            return known.number
    probabilities = {f"p_{genre}": "double" for genre in info.genres}
    model = tracking.log_pyfunc(
        Path(genre_mlops.__file__).with_name("pyfunc.py"),
        bundle=bundle,
        inputs={"path": "string"},
        outputs={
            **{"genre": "string", "sure": "boolean", "duration_s": "double", "error": "string"},
            **probabilities,
        },
        requirements=[f"{package}=={version(package)}" for package in _REQUIREMENTS],
        config={"seal": sealed},
    )
    return tracking.register_model(model, name, {**tags, SEAL: sealed})


def challenge(name: str, number: int) -> None:
    """Make a version the `challenger`, unless it is the champion or a newer one challenges it."""
    named = tracking.aliases(name)
    if number != named.get(CHAMPION) and number > named.get(CHALLENGER, 0):
        tracking.set_alias(name, CHALLENGER, number)


def version_of(name: str, alias: str) -> int | None:
    """Return the version that has an alias, None where there is none."""
    return tracking.aliases(name).get(alias)


def find_version(name: str, number: int) -> ModelVersion:
    """Bring a version's bundle to this machine.

    Raises
    ------
    GenreError
        There is no such version, its files are gone, or one of them is another.
    """
    found = {version.number: version for version in tracking.list_versions(name)}.get(number)
    if found is None:
        raise GenreError(f"{name} has no version {number}: `genre-mlops models list` names them")
    bundle = tracking.download_bundle(name, number)
    check_files(bundle, seal=found.tags.get(SEAL, ""))
    return ModelVersion(name, number, bundle, found.tags, found.run_id)


def find_champion(name: str) -> ModelVersion | None:
    """Bring the champion's bundle to this machine; None where there is no champion."""
    number = version_of(name, CHAMPION)
    return find_version(name, number) if number is not None else None


def load_champion(name: str) -> ModelVersion:
    """Bring the champion's bundle to this machine.

    Raises
    ------
    GenreError
        There is no champion.
    """
    there = tracking.has_store()
    champion = find_champion(name) if there else None
    if champion is None:
        others = tracking.list_versions(name) if there else []
        advice = "train one with `make run`, or point MLFLOW_TRACKING_URI to where it is"
        if others:
            last = others[-1]
            advice = (
                f"the gate said {last.tags.get('verdict', 'nothing')} of version {last.number} "
                f"({last.tags.get('reason', 'it was not asked')}); `genre-mlops promote` asks again"
            )
        raise GenreError(f"no champion of {name} in {tracking.shown_uri()}: {advice}")
    return champion


def read_lineage(bundle: Path) -> Lineage:
    """Return where a bundle comes from.

    Raises
    ------
    GenreError
        Its bundle does not say, or says it in another form.
    """
    try:
        return Lineage.model_validate_json((bundle / LINEAGE).read_bytes())
    except OSError as error:
        raise GenreError(
            f"{bundle} has no {LINEAGE}, an older genre-mlops made it: train a new one"
        ) from error
    except ValidationError as error:
        raise GenreError(f"{bundle / LINEAGE} is not of this version: {error}") from error
