"""What is known of a search when it is over: its trials as data, a table, a note."""

import os
import shlex
import sys
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from genre_mlops import tracking
from genre_mlops.config import Config, Range
from genre_mlops.fitting import Plan
from genre_mlops.search.attributes import (
    ACCURACY,
    CUT_OFF,
    LOSS_ERROR,
    MEMORY_MB,
    PLACE,
    REASON,
    RUN,
    SECONDS,
)
from genre_mlops.search.budget import Budget, epochs_of
from genre_mlops.search.space import space_rows
from genre_mlops.search.storage import reachable

if TYPE_CHECKING:
    from genre_mlops.search import BestTrial

# Of fewer it would say that all settings are alike.
_LEAST_FOR_IMPORTANCE = 10


@dataclass(frozen=True)
class SeenTrial:
    """A trial that ended.

    Attributes
    ----------
    place : int
        By which people know it.
    loss, size : float or None
        Validation loss and, with two objectives, multiply-adds; None where it was pruned.
    loss_error : float
        Standard error of the loss, 0 where there is none.
    cut_off : bool
        Whether the search's time was over before its last epoch.
    curve : dict of int to float
        Epoch -> validation loss.
    params : dict
        What it tried.
    """

    place: int
    loss: float | None
    size: float | None
    loss_error: float
    cut_off: bool
    curve: dict[int, float]
    params: dict[str, object]


@dataclass(frozen=True)
class SearchReport:
    """A search that is over.

    Attributes
    ----------
    trials : list of SeenTrial
        By their places.
    taken : int
        The place of the one that was chosen.
    n_objectives : int
        1, or 2 with size.
    by_ratio : frozenset of str
        The settings that are searched by ratios.
    importance : dict of str to float
        Setting -> its share in what makes the loss low; empty for too few trials.
    kind : str
        Said of losses, such as ``"synthetic "``.
    title : str
        Of pictures.
    """

    trials: list[SeenTrial]
    taken: int
    n_objectives: int
    by_ratio: frozenset[str]
    importance: dict[str, float]
    kind: str
    title: str

    @cached_property
    def complete(self) -> list[SeenTrial]:
        """Those that ran to their end."""
        return [trial for trial in self.trials if trial.loss is not None]

    @cached_property
    def varied(self) -> list[str]:
        """The settings of which more than one value was tried."""
        names = self.trials[0].params
        return [name for name in names if len({trial.params[name] for trial in self.trials}) > 1]

    @cached_property
    def loss_limit(self) -> float:
        """The least loss and one standard error of it."""
        best = min(self.complete, key=lambda trial: trial.loss or 0.0)
        return (best.loss or 0.0) + best.loss_error

    @property
    def loss_name(self) -> str:
        """What an axis says."""
        return f"{self.kind}validation loss"


def report_of(plan: Plan, best: "BestTrial", budget: Budget) -> SearchReport:
    """Return what is known of a search."""
    trials = []
    for trial in _by_place(budget):
        complete, told = trial.state is TrialState.COMPLETE, trial.user_attrs
        sizes = trial.values[1:] if complete else []
        trials.append(
            SeenTrial(
                place=told[PLACE],
                loss=trial.values[0] if complete else None,
                size=sizes[0] if sizes else None,
                loss_error=told.get(LOSS_ERROR, 0.0),
                cut_off=told.get(CUT_OFF, False),
                curve=trial.intermediate_values,
                params=trial.params,
            )
        )
    return SearchReport(
        trials=trials,
        taken=best.choice.place,
        n_objectives=len(budget.study.directions),
        by_ratio=frozenset(
            key
            for key, tried in plan.config.search.searched().items()
            if isinstance(tried, Range) and tried.log
        ),
        importance=importances(budget.study),
        kind=plan.score_prefix,
        title=f"{plan.score_prefix}search {best.study}".capitalize(),
    )


def importances(study: optuna.Study) -> dict[str, float]:
    """Return each setting's share in what makes the loss low; empty for too few trials.

    References
    ----------
    S. Watanabe, A. Bansal, F. Hutter, PED-ANOVA: efficiently quantifying hyperparameter importance
    in arbitrary subspaces, IJCAI 2023.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < _LEAST_FOR_IMPORTANCE:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optuna.importance.get_param_importances(study, target=lambda trial: trial.values[0])


def dashboard_command(plan: Plan) -> str:
    """Return the command that shows a study in a browser; it has no password in it."""
    # Also where the environment is not activated.
    program = shlex.quote(os.path.relpath(Path(sys.executable).with_name("optuna-dashboard")))
    if plan.storage.get_secret_value():
        return f'{program} "$GENRE_SEARCH_STORAGE" --host 127.0.0.1'
    return f"{program} {shlex.quote(plan.database)} --host 127.0.0.1"


def log_space(config: Config) -> None:
    """Store what is searched as a table of the open run."""
    rows = space_rows(config)
    columns = {
        "setting": [row.key for row in rows],
        "first trial": [str(row.first) for row in rows],
        "tried": [row.tried for row in rows],
        "not searched": [row.left_out for row in rows],
    }
    tracking.log_table(pd.DataFrame(columns), "search/space.json")


@reachable()
def log_search(plan: Plan, best: "BestTrial") -> SearchReport:
    """Store figures, table and note of a search in the open run, and return what can be drawn.

    Raises
    ------
    GenreError
        The studies' database cannot be used.
    """
    budget = Budget(plan, best.study)
    tracking.log_best_trial(best.choice.place, best.choice.run_id, best.summary())
    tracking.set_tags({"genre.objective": plan.config.search.objective})
    tracking.log_table(trial_table(budget), "search/trials.json")
    tracking.describe(_note(plan, best))
    return report_of(plan, best, budget)


def trial_table(budget: Budget) -> pd.DataFrame:
    """Lay out the trials that ended, a row each, in the order of their places."""
    rows = []
    for trial in _by_place(budget):
        told = trial.user_attrs
        values = dict(zip(("validation_loss", "multiply_adds"), trial.values or (), strict=False))
        rows.append(
            {
                "trial": told[PLACE],
                "state": trial.state.name.lower(),
                **values,
                "validation_accuracy": told.get(ACCURACY),
                "epochs": epochs_of(trial),
                "seconds": told.get(SECONDS),
                "worker_memory_mb": told.get(MEMORY_MB),
                "why": told.get(REASON, ""),
                **trial.params,
                "run_id": told.get(RUN, ""),
            }
        )
    return pd.DataFrame(rows)


def _by_place(budget: Budget) -> list[FrozenTrial]:
    return sorted(budget.look().ended, key=lambda trial: int(trial.user_attrs[PLACE]))


def _note(plan: Plan, best: "BestTrial") -> str:
    flat = plan.config.flat()
    # As code: the UI's tables have no space between their columns.
    rows = [
        f"| `{key}` | `{_brief(flat[key])}` | `{_brief(value)}` |"
        for key, value in best.choice.params.items()
    ]
    return "\n".join(
        [
            f"Study `{best.study}`: {best.n_trials} trials, {best.n_pruned} of them pruned. "
            f"Trial {best.choice.place} is taken: {best.choice.why}, "
            f"{plan.score_prefix}validation loss {best.validation_loss:.4f}.",
            "",
            "| setting | first trial | taken |",
            "|---|---|---|",
            *rows,
            "",
            f"Writing runs took {best.tracking_share:.1%} of the trials' time. "
            f"The study in a browser: `{dashboard_command(plan)}`",
        ]
    )


def _brief(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
