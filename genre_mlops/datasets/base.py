"""The contract of a data source."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from genre_mlops.domain import Mapper, Track

AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".au", ".snd", ".aif", ".aiff", ".aifc", ".flac", ".mp3"}
    | {".ogg", ".oga", ".opus", ".m4a", ".aac", ".wma"}
)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source holds.

    Attributes
    ----------
    tracks : tuple of Track
        Sorted by `track_id`.
    passed_over : tuple of str
        Files below the root that are no audio by their name, relative to the root.
    """

    tracks: tuple[Track, ...]
    passed_over: tuple[str, ...] = ()


class Dataset(ABC):
    """One source of labelled tracks.

    Guarantees: `prepare` may be called any number of times and does nothing where nothing is
    missing; killed, it goes on when called again; `listing` after it names only files that are
    whole. Two calls of `listing` with nothing changed on disk are equal.
    """

    name: str
    """A short name for people and file names."""
    synthetic: bool
    """True when the music was made for testing: scores on it say so."""
    licence: str
    """Under what terms the audio may be used."""

    @abstractmethod
    def prepare(self, run: Mapper) -> None:
        """Bring the audio to this machine, through `run` where that is much work."""

    @abstractmethod
    def listing(self) -> Listing:
        """Name the tracks that are here."""
