"""Searches: that none is lost, that budgets hold, and that processes do not collide."""

import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from genre_mlops import tracking
from genre_mlops.config import Config
from genre_mlops.errors import GenreError
from genre_mlops.fitting import Plan
from genre_mlops.learning.bundle import BundleInfo, write_info
from genre_mlops.learning.checkpoints import Checkpoint
from genre_mlops.processes import this_process
from genre_mlops.search import (
    end_study,
    find_study,
    newest_bundle,
    search,
    shipped_before,
    studies,
    study_key,
)
from genre_mlops.search.attributes import (
    ACCURACY,
    DEATHS,
    JOB,
    PLACE,
    RUN,
    WORKER,
    WORKSPACE,
)
from genre_mlops.search.budget import Budget
from genre_mlops.search.storage import open_storage
from genre_mlops.search.studies import note_searched, open_study, searched_s
from tests.searches import EngineHere, Trainings, as_it_is, ended, loss_of, newest
from tests.unit.search.conftest import fresh

N_ASKED = 10
# A process that had this one's number before it.
GONE = this_process() | {"process_started": "0.00"}


def ask(address: str, ready, numbers) -> None:
    study = optuna.load_study(study_name="x", storage=open_storage(address))
    ready.wait(timeout=60)
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    numbers.put([study.ask(space).number for _ in range(N_ASKED)])


