"""Work on many items on the workers of a Dask cluster."""

import gc
import importlib.metadata
import logging
import platform
import reprlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from genre_mlops import __version__
from genre_mlops.crew import Ended, Growth
from genre_mlops.domain import ITEM, RESULT
from genre_mlops.errors import GenreError

if TYPE_CHECKING:
    from distributed import Client, Future

_log = logging.getLogger("genre_mlops.cluster")
# A scheduler that is there answers at once.
_CONNECT_S = 10.0
# A worker starts in some seconds, or in minutes where another system's queue starts it.
WORKERS_S = 120.0
_LOOK_EVERY_S = 10.0
# Of this process, where it is a worker.
_GROWTH = Growth()
_DECIDING = ("numpy", "scipy", "soundfile", "soxr", "keras", "optuna", "mlflow")
# The builds of one library, under whose name it is installed.
_TENSORFLOW = ("tensorflow", "tensorflow-cpu")


def on_cluster(
    function: Callable[[ITEM], RESULT],
    items: Iterable[ITEM],
    workers: int,
    address: str,
    shared: Path | None = None,
) -> Iterator[RESULT]:
    """Apply `function` to items drawn only when a worker is free for the next.

    The items of a worker that dies go to another. Results come as they are done.

    Parameters
    ----------
    function : callable
        Of a module that the workers can import.
    items : iterable
        Its arguments.
    workers : int
        Items at a time; 0: as many as there are workers.
    address : str
        Of the scheduler: `tcp://host:port` or `tls://host:port`.
    shared : Path, optional
        A folder that this process can write to and the workers must see.

    Yields
    ------
    object
        A result.

    Raises
    ------
    GenreError
        The cluster cannot be reached, has no workers or unfit ones; it went away; an item ended
        several workers.
    """
    with _connected(address, shared, WORKERS_S) as client:
        check_workers = partial(_check_workers, client, address, shared)
        yield from _run(client, function, items, workers, check_workers)


def count_workers(address: str, shared: Path | None = None, *, patience_s: float = 0.0) -> int:
    """Return how many workers a cluster has, once they were found fit.

    Parameters
    ----------
    address : str
        Of the scheduler.
    shared : Path, optional
        A folder that this process can write to and the workers must see.
    patience_s : float
        Seconds to wait for the first worker.

    Raises
    ------
    GenreError
        It cannot be reached, has no workers or unfit ones.
    """
    with _connected(address, shared, patience_s) as client:
        return len(_workers(client, address))


@contextmanager
def _connected(address: str, shared: Path | None, patience_s: float) -> Iterator["Client"]:
    try:
        from distributed import Client
    except ImportError as error:
        raise GenreError(
            "engine=dask: Dask is not installed: pip install 'genre-mlops[distributed]'"
        ) from error
    client, why = None, ""
    try:
        client = Client(address, timeout=_CONNECT_S)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        # Not only where nothing answers: TLS without certificates, no TLS where it is required.
        why = str(error)
    if client is None:
        # A client that is half made closes when it is collected, by a lock. Collected while the
        # next one starts, which holds that lock, it would keep it from starting.
        gc.collect()
        raise GenreError(
            f"no Dask scheduler can be reached at {address} (GENRE_DASK_SCHEDULER): {why}"
        )
    with client:
        _await_a_worker(client, address, patience_s)
        _check_workers(client, address, shared)
        yield client


