"""How the validation tracks sound, and what the model says of them: what requests are held against.

Not the training tracks: of what it has learnt from, a model is more certain than of anything that
it will be asked.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from genre_mlops.config import FeatureConfig, Section
from genre_mlops.drift import DEFINITION, describe
from genre_mlops.errors import GenreError

FILE = "reference.json"
"""Of the bundle, beside `bundle.json`, which seals it."""
CONFIDENCE = "confidence"
MOST_TRACKS = 5_000
"""More would show no smaller shift that matters, and make every bundle larger."""
# Of a probability: one more says nothing, and would tell 1.0 from what is rounded to it.
_DIGITS = 4


@dataclass(frozen=True, eq=False)
class Heard:
    """Many recordings, as figures: validation tracks, or requests.

    Attributes
    ----------
    figures : mapping of str to ndarray [shape=(n_recordings,), dtype=float64]
        Those of `describe`, and ``"confidence"``; in the same order.
    genres : Counter of str
        Most probable genre -> recordings.
    """

    figures: Mapping[str, NDArray[np.float64]]
    genres: Counter[str]

    def __len__(self) -> int:
        return self.genres.total()


class Reference(Section):
    """What `reference.json` says; a value a track in each tuple, in the same order."""

    format_version: Literal[1] = 1
    definition: int
    """That of `figures`."""
    n_validation: Annotated[int, Field(gt=0)]
    """Validation tracks that these were drawn from."""
    figures: dict[str, tuple[float, ...]]
    confidence: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    """Of the most probable genre, calibrated."""
    genre: Annotated[tuple[str, ...], Field(min_length=1)]
    """The most probable one, which need not be the track's own."""

    @model_validator(mode="after")
    def _of_the_same_tracks(self) -> Self:
        lengths = {name: len(values) for name, values in self.figures.items()}
        lengths[CONFIDENCE] = len(self.confidence)
        wrong = sorted(name for name, n in lengths.items() if n != len(self.genre))
        if wrong:
            raise ValueError(f"{len(self.genre)} tracks have a genre, other numbers {wrong}")
        return self

    def heard(self) -> Heard:
        """Return the tracks as what requests are compared with."""
        return heard({**self.figures, CONFIDENCE: self.confidence}, Counter(self.genre))


class Listener:
    """Describes tracks while they are predicted, so that nothing is read twice.

    Parameters
    ----------
    n_tracks : int
        How many there will be; of more than `MOST_TRACKS` so many are drawn.
    features : FeatureConfig
        Of their spectrograms.
    seed : int
        Of the drawing.
    """

    def __init__(self, n_tracks: int, features: FeatureConfig, *, seed: int) -> None:
        self._n_tracks, self._features = n_tracks, features
        n_drawn = min(n_tracks, MOST_TRACKS)
        drawn = np.random.default_rng(seed).choice(n_tracks, n_drawn, replace=False)
        self._drawn = frozenset(drawn.tolist())
        self._described: dict[int, dict[str, float]] = {}

    def __call__(self, track: int, S_db: NDArray[np.floating]) -> None:
        """Listen to a track, by its place from 0, if it is among those drawn."""
        if track in self._drawn:
            self._described[track] = describe(S_db, self._features)

    def reference(self, probabilities: NDArray[np.float64], genres: Sequence[str]) -> Reference:
        """Return the reference, when all have passed.

        Parameters
        ----------
        probabilities : ndarray [shape=(n_tracks, n_genres), range=[0, 1]]
            What is said of each track, as a bundle says it: calibrated.
        genres : sequence of str
            Of the columns.
        """
        rows = sorted(self._described)
        described = [self._described[row] for row in rows]
        said = probabilities[rows]
        return Reference(
            definition=DEFINITION,
            n_validation=self._n_tracks,
            figures={name: tuple(d[name] for d in described) for name in described[0]},
            confidence=tuple(said.max(axis=1).round(_DIGITS).tolist()),
            genre=tuple(genres[best] for best in said.argmax(axis=1)),
        )


def heard(figures: Mapping[str, Sequence[float]], genres: Counter[str]) -> Heard:
    """Return recordings from a list of values for each figure, ``"confidence"`` among them."""
    arrays = {name: np.asarray(values, np.float64) for name, values in figures.items()}
    arrays[CONFIDENCE] = arrays[CONFIDENCE].round(_DIGITS)
    return Heard(arrays, genres)


def read_reference(bundle: Path) -> Reference:
    """Read the reference of a bundle.

    Raises
    ------
    GenreError
        The bundle has none, or one of another form.
    """
    path = bundle / FILE
    try:
        return Reference.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise GenreError(
            f"the bundle has no {FILE}: an older genre-mlops made it, and its requests can be "
            "compared with nothing; train and promote a new version"
        ) from error
    except ValidationError as error:
        raise GenreError(f"{path} is not of this version: {error.errors()[0]['msg']}") from error
