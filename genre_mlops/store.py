"""Features on disk: log-mel spectrograms in shards, found by the content of their source.

`<root>/<feature digest>-v<definition>/` holds the shards and their index (`genre_mlops.shards`). A
spectrogram is looked up by its source's sha256: a file that is added, changed or moved costs
itself, and no other is computed again. What cannot be used is remembered too. Small shards, as come
of few files, are not merged: a look-up in them takes a tenth of a millisecond instead of half of
that, and processes that train may be about to open them.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from genre_mlops.config import FeatureConfig
from genre_mlops.domain import Mapper
from genre_mlops.errors import DataError
from genre_mlops.files import FULL, is_full, make_writable, need_room, replacing
from genre_mlops.logmel import DEFINITION, LogMel, mel_filters
from genre_mlops.processes import quiet_stderr
from genre_mlops.shards import (
    FILTERS,
    ShardIndex,
    ShardMaps,
    Source,
    as_table,
    build_shard,
    compute,
    index_table,
)

__all__ = ["BuildReport", "Estimate", "FeatureStore", "Source", "Spectrograms"]

# A shard is a task of a second or two, and holds about this much; but there are always so many of
# them, where there are as many files, that every worker has something to do.
SHARD_BYTES = 64_000_000
LEAST_SHARDS = 32
# Files computed to say how long a build takes: a small share of them, and no more than so many.
_SAMPLE_FILES = 3
_FILES_A_SAMPLE = 50
_SAMPLE_SHARE = 0.1
# What a killed build left is nobody's work any more.
_LEFT_BEHIND_S = 86_400.0


@dataclass(frozen=True)
class Estimate:
    """What a build will cost.

    Attributes
    ----------
    n_tracks : int
        Spectrograms to compute.
    n_bytes : int
        Disk space they will take.
    cpu_s : float or None
        How long one worker would be at it, in seconds, by a small sample of the files; None where
        no sample would be small, or it cannot be computed.
    """

    n_tracks: int
    n_bytes: int
    cpu_s: float | None


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes
    ----------
    n_built, n_reused : int
        Spectrograms computed, and found as they were.
    failures : dict of str to str
        Path -> why it gave none, now or when it was tried.
    """

    n_built: int
    n_reused: int
    failures: dict[str, str] = field(default_factory=dict)


class Spectrograms(Sequence[NDArray[np.float16]]):
    """Spectrograms of a store by number, memory-mapped when they are asked for.

    Parameters
    ----------
    maps : ShardMaps
        The store's.
    shards : sequence of str
        Names of shards.
    where : ndarray [shape=(n_tracks, 3), dtype=int64]
        Place in `shards`, first frame and number of frames.
    """

    def __init__(self, maps: ShardMaps, shards: Sequence[str], where: NDArray[np.int64]) -> None:
        self._maps, self._shards, self._where = maps, shards, where

    def __len__(self) -> int:
        return len(self._where)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.float16]: ...
    @overload
    def __getitem__(self, index: slice) -> "Spectrograms": ...
    def __getitem__(self, index: int | slice) -> "NDArray[np.float16] | Spectrograms":
        """Return a spectrogram [shape=(n_frames, n_mels), dtype=float16], dB; or some of them."""
        if isinstance(index, slice):
            return Spectrograms(self._maps, self._shards, self._where[index])
        shard, first, n_frames = self._where[index].tolist()
        return self._maps.frames(self._shards[shard], first, n_frames)


