import numpy as np
import pytest

from genre_mlops.config import FeatureConfig, NetworkConfig, TrainingConfig
from genre_mlops.learning.batches import CropBatches, TrackSet
from genre_mlops.learning.metrics import log_loss
from genre_mlops.learning.networks import build_network
from genre_mlops.learning.training import (
    TrainingDivergedError,
    be_deterministic,
    predict_tracks,
    train,
)

FEATURES = FeatureConfig(sr=8_000, n_fft=512, n_mels=24, fmax=4_000)
NETWORK = NetworkConfig(segment_frames=32, filters=4, n_blocks=2, dense_units=8, dropout=0.1)
TRAINING = TrainingConfig(
    epochs=12, batch_size=6, crops_per_track=5, learning_rate=5e-3, ema_epochs=1, patience=12
)


class ListLog:
    def __init__(self) -> None:
        self.lines: list[tuple[int, dict[str, float]]] = []

    def params(self, values) -> None: ...

    def metrics(self, values, *, step: int) -> None:
        self.lines.append((step, dict(values)))


def tracks(seed: int, n: int) -> TrackSet:
    """Spectrograms of three kinds: a loud band that is low, in the middle, or high."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    spectrograms = []
    for label in labels:
        S_db = rng.normal(-60, 10, (int(rng.integers(20, 90)), 24))
        S_db[:, 8 * label : 8 * label + 8] += 25
        spectrograms.append(S_db.astype(np.float16))
    return TrackSet(spectrograms, labels.astype(np.int64))


def run(seed: int = 0, config: TrainingConfig = TRAINING, report=lambda epoch, loss: None):
    be_deterministic(seed)
    network, log = build_network(NETWORK, FEATURES, n_genres=3), ListLog()
    result = train(
        network, tracks(1, 15), tracks(2, 9), config=config, seed=seed, log=log, report=report
    )
    return network, log, result


def test_it_learns_and_keeps_the_best_epoch():
    network, log, result = run()
    losses = [line["validation_loss"] for _, line in log.lines]
    assert [step for step, _ in log.lines] == list(range(1, 13))
    assert result.validation_loss == min(losses) == losses[result.best_epoch - 1]
    assert result.validation_accuracy == 1
    assert log.lines[-1][1]["train_loss"] < log.lines[0][1]["train_loss"]
    # The network returned is the one that was judged.
    held_out = tracks(2, 9)
    probabilities = predict_tracks(network, held_out)
    assert log_loss(probabilities, held_out.labels) == pytest.approx(result.validation_loss)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    one, same, other = (run(seed)[1].lines for seed in (3, 3, 4))
    bits = [
        [(line["train_loss"], line["validation_loss"]) for _, line in lines]
        for lines in (one, same, other)
    ]
    assert bits[0] == bits[1]
    assert bits[0] != bits[2]


def test_it_stops_when_nothing_gets_better():
    config = TRAINING.model_copy(update={"learning_rate": 1e-9, "patience": 2, "epochs": 12})
    assert run(config=config)[2].epochs < 12


def test_a_report_can_end_it():
    class EnoughError(Exception):
        pass

    def report(epoch: int, loss: float) -> None:
        if epoch == 2:
            raise EnoughError

    with pytest.raises(EnoughError):
        run(report=report)


def test_divergence_is_an_error_with_its_epoch():
    be_deterministic(0)
    network = build_network(NETWORK, FEATURES, n_genres=3)
    network.layers[-1].kernel.assign(np.full((8, 3), np.nan))
    with pytest.raises(TrainingDivergedError, match="diverged in epoch 1"):
        train(
            network,
            tracks(1, 15),
            tracks(2, 9),
            config=TRAINING,
            seed=0,
            log=ListLog(),
            report=lambda epoch, loss: None,
        )


def test_batches_show_every_track_equally_often_and_new_crops_every_epoch():
    shown = tracks(5, 7)
    batches = CropBatches(
        shown, segment_frames=32, batch_size=6, crops_per_track=5, n_genres=3, seed=0
    )
    assert len(batches) == 6
    epoch = [batches[i] for i in range(len(batches))]
    labels = np.concatenate([y for _, y in epoch])
    assert [len(x) for x, _ in epoch] == [6, 6, 6, 6, 6, 5]
    assert epoch[0][0].shape == (6, 32, 24)
    assert epoch[0][0].dtype == labels.dtype == np.float32
    np.testing.assert_array_equal(labels.sum(axis=0), 5 * np.bincount(shown.labels))
    np.testing.assert_array_equal(batches[2][0], epoch[2][0])
    batches.on_epoch_end()
    assert not np.array_equal(batches[2][0], epoch[2][0])


def test_a_crop_is_a_piece_of_its_track():
    ramp = np.repeat(np.arange(100.0)[:, None], 24, axis=1).astype(np.float16)
    batches = CropBatches(
        TrackSet([ramp], np.array([2])),
        segment_frames=32,
        batch_size=50,
        crops_per_track=50,
        n_genres=3,
        seed=0,
    )
    crops = batches[0][0][:, :, 0]
    np.testing.assert_array_equal(np.diff(crops, axis=1), 1)
    assert crops[:, 0].min() < 8
    assert crops[:, -1].max() > 91


def test_tracks_are_judged_in_order_whatever_their_length():
    network = build_network(NETWORK, FEATURES, n_genres=3)
    many = tracks(6, 80)
    judged = predict_tracks(network, many)
    assert judged.shape == (80, 3)
    alone = predict_tracks(network, TrackSet(many.spectrograms[57:58], many.labels[57:58]))
    np.testing.assert_allclose(judged[57], alone[0], atol=1e-6)
