"""Shards of a feature store: how they are computed, written, indexed and mapped.

A shard holds the spectrograms of some files one after the other, float16 of shape
(n_frames_total, n_mels), as a .npy file. The index says which file's is where.
"""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genre_mlops.config import FeatureConfig
from genre_mlops.errors import AudioError, GenreError
from genre_mlops.files import replacing
from genre_mlops.logmel import LogMel
from genre_mlops.pieces import PieceTable
from genre_mlops.processes import quiet_stderr
from genre_mlops.readings import State, file_state, hash_files
from genre_mlops.sound_files import SlowError
from genre_mlops.spectrograms import read_spectrogram

if TYPE_CHECKING:
    import pyarrow as pa

FILTERS = "mel_filters.npy"
HEADER_BYTES = 128
"""What NumPy writes before the first frame: room for any number of frames."""
# Pages that were read of a map count as memory in use until it is closed. Each open map holds a
# file descriptor, of which some systems allow a process 256.
_MOST_BYTES_LOOKED_UP = 128 * 10**6
_MOST_OPEN = 64
_CURE = "build the features again"
_CHANGED = "has changed since it was checked; run again"


class PassingError(AudioError):
    """What is wrong with a file now, and perhaps not the next time."""


class Source(NamedTuple):
    """A file to compute the spectrogram of.

    Attributes
    ----------
    path : Path
        Where it is.
    duration_s : float
        Its length in seconds, about.
    state : State, optional
        What it had when its sha256 was taken: a file that still has it is not hashed again.
    """

    path: Path
    duration_s: float
    state: State | None = None


class Row(NamedTuple):
    """What the index says of a file that gave a spectrogram, or cannot.

    Attributes
    ----------
    sha256 : str
        Of the file's bytes.
    shard : str
        Where the spectrogram is: a file's name without suffix.
    first_frame, n_frames : int
        In the shard.
    crc32 : int
        Of the spectrogram's bytes.
    error : str, optional
        Why there is none; the four before are nothing then.
    """

    sha256: str
    shard: str = ""
    first_frame: int = 0
    n_frames: int = 0
    crc32: int = 0
    error: str | None = None


class Built(NamedTuple):
    """What came of the files of one shard.

    Attributes
    ----------
    rows : list of Row
        For the index.
    failures : dict of str to str
        Path -> reason, for files that gave no spectrogram, now or ever.
    """

    rows: list[Row]
    failures: dict[str, str]


def index_table(folder: Path) -> PieceTable:
    """Return the index of a store: the fields of `Row` for each file."""
    types = {"sha256": "string", "shard": "string", "first_frame": "int64", "n_frames": "int64"}
    return PieceTable(folder, "index", {**types, "crc32": "int64", "error": "string"})


def as_table(rows: Sequence[Row], index: PieceTable) -> "pa.Table":
    """Return rows as a table to append to the index."""
    import pyarrow as pa

    return pa.Table.from_pylist([row._asdict() for row in rows], schema=index.schema)


def build_shard(
    folder: Path, config: FeatureConfig, sources: Sequence[tuple[str, Source]]
) -> Built:
    """Compute and write one shard; nothing half-written is ever under its name.

    Done again, after a worker died, it writes the same under the same name. The index is for the
    caller to write: workers need no Arrow, which takes them longer to import than a shard.

    Parameters
    ----------
    folder : Path
        The store's; the mel filters are in it.
    config : FeatureConfig
        The store's.
    sources : sequence of (str, Source)
        sha256 of a file's bytes, and the file.

    Returns
    -------
    Built
        The shard counts once its rows are in the index.
    """
    log_mel = LogMel(config, np.load(folder / FILTERS))
    spectrograms: dict[str, NDArray[np.float16]] = {}
    failures: dict[str, str] = {}
    rows: list[Row] = []
    # The mp3 decoder writes its warnings past Python.
    with quiet_stderr():
        for sha256, source in sources:
            try:
                spectrograms[sha256] = compute(log_mel, source, sha256)
            except PassingError as error:
                failures[str(source.path)] = error.reason
            except AudioError as error:
                failures[str(source.path)] = error.reason
                rows.append(Row(sha256, error=error.reason))
            except Exception as error:
                # Memory is short, or the mistake is ours: the other files are computed.
                fault = f"cannot be computed now: {type(error).__name__}: {error}; run again"
                failures[str(source.path)] = fault
    return Built(rows + _write(folder, spectrograms), failures)


def compute(log_mel: LogMel, source: Source, sha256: str) -> NDArray[np.float16]:
    """Compute the spectrogram of a file, if it still has that sha256.

    Raises
    ------
    AudioError
        No recording of these bytes can be used; `PassingError` where others or none were read.
    """
    name, state = str(source.path), file_state(str(source.path))
    if state != source.state:
        (hashed,) = hash_files([name])
        if hashed.sha256 != sha256:
            raise PassingError(name, hashed.error or _CHANGED)
    try:
        S_db = read_spectrogram(source.path, log_mel, dtype=np.float16).S_db
    except AudioError as error:
        # The clock of a slow one counts what is computed of it here, too.
        if isinstance(error, SlowError) or isinstance(error.__cause__, OSError):
            raise PassingError(name, error.reason) from error
        if file_state(name) != state:
            raise PassingError(name, _CHANGED) from error
        raise
    if file_state(name) != state:
        raise PassingError(name, _CHANGED)
    return S_db.astype(np.float16, copy=False)


