"""Studies: what is searched, that none is lost, and that processes do not collide."""

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from mlflow.tracking import MlflowClient
from optuna.trial import FrozenTrial, TrialState

from genre_mlops.config import Config
from genre_mlops.engine import Engine
from genre_mlops.errors import GenreError
from genre_mlops.fitting import Plan
from genre_mlops.learning.checkpoints import Checkpoint
from genre_mlops.processes import this_process
from genre_mlops.search import end_study, newest_bundle, search, studies, study_key
from genre_mlops.search.space import SEARCH_SPACE, search_space
from genre_mlops.search.studies import (
    DONE,
    OWNER,
    UNFINISHED,
    load_study,
    open_storage,
    open_study,
)

N_ASKED = 10
# A process that had this one's number before it.
GONE = this_process() | {"process_started": "0.00"}
FEW = {"search.trials": 4, "search.startup_trials": 3, "network.kind": "cnn1d"}


def ask(folder: Path, ready, numbers) -> None:
    study = optuna.load_study(study_name="x", storage=open_storage(folder))
    ready.wait(timeout=60)
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    numbers.put([study.ask(space).number for _ in range(N_ASKED)])


def test_no_two_processes_get_the_same_waiting_trial(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    ready, numbers = context.Barrier(3), context.Queue()
    study = optuna.create_study(study_name="x", storage=open_storage(tmp_path))
    for i in range(3 * N_ASKED):
        study.enqueue_trial({"x": i / 100})
    processes = [
        context.Process(target=ask, args=(tmp_path, ready, numbers), daemon=True) for _ in range(3)
    ]
    for process in processes:
        process.start()
    asked = [number for _ in processes for number in numbers.get(timeout=120)]
    for process in processes:
        process.join(60)
    assert sorted(asked) == list(range(3 * N_ASKED))


@pytest.mark.parametrize(
    ("overrides", "left_out"),
    [
        ({}, set()),
        ({"network.kind": "cnn1d"}, {"network.cnn2d.filters"}),
        ({"network.kind": "cnn2d"}, {"network.cnn1d.filters"}),
        ({"network.cnn2d.filters": 64}, {"network.cnn2d.filters"}),
        ({"training.weight_decay": 0}, {"training.weight_decay"}),
    ],
)
def test_what_is_set_outside_its_range_or_not_used_is_not_searched(
    overrides: dict[str, object], left_out: set[str]
):
    assert search_space(Config().override(overrides)).keys() == SEARCH_SPACE.keys() - left_out


def test_a_study_is_found_by_data_config_and_code(monkeypatch: pytest.MonkeyPatch):
    key = study_key(Config(), "data")
    alike = Config().override({"search.workers": 3, "quality.min_sr": 16_000})
    assert study_key(alike, "data") == key
    others = {
        study_key(Config(), "other data"),
        study_key(Config().override({"network.dropout": 0.2}), "data"),
    }
    monkeypatch.setattr(studies, "_TRAINING_MODULES", ("learning/augment.py",))
    others.add(study_key(Config(), "data"))
    assert len(others - {key}) == 3


def test_the_newest_bundle_is_of_the_highest_number(tmp_path: Path):
    with pytest.raises(GenreError, match="nothing to register: no search"):
        newest_bundle(tmp_path, Config(), "data")
    for number in (998, 1000, 999):
        (tmp_path / f"{study_key(Config(), 'data')}-{number:03d}" / "bundle").mkdir(parents=True)
    assert newest_bundle(tmp_path, Config(), "data").parent.name.endswith("-1000")


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Tracks and a database of runs, for all tests here."""
    # The processes that `ask` read this file too, and need no TensorFlow.
    from tests.plans import CONFIG, UNCHANGED, make_plan, with_runs

    config = CONFIG.override(UNCHANGED | FEW)
    return with_runs(make_plan(tmp_path_factory.mktemp("music"), config))


@pytest.fixture
def plan(music: Plan, tmp_path: Path) -> Plan:
    experiment = MlflowClient(music.tracking_uri).create_experiment(tmp_path.name)
    return replace(music, folder=tmp_path / "studies", experiment_id=experiment)


class Trainings:
    """Stands in for `fit`: the loss follows from the config, and some trainings go wrong.

    Parameters
    ----------
    wrong : dict of int to exception
        Raised in the training of this number, from 1.
    leave_state : bool
        Whether one that goes wrong has got to the end of its first epoch.
    """

    def __init__(self, wrong: dict[int, BaseException], *, leave_state: bool = True) -> None:
        from genre_mlops.learning.backend import keras

        self._wrong, self._leave_state = wrong, leave_state
        self.states: list[tuple[str, bool]] = []
        """Of each training: the name of its state, and whether it was there."""
        segments = keras.Input((3,))
        self._network = keras.Model(segments, keras.layers.Dense(2)(segments))

    def __call__(self, plan: Plan, config: Config, *, state: Path, **rest: object):
        from genre_mlops.learning.training import TrainingResult

        self.states.append((state.name, state.exists()))
        if self._leave_state:
            state.parent.mkdir(parents=True, exist_ok=True)
            state.write_bytes(b"state")
        if len(self.states) in self._wrong:
            raise self._wrong[len(self.states)]
        loss = abs(config.network.dropout - 0.2) + config.training.learning_rate
        return self._network, TrainingResult(2, loss, 0.5, 3)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trainings]:
    def instead(wrong: dict[int, BaseException] | None = None, **how: bool) -> Trainings:
        stand_in = Trainings(wrong or {}, **how)
        monkeypatch.setattr("genre_mlops.search.trials.fit", stand_in)
        return stand_in

    return instead


def newest(plan: Plan) -> optuna.Study:
    storage = open_storage(plan.folder)
    name = max(optuna.get_all_study_names(storage))
    return optuna.load_study(study_name=name, storage=storage)


def leave(plan: Plan) -> None:
    """Let it look as if the process that searches had been killed."""
    newest(plan).set_user_attr(OWNER, GONE)


def done(plan: Plan) -> list[FrozenTrial]:
    return newest(plan).get_trials(states=DONE)


def as_it_is(config: Config) -> dict[str, object]:
    return {key: config.flat()[key] for key in search_space(config)}


def files(plan: Plan) -> list[str]:
    return sorted(path.name for path in (plan.folder / newest(plan).study_name).iterdir())


@pytest.fixture(scope="module")
def tried(music: Plan, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict, float]]:
    """Parameters and losses of a search that nobody interrupts."""
    plan = replace(music, folder=tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genre_mlops.search.trials.fit", Trainings({}))
        search(plan, Engine(1))
    return [(trial.params, trial.value) for trial in done(plan)]


@pytest.mark.parametrize(
    ("cut_off", "leave_state"), [([1, 2, 4], True), ([4, 5], True), ([1, 3], False)], ids=str
)
def test_a_search_that_was_cut_off_tries_what_it_would_have(
    plan: Plan, tried, trainings, cut_off: list[int], leave_state: bool
):
    told = trainings(dict.fromkeys(cut_off, KeyboardInterrupt()), leave_state=leave_state)
    for _ in cut_off:
        with pytest.raises(KeyboardInterrupt):
            search(plan, Engine(1))
        leave(plan)
    best = search(plan, Engine(1))
    assert newest(plan).study_name == "key-001"
    assert [(trial.params, trial.value) for trial in done(plan)] == tried
    assert len({loss for _, loss in tried}) == 4
    assert tried[0][0] == as_it_is(plan.config)
    assert (best.n_trials, best.n_pruned) == (4, 0)
    assert best.validation_loss == min(loss for _, loss in tried)
    # A training is asked for again with the state that it left, and with no other's.
    assert len(told.states) == 4 + len(cut_off)
    for number, (name, was_there) in enumerate(told.states, start=1):
        again = leave_state and number - 1 in cut_off
        assert was_there == again
        assert not again or name == told.states[number - 2][0]
    assert files(plan) == [f"trial-{trial.number:03d}.keras" for trial in done(plan)]


def test_a_trial_of_a_killed_process_is_asked_for_again(plan: Plan, trainings):
    told = trainings()
    opened = open_study(plan)
    first, second = (load_study(plan, opened.study_name) for _ in range(2))
    first.ask(search_space(plan.config)).set_user_attr(UNFINISHED, "000.npz")
    killed = second.ask(search_space(plan.config))
    killed.set_user_attr(UNFINISHED, "001.npz")
    state = plan.folder / opened.study_name / "001.npz"
    state.parent.mkdir()
    state.write_bytes(b"state")
    leave(plan)
    # Whoever takes it up may be killed too, before a trial begins.
    open_study(plan)
    leave(plan)
    search(plan, Engine(1))
    states = [trial.state for trial in newest(plan).get_trials()[:2]]
    assert states == [TrialState.FAIL, TrialState.FAIL]
    # The config as it is had left nothing: it is tried all the same.
    params = [trial.params for trial in done(plan)]
    assert len(params) == 4
    assert params[:2] == [killed.params, as_it_is(plan.config)]
    assert [was_there for _, was_there in told.states] == [True, False, False, False]
    assert not state.exists()


def test_a_study_is_taken_up_once_its_process_is_gone_and_until_it_has_ended(plan: Plan):
    assert open_study(plan).study_name == "key-001"
    leave(plan)
    assert open_study(plan).study_name == "key-001"
    folder = plan.folder / "key-001"
    (folder / "bundle").mkdir(parents=True)
    for name in ("trial-000.keras", "member-001.keras", "member-002.npz", "001.npz"):
        (folder / name).touch()
        (folder / "bundle" / name).touch()
    end_study(folder / "bundle")
    assert [path.name for path in folder.iterdir()] == ["bundle"]
    assert len([*(folder / "bundle").iterdir()]) == 4
    leave(plan)
    assert open_study(plan).study_name == "key-002"
    # Its process is at work: another search beside it has a study of its own.
    assert open_study(plan).study_name == "key-003"


def test_a_trial_that_diverges_counts_and_is_not_chosen(plan: Plan, trainings):
    from genre_mlops.learning.training import TrainingDivergedError

    trainings({1: TrainingDivergedError("no numbers")})
    best = search(plan, Engine(1))
    assert (best.n_trials, best.n_pruned) == (4, 1)
    first, *others = done(plan)
    assert first.state is TrialState.PRUNED
    assert best.validation_loss == min(trial.value for trial in others)
    assert files(plan) == [f"trial-{trial.number:03d}.keras" for trial in others]
    run = MlflowClient(plan.tracking_uri).get_run(first.user_attrs["run_id"])
    assert run.info.status == "KILLED"
    assert run.data.tags["genre.state"] == "pruned"
    assert run.data.tags["genre.reason"] == "no numbers"


def test_where_all_diverge_it_says_what_to_change(plan: Plan, trainings):
    from genre_mlops.learning.training import TrainingDivergedError

    trainings(dict.fromkeys(range(1, 5), TrainingDivergedError("no numbers")))
    with pytest.raises(GenreError, match=r"none of 4 trials .* training\.learning_rate"):
        search(plan, Engine(1))


@pytest.mark.slow
def test_a_trial_whose_job_is_gone_goes_on_from_its_state(plan: Plan):
    plan = replace(
        plan, config=plan.config.override({"search.trials": 1, "training.label_smoothing": 0.05})
    )
    with pytest.raises(SystemExit, match="is gone"):
        search(replace(plan, job=GONE), Engine(1))
    assert files(plan) == ["000.npz"]
    kept = Checkpoint(plan.folder / "key-001" / "000.npz").load()
    assert len(kept.lines) == 1
    leave(plan)
    best = search(plan, Engine(1))
    assert files(plan) == ["trial-001.keras"]
    assert (best.number, best.n_trials, best.config) == (1, 1, plan.config)
    client = MlflowClient(plan.tracking_uri)
    cut_off, ended = (
        client.get_run(trial.user_attrs["run_id"]) for trial in newest(plan).get_trials()
    )
    assert (cut_off.info.status, ended.info.status) == ("KILLED", "FINISHED")
    assert cut_off.data.tags["genre.state"] == "interrupted"
    # What was measured before is told again, not measured again.
    told = client.get_metric_history(ended.info.run_id, "elapsed_s")
    assert [metric.step for metric in told] == [1, 2]
    assert told[0].value == kept.lines[0]["elapsed_s"]
