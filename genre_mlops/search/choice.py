"""Which trial of a study is taken."""

from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from genre_mlops.search.attributes import ACCURACY, CUT_OFF, LOSS_ERROR, PLACE, RUN, THREADS


@dataclass(frozen=True)
class Choice:
    """The trial that is taken, and why.

    Attributes
    ----------
    place : int
        Its place in the budget, by which people know it.
    run_id : str
        Its MLflow run.
    params : dict
        What it tried.
    validation_loss, validation_accuracy : float
        Track-level.
    why : str
        By which rule.
    threads : int
        Of TensorFlow; 0 left it the choice.
    cut_short : bool
        Whether the search's time was over before its last epoch.
    """

    place: int
    run_id: str
    params: dict[str, object]
    validation_loss: float
    validation_accuracy: float
    why: str
    threads: int = 0
    cut_short: bool = False


def choose(study: optuna.Study) -> Choice | None:
    """Take the trial of the least validation loss, or the smallest network that is as good.

    With the objective accuracy+size the one-standard-error rule decides: of all trials whose loss
    is at the most one standard error, over validation tracks, above the least one, that of the
    fewest multiply-adds; of equals, that of the least loss.

    Returns
    -------
    Choice or None
        None where no trial ran to its end.

    References
    ----------
    L. Breiman, J. Friedman, R. Olshen, C. Stone, Classification and Regression Trees (1984),
    section 3.4.3, for the rule.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        return None
    best = min(complete, key=lambda trial: (trial.values[0], trial.user_attrs[PLACE]))
    if len(study.directions) == 1:
        return _chosen(best, "least validation loss")
    limit = best.values[0] + best.user_attrs[LOSS_ERROR]
    good = [trial for trial in complete if trial.values[0] <= limit]
    smallest = min(good, key=lambda trial: (trial.values[1], trial.values[0]))
    return _chosen(
        smallest,
        f"fewest multiply-adds ({smallest.values[1]:,.0f}) of those within one standard error of "
        f"the least validation loss ({best.values[0]:.4f} + {limit - best.values[0]:.4f})",
    )


def _chosen(trial: FrozenTrial, why: str) -> Choice:
    told = trial.user_attrs
    return Choice(
        place=told[PLACE],
        run_id=told[RUN],
        params=trial.params,
        validation_loss=float(trial.values[0]),
        validation_accuracy=told[ACCURACY],
        why=why,
        threads=told.get(THREADS, 0),
        cut_short=bool(told.get(CUT_OFF)),
    )
