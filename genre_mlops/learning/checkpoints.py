"""The state of a training on disk: after a kill it goes on from its last epoch."""

import json
import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre_mlops.files import replacing

_log = logging.getLogger(__name__)
Line = dict[str, float]
"""What was measured in one epoch."""


@dataclass(frozen=True, eq=False)
class State:
    """A training after some epochs.

    Attributes
    ----------
    variables : list of ndarray
        Of network, average and optimizer, and of what is random in the network.
    best_weights : list of ndarray
        Of the best epoch's network.
    lines : list of dict
        What was measured, one for each epoch.
    """

    variables: list[NDArray[Any]]
    best_weights: list[NDArray[Any]]
    lines: list[Line]


class Checkpoint:
    """Where a training keeps its state.

    Parameters
    ----------
    path : Path
        A `.npz` file, which need not be there. It belongs to one config, data set and seed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def load(self) -> State | None:
        """Return the state, None where there is none that can be read."""
        try:
            with np.load(self._path, allow_pickle=False) as arrays:
                lines = json.loads(str(arrays["lines"]))
                return State(_several(arrays, "variable"), _several(arrays, "best"), lines)
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            _log.warning("%s: cannot be read, the training begins anew: %s", self._path, error)
            return None

    def save(self, state: State) -> None:
        """Write the state; it is whole on disk, or the one before is."""
        arrays = _numbered("variable", state.variables) | _numbered("best", state.best_weights)
        with replacing(self._path) as partial:
            np.savez(partial, allow_pickle=False, lines=np.array(json.dumps(state.lines)), **arrays)


def _numbered(name: str, arrays: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{name}_{number}": array for number, array in enumerate(arrays)}


def _several(arrays: "np.lib.npyio.NpzFile", name: str) -> list[NDArray[Any]]:
    n = sum(key.startswith(f"{name}_") for key in arrays.files)
    return [arrays[f"{name}_{number}"] for number in range(n)]
