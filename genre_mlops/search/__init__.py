"""Hyperparameter search: the only package that imports optuna.

What a trial tries follows from the seed and the trials before it, so that with one worker an
interrupted search ends where an uninterrupted one would have.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import TrialState

from genre_mlops.config import Config
from genre_mlops.engine import Engine
from genre_mlops.errors import GenreError
from genre_mlops.fitting import Plan
from genre_mlops.search.studies import (
    DONE,
    end_study,
    network_path,
    newest_bundle,
    open_study,
    study_key,
)
from genre_mlops.search.trials import run_trial

__all__ = ["BestTrial", "end_study", "newest_bundle", "search", "study_key"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BestTrial:
    """The trial that won.

    Attributes
    ----------
    study : str
        Its study's name.
    number : int
        From 0.
    run_id : str
        Its MLflow run.
    config : Config
        With its overrides.
    network : Path
        The trained network, a `.keras` file.
    validation_loss, validation_accuracy : float
        Track-level.
    n_trials, n_pruned : int
        How many were done, and how many of these were cut short.
    """

    study: str
    number: int
    run_id: str
    config: Config
    network: Path
    validation_loss: float
    validation_accuracy: float
    n_trials: int
    n_pruned: int

    def provenance(self) -> dict[str, str | int | float]:
        """Return what a bundle says of where it comes from."""
        return {
            "study": self.study,
            "trial": self.number,
            "trial_run_id": self.run_id,
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
            "best_validation_accuracy": self.validation_accuracy,
            "trials": self.n_trials,
            "pruned_trials": self.n_pruned,
        }


def search(plan: Plan, engine: Engine) -> BestTrial:
    """Run trials until the budget is met, and return the best.

    Parameters
    ----------
    plan : Plan
        What to search; `config.search` names the budget.
    engine : Engine
        Where trials run, as many at a time as it has workers.

    Returns
    -------
    BestTrial
        Least track-level validation loss.

    Raises
    ------
    GenreError
        No trial ran to its end.
    """
    study = open_study(plan)
    n_done = len(study.get_trials(deepcopy=False, states=DONE))
    budget = plan.config.search.trials
    if n_done:
        _log.info("study %s goes on after %d of %d trials", study.study_name, n_done, budget)
    tasks = ((plan, study.study_name, n, engine.threads) for n in range(n_done, budget))
    engine.progress("search", n_done, budget, told=True)
    for line in engine.stream(run_trial, tasks):
        n_done += 1
        _log.info("%s; %s; %d of %d", line, _best_so_far(study), n_done, budget)
        engine.progress("search", n_done, budget, told=True)
    return _best(study, plan)


def _best(study: optuna.Study, plan: Plan) -> BestTrial:
    done = study.get_trials(deepcopy=False, states=DONE)
    complete = [trial for trial in done if trial.state is TrialState.COMPLETE]
    if not complete:
        raise GenreError(
            f"none of {len(done)} trials ran to its end; see their reasons in MLflow, and try a "
            "lower training.learning_rate"
        )
    best = study.best_trial
    return BestTrial(
        study=study.study_name,
        number=best.number,
        run_id=best.user_attrs["run_id"],
        config=plan.config.override(best.params),
        network=network_path(plan, study.study_name, best.number),
        validation_loss=float(best.values[0]),
        validation_accuracy=best.user_attrs["validation_accuracy"],
        n_trials=len(done),
        n_pruned=len(done) - len(complete),
    )


def _best_so_far(study: optuna.Study) -> str:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        return "none complete yet"
    best = min(complete, key=lambda trial: trial.values[0])
    return f"best {best.values[0]:.4f}, trial {best.number}"
