"""Which trial is taken."""

import optuna
from optuna.trial import TrialState, create_trial

from genre_mlops.search.attributes import ACCURACY, LOSS_ERROR, PLACE, RUN
from genre_mlops.search.choice import choose


def study_of(*values: tuple[float, ...], error: float = 0.1) -> optuna.Study:
    study = optuna.create_study(directions=["minimize"] * len(values[0]))
    for place, found in enumerate(values):
        told = {PLACE: place, RUN: f"run {place}", ACCURACY: 0.5, LOSS_ERROR: error}
        study.add_trial(create_trial(values=list(found), user_attrs=told))
    return study


def test_the_least_loss_is_taken_of_equals_the_first():
    taken = choose(study_of((0.5,), (0.3,), (0.3,), (0.4,)))
    assert taken
    assert (taken.place, taken.run_id, taken.validation_loss) == (1, "run 1", 0.3)


def test_without_a_complete_trial_there_is_none():
    study = optuna.create_study()
    study.add_trial(create_trial(state=TrialState.PRUNED, user_attrs={PLACE: 0}))
    assert choose(study) is None


def test_the_smallest_within_one_standard_error_is_taken():
    values = [(0.30, 900.0), (0.39, 100.0), (0.38, 100.0), (0.41, 10.0), (0.35, 400.0)]
    taken = choose(study_of(*values))
    assert taken
    assert taken.place == 2
    assert "0.3000 + 0.1000" in taken.why
    # With a surer loss the smaller ones are shown to be worse.
    surer = choose(study_of(*values, error=0.001))
    assert surer
    assert surer.place == 0
