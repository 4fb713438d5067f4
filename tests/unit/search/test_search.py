"""Whole searches: what they try, interrupted or not, and what they end with."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from genre_mlops.errors import GenreError
from genre_mlops.fitting import Plan
from genre_mlops.learning.bundle import BundleInfo, write_info
from genre_mlops.learning.checkpoints import Checkpoint
from genre_mlops.processes import this_process
from genre_mlops.search import (
    search,
    shipped_before,
)
from genre_mlops.search.attributes import (
    ACCURACY,
    PLACE,
    RUN,
    WORKER,
    WORKSPACE,
)
from genre_mlops.search.budget import Budget
from genre_mlops.search.studies import open_study
from tests.searches import GONE, EngineHere, Trainings, as_it_is, ended, loss_of, newest
from tests.unit.search.conftest import fresh


def files(plan: Plan) -> list[str]:
    folder = plan.folder / newest(plan).study_name
    return sorted(path.name for path in folder.iterdir() if path.name != WORKSPACE)


def tried_by(plan: Plan) -> list[tuple[int, dict[str, object], float]]:
    found = ((t.user_attrs[PLACE], t.params, t.value) for t in ended(plan))
    return sorted(found, key=lambda trial: trial[0])


@pytest.fixture(scope="module")
def tried(music: Plan, tmp_path_factory: pytest.TempPathFactory):
    """Places, parameters and losses of a search that nobody interrupts."""
    plan = fresh(music, tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genre_mlops.search.trials.fit", Trainings())
        search(plan, EngineHere())
    return tried_by(plan)


@pytest.mark.parametrize(
    ("cut_off", "leave_state"), [([1, 2, 4], True), ([4, 5], True), ([1, 3], False)], ids=str
)
def test_a_search_that_was_cut_off_tries_what_it_would_have(
    plan: Plan, tried, trainings, cut_off: list[int], leave_state: bool
):
    told = trainings(dict.fromkeys(cut_off, KeyboardInterrupt()), leave_state=leave_state)
    for _ in cut_off:
        with pytest.raises(KeyboardInterrupt):
            search(plan, EngineHere())
    best = search(plan, EngineHere())
    assert newest(plan).study_name == "key-001"
    assert tried_by(plan) == tried
    assert len({loss for _, _, loss in tried}) == 4
    assert [place for place, _, _ in tried] == [0, 1, 2, 3]
    assert tried[0][1] == as_it_is(plan.config)
    assert (best.n_trials, best.n_pruned) == (4, 0)
    assert best.validation_loss == min(loss for _, _, loss in tried) == loss_of(best.config)
    # A training is asked for again with the state that it left, and with no other's.
    assert len(told.states) == 4 + len(cut_off)
    for number, (name, was_there) in enumerate(told.states, start=1):
        again = leave_state and number - 1 in cut_off
        assert was_there == again
        assert not again or name == told.states[number - 2][0]
    assert files(plan) == [f"trial-{place:03d}.keras" for place in range(4)]


def test_more_trials_go_on_with_the_same_study_and_no_more_change_nothing(
    plan: Plan, tried, trainings
):
    trainings()
    few = replace(plan, config=plan.config.override({"search.trials": 2}))
    assert search(few, EngineHere()).n_trials == 2
    assert search(plan, EngineHere()).n_trials == 4
    assert tried_by(plan) == tried
    assert search(few, EngineHere()).n_trials == 4


def test_jobs_that_share_a_study_share_its_trials(plan: Plan, tried, trainings):
    trainings()
    other = replace(plan, job=GONE | {"pid": "1"})
    budget = Budget(other, open_study(other).study_name)
    first = budget.begin()
    assert first
    first.set_user_attr(WORKER, this_process())
    looks = iter(range(100))

    def progress(label: str, n_done: int, n_total: int, *, told: bool = False) -> None:
        # The other job's trial ends when ours have.
        if n_done == 3 and next(looks) == 0:
            first.set_user_attr(ACCURACY, 0.5)
            first.set_user_attr(RUN, "")
            budget.study.tell(first, loss_of(plan.config))

    engine = EngineHere()
    engine.progress = progress
    best = search(plan, engine)
    assert best.n_trials == 4
    assert [place for place, _, _ in tried_by(plan)] == [0, 1, 2, 3]
    assert len(newest(plan).get_trials()) == 4


def test_what_another_job_has_shipped_is_not_shipped_again(plan: Plan, trainings):
    trainings()
    best = search(plan, EngineHere())
    assert shipped_before(best) is None
    best.bundle.mkdir()
    info = BundleInfo(
        genres=plan.genres,
        features=plan.config.features,
        segment_frames=32,
        synthetic=True,
        temperature=1.0,
        sure_above=0.5,
        provenance={**best.provenance(), "members": 1},
    )
    write_info(best.bundle, info)
    assert shipped_before(best) == best.bundle
    surer = best.config.override({"evaluation.sure_accuracy": 0.8})
    assert shipped_before(replace(best, config=surer)) is None


def test_the_time_budget_ends_trials_with_what_they_have(
    plan: Plan, trainings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    told = trainings()
    minutes = replace(plan, config=plan.config.override({"search.minutes": 1e-9}))
    best = search(minutes, EngineHere())
    # There is time for the first one, however little, and for no other.
    assert (best.n_trials, len(told.states)) == (1, 1)
    assert best.validation_loss == loss_of(plan.config) + 1
    assert "time was over after epoch 1" in ended(plan)[0].user_attrs["genre.reason"]
    assert "(the search's time was over after epoch 1)" in caplog.text
    assert "the search's time is over after 1 trial\n" in caplog.text
    # It is the same study's time, when the same command runs again; more of it goes on.
    assert search(minutes, EngineHere()).n_trials == 1
    longer = replace(plan, config=plan.config.override({"search.minutes": 60}))
    assert search(longer, EngineHere()).n_trials == 4


def test_a_trial_that_diverges_counts_and_is_not_chosen(plan: Plan, trainings):
    from genre_mlops.learning.training import TrainingDivergedError

    trainings({1: TrainingDivergedError("no numbers")})
    best = search(plan, EngineHere())
    assert (best.n_trials, best.n_pruned) == (4, 1)
    first, *others = sorted(ended(plan), key=lambda trial: trial.user_attrs[PLACE])
    assert first.state is TrialState.PRUNED
    assert best.validation_loss == min(trial.value for trial in others)
    assert files(plan) == [f"trial-{trial.user_attrs[PLACE]:03d}.keras" for trial in others]
    run = MlflowClient(plan.tracking_uri).get_run(first.user_attrs[RUN])
    assert run.info.status == "KILLED"
    assert run.data.tags["genre.state"] == "pruned"
    assert run.data.tags["genre.reason"] == "no numbers"


def test_settings_that_do_not_go_together_are_a_pruned_trial(plan: Plan, trainings):
    trainings()
    # Each is good with the config as it is, and some are not with each other.
    space = {
        "features.n_fft": [256, 512],
        "features.hop_length": [200, 400],
        "network.dropout": None,
    }
    overrides = {f"search.space.{key}": tried for key, tried in space.items()}
    overrides |= {"search.trials": 9, "search.pruning": 0}
    search(replace(plan, config=plan.config.override(overrides)), EngineHere())
    pruned = [trial for trial in ended(plan) if trial.state is TrialState.PRUNED]
    assert pruned
    for trial in pruned:
        assert (trial.params["features.n_fft"], trial.params["features.hop_length"]) == (256, 400)
        assert "hop_length 400 is above n_fft 256" in trial.user_attrs["genre.reason"]


def test_where_all_diverge_it_says_what_to_change(plan: Plan, trainings):
    from genre_mlops.learning.training import TrainingDivergedError

    trainings(dict.fromkeys(range(1, 5), TrainingDivergedError("no numbers")))
    with pytest.raises(GenreError, match=r"none of 4 trials .* training\.learning_rate"):
        search(plan, EngineHere())


def test_an_error_ends_the_search_and_its_trial_is_tried_again(plan: Plan, tried, trainings):
    trainings({2: OSError("the disk is full")})
    with pytest.raises(OSError, match="the disk is full"):
        search(plan, EngineHere())
    runs = MlflowClient(plan.tracking_uri).search_runs([plan.experiment_id])
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED"]
    search(plan, EngineHere())
    assert tried_by(plan) == tried


def test_a_database_that_refuses_is_said_in_its_own_words(plan: Plan, trainings):
    trainings({2: OSError("the second trial is cut off")})
    with pytest.raises(OSError, match="cut off"):
        search(plan, EngineHere())
    with closing(sqlite3.connect(plan.folder / "search.db")) as database:
        refuses = "BEGIN SELECT RAISE(FAIL, 'not today'); END"
        database.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON trials {refuses}")
    with pytest.raises(GenreError, match="run the same command to go on: not today"):
        search(plan, EngineHere())


def test_two_objectives_give_a_front_and_take_the_smallest_that_is_as_good(plan: Plan, trainings):
    trainings()
    two = plan.config.override({"search.objective": "accuracy+size", "search.trials": 3})
    best = search(replace(plan, config=two), EngineHere())
    assert newest(plan).metric_names == ["validation loss", "multiply-adds"]
    assert all(len(trial.values) == 2 for trial in ended(plan))
    assert "fewest multiply-adds" in best.choice.why


@pytest.mark.slow
def test_a_trial_whose_job_is_gone_goes_on_from_its_state(plan: Plan):
    one = {"search.trials": 1, "training.label_smoothing": 0.05}
    plan = replace(plan, config=plan.config.override(one))
    with pytest.raises(SystemExit, match="is gone"):
        search(replace(plan, job=GONE), EngineHere())
    assert files(plan) == ["000.npz"]
    kept = Checkpoint(plan.folder / "key-001" / "000.npz").load()
    assert kept
    assert len(kept.lines) == 1
    best = search(plan, EngineHere())
    assert files(plan) == ["trial-000.keras"]
    assert (best.choice.place, best.n_trials, best.config) == (0, 1, plan.config)
    client = MlflowClient(plan.tracking_uri)
    cut_off, again = (client.get_run(t.user_attrs[RUN]) for t in newest(plan).get_trials())
    assert (cut_off.info.status, again.info.status) == ("KILLED", "FINISHED")
    assert cut_off.data.tags["genre.reason"] == "interrupted"
    # What was measured before is told again, not measured again.
    told = client.get_metric_history(again.info.run_id, "elapsed_s")
    assert [metric.step for metric in told] == [1, 2]
    assert told[0].value == kept.lines[0]["elapsed_s"]
