"""The engine on a real cluster: a scheduler and two workers, processes of this machine."""

import gc
import logging
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import psutil
import pytest
from distributed import Client

from genre_mlops import __version__, cluster
from genre_mlops.config import FeatureConfig
from genre_mlops.domain import sequential
from genre_mlops.engine import Engine
from genre_mlops.errors import ConfigError, GenreError
from genre_mlops.settings import Settings
from genre_mlops.store import FeatureStore, Source
from tests import errands
from tests.clusters import scheduler, worker
from tests.music import write_tune


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler with two workers."""
    folder = tmp_path_factory.mktemp("dask")
    with scheduler(folder) as (address, _), worker(folder), worker(folder):
        yield address


@pytest.fixture
def engine(address: str) -> Engine:
    """With both workers there, also after a test that ended some."""
    while cluster.count_workers(address, patience_s=60.0) < 2:
        time.sleep(0.1)
    return Engine(dask=address)


def test_the_results_are_those_of_this_machine(engine: Engine):
    told: list[tuple[str, int, int]] = []
    there = Engine(progress=lambda *step: told.append(step), dask=engine.dask)
    assert sorted(there.map(errands.square, range(7), label="squares")) == [0, 1, 4, 9, 16, 25, 36]
    assert told == [("squares", n, 7) for n in range(8)]
    assert list(there.map(errands.square, [], label="none")) == []


def test_features_are_those_of_this_machine(engine: Engine, tmp_path: Path):
    config = FeatureConfig(sr=16_000, n_fft=512, hop_length=200, n_mels=20, fmax=8_000)
    paths = [write_tune(tmp_path / f"{i}.wav", seed=i, duration_s=1.0) for i in range(3)]
    sources = {sha256(path.read_bytes()).hexdigest(): Source(path, 1.0) for path in paths}
    shards = []
    for name, run in (("here", sequential), ("there", engine.map)):
        store = FeatureStore(tmp_path / name, config)
        report = store.build(sources, run)
        assert (report.n_built, report.failures) == (3, {})
        found = sorted(store.folder.glob("shard-*.npy"))
        shards.append([(path.name, path.read_bytes()) for path in found])
    assert shards[0] == shards[1]
    assert shards[0]


@pytest.mark.parametrize("asked", [0, 1, 5])
def test_as_many_at_a_time_as_asked_or_as_there_are_workers(engine: Engine, asked: int):
    drawn: list[int] = []

    def items():
        for i in range(6):
            drawn.append(i)
            yield i

    stream = engine.with_workers(asked).stream(errands.begin_and_end, items())
    times = [next(stream)]
    at_a_time = 1 if asked == 1 else 2
    # Those at work, and at the most as many that were done with the first.
    assert len(drawn) <= 2 * at_a_time
    times = sorted([*times, *stream])
    assert len(times) == 6
    n_overlaps = sum(times[i][1] > times[i + 1][0] for i in range(5))
    assert (n_overlaps > 0) == (at_a_time > 1)


def test_kill_9_of_a_worker_loses_nothing(engine: Engine, tmp_path: Path):
    tasks = [(tmp_path, x) for x in range(8)]
    results = engine.map(errands.square_at_second_try, tasks, label="squares")
    assert sorted(results) == [0, 1, 4, 9, 16, 25, 36, 49]
    tries = len(list(tmp_path.iterdir()))
    # Once more, what was in flight: the one that was killed, and what the worker had before it.
    assert 9 <= tries <= 11
    assert (tmp_path / "3-1").exists()


def test_an_item_that_kills_workers_is_named(engine: Engine):
    items = ["a poisoned one"]
    with pytest.raises(GenreError, match=r"2 workers died one after the other.*'a poisoned one'"):
        list(engine.map(errands.kill_worker, items, label="die"))


def test_an_error_ends_the_map_and_what_runs_beside_it(engine: Engine, tmp_path: Path):
    with pytest.raises(ValueError, match="no good"):
        list(engine.map(errands.sleep_or_fail, [(tmp_path, False), (tmp_path, True)], label="x"))
    (note,) = tmp_path.iterdir()
    assert not psutil.pid_exists(int(note.name))


def test_other_code_or_python_on_a_worker_is_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cluster, "__version__", "9.9")
    with pytest.raises(GenreError, match=rf"has genre-mlops {__version__}, here it is 9\.9"):
        list(engine.map(errands.square, [1], label="squares"))
    monkeypatch.undo()
    here = cluster._versions()
    for name, version in (("Python", "3.9"), ("soxr", "0.1.2"), ("tensorflow", "1.0")):
        other = here | {name: version}
        monkeypatch.setattr(cluster, "_versions", lambda other=other: other)
        with pytest.raises(GenreError, match=rf"has {name} {here[name]}, here it is {version}"):
            list(engine.map(errands.square, [1], label="squares"))
    monkeypatch.undo()
    # One that has none at all.
    more = here | {"tensorflow": "2", "rocm": "7"}
    assert cluster._why_unfit(__version__, more, None) == (
        f"has tensorflow {here['tensorflow']}, here it is 2"
    )
    more = here | {"rocm": "7"}
    assert cluster._why_unfit(__version__, more, None) == "has rocm not at all, here it is 7"


def test_a_folder_that_is_not_shared_is_said(engine: Engine, tmp_path: Path):
    assert cluster.count_workers(engine.dask, tmp_path) == 2
    assert list(tmp_path.iterdir()) == []
    here = cluster.__version__, cluster._versions()
    missing = tmp_path / "elsewhere" / "marker"
    assert f"does not see the files in {missing.parent}" in cluster._why_unfit(*here, missing)


def test_what_is_no_scheduler_is_said_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster, "_CONNECT_S", 0.5)
    with pytest.raises(GenreError, match=r"no Dask scheduler can be reached at tcp://127.0.0.1:1 "):
        list(Engine(dask="tcp://127.0.0.1:1").map(errands.square, [1], label="squares"))
    with pytest.raises(GenreError, match=r"reached at tls://127.0.0.1:1 .*TLS"):
        list(Engine(dask="tls://127.0.0.1:1").map(errands.square, [1], label="squares"))


def test_a_client_that_is_half_made_is_gone_before_the_next_one_starts():
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(GenreError, match="no Dask scheduler can be reached"):
            cluster.count_workers("tls://127.0.0.1:1")
        left = [thing for thing in gc.get_objects() if type(thing) is Client]
    finally:
        gc.enable()
    assert [client.status for client in left if client.status != "closed"] == []


def test_a_cluster_that_is_of_no_use_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "genre_mlops")
    with scheduler(tmp_path) as (address, process):
        engine = Engine(dask=address)
        with monkeypatch.context() as patience:
            patience.setattr(cluster, "WORKERS_S", 0.5)
            patience.setattr("genre_mlops.engine.WORKERS_S", 0.5)
            with pytest.raises(GenreError, match="has no workers; start some: dask worker tcp"):
                list(engine.map(errands.square, [1], label="squares"))
            with pytest.raises(GenreError, match="has no workers; start some: dask worker tcp"):
                engine.check()
        assert "has no workers: waiting" in caplog.text
        with (
            worker(tmp_path, n_threads=3, nanny=False),
            pytest.raises(GenreError, match="does 3 tasks at a time, start it with --nthreads 1"),
        ):
            list(engine.map(errands.square, [1], label="squares"))
        monkeypatch.setattr(cluster, "_LOOK_EVERY_S", 0.2)
        with worker(tmp_path, nanny=False) as only_worker:
            stream = engine.stream(time.sleep, iter([0.1, 600]))
            next(stream)
            only_worker.kill()
            with monkeypatch.context() as patience:
                patience.setattr(cluster, "WORKERS_S", 0.5)
                with pytest.raises(GenreError, match="has no workers; start some"):
                    next(stream)
        with worker(tmp_path, nanny=False):
            stream = engine.stream(time.sleep, iter([0.1, 600]))
            next(stream)
            process.kill()
            with pytest.raises(GenreError, match="is gone; run the same command to go on"):
                next(stream)


def test_an_unfit_worker_that_joins_later_is_refused(tmp_path: Path):
    with scheduler(tmp_path) as (address, _), worker(tmp_path):
        engine = Engine(dask=address, shared=tmp_path)
        found = engine.stream(errands.square, iter(range(10**6)))
        assert next(found) == 0
        with worker(tmp_path, n_threads=3), pytest.raises(GenreError, match="does 3 tasks at a ti"):
            for _ in found:
                pass


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GENRE_DASK_SCHEDULER", raising=False)
    assert Settings().dask_scheduler == ""
    monkeypatch.setenv("GENRE_DASK_SCHEDULER", "tls://[::1]:8786")
    assert Settings().dask_scheduler == "tls://[::1]:8786"
    for wrong in ("10.0.0.5:8786", "tcp://10.0.0.5", "http://10.0.0.5:8786"):
        monkeypatch.setenv("GENRE_DASK_SCHEDULER", wrong)
        with pytest.raises(ConfigError, match="not the address of a Dask scheduler"):
            Settings()
