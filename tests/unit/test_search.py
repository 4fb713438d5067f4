"""Studies: what is searched, and that processes do not get in each other's way."""

import multiprocessing
from pathlib import Path

import optuna
import pytest

from genre_mlops.config import Config
from genre_mlops.search.space import SEARCH_SPACE, search_space
from genre_mlops.search.studies import open_storage

N_ASKED = 10


def ask(folder: Path, ready, numbers) -> None:
    study = optuna.load_study(study_name="x", storage=open_storage(folder))
    ready.wait()
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    numbers.put([study.ask(space).number for _ in range(N_ASKED)])


def test_no_two_processes_get_the_same_waiting_trial(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    ready, numbers = context.Barrier(3), context.Queue()
    study = optuna.create_study(study_name="x", storage=open_storage(tmp_path))
    for i in range(3 * N_ASKED):
        study.enqueue_trial({"x": i / 100})
    processes = [context.Process(target=ask, args=(tmp_path, ready, numbers)) for _ in range(3)]
    for process in processes:
        process.start()
    asked = [number for _ in processes for number in numbers.get(timeout=120)]
    for process in processes:
        process.join()
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
