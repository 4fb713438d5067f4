"""Searches without training: a crew in this process, and what stands in for `fit`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.trial import FrozenTrial

from genre_mlops.config import Config
from genre_mlops.crew import Ended
from genre_mlops.engine import Engine
from genre_mlops.fitting import Plan
from genre_mlops.processes import this_process
from genre_mlops.search.budget import Budget
from genre_mlops.search.space import search_space
from genre_mlops.search.storage import open_storage

# A process that had this one's number before it.
GONE = this_process() | {"process_started": "0.00"}
SPACE = {
    "network.dropout": {"low": 0.1, "high": 0.5},
    "training.learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
    "training.batch_size": {"low": 8, "high": 64},
    "network.cnn1d.filters": [2, 3, 5],
}


def only(space: dict[str, object]) -> dict[str, object]:
    """Return the overrides that search this and nothing else."""
    asked = dict.fromkeys(Config().search.space) | space
    return {f"search.space.{key}": tried for key, tried in asked.items()}


class Here:
    """A crew that does everything at once, in this process."""

    n_free, n_busy = 1, 0

    def __init__(self) -> None:
        self._ended: list[Ended] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def start(self, function: Callable[[Any], Any], task: Any) -> None:
        self._ended.append(Ended(task, function(task)))

    def wait(self, seconds: float) -> list[Ended]:
        ended, self._ended = self._ended, []
        return ended


class EngineHere(Engine):
    """An engine whose crew is `Here`."""

    def __init__(self) -> None:
        super().__init__(1)

    def crew(self) -> Here:
        return Here()


class Trainings:
    """Stands in for `fit`: the loss follows from the config, and some trainings go wrong.

    Parameters
    ----------
    wrong : dict of int to exception
        Raised in the training of this number, from 1.
    leave_state : bool
        Whether one that goes wrong has got to the end of its first epoch.
    """

    def __init__(
        self, wrong: dict[int, BaseException] | None = None, *, leave_state: bool = True
    ) -> None:
        from genre_mlops.learning.backend import keras

        self._wrong, self._leave_state = wrong or {}, leave_state
        self.states: list[tuple[str, bool]] = []
        """Of each training: the name of its state, and whether it was there."""
        segments = keras.Input((3,))
        self._network = keras.Model(segments, keras.layers.Dense(2)(segments))

    def __call__(
        self, plan: Plan, config: Config, *, state: Path, report: Callable[..., None], **rest: Any
    ):
        from genre_mlops.learning.training import EnoughError, TrainingResult

        self.states.append((state.name, state.exists()))
        loss = loss_of(config)
        if self._leave_state:
            state.parent.mkdir(parents=True, exist_ok=True)
            state.write_bytes(b"state")
            try:
                report(1, loss + 1)
            except EnoughError:
                return self._network, TrainingResult(1, loss + 1, 0.5, 0.1, 1)
        if len(self.states) in self._wrong:
            raise self._wrong[len(self.states)]
        return self._network, TrainingResult(2, loss, 0.5, 0.1, 3)


def loss_of(config: Config) -> float:
    """Return what a training of `Trainings` ends with."""
    return abs(config.network.dropout - 0.2) + config.training.learning_rate


def newest(plan: Plan) -> optuna.Study:
    """Return the study that was begun last."""
    storage = open_storage(plan.database)
    return optuna.load_study(study_name=max(optuna.get_all_study_names(storage)), storage=storage)


def ended(plan: Plan) -> list[FrozenTrial]:
    """Return the trials of that study that fill a place."""
    return Budget(plan, newest(plan).study_name).look().ended


def as_it_is(config: Config) -> dict[str, object]:
    """Return what the first trial tries."""
    return {key: config.flat()[key] for key in search_space(config)}
