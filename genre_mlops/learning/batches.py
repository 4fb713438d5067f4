"""Random crops of memory-mapped spectrograms, the same for the same seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genre_mlops.learning.backend import keras
from genre_mlops.segments import cut_segments
from genre_mlops.store import FeatureStore

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class TrackSet:
    """Labelled spectrograms.

    Attributes
    ----------
    spectrograms : sequence of ndarray [shape=(n_frames, n_mels)]
        Log-mel in dB, usually memory-mapped.
    labels : ndarray [shape=(n_tracks,), dtype=int64, range=[0, n_genres)]
        Index of each track's genre.
    """

    spectrograms: Sequence[NDArray[np.floating]]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def load_tracks(
    catalog: "pd.DataFrame", store: FeatureStore, genres: Sequence[str], split: str
) -> TrackSet:
    """Look up the spectrograms of one split.

    Parameters
    ----------
    catalog : DataFrame
        With `sha256`, `genre` and `split`.
    store : FeatureStore
        Holds every sha256 of the split.
    genres : sequence of str
        A genre's place in it is its label.
    split : str
        train, validation or test.

    Returns
    -------
    TrackSet
        In the catalog's order.
    """
    chosen = catalog[catalog["split"] == split]
    labels = [genres.index(genre) for genre in chosen["genre"]]
    return TrackSet([store[sha256] for sha256 in chosen["sha256"]], np.array(labels, np.int64))


class CropBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of random crops, `crops_per_track` of each track an epoch.

    What a batch holds follows from seed, epoch and its number alone.

    Parameters
    ----------
    tracks : TrackSet
        The training tracks.
    segment_frames : int
        Length of a crop.
    batch_size : int
        Crops a batch; the last may hold fewer.
    crops_per_track : int
        Crops of each track an epoch.
    n_genres : int
        Length of a one-hot label.
    seed : int
        Any.
    """

    def __init__(
        self,
        tracks: TrackSet,
        *,
        segment_frames: int,
        batch_size: int,
        crops_per_track: int,
        n_genres: int,
        seed: int,
    ) -> None:
        super().__init__()
        self._tracks = tracks
        self._segment_frames = segment_frames
        self._batch_size = batch_size
        self._crops_per_track = crops_per_track
        self._one_hot = np.eye(n_genres, dtype=np.float32)
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        """Return the number of batches an epoch."""
        return -(-len(self._tracks) * self._crops_per_track // self._batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return a batch.

        Returns
        -------
        segments : ndarray [shape=(n, segment_frames, n_mels), dtype=float32]
            Log-mel in dB.
        labels : ndarray [shape=(n, n_genres), dtype=float32]
            One-hot.
        """
        order = np.random.default_rng((self._seed, self._epoch)).permutation(
            np.repeat(np.arange(len(self._tracks)), self._crops_per_track)
        )
        chosen = order[index * self._batch_size : (index + 1) * self._batch_size]
        rng = np.random.default_rng((self._seed, self._epoch, index))
        crops = [self._crop(self._tracks.spectrograms[i], rng) for i in chosen]
        return np.stack(crops), self._one_hot[self._tracks.labels[chosen]]

    def on_epoch_end(self) -> None:
        """Move on to the next epoch's crops."""
        self._epoch += 1

    def _crop(self, S_db: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.float32]:
        spare = max(0, len(S_db) - self._segment_frames)
        start = int(rng.integers(spare + 1))
        crop: NDArray[np.float32] = cut_segments(
            S_db[start : start + self._segment_frames], self._segment_frames
        )[0]
        return crop
