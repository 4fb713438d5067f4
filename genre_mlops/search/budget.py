"""The budget of a search as numbered places, each filled by one trial that ends.

A trial that is cut off leaves its place to a second try with the same parameters. So the budget is
met exactly, whoever asks for trials, from however many processes, and whichever of them are killed.
"""

import math
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from genre_mlops import tracking
from genre_mlops.config import Config
from genre_mlops.crew import MOST_DEATHS
from genre_mlops.fitting import Plan
from genre_mlops.processes import is_elsewhere, is_gone, this_process
from genre_mlops.search.attributes import (
    DEATHS,
    DONE,
    EPOCHS,
    EPOCHS_BEFORE,
    GIVEN_UP,
    JOB,
    PLACE,
    REASON,
    RUN,
    WORKER,
)
from genre_mlops.search.hyperband import make_pruner
from genre_mlops.search.space import search_space
from genre_mlops.search.storage import UNREACHABLE, alone, open_storage

_GONE = "its worker is gone"


@dataclass(frozen=True)
class Trials:
    """The trials of a study at one time.

    Attributes
    ----------
    every : list of FrozenTrial
        All of them, in whatever state.
    """

    every: list[FrozenTrial]

    @cached_property
    def ended(self) -> list[FrozenTrial]:
        """Those that fill a place for good."""
        return [trial for trial in self.every if has_ended(trial)]

    @cached_property
    def running(self) -> list[FrozenTrial]:
        """Those that run, whoever asked for them."""
        return [trial for trial in self.every if trial.state is TrialState.RUNNING]

    @property
    def n_epochs(self) -> int:
        """How many epochs they have run, those that were cut off among them."""
        return sum(map(epochs_of, self.every))


