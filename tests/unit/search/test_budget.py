"""The budget's places: none is lost, filled twice, or held up by a process that is gone."""

import time
from dataclasses import replace

import pytest
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from genre_mlops import tracking
from genre_mlops.fitting import Plan
from genre_mlops.processes import this_process
from genre_mlops.search.attributes import (
    DEATHS,
    JOB,
    PLACE,
    RUN,
    WORKER,
)
from genre_mlops.search.budget import Budget
from genre_mlops.search.studies import open_study
from tests.searches import GONE


def test_a_trial_of_a_killed_worker_is_tried_again_by_the_next_who_asks(plan: Plan):
    budget = Budget(plan, open_study(plan).study_name)
    first, killed = budget.begin(), budget.begin()
    assert first
    assert killed
    run = MlflowClient(plan.tracking_uri).create_run(plan.experiment_id).info.run_id
    killed.set_user_attr(RUN, run)
    killed.set_user_attr(WORKER, GONE)
    again = budget.begin()
    assert again
    assert (again.user_attrs[PLACE], again.params) == (1, killed.params)
    assert [trial.number for trial in budget.look().running] == [first.number, again.number]
    ended_run = MlflowClient(plan.tracking_uri).get_run(run)
    assert ended_run.info.status == "KILLED"
    assert ended_run.data.tags["genre.reason"] == "its worker is gone"
    # It is not begun twice.
    new = budget.begin()
    assert new
    assert new.user_attrs[PLACE] == 2


def test_no_more_are_begun_than_the_budget_has_places(plan: Plan):
    budget = Budget(plan, open_study(plan).study_name)
    begun = [budget.begin() for _ in range(6)]
    assert [trial.user_attrs[PLACE] for trial in begun if trial] == [0, 1, 2, 3]
    assert begun[4:] == [None, None]
    # Of one that is done its place stays taken, of one that was cut off it is free.
    assert begun[0]
    assert begun[1]
    budget.study.tell(begun[0], 0.5)
    budget.study.tell(begun[1], state=TrialState.FAIL)
    again = budget.begin()
    assert again
    assert again.user_attrs[PLACE] == 1
    assert budget.begin() is None


def test_heartbeats_tell_of_workers_on_other_machines(plan: Plan, monkeypatch):
    elsewhere = this_process() | {"host": "elsewhere"}
    budget = Budget(plan, open_study(plan).study_name)
    # The second is of this machine, which may have slept.
    silent, asleep, lively = budget.begin(), budget.begin(), budget.begin()
    assert silent
    assert asleep
    assert lively
    for trial in (silent, lively):
        trial.set_user_attr(WORKER, elsewhere)
    budget.take_back()
    assert len(budget.look().running) == 3
    with monkeypatch.context() as patch:
        patch.setattr("genre_mlops.search.storage.GRACE_S", 4)
        impatient = Budget(plan, budget.study.study_name)
    time.sleep(6)
    budget.record_heartbeat(lively.number)
    impatient.take_back()
    running = [trial.number for trial in budget.look().running]
    assert running == [asleep.number, lively.number]
    again = budget.begin()
    assert again
    assert again.user_attrs[PLACE] == silent.user_attrs[PLACE]


@pytest.mark.parametrize("further", [False, True])
def test_a_trial_that_kills_its_workers_is_given_up_and_counts(plan: Plan, further: bool):
    budget = Budget(plan, open_study(plan).study_name)
    for number in range(1, 5):
        trial = budget.begin()
        assert trial
        if further:
            trial.report(0.5, number)
        trial.set_user_attr(WORKER, GONE)
    trial = budget.begin()
    assert trial
    if further:
        assert (trial.user_attrs[PLACE], budget.look().ended) == (0, [])
        return
    # Three died over the first, and one over the second.
    assert [gone.user_attrs[PLACE] for gone in budget.look().ended] == [0]
    assert (trial.user_attrs[PLACE], trial.user_attrs[DEATHS]) == (1, 1)


@pytest.mark.parametrize("killed", [True, False])
def test_deaths_with_the_job_are_no_sign_of_a_bad_trial(plan: Plan, killed: bool):
    budget = Budget(plan, open_study(plan).study_name)
    for _ in range(5):
        trial = budget.begin()
        assert trial
        assert trial.user_attrs[PLACE] == 0
        trial.set_user_attr(WORKER, GONE)
        if killed:
            trial.set_user_attr(JOB, GONE)
        else:
            # It ends its workers itself, and tells.
            budget.take_back(count_deaths=False)


def test_a_trial_whose_worker_was_killed_while_it_asked_holds_up_nobody(plan: Plan, monkeypatch):
    budget = Budget(plan, open_study(plan).study_name)
    first = budget.begin()
    assert first

    def killed(*asked: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("genre_mlops.search.budget.this_process", killed)
        with pytest.raises(KeyboardInterrupt):
            budget.begin()
    budget.study.ask()
    begun = [budget.begin() for _ in range(4)]
    assert [trial.user_attrs[PLACE] for trial in begun if trial] == [1, 2, 3]
    assert len(budget.look().running) == 4


def test_a_run_that_is_not_there_any_more_is_no_matter(plan: Plan):
    tracking.use_tracking_uri(plan.tracking_uri)
    budget = Budget(plan, open_study(plan).study_name)
    client = MlflowClient(plan.tracking_uri)
    deleted = client.create_run(plan.experiment_id).info.run_id
    client.delete_run(deleted)
    for run in ("0" * 32, deleted):
        trial = budget.begin()
        assert trial
        trial.set_user_attr(RUN, run)
        trial.set_user_attr(WORKER, GONE)
        budget.take_back()
        assert budget.look().running == []
    with tracking.open_run("train"):
        tracking.log_best_trial(0, deleted, {})


def test_one_that_ends_while_it_is_taken_back_stays_as_it_ended(plan: Plan, monkeypatch):
    budget = Budget(plan, open_study(plan).study_name)
    trial = budget.begin()
    assert trial
    trial.set_user_attr(WORKER, GONE)
    seen = budget.look()
    budget.study.tell(trial, 0.5)
    with monkeypatch.context() as patch:
        patch.setattr(budget, "look", lambda: seen)
        budget.take_back()
    assert [ended.state for ended in budget.look().ended] == [TrialState.COMPLETE]


def test_neighbouring_seeds_do_not_draw_the_same(plan: Plan):
    drawn = []
    for seed in (0, 1):
        config = plan.config.override({"seed": seed})
        other = replace(plan, config=config, key=f"seed{seed}")
        budget = Budget(other, open_study(other).study_name)
        drawn += [trial.params["network.dropout"] for trial in iter(budget.begin, None)][1:]
    assert len(set(drawn)) == 6
