"""How long the stages of a prediction take, and until when they may."""

import math
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from genre_mlops.errors import TooSlowError

ITEM = TypeVar("ITEM")


class Watch:
    """Looks at the clock between the pieces of a piece of work.

    Parameters
    ----------
    deadline_s : float
        By `time.monotonic`, in seconds; after it the work is given up between two pieces.

    Attributes
    ----------
    took_s : dict of str to float
        Stage -> seconds spent in it, without the stages that it waits for.
    """

    def __init__(self, deadline_s: float = math.inf) -> None:
        self.deadline_s = deadline_s
        self.took_s: dict[str, float] = {}

    def timed(self, stage: str, pieces: Iterable[ITEM]) -> Iterator[ITEM]:
        """Give pieces on, and add the time that making them takes to a stage.

        Raises
        ------
        TooSlowError
            The deadline is over.
        """
        pieces = iter(pieces)
        while True:
            if time.monotonic() > self.deadline_s:
                raise TooSlowError("the time for this request is over")
            others_s, began = self._others_s(stage), time.perf_counter()
            try:
                piece = next(pieces)
            except StopIteration:
                return
            finally:
                spent_s = time.perf_counter() - began - (self._others_s(stage) - others_s)
                self.took_s[stage] = self.took_s.get(stage, 0.0) + spent_s
            yield piece

    def _others_s(self, stage: str) -> float:
        return sum(took_s for name, took_s in self.took_s.items() if name != stage)