def _await_a_worker(client: "Client", address: str, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not _workers(client, address):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise GenreError(
                f"the Dask scheduler at {address} has no workers; start some: "
                f"dask worker {address} --nworkers 1 --nthreads 1"
            )
        _log.info("the Dask scheduler at %s has no workers: waiting %.0f s", address, left_s)
        with suppress(TimeoutError):
            client.wait_for_workers(1, timeout=min(left_s, _LOOK_EVERY_S))


def _check_workers(client: "Client", address: str, shared: Path | None) -> None:
    """Refuse workers that would give other results, or none."""
    with tempfile.NamedTemporaryFile(prefix=".seen-by-workers-", dir=shared) as marker:
        path = Path(marker.name) if shared else None
        unfit = client.run(_why_unfit, __version__, _versions(), path, on_error="return")
    for worker, n_threads in client.nthreads().items():
        # TensorFlow's settings and the standard error are the process's, not a thread's.
        if n_threads != 1:
            unfit[worker] = f"does {n_threads} tasks at a time, start it with --nthreads 1"
    # One that died while it was asked is not there any more.
    left = sorted(client.nthreads().keys() & unfit.keys())
    lines = [f"  {worker}: {unfit[worker]}" for worker in left if unfit[worker]]
    if lines:
        raise GenreError("\n".join([f"workers of {address} that cannot be used:", *lines]))


def _why_unfit(version: str, here: Mapping[str, str], path: Path | None) -> str:
    """Say on a worker what keeps it from this work; empty where nothing does."""
    if version != __version__:
        return f"has genre-mlops {__version__}, here it is {version}"
    there = _versions()
    for name, wanted in here.items():
        if there.get(name) != wanted:
            return f"has {name} {there.get(name, 'not at all')}, here it is {wanted}"
    if path and not path.exists():
        return f"does not see the files in {path.parent}, which all machines have to share"
    return ""


def _versions() -> dict[str, str]:
    """Return those that decide what features and trials come to: with others, there were both."""
    found = {name: importlib.metadata.version(name) for name in _DECIDING}
    for name in _TENSORFLOW:
        with suppress(importlib.metadata.PackageNotFoundError):
            found["tensorflow"] = importlib.metadata.version(name)
    return {"Python": ".".join(platform.python_version_tuple()[:2]), **found}


def _run(
    client: "Client",
    function: Callable[[ITEM], RESULT],
    items: Iterable[ITEM],
    workers: int,
    check_workers: Callable[[], None],
) -> Iterator[RESULT]:
    left, address = iter(items), client.scheduler.address
    checked = _workers(client, address)
    running: dict[Future, ITEM] = {}
    try:
        while True:
            there = _workers(client, address)
            if not there <= checked:
                # Some have joined since.
                check_workers()
                checked |= there
            # Not all at once: with each item goes the function, and what is bound to it.
            n_workers = max(1, len(there))
            n_free = min(workers or n_workers, n_workers) - len(running)
            for item in islice(left, max(0, n_free)):
                running[client.submit(function, item, pure=False)] = item
            if not running:
                return
            for future in _some_done(client, address, list(running)):
                result = _result(future, running[future])
                del running[future]
                yield result
    finally:
        if running:
            _abandon(client, list(running))


class ClusterCrew:
    """The workers of a cluster, for long tasks.

    Parameters
    ----------
    size : int
        Tasks at a time at the most; 0: as many as there are workers.
    address : str
        Of the scheduler.
    shared : Path, optional
        A folder that this process can write to and the workers must see.
    """

    def __init__(self, size: int, address: str, shared: Path | None = None) -> None:
        self._size, self._address, self._shared = size, address, shared
        self._tasks: dict[Future, Any] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        self._client = self._exit.enter_context(_connected(self._address, self._shared, WORKERS_S))
        self._checked = _workers(self._client, self._address)
        return self

    def __exit__(self, *error: object) -> None:
        if self._tasks:
            _abandon(self._client, list(self._tasks))
            self._tasks.clear()
        self._exit.close()

    @property
    def n_busy(self) -> int:
        """How many tasks run."""
        return len(self._tasks)

    @property
    def n_free(self) -> int:
        """How many more could, now."""
        there = _workers(self._client, self._address)
        if not there <= self._checked:
            # Some have joined since.
            _check_workers(self._client, self._address, self._shared)
            self._checked |= there
        return min(self._size or len(there), len(there)) - self.n_busy

    def start(self, function: Callable[[Any], Any], task: Any) -> None:
        """Let a worker apply a function to a task; that of one that dies goes to another."""
        self._tasks[self._client.submit(_measured, function, task, pure=False)] = task

    def wait(self, seconds: float) -> list[Ended]:
        """Return what has ended, after so many seconds at the latest.

        Raises
        ------
        GenreError
            The cluster is gone, or has had no workers for a while.
        """
        from distributed import KilledWorker, wait

        if not self._tasks:
            _await_a_worker(self._client, self._address, WORKERS_S)
            time.sleep(seconds)
            return []
        try:
            done = wait(list(self._tasks), timeout=seconds, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            _await_a_worker(self._client, self._address, WORKERS_S)
            return []
        except CancelledError as error:
            raise _gone(self._address) from error
        ended = []
        for future in done:
            task = self._tasks.pop(future)
            try:
                worker, grown, result = future.result()
            except KilledWorker:
                ended.append(Ended(task, died=True))
                continue
            ended.append(Ended(task, result))
            if grown and not self._client.processing().get(worker):
                _restart(self._client, [worker])
        return ended


def _measured(function: Callable[[Any], Any], task: Any) -> tuple[str, bool, Any]:
    """Apply a function on a worker, and say which that is and whether it has grown too large."""
    from distributed import get_worker

    result = function(task)
    return get_worker().address, _GROWTH.is_too_much(), result


def _some_done(client: "Client", address: str, futures: list["Future"]) -> list["Future"]:
    from distributed import wait

    while True:
        try:
            return list(wait(futures, timeout=_LOOK_EVERY_S, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            _await_a_worker(client, address, WORKERS_S)
        except CancelledError as error:
            raise _gone(address) from error


def _result(future: "Future", item: ITEM) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        brief = reprlib.Repr()
        brief.maxstring = brief.maxother = 120
        raise GenreError(
            f"{error.allowed_failures + 1} workers died one after the other, killed or out of "
            f"memory, over {brief.repr(item)}"
        ) from error


def _workers(client: "Client", address: str) -> set[str]:
    try:
        return set(client.nthreads())
    except OSError as error:
        raise _gone(address) from error


def _gone(address: str) -> GenreError:
    return GenreError(f"the Dask scheduler at {address} is gone; run the same command to go on")


def _restart(client: "Client", workers: list[str]) -> None:
    # One without a nanny to start it anew stays as it is, and one may have gone meanwhile.
    with suppress(ValueError, KeyError):
        client.restart_workers(workers, raise_for_error=False)


def _abandon(client: "Client", futures: list["Future"]) -> None:
    """Stop what still runs: no task can be ended, but its worker can; a nanny starts another."""
    ours = {future.key for future in futures}
    with suppress(OSError, CancelledError):
        busy = [worker for worker, keys in client.processing().items() if ours & set(keys)]
        client.cancel(futures)
        if busy:
            _log.info("ending what runs on %d workers of the cluster", len(busy))
            _restart(client, busy)
