import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genre_mlops.engine import Engine
from genre_mlops.errors import GenreError


def square(x: int) -> int:
    return x * x


def die(x: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def pid(x: int) -> int:
    time.sleep(0.2)
    return os.getpid()


def hears_ctrl_c(x: int) -> bool:
    return signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


LONG_WORK = """
import signal, sys, time
from genre_mlops.console import exit_codes
from genre_mlops.engine import Engine, stop_workers
# A shell's background job, and all that it starts, would not hear Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
with exit_codes():
    try:
        print("begun", flush=True)
        list(Engine(2).map(time.sleep, [60, 60], label="sleep"))
    finally:
        stop_workers()
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_map_gives_every_result_and_tells_how_far_it_is(workers: int):
    told: list[tuple[str, int, int]] = []
    engine = Engine(workers, lambda *step: told.append(step))
    assert sorted(engine.map(square, range(7), label="squares")) == [0, 1, 4, 9, 16, 25, 36]
    assert told == [("squares", n, 7) for n in range(8)]


def meet(folder: Path) -> int:
    """Wait for another process to come, which may take its time to start."""
    (folder / str(os.getpid())).touch()
    until_s = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2 and time.monotonic() < until_s:
        time.sleep(0.01)
    return os.getpid()


def test_several_workers_are_several_processes(tmp_path: Path):
    found = set(Engine(2).map(meet, [tmp_path] * 2, label="meet"))
    assert len(found) == 2
    assert os.getpid() not in found
    assert set(Engine(1).map(pid, range(2), label="pids")) == {os.getpid()}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stream_draws_an_item_when_a_worker_is_free(workers: int):
    drawn: list[int] = []

    def items():
        for i in range(9):
            drawn.append(i)
            yield i

    stream = Engine(workers).stream(pid, items())
    next(stream)
    # At the most: one done, one for each worker, and one in hand.
    assert len(drawn) <= 2 * workers + 1
    assert len(list(stream)) == 8


def test_a_worker_that_dies_is_said():
    with pytest.raises(GenreError, match="a worker process ended before its work did"):
        list(Engine(2).map(die, range(4), label="die"))
    # The next map has workers again.
    assert sorted(Engine(2).map(square, range(3), label="squares")) == [0, 1, 4]


def test_nothing_to_do_does_nothing():
    assert list(Engine(2).map(square, [], label="none")) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_ends_the_map(workers: int):
    with pytest.raises(TypeError):
        list(Engine(workers).map(square, [1, "a", 3], label="squares"))


def test_threads_share_the_cores_where_there_are_several_workers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("genre_mlops.engine.available_cores", lambda: 7)
    assert [Engine(workers).threads for workers in (1, 2, 3, 9)] == [0, 3, 2, 1]
    assert Engine(2, dask="tcp://10.0.0.5:8786").threads == 0
    assert Engine().workers == 7


def test_ctrl_c_is_for_this_process_alone():
    assert set(Engine(2).map(hears_ctrl_c, range(4), label="hear")) == {False}
    assert hears_ctrl_c(0)


@pytest.mark.parametrize("after_s", [0.3, 0.6])
def test_ctrl_c_while_workers_start_says_one_line(after_s: float):
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", LONG_WORK],
        cwd=Path(__file__).parents[2],
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    process.stdout.readline()
    time.sleep(after_s)
    # As a terminal does: to all that was started there.
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, said) == (130, "stopped; run the same command to go on\n")
