"""Laws of the pruner, on trials that only say what they reported."""

from collections import Counter

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from genre_mlops.config import Config
from genre_mlops.search.attributes import PLACE
from genre_mlops.search.hyperband import Hyperband, make_pruner


def study_of(*trials: tuple[int, float, TrialState], epoch: int) -> optuna.Study:
    study = optuna.create_study()
    for place, loss, state in trials:
        study.add_trial(
            create_trial(
                value=loss if state is TrialState.COMPLETE else None,
                state=state,
                user_attrs={PLACE: place},
                intermediate_values={epoch: loss},
            )
        )
    return study


def places(pruner: Hyperband, n_rungs: int, n: int) -> list[int]:
    """Return the first places whose trials meet so many rungs."""
    return [place for place in range(1_000) if len(pruner.rungs(place)) == n_rungs][:n]


def test_rungs_are_factors_apart_and_brackets_leave_out_the_first_ones():
    pruner = Hyperband(4, 40, 3, seed=0)
    counts = Counter(tuple(pruner.rungs(place)) for place in range(4_000))
    assert counts.keys() == {(4, 12, 36), (12, 36), (36,), ()}
    # Hyperband's shares: factor**s / (s + 1).
    shares = [27 / 4, 9 / 3, 3 / 2, 1]
    for rungs, share in zip([(4, 12, 36), (12, 36), (36,), ()], shares, strict=True):
        assert counts[rungs] / 4_000 == pytest.approx(share / sum(shares), abs=0.03)
    assert Hyperband(40, 40, 3, seed=0).rungs(0) == []


def test_a_bracket_follows_from_seed_and_place():
    one, same, other = (Hyperband(2, 99, 3, seed=seed) for seed in (5, 5, 6))
    drawn = [[pruner.rungs(place) for place in range(50)] for pruner in (one, same, other)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(("n_trials", "n_good"), [(1, 1), (2, 1), (3, 1), (4, 2), (7, 3), (9, 3)])
def test_one_in_so_many_goes_on(n_trials: int, n_good: int):
    pruner = Hyperband(5, 40, 3, seed=0)
    rivals = places(pruner, 2, n_trials)
    told = [(place, float(rank), TrialState.RUNNING) for rank, place in enumerate(rivals)]
    study = study_of(*told, epoch=5)
    assert [pruner.prune(study, trial) for trial in study.get_trials()] == [
        rank >= n_good for rank in range(n_trials)
    ]


def test_only_rungs_prune_and_only_trials_of_the_bracket_that_were_not_cut_off_count():
    pruner = Hyperband(5, 40, 3, seed=0)
    worst, good, cut_off = places(pruner, 2, 3)
    elsewhere = places(pruner, 1, 1)[0]

    def prunes(*others: tuple[int, float, TrialState], epoch: int = 5) -> bool:
        study = study_of(*others, (worst, 9.0, TrialState.RUNNING), epoch=epoch)
        return pruner.prune(study, study.get_trials()[-1])

    assert prunes((good, 1.0, TrialState.COMPLETE))
    assert prunes((good, 1.0, TrialState.PRUNED))
    assert not prunes((good, 1.0, TrialState.COMPLETE), epoch=6)
    assert not prunes((cut_off, 1.0, TrialState.FAIL))
    assert not prunes((elsewhere, 1.0, TrialState.COMPLETE))


@pytest.mark.parametrize(
    "overrides", [{"search.pruning": 0}, {"search.objective": "accuracy+size"}], ids=str
)
def test_it_can_be_left_out(overrides: dict[str, object]):
    assert isinstance(make_pruner(Config()), Hyperband)
    assert isinstance(make_pruner(Config().override(overrides)), optuna.pruners.NopPruner)


def test_the_first_rung_is_after_a_share_of_the_epochs():
    for epochs, rungs in ((40, [[14], []]), (20, [[7], []]), (1, [[]])):
        pruner = make_pruner(Config().override({"training.epochs": epochs}))
        assert isinstance(pruner, Hyperband)
        found = {tuple(pruner.rungs(place)) for place in range(100)}
        assert found == set(map(tuple, rungs))
