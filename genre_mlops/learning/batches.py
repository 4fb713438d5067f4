"""Random crops of memory-mapped spectrograms through `tf.data`, the same for the same seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genre_mlops.config import TrainingConfig
from genre_mlops.learning.backend import tf
from genre_mlops.store import FeatureStore

if TYPE_CHECKING:
    import pandas as pd

Batch = tuple[NDArray[np.float16], NDArray[np.float32]]

# Batches made while the network is at work on the last one.
_AHEAD = 4


@dataclass(frozen=True, eq=False)
class TrackSet:
    """Labelled spectrograms.

    Attributes
    ----------
    spectrograms : sequence of ndarray [shape=(n_frames, n_mels)]
        Log-mel in dB, usually memory-mapped when it is asked for.
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
    return TrackSet(store.sequence(list(chosen["sha256"])), np.array(labels, np.int64))


class CropBatches:
    """Batches of random crops, `crops_per_track` of each track an epoch.

    What a batch holds follows from seed, epoch and its number alone.

    Parameters
    ----------
    tracks : TrackSet
        The training tracks.
    config : TrainingConfig
        `batch_size` and `crops_per_track`; the last batch of an epoch may hold fewer.
    n_frames : int
        Length of a crop.
    n_genres : int
        Length of a one-hot label.
    seed : int
        Any.
    """

    def __init__(
        self,
        tracks: TrackSet,
        config: TrainingConfig,
        *,
        n_frames: int,
        n_genres: int,
        seed: int,
    ) -> None:
        self._tracks, self._n_frames, self._seed = tracks, n_frames, seed
        self._batch_size, self._crops_per_track = config.batch_size, config.crops_per_track
        self._one_hot = np.eye(n_genres, dtype=np.float32)
        self._drawn = -1, np.empty(0, np.int64)
        self._n_mels = tracks.spectrograms[0].shape[1]

    def __len__(self) -> int:
        """Return the number of batches an epoch."""
        return -(-len(self._tracks) * self._crops_per_track // self._batch_size)

    def stream(self, first_epoch: int = 0) -> tf.data.Dataset:
        """Return the batches of an epoch and of all that follow it, without end.

        Some are made ahead, beside the network's work, also those of the next epoch.

        Returns
        -------
        tf.data.Dataset
            Of crops [shape=(n, n_frames, n_mels), dtype=float16], log-mel in dB, and one-hot
            labels [shape=(n, n_genres), dtype=float32].
        """

        def make(number: int) -> Batch:
            return self.batch(*divmod(int(number), len(self)))

        def step(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # Behind what may have a state of its own, and with deterministic operations,
            # TensorFlow would make nothing ahead.
            crops, labels = tf.numpy_function(
                make, [number], (tf.float16, tf.float32), stateful=False
            )
            crops = tf.ensure_shape(crops, (None, self._n_frames, self._n_mels))
            return crops, tf.ensure_shape(labels, (None, len(self._one_hot)))

        numbers = tf.data.Dataset.range(first_epoch * len(self), tf.int64.max)
        # One at a time: neither the order that was drawn nor the maps are for several threads.
        options = tf.data.Options()
        options.experimental_optimization.map_parallelization = False
        return numbers.map(step).prefetch(_AHEAD).with_options(options)

    def batch(self, epoch: int, index: int) -> Batch:
        """Return one batch."""
        order = self._order(epoch)
        chosen = order[index * self._batch_size : (index + 1) * self._batch_size]
        rng = np.random.default_rng((self._seed, epoch, index))
        crops = np.empty((len(chosen), self._n_frames, self._n_mels), np.float16)
        for crop, track in zip(crops, chosen, strict=True):
            S_db = self._tracks.spectrograms[track]
            start = int(rng.integers(max(0, len(S_db) - self._n_frames) + 1))
            # Shorter than a crop, a track is repeated to fill it.
            crop[:] = np.resize(S_db[start : start + self._n_frames], crop.shape)
        return crops, self._one_hot[self._tracks.labels[chosen]]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if self._drawn[0] != epoch:
            every = np.repeat(np.arange(len(self._tracks)), self._crops_per_track)
            self._drawn = epoch, np.random.default_rng((self._seed, epoch)).permutation(every)
        return self._drawn[1]
