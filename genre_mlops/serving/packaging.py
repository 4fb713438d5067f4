"""A bundle -> a BentoML model and a bento that serves exactly that model.

Both are made in a BentoML home of their own, by a child process, and renamed into the real one:
a packaging killed half-way leaves nothing there that is half made, and nothing of this process
(environment, working folder, loggers) is touched by BentoML.
"""

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from genre_mlops.errors import ConfigError, GenreError
from genre_mlops.files import replacing
from genre_mlops.learning.bundle import (
    FILTERS,
    INFO,
    ONNX,
    Bundle,
    BundleInfo,
    read_info,
    seal_of,
    write_info,
)
from genre_mlops.names import CARD, SEAL

logger = logging.getLogger(__name__)

NAME = "genre_classifier"
BENTOFILE = "bentofile.yaml"
_DIGEST_CHARS = 12
# What a model is made of: one of another form is another model. 2: its seal is among its labels.
_FORM = 2
# bento.yaml notes settings of the process that builds it, such as a thread for each core. A service
# reads its own when it starts: those of the building machine would only make bentos differ.
_SETTINGS, _NOTED = "GENRE_", {"GENRE_THREADS": "1"}


def package(
    bundle_folder: Path,
    *,
    version: int,
    labels: Mapping[str, str],
    project: Path,
    card: str | None = None,
) -> str:
    """Make the BentoML model and the bento of a bundle, and make both `latest`.

    The same bundle, version, labels, card, service code and lock give the same bento, to the last
    byte of its files but for the times that BentoML notes: it is made once.
    `genre_classifier:latest` is the bento of the last call, also when it existed before.

    Parameters
    ----------
    bundle_folder : Path
        The bundle; `bundle.json`, `network.onnx` and `mel_filters.npz` are packaged.
    version : int
        The registry's version of the model.
    labels : mapping of str to str
        What to note on the model and the bento, for example ``{"git_commit": "0a1b2c3"}``; beside
        it stand `registry_version`, `bundle_sha256` (the seal of what is served) and, on the bento,
        `service_sha256` (of `bentofile.yaml` and the files that it names).
    project : Path
        Holds `bentofile.yaml` and the files it names.
    card : str, optional
        The model card, in Markdown; the service shows it.

    Returns
    -------
    str
        The tag of the bento, for example ``genre_classifier:v3-0123456789ab``.

    Raises
    ------
    ConfigError
        There is no `bentofile.yaml`, or it names files that are not there.
    GenreError
        The bundle is not whole, or BentoML fails.
    """
    bundle_folder, project = bundle_folder.absolute(), project.absolute()
    labels = {**labels, "registry_version": str(version)}
    model_tag = f"v{version}-{_model_digest(Bundle(bundle_folder, threads=1).info, labels, card)}"
    service = _service_digest(project)
    bento_tag = f"v{version}-{_digest([model_tag.encode(), service.encode()])[:_DIGEST_CHARS]}"
    job = {
        "bundle": str(bundle_folder),
        "project": str(project),
        "model_tag": model_tag,
        "bento_tag": bento_tag,
        "labels": labels,
        "service_sha256": service,
        "card": card,
    }
    home = _home()
    model = home / "models" / NAME / model_tag
    bento = home / "bentos" / NAME / bento_tag
    try:
        if model.is_dir() and bento.is_dir():
            logger.info("%s:%s is packaged already", NAME, bento_tag)
        else:
            _build(job, model=model, bento=bento, home=home)
            logger.info("packaged %s:%s", NAME, bento_tag)
        _point_latest(model)
        _point_latest(bento)
    except OSError as error:
        raise GenreError(
            f"cannot write to BentoML's home {home}: {error.strerror or error}; "
            "BENTOML_HOME names another"
        ) from error
    return f"{NAME}:{bento_tag}"


def latest_bento() -> str | None:
    """Return the tag that `genre_classifier:latest` stands for, None where there is no bento."""
    store = _home() / "bentos" / NAME
    try:
        version = (store / "latest").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return f"{NAME}:{version}" if (store / version).is_dir() else None


def _build(job: Mapping[str, object], *, model: Path, bento: Path, home: Path) -> None:
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=temporary, prefix="packaging-") as stage:
        _run_child(job, Path(stage))
        for item in (model, bento):
            _publish(Path(stage) / item.relative_to(home), item)


