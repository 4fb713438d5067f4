"""Where a network comes from: data, config, code, libraries and machine, as one document."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil
from pydantic import ValidationError

import genre_mlops
from genre_mlops.config import Config, Section
from genre_mlops.errors import ConfigError

LIBRARIES = (
    *("keras", "tensorflow", "tensorflow-cpu", "numpy", "scipy", "soundfile", "soxr"),
    *("librosa", "onnx", "onnxruntime", "tf2onnx", "optuna", "mlflow", "pandas"),
)
_LOCK = Path("requirements") / "main.txt"


class Code(Section):
    """Which code it was.

    Attributes
    ----------
    version : str
        Of this project.
    git_commit : str
        Of the checkout that it ran from; empty where it was none.
    git_dirty : bool
        Whether files that git knows were changed.
    lock_sha256 : str
        Of `requirements/main.txt`; empty where it was not there.
    """

    version: str
    git_commit: str
    git_dirty: bool
    lock_sha256: str


class Machine(Section):
    """What it ran on.

    Attributes
    ----------
    system, processor, python : str
        For example ``"Linux-6.1 x86_64"``, the processor's name, ``"3.11.7"``.
    cores : int
        Of the processor, logical.
    memory_gb : float
        In 10^9 bytes.
    gpus : tuple of str
        As TensorFlow names them.
    """

    system: str
    processor: str
    python: str
    cores: int
    memory_gb: float
    gpus: tuple[str, ...]


class Lineage(Section):
    """Where a network comes from.

    Attributes
    ----------
    config : dict
        All settings of the network that was trained, as `Config` reads them.
    genres : tuple of str
        In the order of the outputs.
    dataset, source, licence : str
        Name of the data set, where it is from, and under which licence.
    synthetic : bool
        Whether it is music made for testing.
    data_digest, split_digest, features_digest : str
        Of content and genres; of these and the splits; of the feature config.
    code : Code
        Which code it was there.
    libraries : dict of str to str
        Package -> version, of those that take part.
    machine : Machine
        What the search was over on; on a cluster its trials ran elsewhere.
    threads : int
        Of TensorFlow; 0 left it the choice.
    runs : dict of str to str
        Step -> id of its MLflow run.
    cut_short : bool
        Whether the search's time was over before the network's last epoch.
    chosen_by : str
        How its config was chosen.
    n_trials : int
        Of the search that chose it.
    cpu_s : float
        CPU-seconds that these took, without tries that were cut off and other members.
    weights_sha256 : str
        Of all weights, in order.
    """

    config: dict[str, Any]
    genres: tuple[str, ...]
    dataset: str
    source: str
    licence: str
    synthetic: bool
    data_digest: str
    split_digest: str
    features_digest: str
    code: Code
    libraries: dict[str, str]
    machine: Machine
    threads: int
    runs: dict[str, str]
    cut_short: bool
    chosen_by: str
    n_trials: int
    cpu_s: float
    weights_sha256: str

    def trained_config(self) -> Config:
        """Return the settings.

        Raises
        ------
        ConfigError
            This code does not know them all.
        """
        try:
            return Config.model_validate(self.config)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ConfigError(
                f"its config is of another version: {where}: {first['msg']}"
            ) from None


def this_code(project: Path | None = None) -> Code:
    """Return which code runs."""
    project = (project or Path(genre_mlops.__file__).parents[1]).resolve()
    lock = project / _LOCK
    # An environment may lie in the checkout of something else.
    ours = _git(project, "rev-parse", "--show-toplevel") == str(project)
    return Code(
        version=genre_mlops.__version__,
        git_commit=_git(project, "rev-parse", "HEAD") if ours else "",
        git_dirty=ours and bool(_git(project, "status", "--porcelain", "--untracked-files=no")),
        lock_sha256=hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "",
    )


def this_machine(gpus: tuple[str, ...] = ()) -> Machine:
    """Return what this process runs on."""
    return Machine(
        system=f"{platform.system()}-{platform.release()} {platform.machine()}",
        processor=_processor(),
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        gpus=gpus,
    )


def libraries() -> dict[str, str]:
    """Return the versions of the packages that take part, of those that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _git(project: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(project), *arguments],  # noqa: S607  (whichever git there is)
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())
