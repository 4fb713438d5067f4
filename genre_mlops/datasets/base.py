"""The contract of a data source."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from genre_mlops.domain import Mapper, Progress, Track, silent

AUDIO_SUFFIXES = frozenset(
    {".wav", ".wave", ".au", ".snd", ".aif", ".aiff", ".aifc", ".flac", ".mp3"}
    | {".ogg", ".oga", ".opus", ".m4a", ".aac", ".wma"}
)
TABLE_SUFFIXES = frozenset({".csv", ".parquet"})


@dataclass(frozen=True, slots=True)
class PublishedSplit:
    """A split that comes with a source.

    Attributes
    ----------
    of : mapping of str to str
        `track_id` -> train, validation or test. Tracks that it leaves out are not used.
    shares_groups : bool
        Whether groups are known to be on both sides. It is reported then, not refused: the split
        is what others have published scores on.
    """

    of: Mapping[str, str]
    shares_groups: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source holds.

    Attributes
    ----------
    tracks : tuple of Track
        Sorted by `track_id`.
    passed_over : tuple of str
        Files below the root that are no audio by their name, relative to the root, some with the
        reason in parentheses.
    splits : mapping of str to PublishedSplit
        The source's own splits by name; the first is the one to take where nobody chose.
    """

    tracks: tuple[Track, ...]
    passed_over: tuple[str, ...] = ()
    splits: Mapping[str, PublishedSplit] = field(default_factory=dict)


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
    source: str
    """Where the audio comes from: an address, a path, or what made it."""
    faults: str = ""
    """What is known to be wrong with it, in a sentence, and who found it."""
    local: bool = True
    """Whether `prepare` brings nothing from elsewhere."""

    @abstractmethod
    def prepare(self, run: Mapper, progress: Progress = silent) -> None:
        """Bring the audio to this machine, through `run` where that is much work.

        `progress` is told of what `run` does not see: downloads.
        """

    @abstractmethod
    def listing(self) -> Listing:
        """Name the tracks that are here.

        Raises
        ------
        DataError
            There is none, or `prepare` has yet to bring them.
        """

    def checksums(self) -> Mapping[str, str]:
        """Return what each file must be: `track_id` -> ``md5:<hex>`` or ``sha1:<hex>``.

        ``wav-md5:<hex>`` is of a file's samples, written as a 16-bit wav with the plain header.
        Empty where nobody has published any. A track that is named here and not in the listing is
        missing.
        """
        return {}