class Budget:
    """The trials of a study, in any process.

    Parameters
    ----------
    plan : Plan
        `config.search` names the budget.
    study : str
        The name of a study that `open_study` opened.

    Attributes
    ----------
    study : optuna.Study
        Prunes as the config says.
    """

    def __init__(self, plan: Plan, study: str) -> None:
        self._plan = plan
        self._storage = open_storage(plan.database)
        self._id = self._storage.get_study_id_from_name(study)
        self.study = optuna.load_study(
            study_name=study, storage=self._storage, pruner=make_pruner(plan.config)
        )

    def look(self) -> "Trials":
        """Return the trials as they are now."""
        return Trials(self.study.get_trials(deepcopy=False))

    def begin(self, until_s: float = math.inf) -> optuna.Trial | None:
        """Begin the next trial: a second try of one that was cut off, or a new one.

        What a new one tries follows from the seed, its place and the trials before it: not from
        which process asks, nor from whether the search was interrupted.

        Parameters
        ----------
        until_s : float
            In seconds since 1970: later, only the first trial is begun.

        Returns
        -------
        Trial or None
            Running, with its parameters; None where all places are filled or are being filled.

        Raises
        ------
        sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError
            The database cannot be used.
        """
        config = self._plan.config
        with self._alone():
            self._take_back(count_deaths=True)
            there = self.look()
            filled = [*there.ended, *there.running]
            too_late = bool(filled) and time.time() >= until_s
            if too_late or len(filled) >= config.search.trials:
                return None
            # One that waits is what Optuna gives first.
            waiting = [trial for trial in there.every if trial.state is TrialState.WAITING]
            place = waiting[0].user_attrs[PLACE] if waiting else _free_place(filled)
            self.study.sampler = _sampler(config, place)
            trial = self.study.ask(search_space(config))
            noted = {PLACE: place, WORKER: this_process(), JOB: self._plan.job}
            for key, value in noted.items():
                trial.set_user_attr(key, value)
            self.record_heartbeat(trial.number)
            return trial

    def record_heartbeat(self, number: int) -> None:
        """Note that the process of a trial lives."""
        # A database that cannot be reached now may be there for the next beat.
        with suppress(*UNREACHABLE):
            self._storage.record_heartbeat(self._trial_id(number))

    def take_back(self, *, count_deaths: bool = True) -> None:
        """Let others try what was being tried by processes that are gone.

        Parameters
        ----------
        count_deaths : bool
            Whether a trial may have killed its worker; not where the job has.
        """
        with self._alone():
            self._take_back(count_deaths=count_deaths)

    def _alone(self) -> AbstractContextManager[None]:
        return alone(self._plan.database, self.study.study_name)

    def _take_back(self, *, count_deaths: bool) -> None:
        silent = {*self._storage._get_stale_trial_ids(self._id)}
        for trial in self.look().running:
            # Whoever begins a trial holds the lock until it has a worker: without one it was
            # killed meanwhile.
            worker = trial.user_attrs.get(WORKER)
            # Of workers on other machines it is known only that nothing was heard for long; those
            # here may have slept with the machine.
            is_lost = worker and is_elsewhere(worker) and self._trial_id(trial.number) in silent
            if worker is None or is_gone(worker) or is_lost:
                self._end(trial, count_death=count_deaths)
        newest = {trial.user_attrs.get(PLACE): trial for trial in self.look().every}
        for place, trial in newest.items():
            cut_off = trial.state is TrialState.FAIL and not trial.user_attrs.get(GIVEN_UP)
            if cut_off and place is not None:
                noted = {PLACE: place, EPOCHS_BEFORE: epochs_of(trial)}
                noted[DEATHS] = trial.user_attrs.get(DEATHS, 0)
                # Killed while it was asked for, it has not all of its parameters yet.
                params = trial.system_attrs.get("fixed_params", {}) | trial.params
                self.study.enqueue_trial(params, user_attrs=noted)

    def _end(self, trial: FrozenTrial, *, count_death: bool) -> None:
        # It may have ended a moment ago, before its worker did.
        with suppress(optuna.exceptions.UpdateFinishedTrialError, ValueError):
            if count_death:
                self._count_death(trial)
            self._storage.set_trial_user_attr(self._trial_id(trial.number), REASON, _GONE)
            # The trial last: killed before that, this is done once more.
            if RUN in trial.user_attrs:
                tracking.kill_run(trial.user_attrs[RUN], _GONE)
            self.study.tell(trial.number, state=TrialState.FAIL)

    def _count_death(self, trial: FrozenTrial) -> None:
        """Note how many workers a trial may have killed; that of a job that ended is not one."""
        told = trial.user_attrs
        further = epochs_of(trial) > told.get(EPOCHS_BEFORE, 0)
        n_deaths = 0 if further else told.get(DEATHS, 0) + (not is_gone(told.get(JOB, {})))
        noted = {DEATHS: n_deaths} | ({GIVEN_UP: True} if n_deaths >= MOST_DEATHS else {})
        for key, value in noted.items():
            self._storage.set_trial_user_attr(self._trial_id(trial.number), key, value)

    def _trial_id(self, number: int) -> int:
        return int(self._storage.get_trial_id_from_study_id_trial_number(self._id, number))


def has_ended(trial: FrozenTrial) -> bool:
    """Whether a trial fills its place for good."""
    given_up = trial.state is TrialState.FAIL and trial.user_attrs.get(GIVEN_UP)
    return trial.state in DONE or bool(given_up)


def _free_place(filled: Iterable[FrozenTrial]) -> int:
    taken = {trial.user_attrs.get(PLACE) for trial in filled}
    return next(place for place in range(len(taken) + 1) if place not in taken)


def epochs_of(trial: FrozenTrial) -> int:
    """Return how many epochs a trial has run."""
    return int(max(trial.last_step or 0, trial.user_attrs.get(EPOCHS, 0)))


def _sampler(config: Config, place: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.TPESampler(
        # No two of seeds and places that are neighbours draw the same.
        seed=int(np.random.SeedSequence((config.seed, place)).generate_state(1)[0]),
        n_startup_trials=config.search.startup_trials,
        multivariate=True,
    )