def test_no_two_processes_get_the_same_waiting_trial(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    ready, numbers = context.Barrier(3), context.Queue()
    address = f"sqlite:///{tmp_path / 'search.db'}"
    study = optuna.create_study(study_name="x", storage=open_storage(address))
    for i in range(3 * N_ASKED):
        study.enqueue_trial({"x": i / 100})
    processes = [
        context.Process(target=ask, args=(address, ready, numbers), daemon=True) for _ in range(3)
    ]
    for process in processes:
        process.start()
    asked = [number for _ in processes for number in numbers.get(timeout=120)]
    for process in processes:
        process.join(60)
    assert sorted(asked) == list(range(3 * N_ASKED))


def test_a_study_is_found_by_data_config_and_code(monkeypatch: pytest.MonkeyPatch):
    key = study_key(Config(), "data")
    alike = {"search.workers": 3, "search.trials": 9, "search.minutes": 5, "quality.min_sr": 16_000}
    assert study_key(Config().override(alike), "data") == key
    changes = [
        {"network.dropout": 0.2},
        {"search.pruning": 4},
        {"search.objective": "accuracy+size"},
        {"search.space.network.dropout": {"low": 0.1, "high": 0.4}},
    ]
    others = {study_key(Config().override(change), "data") for change in changes}
    others.add(study_key(Config(), "other data"))
    monkeypatch.setattr(studies, "_TRAINING_MODULES", ("learning/augment.py",))
    others.add(study_key(Config(), "data"))
    assert len(others - {key}) == 6


def test_the_newest_bundle_is_of_the_highest_number(tmp_path: Path):
    with pytest.raises(GenreError, match="nothing to register: no search"):
        newest_bundle(tmp_path, Config(), "data")
    for number in (998, 1000, 999):
        (tmp_path / f"{study_key(Config(), 'data')}-{number:03d}" / "bundle-003").mkdir(
            parents=True
        )
    newest = tmp_path / f"{study_key(Config(), 'data')}-1000" / "bundle-001"
    newest.mkdir()
    os.utime(newest.with_name("bundle-003"), (1, 1))
    assert newest_bundle(tmp_path, Config(), "data") == newest


def test_a_database_that_cannot_be_used_is_said_without_its_password(tmp_path: Path):
    address = "postgresql+psycopg://me:secret@127.0.0.1:1/genre"
    with pytest.raises(GenreError, match=r"me:\*\*\*@127.0.0.1:1/genre cannot be used") as caught:
        open_storage(address)
    assert "secret" not in str(caught.value)
    (tmp_path / "text.db").write_text("no database " * 1_000)
    with pytest.raises(GenreError, match=r"GENRE_SEARCH_STORAGE\): file is not a database"):
        open_storage(f"sqlite:///{tmp_path / 'text.db'}")


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
    silent, lively = budget.begin(), budget.begin()
    assert silent
    assert lively
    for trial in (silent, lively):
        trial.set_user_attr(WORKER, elsewhere)
    budget.take_back()
    assert len(budget.look().running) == 2
    with monkeypatch.context() as patch:
        patch.setattr("genre_mlops.search.storage.GRACE_S", 1)
        impatient = Budget(plan, budget.study.study_name)
    for _ in range(4):
        time.sleep(0.6)
        budget.record_heartbeat(lively.number)
    impatient.take_back()
    assert [trial.number for trial in budget.look().running] == [lively.number]
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


def test_deaths_with_the_job_are_no_sign_of_a_bad_trial(plan: Plan):
    budget = Budget(plan, open_study(plan).study_name)
    for _ in range(5):
        trial = budget.begin()
        assert trial
        assert trial.user_attrs[PLACE] == 0
        trial.set_user_attr(JOB, GONE)
        trial.set_user_attr(WORKER, GONE)


def test_a_study_is_shared_until_it_has_ended(plan: Plan, tmp_path: Path):
    assert open_study(plan).study_name == "key-001"
    assert open_study(plan).study_name == "key-001"
    folder = plan.folder / "key-001"
    bundle = folder / "bundle-000"
    bundle.mkdir(parents=True)
    for name in ("trial-000.keras", "member-001.keras", "member-002.npz", "001.npz"):
        (folder / name).touch()
        (bundle / name).touch()
    study = find_study(bundle, plan.database)
    # While another job is at it, it stays open, and its trials keep their files.
    other = Budget(replace(plan, job=GONE), "key-001")
    running = other.begin()
    assert running
    note_searched(study, "-".join(GONE.values()), time.time() - 9)
    end_study(bundle, study, plan.job)
    assert (folder / "001.npz").exists()
    assert open_study(plan).study_name == "key-001"
    other.study.tell(running, 0.5)
    end_study(bundle, find_study(bundle, plan.database), plan.job)
    assert sorted(path.name for path in folder.iterdir()) == ["bundle-000", WORKSPACE]
    assert len([*bundle.iterdir()]) == 4
    assert open_study(plan).study_name == "key-002"
    with pytest.raises(GenreError, match="not in the studies' database: name the one that its"):
        find_study(folder.with_name("other-001") / "bundle-000", plan.database)


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


def test_what_ends_with_the_job_has_killed_nobody(plan: Plan):
    budget = Budget(plan, open_study(plan).study_name)
    for _ in range(5):
        trial = budget.begin()
        assert trial
        assert trial.user_attrs[PLACE] == 0
        trial.set_user_attr(WORKER, GONE)
        budget.take_back(count_deaths=False)


def test_a_run_that_is_not_there_any_more_is_no_matter(plan: Plan):
    tracking.use_tracking_uri(plan.tracking_uri)
    budget = Budget(plan, open_study(plan).study_name)
    trial = budget.begin()
    assert trial
    trial.set_user_attr(RUN, "0" * 32)
    trial.set_user_attr(WORKER, GONE)
    budget.take_back()
    assert budget.look().running == []


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


def test_networks_of_another_workspace_are_not_counted_on(plan: Plan, tmp_path: Path):
    address = f"sqlite:///{tmp_path / 'shared.db'}"
    secret = type(plan.storage)(address)
    here, there = (replace(plan, folder=tmp_path / name, storage=secret) for name in "ab")
    assert open_study(here).study_name == "key-001"
    assert open_study(there).study_name == "key-002"
    assert open_study(here).study_name == "key-003"
    assert address not in repr(here)


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


def test_the_time_budget_ends_trials_with_what_they_have(plan: Plan, trainings, monkeypatch):
    told = trainings()
    minutes = replace(plan, config=plan.config.override({"search.minutes": 1e-9}))
    best = search(minutes, EngineHere())
    # There is time for the first one, however little, and for no other.
    assert (best.n_trials, len(told.states)) == (1, 1)
    assert best.validation_loss == loss_of(plan.config) + 1
    assert "time was over after epoch 1" in ended(plan)[0].user_attrs["genre.reason"]
    # It is the same study's time, when the same command runs again; more of it goes on.
    assert search(minutes, EngineHere()).n_trials == 1
    longer = replace(plan, config=plan.config.override({"search.minutes": 60}))
    assert search(longer, EngineHere()).n_trials == 4


def test_time_that_jobs_search_together_counts_once(plan: Plan):
    study = open_study(plan)
    assert searched_s(study) == 0.0
    now = time.time()
    note_searched(study, "a", now - 100)
    note_searched(study, "b", now - 130)
    study.set_user_attr("genre.searched.c", [now - 300, now - 250])
    assert searched_s(study) == pytest.approx(180, abs=2)


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
    search(
        replace(plan, config=plan.config.override(overrides | {"search.trials": 9})), EngineHere()
    )
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
