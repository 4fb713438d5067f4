"""`genre-mlops package`: a version of the registered model, and the bento that serves it."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import genre_mlops
from genre_mlops import registry, tracking
from genre_mlops.errors import ConfigError, GenreError
from genre_mlops.names import CARD, CHAMPION, REGISTERED_MODEL, REGISTERED_SEAL, SEAL
from genre_mlops.registry import ModelVersion
from genre_mlops.serving.packaging import BENTOFILE, package

_KEPT = ("dataset", "split_digest", "features_digest", "synthetic", "trial_run_id")


@dataclass(frozen=True)
class Packed:
    """A bento and what it serves.

    Attributes
    ----------
    bento : str
        Its tag.
    model : str
        Name of the registered model.
    version : int
        The version that answers.
    champion : bool
        Whether that is the champion.
    labels : dict of str to str
        Where it comes from, as noted on the bento.
    """

    bento: str
    model: str
    version: int
    champion: bool
    labels: dict[str, str]


def pack(name: str, number: int | None, project: Path) -> Packed:
    """Make a bento of a version, which `genre_classifier:latest` stands for from then on.

    Parameters
    ----------
    name : str
        The registered model's.
    number : int or None
        The version; None for the champion.
    project : Path
        Holds `bentofile.yaml`.

    Raises
    ------
    ConfigError
        There is no `bentofile.yaml`, or it names files that are not there.
    GenreError
        There is no such version or no champion, its files are gone or others, or BentoML fails.
    """
    found = registry.load_champion(name) if number is None else registry.find_version(name, number)
    labels = _labels(found)
    tag = package(
        found.bundle,
        version=found.version,
        labels=labels,
        project=project,
        card=tracking.read_text(found.run_id, CARD),
    )
    champion = registry.version_of(name, CHAMPION) == found.version
    return Packed(tag, name, found.version, champion, labels)


def find_project() -> Path:
    """Return the folder with `bentofile.yaml` that this code is of.

    Raises
    ------
    ConfigError
        It was installed without.
    """
    project = Path(genre_mlops.__file__).resolve().parents[1]
    if not (project / BENTOFILE).is_file():
        raise ConfigError(
            f"genre-mlops is installed without {BENTOFILE}, which a bento is built from: name the "
            "project's folder by --project"
        )
    return project


def _labels(found: ModelVersion) -> dict[str, str]:
    """Say where a version comes from, for who has the bento and not the registry."""
    labels = {REGISTERED_MODEL: found.name}
    labels |= {key: found.tags[key] for key in _KEPT if key in found.tags}
    if SEAL in found.tags:
        # The bento's own seal is another: it does without the files that only training needs.
        labels[REGISTERED_SEAL] = found.tags[SEAL]
    with suppress(GenreError):  # of a bundle that an older genre-mlops made
        code = registry.read_lineage(found.bundle).code
        labels["git_commit"] = (code.git_commit or "none") + "-dirty" * code.git_dirty
    return labels