def _write(folder: Path, spectrograms: Mapping[str, NDArray[np.float16]]) -> list[Row]:
    if not spectrograms:
        return []
    name = f"shard-{hashlib.sha256(' '.join(spectrograms).encode()).hexdigest()[:16]}"
    rows: list[Row] = []
    n_frames = 0
    for sha256, S_db in spectrograms.items():
        rows.append(Row(sha256, name, n_frames, len(S_db), zlib.crc32(S_db.data)))
        n_frames += len(S_db)
    about = {"descr": "<f2", "fortran_order": False, "shape": (n_frames, S_db.shape[1])}
    with replacing(folder / f"{name}.npy") as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, about)
        for S_db in spectrograms.values():
            file.write(S_db.data)
    return rows


class ShardIndex:
    """What a store's index says, in arrays: a few bytes for each spectrogram.

    Parameters
    ----------
    folder : Path
        The store's.
    n_mels : int
        Length of a frame.

    Attributes
    ----------
    failures : dict of str to str
        sha256 -> why a file of this content gives no spectrogram.
    shards : list of str
        Names, without suffix.
    where : ndarray [shape=(n_tracks, 3), dtype=int64]
        Place in `shards`, first frame and number of frames of each spectrogram.
    crc32 : ndarray [shape=(n_tracks,), dtype=int64]
        Of the bytes of each spectrogram when it was written.
    """

    def __init__(self, folder: Path, n_mels: int) -> None:
        import pyarrow.compute as pc

        rows = index_table(folder).read()
        has_failed = pc.is_valid(rows["error"])
        failed, rows = rows.filter(has_failed), rows.filter(pc.invert(has_failed))
        self.failures: dict[str, str] = dict(
            zip(failed["sha256"].to_pylist(), failed["error"].to_pylist(), strict=True)
        )
        keys = np.array(rows["sha256"].to_pylist(), "S64")
        order = np.argsort(keys)
        self._keys = keys[order]
        names = rows["shard"].to_pylist()
        self.shards: list[str] = sorted(set(names))
        numbers = {name: number for number, name in enumerate(self.shards)}
        # By lists: to make NumPy's arrays, Arrow imports pandas, which takes most of a second.
        first, n_frames, crc32 = (
            rows[column].to_pylist() for column in ("first_frame", "n_frames", "crc32")
        )
        columns = [[numbers[name] for name in names], first, n_frames]
        self.where = np.array(columns, np.int64).T[order]
        self.crc32 = np.array(crc32, np.int64)[order]
        # A shard counts where it is as long as what it is to hold.
        lengths = np.zeros(len(self.shards), np.int64)
        np.maximum.at(lengths, self.where[:, 0], self.where[:, 1:].sum(axis=1))
        sizes = np.array([_size(folder / f"{name}.npy") for name in self.shards], np.int64)
        self._whole = sizes >= HEADER_BYTES + lengths * n_mels * 2

    def find(self, sha256: Sequence[str]) -> NDArray[np.int64]:
        """Return the places of spectrograms [shape=(n,)], -1 for those that are not there."""
        wanted = np.array(list(sha256), self._keys.dtype)
        if not len(self._keys):
            return np.full(len(wanted), -1)
        places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        there = (self._keys[places] == wanted) & self._whole[self.where[places, 0]]
        return np.where(there, places, -1)

    def shard_of(self, sha256: str) -> str | None:
        """Return the file name of the shard that should hold a spectrogram; None: none does.

        That shard may be gone or cut short: then the spectrogram is not found.
        """
        place = int(np.searchsorted(self._keys, sha256.encode()))
        if place == len(self._keys) or self._keys[place] != sha256.encode():
            return None
        return f"{self.shards[self.where[place, 0]]}.npy"


class ShardMaps:
    """Memory maps of shards, made when they are asked for.

    From time to time all are let go: neither resident memory nor open files grow with the number
    of shards, or with how much was read of them.

    Parameters
    ----------
    folder : Path
        The store's.
    n_mels : int
        Length of a frame.
    """

    def __init__(self, folder: Path, n_mels: int) -> None:
        self._folder, self._n_mels = folder, n_mels
        self._maps: dict[str, NDArray[np.float16]] = {}
        self._n_bytes = 0

    def frames(self, shard: str, first: int, n_frames: int) -> NDArray[np.float16]:
        """Return some frames [shape=(n_frames, n_mels)] of a shard, memory-mapped.

        Raises
        ------
        GenreError
            The shard is gone, or too short.
        """
        n_bytes = n_frames * self._n_mels * 2
        if len(self._maps) >= _MOST_OPEN or self._n_bytes + n_bytes > _MOST_BYTES_LOOKED_UP:
            # What was given out stays as it is, until its holder lets it go.
            self._maps, self._n_bytes = {}, 0
        mapped = self._maps.get(shard)
        if mapped is None:
            mapped = self._maps[shard] = self._open(self._folder / f"{shard}.npy")
        found = mapped[first : first + n_frames]
        if len(found) < n_frames:
            raise GenreError(f"{self._folder / shard}.npy: is too short: {_CURE}")
        self._n_bytes += n_bytes
        return found

    def _open(self, path: Path) -> NDArray[np.float16]:
        try:
            n_frames = (path.stat().st_size - HEADER_BYTES) // (self._n_mels * 2)
            shape = (n_frames, self._n_mels)
            return np.memmap(path, np.dtype("<f2"), "r", offset=HEADER_BYTES, shape=shape)
        except (OSError, ValueError) as error:
            raise GenreError(f"{path}: cannot be read ({error}): {_CURE}") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
