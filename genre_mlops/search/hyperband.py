"""Hyperband's rungs and brackets, from what trials reported alone."""

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from genre_mlops.config import Config
from genre_mlops.search.attributes import PLACE


class Hyperband(optuna.pruners.BasePruner):
    """Asynchronous successive halving in brackets that begin to prune early, later, or never.

    At each rung of its bracket, `warmup * factor**k` epochs, a trial goes on if its validation loss
    is among the best `1 / factor` of those in its bracket that got there. A trial's bracket is
    drawn by Hyperband's shares from the seed and its place in the budget. Optuna's own draws it
    from the study's name and the trial's number, and counts what a killed trial reported beside
    what its second try did: a search that was cut off would end otherwise than one that was not.

    Parameters
    ----------
    warmup : int
        Epochs before the first rung.
    epochs : int
        Epochs of a whole training.
    factor : int
        Of those at a rung, one in so many goes on; at least 2.
    seed : int
        Any.

    References
    ----------
    Li et al., Hyperband: a novel bandit-based approach to hyperparameter optimization, JMLR 18
    (2018); Li et al., A system for massively parallel hyperparameter tuning, MLSys (2020).
    """

    def __init__(self, warmup: int, epochs: int, factor: int, *, seed: int) -> None:
        self._factor, self._seed = factor, seed
        self._rungs: list[int] = []
        while warmup < epochs:
            self._rungs.append(warmup)
            warmup *= factor

    def rungs(self, place: int) -> list[int]:
        """Return the epochs after which a trial may be pruned."""
        return self._rungs[self._bracket(place) :]

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether a trial is to end at the epoch it has just reported."""
        epoch, place = trial.last_step, trial.user_attrs[PLACE]
        if epoch not in self.rungs(place):
            return False
        rivals = [
            other.intermediate_values[epoch]
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number
            and other.state is not TrialState.FAIL
            and epoch in other.intermediate_values
            and self._bracket(other.user_attrs[PLACE]) == self._bracket(place)
        ]
        n_better = sum(loss < trial.intermediate_values[epoch] for loss in rivals)
        return n_better >= -(-(len(rivals) + 1) // self._factor)

    def _bracket(self, place: int) -> int:
        """Return how many of the rungs a trial passes unseen."""
        n_left = np.arange(len(self._rungs), -1, -1)
        shares = self._factor**n_left / (n_left + 1)
        rng = np.random.default_rng((self._seed, place))
        return int(rng.choice(len(shares), p=shares / shares.sum()))


def make_pruner(config: Config) -> optuna.pruners.BasePruner:
    """Return what cuts the trials of a search short."""
    search = config.search
    # Optuna prunes by one objective only.
    if search.pruning < 2 or search.objective != "accuracy":
        return optuna.pruners.NopPruner()
    epochs = config.training.epochs
    warmup = max(1, round(search.pruning_warmup_share * epochs))
    return Hyperband(warmup, epochs, search.pruning, seed=config.seed)
