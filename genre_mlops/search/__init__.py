"""Hyperparameter search: the only package that imports optuna.

What a trial tries follows from the seed, its place in the budget and the trials before it, so that
with one worker an interrupted search ends where an uninterrupted one would have.
"""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean

from optuna.trial import FrozenTrial, TrialState

from genre_mlops import tracking
from genre_mlops.config import Config
from genre_mlops.engine import Engine
from genre_mlops.errors import GenreError
from genre_mlops.fitting import Plan
from genre_mlops.learning.bundle import read_info
from genre_mlops.processes import repeating
from genre_mlops.search.attributes import (
    CPU_S,
    CUT_OFF,
    DONE,
    JOB,
    MEMORY_MB,
    PLACE,
    REASON,
    SECONDS,
    TRACKING_S,
)
from genre_mlops.search.budget import Budget
from genre_mlops.search.choice import Choice, choose
from genre_mlops.search.storage import UNREACHABLE, reachable
from genre_mlops.search.studies import (
    NOTE_EVERY_S,
    end_study,
    find_study,
    in_use,
    network_path,
    newest_bundle,
    note_searched,
    open_study,
    searched_s,
    study_key,
)
from genre_mlops.search.trials import Task, run_trial
from genre_mlops.wording import counted

__all__ = [
    "BestTrial",
    "end_study",
    "find_study",
    "in_use",
    "newest_bundle",
    "search",
    "shipped_before",
    "study_key",
]
_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_TAKE_BACK_EVERY_S = 2.0
# Workers that die without an epoch's progress between them, for each that there may be.
_MOST_DEATHS = 4


@dataclass(frozen=True)
class BestTrial:
    """The trial that won.

    Attributes
    ----------
    study : str
        Its study's name.
    choice : Choice
        Which it is, and why.
    config : Config
        With its overrides.
    network : Path
        The trained network, a `.keras` file.
    n_trials, n_pruned : int
        How many ended, and how many of these were cut short.
    tracking_share : float
        Of the time that trials took, what went into writing their runs, in [0, 1].
    worker_memory_mb : float
        The most that a worker held after a trial.
    cpu_s : float
        CPU-seconds that all trials took, without tries that were cut off.
    """

    study: str
    choice: Choice
    config: Config
    network: Path
    n_trials: int
    n_pruned: int
    tracking_share: float
    worker_memory_mb: float
    cpu_s: float

    @property
    def bundle(self) -> Path:
        """Where its bundle is made."""
        return self.network.parent / f"bundle-{self.choice.place:03d}"

    @property
    def validation_loss(self) -> float:
        """Track-level."""
        return self.choice.validation_loss

    def provenance(self) -> dict[str, str | int | float]:
        """Return what a bundle says of where it comes from."""
        return {
            "study": self.study,
            "trial": self.choice.place,
            "trial_run_id": self.choice.run_id,
            "features_digest": self.config.features.digest(),
            "seed": self.config.seed,
            "network": self.config.network.kind,
            "sure_accuracy": self.config.evaluation.sure_accuracy,
            "validation_loss": self.validation_loss,
        }

    def summary(self) -> dict[str, float]:
        """Return the figures for the search's run."""
        return {
            "best_validation_loss": self.validation_loss,
            "best_validation_accuracy": self.choice.validation_accuracy,
            "trials": self.n_trials,
            "pruned_trials": self.n_pruned,
            "tracking_share": self.tracking_share,
            "worker_memory_mb": self.worker_memory_mb,
            "trials_cpu_s": self.cpu_s,
        }


@reachable()
def search(plan: Plan, engine: Engine) -> BestTrial:
    """Run trials until the budget is met, and return the best.

    Parameters
    ----------
    plan : Plan
        What to search; `config.search` names the budget.
    engine : Engine
        Where trials run, as many at a time as it has workers, each in a process of its own.

    Returns
    -------
    BestTrial
        Chosen by `choose`.

    Raises
    ------
    GenreError
        No trial ran to its end; workers die one after the other; the studies' database cannot be
        used.
    """
    tracking.use_tracking_uri(plan.tracking_uri)
    study = open_study(plan)
    tracking.client().set_tag(plan.parent_run_id, "genre.study", study.study_name)
    budget = Budget(plan, study.study_name)
    limit_s = 60 * plan.config.search.minutes or math.inf
    until_s = time.time() + limit_s - searched_s(study)
    told = _Told(budget, plan, engine, until_s)
    # A time budget outlives a kill.
    note = partial(note_searched, study, plan.job, time.time())
    note()
    try:
        with repeating(note, NOTE_EVERY_S):
            _run_all(Task(plan, study.study_name, engine.threads, until_s), engine, told)
    finally:
        with suppress(*UNREACHABLE):
            note()
            # What this job's end cuts off has killed no worker.
            budget.take_back(count_deaths=False)
    return _best(budget, plan)


def shipped_before(best: BestTrial) -> Path | None:
    """Return the bundle of a search if it is there: of a job that shared it, or was cut off."""
    try:
        made = read_info(best.bundle).provenance
    except (GenreError, OSError):
        return None
    return best.bundle if made.items() >= best.provenance().items() else None


