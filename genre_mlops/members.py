"""The networks of an ensemble: the best trial's config once more, with other seeds."""

import logging
import time
from pathlib import Path

from genre_mlops import tracking
from genre_mlops.config import Config
from genre_mlops.crew import run_all
from genre_mlops.engine import Engine
from genre_mlops.fitting import Plan, fit

_log = logging.getLogger(__name__)
Task = tuple[Plan, Config, Path, int]


def train_members(plan: Plan, config: Config, first: Path, engine: Engine) -> list[Path]:
    """Train the members of an ensemble that are not there yet.

    Parameters
    ----------
    plan : Plan
        Names the tracks.
    config : Config
        The best trial's; `training.members` counts that trial's network, the first member.
    first : Path
        That network's file. The others are kept beside it, under its name: those of another trial
        are not taken for them. Cut off, the next call goes on.
    engine : Engine
        Where the trainings run.

    Returns
    -------
    list of Path
        The `.keras` files of all members but the first, and those whose training diverged.
    """
    numbers = range(1, config.training.members)
    paths = [first.with_name(f"{first.stem}-member-{number:03d}.keras") for number in numbers]
    tasks = [
        (plan, config.override({"seed": config.seed + number}), path, engine.threads)
        for number, path in zip(numbers, paths, strict=True)
        if not path.exists()
    ]
    n_done = len(paths) - len(tasks)
    with engine.crew() as crew:
        for line in run_all(crew, train_member, tasks):
            n_done += 1
            _log.info("%s; %d of %d", line, n_done, len(paths))
            engine.progress("members", n_done, len(paths), told=True)
    return [path for path in paths if path.exists()]


def train_member(task: Task) -> str:
    """Train one member into its file, and return one line about it."""
    from genre_mlops.learning.networks import save_network
    from genre_mlops.learning.training import TrainingDivergedError

    plan, config, path, threads = task
    tracking.use_tracking_uri(plan.tracking_uri)
    log = tracking.TrialLog(
        plan.experiment_id,
        plan.parent_run_id,
        f"{plan.score_prefix}{path.stem}",
        plan.run_tags,
        step="member",
    )
    began, status = time.monotonic(), "FAILED"
    state = path.with_suffix(".npz")
    try:
        log.params({"seed": config.seed})
        network, result = fit(
            plan, config, log=log, report=lambda epoch, loss: None, state=state, threads=threads
        )
        save_network(network, path)
        state.unlink(missing_ok=True)
        status = "FINISHED"
    except TrainingDivergedError as error:
        state.unlink(missing_ok=True)
        return f"{path.stem}: left out: {error}"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        log.close(status, tags={})
    return (
        f"{path.stem}: {plan.score_prefix}validation loss {result.validation_loss:.4f}, "
        f"{time.monotonic() - began:.0f} s"
    )
