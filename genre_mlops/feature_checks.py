"""Whether a feature store holds what its files give."""

import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genre_mlops.config import FeatureConfig
from genre_mlops.domain import Mapper
from genre_mlops.errors import AudioError, GenreError
from genre_mlops.logmel import LogMel, mel_filters
from genre_mlops.processes import quiet_stderr
from genre_mlops.shards import Source, compute
from genre_mlops.store import FeatureStore

TOLERANCE_DB = 0.125
"""Two steps of float16 at the floor: what another processor's rounding may come to."""
HEARD_ABOVE_DB = -80.0
"""Below, in dB relative to full scale, rounding of the Fourier transform is all there is."""
# Few, as they may be long: the bar moves, and all cores are used.
_FILES_PER_TASK = 8
NOT_COMPUTED = "was not computed"


class Content(NamedTuple):
    """A track's file.

    Attributes
    ----------
    sha256 : str
        Of its bytes.
    path : Path
        Where it is.
    """

    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class FeatureCheck:
    """What came of comparing a store with its files.

    Attributes
    ----------
    n_tracks : int
        All that the store should hold.
    n_recomputed : int
        Those of the sample that could be compared.
    n_identical : int
        Of these, equal in every bit; the others are within the tolerance or `different`.
    missing : mapping of str to str
        `track_id` -> why the store has no spectrogram; of all tracks.
    damaged : mapping of str to str
        `track_id` -> what is wrong with the shard: of all tracks where it is gone or cut short,
        of the sample where its bytes have changed.
    different : mapping of str to str
        `track_id` of the sample -> how far the store is from what the file gives now.
    """

    n_tracks: int
    n_recomputed: int = 0
    n_identical: int = 0
    missing: Mapping[str, str] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    different: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not (self.missing or self.damaged or self.different)


def verify_features(
    store: FeatureStore, tracks: Mapping[str, Content], run: Mapper, *, n_sample: int, seed: int
) -> FeatureCheck:
    """Look every track up, and compute some of them anew.

    Parameters
    ----------
    store : FeatureStore
        To be checked.
    tracks : mapping of str to Content
        `track_id` -> the file whose spectrogram the store should hold.
    run : Mapper
        Where files are read.
    n_sample : int
        How many are computed, at the most.
    seed : int
        Of the choice of these.
    """
    missing, damaged = {}, {}
    for track_id, content in tracks.items():
        shard = store.index.shard_of(content.sha256)
        if content.sha256 in store:
            continue
        if shard:
            damaged[track_id] = f"{shard} is gone or cut short"
        else:
            missing[track_id] = store.index.failures.get(content.sha256, NOT_COMPUTED)
    there = sorted(tracks.keys() - missing.keys() - damaged.keys())
    # Which tracks are compared is no secret.
    chosen = random.Random(seed).sample(there, min(n_sample, len(there)))  # noqa: S311
    found = _compared(store, {track_id: tracks[track_id] for track_id in chosen}, run)
    return FeatureCheck(
        n_tracks=len(tracks),
        n_recomputed=sum(kind != "damaged" for _, kind, _ in found),
        n_identical=sum(kind == "identical" for _, kind, _ in found),
        missing=dict(sorted(missing.items())),
        damaged=dict(sorted((damaged | _of_kind("damaged", found)).items())),
        different=dict(sorted(_of_kind("different", found).items())),
    )


def _compared(
    store: FeatureStore, tracks: Mapping[str, Content], run: Mapper
) -> list[tuple[str, str, str]]:
    """Return `track_id`, what was found, and the words for it."""
    items = list(tracks.items())
    if not items:
        return []
    tasks = [items[i : i + _FILES_PER_TASK] for i in range(0, len(items), _FILES_PER_TASK)]
    compare = partial(_compare, store.folder.parent, store.config, mel_filters(store.config))
    return [row for rows in run(compare, tasks, label="compare features") for row in rows]


def _of_kind(kind: str, found: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    return {track_id: why for track_id, its_kind, why in found if its_kind == kind}


def _compare(
    root: Path,
    config: FeatureConfig,
    filters: NDArray[np.float32],
    items: Sequence[tuple[str, Content]],
) -> list[tuple[str, str, str]]:
    store, log_mel = FeatureStore(root, config), LogMel(config, filters)
    with quiet_stderr():
        return [(track_id, *_compare_one(store, log_mel, content)) for track_id, content in items]


def _compare_one(store: FeatureStore, log_mel: LogMel, content: Content) -> tuple[str, str]:
    shard = store.index.shard_of(content.sha256)
    try:
        stored = store[content.sha256]
        (place,) = store.index.find([content.sha256])
        if zlib.crc32(stored.data) != store.index.crc32[place]:
            return "damaged", f"{shard} is not as it was written"
    except (GenreError, KeyError):
        return "damaged", f"{shard} is gone or cut short"
    try:
        S_db = compute(log_mel, Source(content.path, 0.0), content.sha256)
    except AudioError as error:
        return "different", f"its file gives none now: {error.reason}"
    if np.array_equal(stored, S_db):
        return "identical", ""
    if stored.shape != S_db.shape:
        return "different", f"has {len(stored)} frames in the store, {len(S_db)} by its file"
    heard = [np.maximum(S.astype(np.float32), HEARD_ABOVE_DB) for S in (stored, S_db)]
    off_db = float(np.abs(heard[0] - heard[1]).max())
    # Not-a-number is no number within the tolerance.
    if off_db <= TOLERANCE_DB:
        return "equal", ""
    return "different", f"differs by up to {off_db:.2f} dB from what its file gives"
