"""Where work on many items runs: this process, or one process a core."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool

import joblib

from genre_mlops.domain import ITEM, RESULT, Progress, silent
from genre_mlops.errors import GenreError


class Engine:
    """Runs functions on many items, in parallel where that pays.

    Parameters
    ----------
    workers : int
        Processes; 1 stays in this one, 0 takes one for each core.
    progress : Progress
        Told after each item.
    """

    def __init__(self, workers: int = 0, progress: Progress = silent) -> None:
        self.workers = workers or available_cores()
        self.progress = progress

    def map(
        self, function: Callable[[ITEM], RESULT], items: Sequence[ITEM], *, label: str
    ) -> Iterator[RESULT]:
        """Apply `function` to every item; results come as they are done, in any order.

        An exception in one item ends the map: a function that must not lose its neighbours'
        work keeps the reason in its result.
        """
        if not items:
            return
        # A process costs a second or two to start; few items are done by then.
        engine = Engine(min(self.workers, len(items)))
        self.progress(label, 0, len(items))
        for n_done, result in enumerate(engine.stream(function, items), start=1):
            self.progress(label, n_done, len(items))
            yield result

    def stream(self, function: Callable[[ITEM], RESULT], items: Iterable[ITEM]) -> Iterator[RESULT]:
        """Apply `function` to items drawn only when a worker is free for the next.

        For few long tasks whose own progress is told elsewhere.

        Raises
        ------
        GenreError
            A worker process died, or could not start.
        """
        if self.workers == 1:
            yield from map(function, items)
            return
        tasks = (joblib.delayed(function)(item) for item in items)
        with joblib.parallel_config(backend="loky", n_jobs=self.workers):
            parallel = joblib.Parallel(
                return_as="generator_unordered", pre_dispatch="n_jobs", batch_size=1
            )
            try:
                yield from parallel(tasks)
            except BrokenProcessPool as error:
                raise GenreError(
                    "a worker process ended before its work did: killed, out of memory, or not "
                    "able to start; run the same command to go on, with fewer workers if it ends "
                    "so again"
                ) from error


def available_cores() -> int:
    """Return how many cores this process may use."""
    return int(joblib.cpu_count())


def stop_workers() -> None:
    """End the worker processes now, busy or not, and free their memory and cores."""
    from joblib.externals.loky import reusable_executor

    # Asking loky for its executor would start one.
    if reusable_executor._executor is not None:
        reusable_executor._executor.shutdown(wait=True, kill_workers=True)