def _home() -> Path:
    """Return the folder in which BentoML keeps models and bentos, found as BentoML finds it."""
    home = os.environ.get("BENTOML_HOME", "~/bentoml")
    return Path(os.path.expandvars(home)).expanduser().absolute()


def _model_digest(info: BundleInfo, labels: Mapping[str, str], card: str | None = None) -> str:
    said = info.model_dump(mode="json", exclude={"sha256"})
    files = {name: info.sha256[name] for name in (ONNX, FILTERS)}
    told = json.dumps([_FORM, said, files, dict(labels), card], sort_keys=True)
    return _digest([told.encode()])[:_DIGEST_CHARS]


def _service_digest(project: Path) -> str:
    """Return the sha256 of all that a bento is built of beside its model."""
    parts = []
    for path in _ingredients(project):
        parts += [path.relative_to(project).as_posix().encode(), path.read_bytes()]
    return _digest(parts)


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()


def _ingredients(project: Path) -> list[Path]:
    """Return all files of the project that decide what the bento is."""
    bentofile = project / BENTOFILE
    config = _read_bentofile(project)
    try:
        names = [*config["include"], config["python"]["requirements_txt"]]
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{bentofile}: expected include and python.requirements_txt") from error
    missing = [name for name in names if not (project / name).is_file()]
    if missing:
        raise ConfigError(f"{bentofile} names {', '.join(missing)}: not a file of {project}")
    return [bentofile, *(project / name for name in sorted(names))]


def _read_bentofile(project: Path) -> dict[str, Any]:
    path = project / BENTOFILE
    try:
        config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: a bento is built from the project") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return config


def _run_child(job: Mapping[str, object], stage: Path) -> None:
    inherited = {name: v for name, v in os.environ.items() if not name.startswith(_SETTINGS)}
    own = {"BENTOML_HOME": str(stage), "BENTOML_DO_NOT_TRACK": "True"}
    done = subprocess.run(
        [sys.executable, "-m", __name__, json.dumps(job)],
        cwd=str(job["project"]),
        env=inherited | _NOTED | own,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        logger.debug("bentoml: %s", line)
    if done.returncode:
        last = next(iter(done.stdout.strip().splitlines()[-1:]), f"exit code {done.returncode}")
        raise GenreError(
            f"the bento was not built: {last} (try `bentoml build` in {job['project']}; "
            "the log has all of what BentoML said at level DEBUG)"
        )


def _publish(made: Path, place: Path) -> None:
    """Move a finished model or bento to where BentoML looks for it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        made.rename(place)
    except OSError:
        if not place.is_dir():
            raise
        # There before: a model with another bento, or what a simultaneous packaging made.


def _point_latest(item: Path) -> None:
    """Make `item` what the tag `latest` stands for.

    BentoML keeps the version in a file named `latest` beside the versions, and only ever advances
    it to an item created later, which would undo no promotion.
    """
    with replacing(item.parent / "latest") as partial:
        partial.write_text(item.name, encoding="utf-8")


def _make(job: Mapping[str, Any]) -> None:
    """Create model and bento in the BentoML home of this process, the child."""
    import bentoml

    bundle = Path(job["bundle"])
    with tempfile.TemporaryDirectory(dir=os.environ["BENTOML_HOME"]) as place:
        served = Path(place)
        for name in (ONNX, FILTERS):
            shutil.copyfile(bundle / name, served / name)
        # Sealed anew: the bundle's own seal names files that serving does not need.
        write_info(served, read_info(bundle))
        labels = {**job["labels"], SEAL: seal_of(served)}
        with bentoml.models.create(f"{NAME}:{job['model_tag']}", labels=labels) as model:
            for name in (ONNX, FILTERS, INFO):
                shutil.copyfile(served / name, Path(model.path) / name)
            if job["card"]:
                (Path(model.path) / CARD).write_text(job["card"], encoding="utf-8")
    # The model is the only one of this home: `latest` in bentofile.yaml can mean no other.
    bentoml.bentos.build_bentofile(
        str(Path(job["project"]) / BENTOFILE),
        version=job["bento_tag"],
        labels={**labels, "service_sha256": job["service_sha256"]},
        build_ctx=job["project"],
    )


def _main(text: str) -> None:
    """Do the job; where it fails, the last line written says why."""
    try:
        _make(json.loads(text))
    except Exception as error:
        traceback.print_exc()
        sys.exit(" ".join(str(error).split()) or type(error).__name__)


if __name__ == "__main__":
    _main(sys.argv[1])
