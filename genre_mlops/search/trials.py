"""One trial of a search, in any process."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import optuna
import psutil
from optuna.trial import TrialState

from genre_mlops import tracking
from genre_mlops.errors import ConfigError
from genre_mlops.fitting import Plan, fit
from genre_mlops.processes import repeating
from genre_mlops.search.attributes import (
    ACCURACY,
    CPU_S,
    CUT_OFF,
    EPOCHS,
    LOSS_ERROR,
    MEMORY_MB,
    PLACE,
    REASON,
    RUN,
    SECONDS,
    THREADS,
    TRACKING_S,
)
from genre_mlops.search.budget import Budget
from genre_mlops.search.storage import HEARTBEAT_S, reachable
from genre_mlops.search.studies import network_path


@dataclass(frozen=True)
class Task:
    """What a worker needs to run a trial.

    Attributes
    ----------
    plan : Plan
        What is searched.
    study : str
        Its study's name.
    threads : int
        For TensorFlow; 0 leaves it the choice.
    until_s : float
        In seconds since 1970: later no trial is begun but the first, and those that run end with
        their best epoch.
    """

    plan: Plan
    study: str
    threads: int
    until_s: float


@dataclass(frozen=True)
class _Ended:
    """How a trial ended, its run in MLflow too; with values where it is complete."""

    state: TrialState
    reason: str
    status: str = "KILLED"
    values: tuple[float, ...] | None = None


@reachable()
def run_trial(task: Task) -> None:
    """Begin a trial where there is one to begin, and tell Optuna and MLflow what came of it.

    Raises
    ------
    GenreError
        The studies' database cannot be used, or the tracks.
    """
    tracking.use_tracking_uri(task.plan.tracking_uri)
    budget = Budget(task.plan, task.study)
    trial = budget.begin(task.until_s)
    if trial is None:
        return
    with repeating(partial(budget.record_heartbeat, trial.number), HEARTBEAT_S):
        _run(task, trial)


def _run(task: Task, trial: optuna.Trial) -> None:
    plan, place = task.plan, trial.user_attrs[PLACE]
    tags = plan.run_tags | {"genre.trial_number": str(trial.number)}
    name = f"{plan.score_prefix}trial {place:03d}"
    log = tracking.TrialLog(plan.experiment_id, plan.parent_run_id, name, tags)
    began, began_cpu_s = time.monotonic(), time.process_time()
    ended = _Ended(TrialState.FAIL, "interrupted")
    unfinished = plan.folder / task.study / f"{place:03d}.npz"
    try:
        trial.set_user_attr(RUN, log.run_id)
        ended = _train(task, trial, log)
    except optuna.exceptions.UpdateFinishedTrialError:
        # This process gave no sign of life for so long that another tries it once more.
        ended = _Ended(TrialState.FAIL, "taken over by another worker")
    except Exception as error:
        ended = _Ended(TrialState.FAIL, str(error)[:5_000], "FAILED")
        raise
    finally:
        memory_mb = psutil.Process().memory_info().rss / 1e6
        # First the run: whoever took the trial over may have ended it already.
        try:
            log.metrics({"worker_memory_mb": memory_mb}, step=0)
            told = {"genre.state": ended.state.name.lower(), "genre.reason": ended.reason}
            log.close(ended.status, tags=told)
        finally:
            _tell(
                trial,
                ended,
                {
                    SECONDS: round(time.monotonic() - began, 2),
                    CPU_S: round(time.process_time() - began_cpu_s, 2),
                    TRACKING_S: round(log.spent_s, 3),
                    MEMORY_MB: round(memory_mb),
                },
            )
    if ended.state is not TrialState.FAIL:
        # Only now that nobody would have to begin anew.
        unfinished.unlink(missing_ok=True)


def _tell(trial: optuna.Trial, ended: _Ended, figures: Mapping[str, float]) -> None:
    try:
        for key, value in {REASON: ended.reason[:500], **figures}.items():
            trial.set_user_attr(key, value)
        values = list(ended.values) if ended.values else None
        trial.study.tell(trial, values, ended.state, skip_if_finished=True)
    except optuna.exceptions.UpdateFinishedTrialError:
        return


def _train(task: Task, trial: optuna.Trial, log: tracking.TrialLog) -> _Ended:
    from genre_mlops.learning.networks import multiply_adds, save_network
    from genre_mlops.learning.training import EnoughError, UntrainableError

    plan, place = task.plan, trial.user_attrs[PLACE]
    one_objective = len(trial.study.directions) == 1
    out_of_time = False

    def report(epoch: int, loss: float) -> None:
        nonlocal out_of_time
        if one_objective:
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned(
                    f"pruned after epoch {epoch} at {plan.score_prefix}loss {loss:.4f}"
                )
        else:
            trial.set_user_attr(EPOCHS, epoch)
        if time.time() > task.until_s:
            out_of_time = True
            raise EnoughError

    try:
        config = plan.config.override(trial.params)
        log.params({**trial.params, "seed": config.seed})
        state = plan.folder / task.study / f"{place:03d}.npz"
        network, found = fit(
            plan, config, log=log, report=report, state=state, threads=task.threads
        )
    except optuna.TrialPruned as reason:
        return _Ended(TrialState.PRUNED, str(reason))
    except (UntrainableError, ConfigError) as error:
        return _Ended(TrialState.PRUNED, str(error))
    save_network(network, network_path(plan, task.study, place))
    trial.set_user_attr(ACCURACY, found.validation_accuracy)
    trial.set_user_attr(THREADS, task.threads)
    trial.set_user_attr(LOSS_ERROR, found.validation_loss_error)
    log.metrics(
        {
            "best_epoch": found.best_epoch,
            "best_validation_loss": found.validation_loss,
            "best_validation_accuracy": found.validation_accuracy,
        },
        step=found.epochs,
    )
    why = "no better epoch came" if found.epochs < config.training.epochs else "all epochs run"
    if out_of_time:
        why = f"the search's time was over after epoch {found.epochs}"
        trial.set_user_attr(CUT_OFF, True)
    values = (
        (found.validation_loss,)
        if one_objective
        else (found.validation_loss, float(multiply_adds(network)))
    )
    return _Ended(TrialState.COMPLETE, why, "FINISHED", values)