class FeatureStore:
    """The spectrograms of one feature config.

    Parameters
    ----------
    root : Path
        Holds the stores of all feature configs.
    config : FeatureConfig
        Its digest names the folder.

    Attributes
    ----------
    index : ShardIndex
        What is where, as it was when the store was opened or built last.
    """

    def __init__(self, root: Path, config: FeatureConfig) -> None:
        self.config = config
        self.folder = root / f"{config.digest()}-v{DEFINITION}"
        self._maps = ShardMaps(self.folder, config.n_mels)
        self.index = ShardIndex(self.folder, config.n_mels)

    def estimate(self, sources: Mapping[str, Source]) -> Estimate:
        """Say what `build` will cost, by computing a few of the files.

        Parameters
        ----------
        sources : mapping of str to Source
            As of `build`.
        """
        missing = self._missing(sources)
        n_bytes = int(self._n_frames(missing, sources).sum()) * self._frame_bytes
        duration_s = sum(sources[sha256].duration_s for sha256 in missing)
        sample = missing[: min(_SAMPLE_FILES, 1 + len(missing) // _FILES_A_SAMPLE)]
        sample_s = sum(sources[sha256].duration_s for sha256 in sample)
        if not sample_s or sample_s > _SAMPLE_SHARE * duration_s:
            return Estimate(len(missing), n_bytes, None)
        log_mel = LogMel(self.config, mel_filters(self.config))
        spent_s = computed_s = 0.0
        for sha256 in sample:
            began_s = time.monotonic()
            # The mp3 decoder writes its warnings past Python. What goes wrong is for `build` to
            # tell, which goes on with the other files.
            with quiet_stderr(), contextlib.suppress(Exception):
                compute(log_mel, sources[sha256], sha256)
                spent_s += time.monotonic() - began_s
                computed_s += sources[sha256].duration_s
        if not computed_s:
            return Estimate(len(missing), n_bytes, None)
        return Estimate(len(missing), n_bytes, spent_s * duration_s / computed_s)

    def build(self, sources: Mapping[str, Source], run: Mapper) -> BuildReport:
        """Compute what is missing.

        Parameters
        ----------
        sources : mapping of str to Source
            sha256 of a file's bytes -> the file.
        run : Mapper
            Where the work happens. Killed, a build goes on where it was: whole shards stay.

        Returns
        -------
        BuildReport
            What was built, reused, and failed.

        Raises
        ------
        DataError
            The disk has too little room, or is full.
        """
        failures = {
            str(sources[sha256].path): reason
            for sha256, reason in self.index.failures.items()
            if sha256 in sources
        }
        missing = self._missing(sources)
        n_reused = len(sources) - len(missing) - len(failures)
        index, n_failed = index_table(self.folder), 0
        with self._told_if_full():
            if missing:
                self._prepare(missing, sources)
                build = partial(build_shard, self.folder, self.config)
                tasks = self._tasks(missing, sources)
                for built in run(build, tasks, label="compute feature shards"):
                    index.append(as_table(built.rows, index))
                    failures |= built.failures
                    n_failed += len(built.failures)
            index.tidy()
        if missing:
            self.index = ShardIndex(self.folder, self.config.n_mels)
        self._sweep()
        return BuildReport(len(missing) - n_failed, n_reused, failures)

    def __contains__(self, sha256: str) -> bool:
        return bool(self.index.find([sha256])[0] >= 0)

    def __getitem__(self, sha256: str) -> NDArray[np.float16]:
        """Return a source's spectrogram, memory-mapped.

        Parameters
        ----------
        sha256 : str
            Of the source file's bytes.

        Returns
        -------
        ndarray [shape=(n_frames, n_mels), dtype=float16]
            dB relative to full scale.
        """
        return self.sequence([sha256])[0]

    def sequence(self, sha256: Sequence[str]) -> Spectrograms:
        """Return the spectrograms of many sources, to be looked up by number.

        They take a few bytes each; what was read of them is let go of from time to time.

        Parameters
        ----------
        sha256 : sequence of str
            Of the source files' bytes.

        Raises
        ------
        KeyError
            The store has none for one of them.
        """
        places = self.index.find(sha256)
        if (places < 0).any():
            raise KeyError(sha256[int(np.argmax(places < 0))])
        return Spectrograms(self._maps, self.index.shards, self.index.where[places])

    @property
    def _frame_bytes(self) -> int:
        return self.config.n_mels * 2

    def _missing(self, sources: Mapping[str, Source]) -> list[str]:
        """Return what is to be computed, in an order that is always the same."""
        names = [sha256 for sha256 in sources if sha256 not in self.index.failures]
        lost = self.index.find(names) < 0
        return sorted(sha256 for sha256, is_lost in zip(names, lost, strict=True) if is_lost)

    def _n_frames(self, missing: list[str], sources: Mapping[str, Source]) -> NDArray[np.int64]:
        durations_s = np.array([sources[sha256].duration_s for sha256 in missing])
        return 1 + (durations_s * self.config.sr / self.config.hop_length).astype(np.int64)

    def _tasks(
        self, missing: list[str], sources: Mapping[str, Source]
    ) -> list[list[tuple[str, Source]]]:
        n_frames = self._n_frames(missing, sources)
        ends = np.cumsum(n_frames)
        most = min(SHARD_BYTES // self._frame_bytes, -(-int(ends[-1]) // LEAST_SHARDS))
        shards = (ends - n_frames) // most
        bounds = [0, *(np.flatnonzero(np.diff(shards)) + 1).tolist(), len(missing)]
        return [
            [(sha256, sources[sha256]) for sha256 in missing[start:end]]
            for start, end in pairwise(bounds)
        ]

    def _prepare(self, missing: list[str], sources: Mapping[str, Source]) -> None:
        make_writable(self.folder)
        need_room(self.folder, int(self._n_frames(missing, sources).sum()) * self._frame_bytes)
        with replacing(self.folder / "features.json") as note:
            note.write_text(self.config.model_dump_json(indent=2) + "\n")
        # For the workers: to make them takes librosa, which takes a second to import.
        with replacing(self.folder / FILTERS) as filters:
            np.save(filters, mel_filters(self.config))

    @contextmanager
    def _told_if_full(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not is_full(error):
                raise
            raise DataError(
                f"{self.folder}: {FULL} ({error.strerror or error}): make room and run the same "
                "command to go on; the shards that are done stay"
            ) from error

    def _sweep(self) -> None:
        """Remove the shards, and beginnings of files, that a killed build left long ago."""
        left = self._left_behind()
        if left:
            # Others may have built since the index was read.
            self.index = ShardIndex(self.folder, self.config.n_mels)
            left &= self._left_behind()
        for path in left:
            # Gone meanwhile, a folder of somebody else's, or not ours to remove.
            with contextlib.suppress(OSError):
                path.unlink()

    def _left_behind(self) -> set[Path]:
        ours = {f"{name}.npy" for name in self.index.shards}
        old: set[Path] = set()
        for path in (*self.folder.glob("shard-*.npy"), *self.folder.glob(".*")):
            with contextlib.suppress(FileNotFoundError):
                if path.name not in ours and time.time() - path.stat().st_mtime > _LEFT_BEHIND_S:
                    old.add(path)
        return old
