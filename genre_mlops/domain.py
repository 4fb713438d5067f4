"""The words of the project as types: track, clip, and the functions floors pass to each other."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from genre_mlops.errors import AudioError

ITEM = TypeVar("ITEM")
RESULT = TypeVar("RESULT")


@dataclass(frozen=True, slots=True)
class Track:
    """One recording, the unit of labels and splits.

    Attributes
    ----------
    track_id : str
        Unique and stable within the data set: its path relative to the root, with `/`.
    path : Path
        Where the audio file is.
    genre : str
        The label.
    group : str or None
        Artist, album or recording session; tracks of one group stay in one split.
    licence : str or None
        The track's own; None where that of the whole source holds.
    """

    track_id: str
    path: Path
    genre: str
    group: str | None = None
    licence: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Mono audio.

    Attributes
    ----------
    track_id : str
        Named in errors.
    y : ndarray [shape=(n_samples,), dtype=float32]
        Amplitude, full scale is 1.0.
    sr : int
        Sampling rate in Hz.
    """

    track_id: str
    y: NDArray[np.float32]
    sr: int

    def __post_init__(self) -> None:
        if self.y.ndim != 1 or self.y.dtype != np.float32:
            raise AudioError(
                self.track_id, f"expected mono float32, got {self.y.dtype}{self.y.shape}"
            )

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.y.size / self.sr


class Mapper(Protocol):
    """How floors below the engine run a function on many items.

    Results come in any order, as they are done. `label` names the work for people, for example
    ``"decode"``.
    """

    def __call__(
        self, function: Callable[[ITEM], RESULT], items: Sequence[ITEM], *, label: str
    ) -> Iterable[RESULT]:
        """Apply `function` to every item."""
        ...


def sequential(
    function: Callable[[ITEM], RESULT], items: Sequence[ITEM], *, label: str
) -> Iterable[RESULT]:
    """Apply `function` to every item in order, in this process: the simplest `Mapper`."""
    del label
    return map(function, items)


class Progress(Protocol):
    """Told how far a long job is; a door draws it."""

    def __call__(self, label: str, n_done: int, n_total: int, *, told: bool = False) -> None:
        """`n_done` of `n_total` items of the job called `label` are done.

        `told` says that the job writes a line of its own for each item: only a bar is wanted.
        """
        ...


def silent(label: str, n_done: int, n_total: int, *, told: bool = False) -> None:
    """Draw nothing: the simplest `Progress`."""


class RunLog(Protocol):
    """All that training may say about itself. Tests pass a list-backed one."""

    def params(self, values: Mapping[str, object]) -> None:
        """Record what the run was asked to do."""
        ...

    def metrics(self, values: Mapping[str, float], *, step: int) -> None:
        """Record what was measured at `step` (an epoch, from 1)."""
        ...
