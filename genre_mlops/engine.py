"""Where work on many items runs: this process, one process a core, or a cluster's workers."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import joblib

from genre_mlops.cluster import WORKERS_S, ClusterCrew, count_workers, on_cluster
from genre_mlops.crew import Crew, LocalCrew, deaf_to_ctrl_c
from genre_mlops.domain import ITEM, RESULT, Progress, silent
from genre_mlops.errors import GenreError
from genre_mlops.processes import end_with

# Said when a worker that has grown is replaced by a new one, which is as it should be.
warnings.filterwarnings("ignore", message="A worker stopped while some jobs", module="joblib")


class Engine:
    """Runs functions on many items, in parallel where that pays.

    Parameters
    ----------
    workers : int
        Items at a time; 0 takes one for each core, or each worker of the cluster. In one process
        each, but for 1 without a cluster, which stays in this one.
    progress : Progress
        Told after each item.
    dask : str
        Address of a Dask scheduler whose workers do the work; empty: this machine.
    shared : Path, optional
        A folder that this process can write to and the workers must see.
    """

    def __init__(
        self,
        workers: int = 0,
        progress: Progress = silent,
        *,
        dask: str = "",
        shared: Path | None = None,
    ) -> None:
        self.workers = workers if workers or dask else available_cores()
        self.progress = progress
        self.dask, self.shared = dask, shared

    def with_workers(self, workers: int) -> "Engine":
        """Return an engine for as many items at a time, in the same place."""
        return Engine(workers, self.progress, dask=self.dask, shared=self.shared)

    def check(self) -> None:
        """Find out whether there is a place to work, before anything is begun.

        Raises
        ------
        GenreError
            The cluster cannot be reached, has no workers or unfit ones.
        """
        if self.dask:
            count_workers(self.dask, self.shared, patience_s=WORKERS_S)

    @property
    def threads(self) -> int:
        """Cores for each item, 0 where a library may take those it finds."""
        if self.dask or self.workers == 1:
            return 0
        return available_cores() // self.workers or 1

    def crew(self) -> Crew:
        """Return workers for long tasks: processes of this machine, or those of the cluster."""
        if self.dask:
            return ClusterCrew(self.workers, self.dask, self.shared)
        return LocalCrew(self.workers)

    def map(
        self, function: Callable[[ITEM], RESULT], items: Sequence[ITEM], *, label: str
    ) -> Iterator[RESULT]:
        """Apply `function` to every item; results come as they are done, in any order.

        An exception in one item ends the map: a function that must not lose its neighbours'
        work keeps the reason in its result.

        Raises
        ------
        GenreError
            As `stream` does.
        """
        if not items:
            return
        # A process costs a second or two to start; few items are done by then.
        engine = self if self.dask else self.with_workers(min(self.workers, len(items)))
        self.progress(label, 0, len(items))
        for n_done, result in enumerate(engine.stream(function, items), start=1):
            self.progress(label, n_done, len(items))
            yield result

    def stream(self, function: Callable[[ITEM], RESULT], items: Iterable[ITEM]) -> Iterator[RESULT]:
        """Apply `function` to items drawn only when a worker is free for the next.

        Raises
        ------
        GenreError
            A worker process died, or could not start; with a cluster: it cannot be reached or
            used, or an item ended several workers.
        """
        if self.dask:
            yield from on_cluster(function, items, self.workers, self.dask, self.shared)
        elif self.workers == 1:
            yield from map(function, items)
        else:
            yield from _on_cores(function, items, self.workers)


def available_cores() -> int:
    """Return how many cores this process may use."""
    return int(joblib.cpu_count())


def stop_workers() -> None:
    """End the worker processes now, busy or not, and free their memory and cores.

    Those of a cluster stop when the map or stream that uses them ends.
    """
    from joblib.externals.loky import reusable_executor

    # Asking loky for its executor would start one.
    if reusable_executor._executor is not None:
        reusable_executor._executor.shutdown(wait=True, kill_workers=True)


def _on_cores(
    function: Callable[[ITEM], RESULT], items: Iterable[ITEM], workers: int
) -> Iterator[RESULT]:
    tasks = (joblib.delayed(function)(item) for item in items)
    parallel = joblib.Parallel(
        n_jobs=workers,
        backend="loky",
        return_as="generator_unordered",
        pre_dispatch="n_jobs",
        batch_size=1,
        initializer=end_with,
        initargs=(os.getpid(),),
    )
    try:
        from joblib.externals.loky.backend import resource_tracker

        # Where it starts later, it hears Ctrl-C.
        resource_tracker.ensure_running()
        with deaf_to_ctrl_c():
            results = parallel(tasks)
        yield from results
    except BrokenProcessPool as error:
        raise GenreError(
            "a worker process ended before its work did: killed, out of memory, or not able to "
            "start; run the same command to go on, with fewer at a time if it ends so again: "
            "-P workers=1 for trials, LOKY_MAX_CPU_COUNT=1 in the environment for files"
        ) from error
