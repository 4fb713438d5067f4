import time

import numpy as np

from genre_mlops.config import TrainingConfig
from genre_mlops.learning.batches import CropBatches, TrackSet
from genre_mlops.learning.training import be_deterministic


def tracks(n: int) -> TrackSet:
    """Spectrograms of 20 to 90 frames and 24 bands."""
    rng = np.random.default_rng(5)
    spectrograms = [
        rng.normal(-60, 10, (int(rng.integers(20, 90)), 24)).astype(np.float16) for _ in range(n)
    ]
    return TrackSet(spectrograms, np.arange(n, dtype=np.int64) % 3)


def crops_of(shown: TrackSet, **changes: int) -> CropBatches:
    how = {"n_frames": 32, "batch_size": 6, "crops_per_track": 5, "seed": 0} | changes
    config = TrainingConfig(batch_size=how["batch_size"], crops_per_track=how["crops_per_track"])
    return CropBatches(shown, config, n_frames=how["n_frames"], n_genres=3, seed=how["seed"])


def test_every_track_is_shown_equally_often_and_new_crops_every_epoch():
    shown = tracks(7)
    batches = crops_of(shown)
    assert len(batches) == 6
    epoch = [batches.batch(0, i) for i in range(6)]
    labels = np.concatenate([y for _, y in epoch])
    assert [len(x) for x, _ in epoch] == [6, 6, 6, 6, 6, 5]
    assert epoch[0][0].shape == (6, 32, 24)
    assert (epoch[0][0].dtype, labels.dtype) == (np.float16, np.float32)
    np.testing.assert_array_equal(labels.sum(axis=0), 5 * np.bincount(shown.labels))
    np.testing.assert_array_equal(batches.batch(0, 2)[0], epoch[2][0])
    assert not np.array_equal(batches.batch(1, 2)[0], epoch[2][0])
    assert not np.array_equal(crops_of(shown, seed=1).batch(0, 2)[0], epoch[2][0])


def test_the_stream_is_the_batches_epoch_after_epoch_from_any_on():
    batches = crops_of(tracks(7))
    expected = [batches.batch(epoch, i) for epoch in (2, 3) for i in range(6)]
    found = list(batches.stream(first_epoch=2).take(12).as_numpy_iterator())
    for (crops, labels), (expected_crops, expected_labels) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(crops, expected_crops)
        np.testing.assert_array_equal(labels, expected_labels)


def test_a_crop_is_a_piece_of_its_track_from_anywhere():
    ramp = np.repeat(np.arange(100.0)[:, None], 24, axis=1).astype(np.float16)
    batches = crops_of(TrackSet([ramp], np.array([2])), batch_size=50, crops_per_track=50)
    crops = batches.batch(0, 0)[0][:, :, 0]
    np.testing.assert_array_equal(np.diff(crops, axis=1), 1)
    assert crops[:, 0].min() < 8
    assert crops[:, -1].max() > 91


def test_a_track_shorter_than_a_crop_is_repeated():
    ramp = np.repeat(np.arange(20.0)[:, None], 24, axis=1).astype(np.float16)
    crops, _ = crops_of(TrackSet([ramp], np.array([1]))).batch(0, 0)
    np.testing.assert_array_equal(crops[0, :, 3], [*range(20), *range(12)])


class Counted(list):
    """Spectrograms that count how often one is asked for."""

    n = 0

    def __getitem__(self, place):
        self.n += 1
        return super().__getitem__(place)


def test_batches_are_made_ahead_also_where_all_is_deterministic():
    be_deterministic(0)
    shown = tracks(6)
    counted = Counted(shown.spectrograms)
    batches = crops_of(TrackSet(counted, shown.labels))
    counted.n = 0
    stream = iter(batches.stream())
    next(stream)
    until_s = time.monotonic() + 30
    # A batch is six tracks; another four are made while nobody asks.
    while counted.n < 5 * 6 and time.monotonic() < until_s:
        time.sleep(0.01)
    assert counted.n >= 5 * 6
