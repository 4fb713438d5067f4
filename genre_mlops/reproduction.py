"""`genre-mlops models reproduce`: a version's networks, trained once more and compared."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genre_mlops import tracking
from genre_mlops.crew import run_all
from genre_mlops.engine import Engine
from genre_mlops.errors import DataError, GenreError
from genre_mlops.files import alone
from genre_mlops.fitting import Plan
from genre_mlops.lineage import Lineage, libraries, this_code, this_machine
from genre_mlops.members import train_member
from genre_mlops.registry import ModelVersion, read_lineage


@dataclass(frozen=True)
class Reproduced:
    """What came of training a version once more.

    Attributes
    ----------
    was, now : str
        sha256 of all weights, of the version and of what was trained now.
    changed : dict of str to tuple of str
        What is not as it was then (code, libraries, machine): then and now.
    """

    was: str
    now: str
    changed: dict[str, tuple[str, str]]

    @property
    def same(self) -> bool:
        """Whether all weights are, to the last bit."""
        return self.was == self.now


def reproduce(version: ModelVersion, workspace: Path, engine: Engine) -> Reproduced:
    """Train a version's networks anew, with its config, tracks and seeds, and compare.

    Parameters
    ----------
    version : ModelVersion
        With its lineage.
    workspace : Path
        Holds the splits that it was trained on. Cut off, the next call goes on.
    engine : Engine
        Where the trainings run.

    Raises
    ------
    GenreError
        It has no lineage, or was cut short.
    DataError
        Its tracks are not on this machine.
    """
    from genre_mlops.learning.networks import average_networks, load_network, weights_sha256

    lineage = read_lineage(version.bundle)
    if lineage.cut_short:
        raise GenreError(
            f"{version.name} {version.version} cannot be made again: its search's time was over "
            "before the last epoch of its network"
        )
    config = lineage.trained_config()
    catalog = workspace / "splits" / f"{lineage.split_digest}.parquet"
    if not catalog.is_file():
        raise DataError(
            f"{catalog} is not there: bring the data of {version.name} {version.version} here "
            f"({lineage.dataset}, {lineage.source}) and run the entry point validate with "
            "its config, `genre-mlops models show` prints it"
        )
    # What a job that was cut off left is gone on with by the same code and libraries alone.
    here = json.dumps([lineage.weights_sha256, this_code().model_dump(), libraries()])
    digest = hashlib.sha256(here.encode()).hexdigest()[:12]
    folder = workspace / "reproduced" / f"{version.name}-{version.version}-{digest}"
    named = f"reproduce: {version.name} {version.version}"
    busy = "waiting for another process that reproduces the same version"
    with alone(folder, busy=busy), tracking.open_run("reproduce", named) as run_id:
        plan = Plan(
            config=config,
            genres=lineage.genres,
            catalog=catalog,
            features=workspace / "features",
            folder=folder,
            key="",
            tracking_uri=tracking.tracking_uri(),
            experiment_id=tracking.current_experiment(),
            parent_run_id=run_id,
            synthetic=lineage.synthetic,
            tags={"genre.dataset": lineage.dataset, "genre.split_digest": lineage.split_digest},
        )
        seeds = range(config.seed, config.seed + config.training.members)
        paths = {seed: folder / f"seed-{seed}.keras" for seed in seeds}
        tasks = [
            (plan, config.override({"seed": seed}), path, lineage.threads)
            for seed, path in paths.items()
            if not path.exists()
        ]
        with engine.crew() as crew:
            for n_done, _ in enumerate(run_all(crew, train_member, tasks), 1):
                engine.progress("networks", n_done, len(tasks))
        there = [path for path in paths.values() if path.exists()]
        if not there:
            raise GenreError("no network could be trained: see the runs below `reproduce`")
        now = weights_sha256(average_networks([load_network(path) for path in there]))
        found = Reproduced(lineage.weights_sha256, now, _changed(lineage))
        tracking.set_tags(
            {"genre.weights_sha256": now, "genre.reproduced": str(found.same).lower()}
        )
        # The next call is to train them once more.
        shutil.rmtree(folder)
    return found


def _changed(lineage: Lineage) -> dict[str, tuple[str, str]]:
    """Return what is not as it was, then and now."""
    from genre_mlops.learning.networks import gpu_names

    then: dict[str, Any] = {
        **lineage.code.model_dump(),
        **lineage.libraries,
        **lineage.machine.model_dump(exclude={"memory_gb"}),
    }
    now: dict[str, Any] = {
        **this_code().model_dump(),
        **libraries(),
        **this_machine(gpu_names()).model_dump(exclude={"memory_gb"}),
    }
    return {
        key: (str(then.get(key, "none")), str(now.get(key, "none")))
        for key in {**then, **now}
        if then.get(key) != now.get(key)
    }