def _run_all(task: Task, engine: Engine, told: "_Told") -> None:
    budget, n_trials = told.budget, task.plan.config.search.trials
    n_deaths, n_epochs, looked_s = 0, 0, -math.inf
    with engine.crew() as crew:
        while True:
            if time.monotonic() - looked_s > _TAKE_BACK_EVERY_S:
                budget.take_back()
                looked_s = time.monotonic()
            trials = budget.look()
            told.tell_new(trials.ended)
            n_left = n_trials - len(trials.ended)
            out_of_time = time.time() >= task.until_s and bool(trials.ended or trials.running)
            # What others run is waited for where there is nothing else to choose.
            no_choice = trials.running and choose(budget.study) is None
            if (n_left <= 0 or (out_of_time and not no_choice)) and not crew.n_busy:
                if n_left > 0:
                    _log.info(
                        "the search's time is over after %s", counted(len(trials.ended), "trial")
                    )
                return
            # Those that other jobs run are not ours to begin; nor are ours once more.
            ours = sum(trial.user_attrs.get(JOB) == task.plan.job for trial in trials.running)
            n_taken = len(trials.running) - ours + max(ours, crew.n_busy)
            n_wanted = 0 if out_of_time else n_left - n_taken
            for _ in range(min(crew.n_free, n_wanted)):
                crew.start(run_trial, task)
            n_died = sum(ended.died for ended in crew.wait(_LOOK_EVERY_S))
            if n_died:
                _log.warning("%s died; what was tried is tried again", counted(n_died, "worker"))
            n_deaths += n_died
            if trials.n_epochs > n_epochs:
                n_deaths, n_epochs = 0, trials.n_epochs
            if n_deaths >= _MOST_DEATHS * max(1, engine.workers):
                raise GenreError(
                    f"{n_deaths} workers died one after the other and not one trained an epoch: "
                    "killed, or out of memory; run the same command to go on, with fewer at a time "
                    "(-P workers=1) or a smaller network if it ends so again"
                )


class _Told:
    """Says of each trial that ends, whoever ran it, one line.

    Parameters
    ----------
    budget : Budget
        The trials.
    plan : Plan
        Names the budget's size.
    engine : Engine
        Has a progress bar.
    until_s : float
        When the search's time is over, in seconds since 1970.
    """

    def __init__(self, budget: Budget, plan: Plan, engine: Engine, until_s: float) -> None:
        self.budget, self._engine, self._until_s = budget, engine, until_s
        self._n_trials = plan.config.search.trials
        self._workers = max(1, engine.workers)
        self._kind = plan.score_prefix
        # With two objectives the trial that is taken need not be that of the least loss.
        self._taken = "best" if plan.config.search.objective == "accuracy" else "taken"
        ended = budget.look().ended
        self._told = {trial.number for trial in ended}
        if ended:
            _log.info(
                "study %s goes on after %d of %d trials",
                budget.study.study_name,
                len(ended),
                self._n_trials,
            )
        engine.progress("search", len(ended), self._n_trials, told=True)

    def tell_new(self, ended: list[FrozenTrial]) -> None:
        """Tell of those trials that have ended since it was asked last."""
        new = [trial for trial in ended if trial.number not in self._told]
        for trial in sorted(new, key=lambda trial: str(trial.datetime_complete)):
            self._told.add(trial.number)
            n_done = len(self._told)
            parts = [self._line(trial), self._best(), f"{n_done} of {self._n_trials}"]
            _log.info("%s", "; ".join([*parts, *self._left(ended, n_done)]))
            self._engine.progress("search", n_done, self._n_trials, told=True)

    def _line(self, trial: FrozenTrial) -> str:
        told = trial.user_attrs
        if trial.state is TrialState.COMPLETE:
            what = f"{self._kind}validation loss {trial.values[0]:.4f}"
            if len(trial.values) > 1:
                what += f", {trial.values[1] / 1e6:.1f} million multiply-adds"
            if told.get(CUT_OFF):
                what += f" ({told[REASON]})"
        elif trial.state in DONE:
            what = told.get(REASON, "pruned")
        else:
            what = "given up, its workers died one after the other"
        took = f", {told[SECONDS]:.0f} s" if SECONDS in told else ""
        return f"trial {told[PLACE]}: {what}{took}"

    def _best(self) -> str:
        best = choose(self.budget.study)
        return (
            f"{self._taken} {best.validation_loss:.4f}, trial {best.place}"
            if best
            else "none complete yet"
        )

    def _left(self, ended: list[FrozenTrial], n_done: int) -> Iterator[str]:
        took = [trial.user_attrs[SECONDS] for trial in ended if SECONDS in trial.user_attrs]
        if n_done >= self._n_trials or not took:
            return
        left_s = mean(took) * math.ceil((self._n_trials - n_done) / self._workers)
        left_s = max(0.0, min(left_s, self._until_s - time.time()))
        yield f"about {left_s:.0f} s left" if left_s < 90 else f"about {left_s / 60:.0f} min left"


def _best(budget: Budget, plan: Plan) -> BestTrial:
    ended = budget.look().ended
    choice = choose(budget.study)
    if choice is None:
        raise GenreError(
            f"none of {counted(len(ended), 'trial')} ran to its end; see their reasons in MLflow, "
            "and try a lower training.learning_rate, or more minutes"
        )
    study = budget.study.study_name
    spent, took, cpu_s = (
        sum(trial.user_attrs.get(key, 0.0) for trial in ended)
        for key in (TRACKING_S, SECONDS, CPU_S)
    )
    return BestTrial(
        study=study,
        choice=choice,
        config=plan.config.override(choice.params),
        network=network_path(plan, study, choice.place),
        n_trials=len(ended),
        n_pruned=sum(trial.state is TrialState.PRUNED for trial in ended),
        tracking_share=spent / took if took else 0.0,
        worker_memory_mb=max(trial.user_attrs.get(MEMORY_MB, 0.0) for trial in ended),
        cpu_s=cpu_s,
    )
