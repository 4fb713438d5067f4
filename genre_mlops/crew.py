"""A few processes for long tasks, of which one that dies takes only its own task along.

What several processes of joblib share breaks when one of them is killed, and ends the others. Here
each has a pipe of its own and nothing in common.
"""

import multiprocessing
import os
import pickle
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, Self

import psutil

from genre_mlops.errors import GenreError
from genre_mlops.processes import end_with

# A process that has grown by this much since its first task is followed by a new one: TensorFlow
# keeps the graphs of networks that are gone (tensorflow/tensorflow issue 124972), 30 to 70 MB each.
_MOST_GROWTH_BYTES = 400e6
_LOOK_EVERY_S = 1.0
MOST_DEATHS = 3
"""Workers that may die over one task before it is given up."""


@dataclass(frozen=True)
class Ended:
    """A task that is over.

    Attributes
    ----------
    task : object
        What the function was given.
    result : object
        What it returned; None where its worker died.
    died : bool
        Whether its worker did: killed, out of memory, or not able to start.
    """

    task: Any
    result: Any = None
    died: bool = False


class Growth:
    """How much this process has grown since it was asked first, after its first task."""

    def __init__(self) -> None:
        self._first_bytes = 0

    def is_too_much(self) -> bool:
        """Whether another should take its place."""
        now_bytes = int(psutil.Process().memory_info().rss)
        self._first_bytes = self._first_bytes or now_bytes
        return now_bytes - self._first_bytes > _MOST_GROWTH_BYTES


class Crew(Protocol):
    """Workers for long tasks, on this machine or on many. Used by `with`, which ends what runs."""

    @property
    def n_busy(self) -> int:
        """How many tasks run."""
        ...

    @property
    def n_free(self) -> int:
        """How many more could."""
        ...

    def start(self, function: Callable[[Any], Any], task: Any) -> None:
        """Let a free worker apply a function to a task."""
        ...

    def wait(self, seconds: float) -> list[Ended]:
        """Return what has ended, after so many seconds at the latest.

        Raises
        ------
        Exception
            What a function raised.
        """
        ...

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(self, *error: object) -> None:
        """End what runs."""
        ...


@dataclass(eq=False)
class _Worker:
    process: Any
    pipe: Connection
    task: Any = None
    busy: bool = False


class LocalCrew:
    """Processes of this machine, started when there is something to do.

    Parameters
    ----------
    size : int
        How many at the most.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers.clear()

    @property
    def n_busy(self) -> int:
        """How many tasks run."""
        return sum(worker.busy for worker in self._workers)

    @property
    def n_free(self) -> int:
        """How many more could."""
        return self._size - self.n_busy

    def start(self, function: Callable[[Any], Any], task: Any) -> None:
        """Let a free worker apply a function to a task; it need not have been started yet."""
        worker = next((worker for worker in self._workers if not worker.busy), None) or self._add()
        worker.task, worker.busy = task, True
        try:
            worker.pipe.send((function, task))
        except OSError:
            # It is dead, as `wait` will find.
            return

    def wait(self, seconds: float) -> list[Ended]:
        """Return what has ended, after so many seconds at the latest."""
        ready = {id(pipe) for pipe in wait([worker.pipe for worker in self._workers], seconds)}
        ended = []
        for worker in [worker for worker in self._workers if id(worker.pipe) in ready]:
            ended += self._hear(worker)
        return ended

    def _hear(self, worker: _Worker) -> list[Ended]:
        try:
            good, result, stays = worker.pipe.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            self._part(worker)
            return [Ended(worker.task, died=True)] if worker.busy else []
        worker.busy = False
        if not stays:
            self._part(worker)
        if not good:
            raise result
        return [Ended(worker.task, result)]

    def _part(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.process.join()
        worker.pipe.close()

    def _add(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, os.getpid()), daemon=False)
        with deaf_to_ctrl_c():
            process.start()
        # With our copy open, we would not hear that the process is gone.
        theirs.close()
        self._workers.append(_Worker(process, ours))
        return self._workers[-1]


def run_all(crew: Crew, function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
    """Apply a function to tasks, as many at a time as there are workers; results as they come.

    Raises
    ------
    GenreError
        The workers of one task died one after the other.
    """
    left, deaths = list(tasks), Counter[int]()
    while left or crew.n_busy:
        while left and crew.n_free > 0:
            crew.start(function, left.pop(0))
        for ended in crew.wait(_LOOK_EVERY_S):
            if not ended.died:
                yield ended.result
                continue
            deaths[id(ended.task)] += 1
            if deaths[id(ended.task)] >= MOST_DEATHS:
                raise GenreError(
                    f"{MOST_DEATHS} workers died one after the other over the same task: killed, "
                    "or out of memory; run the same command to go on"
                )
            left.insert(0, ended.task)


def _work(pipe: Connection, parent: int) -> None:
    """Do tasks until the process that started this one is gone, or memory has grown too much."""
    end_with(parent)
    growth, stays = Growth(), True
    while stays:
        try:
            function, task = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            good, result = True, function(task)
        except Exception as error:
            good, result = False, _sendable(error)
        stays = not growth.is_too_much()
        pipe.send((good, result, stays))


def _sendable(error: Exception) -> Exception:
    """Return an error that can cross a process boundary, and says where it was raised."""
    where = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  what was pickled here
    except Exception:  # whatever its class raises when it is made anew
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"in a worker process:\n{where}")
    return error


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Start processes that do not hear Ctrl-C, which is for the one that waits for them.

    It ends them itself; by themselves they would end with a traceback each.
    """
    from multiprocessing import resource_tracker

    # Where it starts later, it lets the signal through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
