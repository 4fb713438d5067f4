"""Processes for long tasks: each on its own, replaced when it dies or grows."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from genre_mlops import crew as crews
from genre_mlops.crew import LocalCrew, run_all
from genre_mlops.errors import DataError, GenreError


def square(x: int) -> int:
    return x * x


def who(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def die(x: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def square_at_second_try(task: tuple[Path, int]) -> int:
    folder, x = task
    note = folder / str(x)
    if x == 3 and not note.exists():
        note.touch()
        die(x)
    return x * x


def fail(x: int) -> None:
    raise DataError(f"no good: {x}")


class UnsendableError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("cannot be made anew")


def fail_unsendably(x: int) -> None:
    raise UnsendableError(1, 2)


def grow(megabytes: int) -> int:
    global kept
    kept = b"x" * (megabytes * 1_000_000)
    return os.getpid()


def hears_ctrl_c(x: int) -> bool:
    return signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def ended_of(crew: LocalCrew, n: int) -> list[crews.Ended]:
    """Return what ends until so many have."""
    found: list[crews.Ended] = []
    deadline = time.monotonic() + 60
    while len(found) < n:
        assert time.monotonic() < deadline
        found += crew.wait(0.2)
    return found


def test_tasks_run_side_by_side_in_processes_that_stay():
    with LocalCrew(2) as crew:
        assert (crew.n_busy, crew.n_free) == (0, 2)
        crew.start(who, 0.5)
        crew.start(who, 0.5)
        assert (crew.n_busy, crew.n_free) == (2, 0)
        first = {ended.result for ended in ended_of(crew, 2)}
        assert len(first - {os.getpid()}) == 2
        crew.start(who, 0)
        assert ended_of(crew, 1)[0].result in first
        assert crew.wait(0) == []
        assert not any(crew_ended for crew_ended in crew.wait(0.1))


def test_one_that_dies_takes_only_its_own_task_along():
    with LocalCrew(2) as crew:
        crew.start(who, 2.0)
        crew.start(die, 1)
        lived, died = sorted(ended_of(crew, 2), key=lambda ended: ended.died)
        assert (died.died, died.task, died.result) == (True, 1, None)
        assert (lived.died, lived.task) == (False, 2.0)
        # Another takes its place.
        crew.start(square, 5)
        assert ended_of(crew, 1)[0].result == 25


def test_one_that_dies_while_it_waits_is_replaced():
    with LocalCrew(1) as crew:
        crew.start(who, 0)
        os.kill(ended_of(crew, 1)[0].result, signal.SIGKILL)
        time.sleep(0.3)
        crew.start(square, 3)
        [found] = ended_of(crew, 1)
        if found.died:
            crew.start(square, 3)
            [found] = ended_of(crew, 1)
        assert found.result == 9


def test_what_a_task_raises_is_raised_here_and_says_where():
    with LocalCrew(1) as crew:
        crew.start(fail, 7)
        with pytest.raises(DataError, match="no good: 7") as caught:
            ended_of(crew, 1)
        assert "in fail" in caught.value.__notes__[0]
        crew.start(fail_unsendably, 7)
        with pytest.raises(RuntimeError, match="UnsendableError: cannot be made anew"):
            ended_of(crew, 1)
        crew.start(square, 2)
        assert ended_of(crew, 1)[0].result == 4


def test_one_that_has_grown_is_replaced(monkeypatch: pytest.MonkeyPatch):
    with LocalCrew(1) as crew:
        pids = []
        # The first task's size is what growth is measured by.
        for megabytes in (1, 1, 600, 1):
            crew.start(grow, megabytes)
            pids.append(ended_of(crew, 1)[0].result)
    assert pids[0] == pids[1] == pids[2] != pids[3]


def test_the_end_of_the_block_ends_what_runs():
    with LocalCrew(2) as crew:
        crew.start(who, 0)
        pid = ended_of(crew, 1)[0].result
        crew.start(who, 600)
    assert not psutil.pid_exists(pid)


def test_they_do_not_hear_ctrl_c():
    with LocalCrew(1) as crew:
        crew.start(hears_ctrl_c, 0)
        assert ended_of(crew, 1)[0].result is False
    assert hears_ctrl_c(0)


def test_all_are_run_and_those_of_dead_workers_again(tmp_path: Path):
    with LocalCrew(2) as crew:
        results = run_all(crew, square_at_second_try, [(tmp_path, x) for x in range(6)])
        assert sorted(results) == [0, 1, 4, 9, 16, 25]
    assert (tmp_path / "3").exists()


def test_a_task_that_kills_its_workers_is_given_up():
    with (
        LocalCrew(1) as crew,
        pytest.raises(GenreError, match="3 workers died one after the other over the same task"),
    ):
        list(run_all(crew, die, [1]))
