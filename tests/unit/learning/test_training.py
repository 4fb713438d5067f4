from pathlib import Path

import numpy as np
import pytest

from genre_mlops.config import AugmentConfig, Config, FeatureConfig, NetworkConfig, TrainingConfig
from genre_mlops.learning.batches import TrackSet
from genre_mlops.learning.checkpoints import Checkpoint
from genre_mlops.learning.metrics import log_loss
from genre_mlops.learning.networks import average_networks, build_networks
from genre_mlops.learning.training import (
    TrainingDivergedError,
    be_deterministic,
    predict_tracks,
    train,
)

FEATURES = FeatureConfig(sr=8_000, n_fft=512, n_mels=24, fmax=4_000)
SIZES = {"filters": 4, "n_blocks": 2}
NETWORK = NetworkConfig(segment_frames=32, cnn1d=SIZES, cnn2d=SIZES, dense_units=8, dropout=0.1)
TRAINING = TrainingConfig(
    epochs=12, batch_size=6, crops_per_track=5, learning_rate=5e-3, ema_epochs=1, patience=12
)


# Little is changed at random: a graph takes longer to make than these networks to learn.
AUGMENT = AugmentConfig(
    eq_db=0,
    pitch_shift_semitones=0,
    n_time_masks=0,
    n_mel_masks=0,
    noise_share=0,
    mixup_alpha=0,
)
CONFIG = Config(features=FEATURES, network=NETWORK, augment=AUGMENT, training=TRAINING)


class ListLog:
    def __init__(self) -> None:
        self.lines: list[tuple[int, dict[str, float]]] = []
        self.asked: dict[str, object] = {}

    def params(self, values) -> None:
        self.asked |= values

    def metrics(self, values, *, step: int) -> None:
        self.lines.append((step, dict(values)))

    def losses(self) -> list[tuple[float, float]]:
        return [(line["train_loss"], line["validation_loss"]) for _, line in self.lines]


class EnoughError(Exception):
    pass


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


def run(seed: int = 0, report=lambda epoch, loss: None, checkpoint=None, **changes):
    config = CONFIG.override({"seed": seed} | changes)
    be_deterministic(seed)
    log = ListLog()
    network, result = train(
        tracks(1, 15),
        tracks(2, 9),
        config=config,
        n_genres=3,
        log=log,
        report=report,
        checkpoint=checkpoint,
    )
    return network, log, result


def enough_after(epochs: int):
    def report(epoch: int, loss: float) -> None:
        if epoch == epochs:
            raise EnoughError

    return report


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
    one, same, other = (run(seed, **{"training.epochs": 3})[1].losses() for seed in (3, 3, 4))
    assert one == same
    assert one != other


def test_a_training_that_was_cut_off_ends_as_it_would_have(tmp_path: Path):
    changes = {"network.dropout": 0.3, "training.epochs": 6, "training.label_smoothing": 0}
    whole, whole_log, whole_result = run(5, **changes)
    checkpoint = Checkpoint(tmp_path / "state.npz")
    with pytest.raises(EnoughError):
        run(5, report=enough_after(2), checkpoint=checkpoint, **changes)
    kept = checkpoint.load()
    network, log, result = run(5, checkpoint=checkpoint, **changes)
    # What was told before is told again, not measured again; the rest is the same to the last bit.
    assert [line["step_ms"] for line in kept.lines] == [x["step_ms"] for _, x in log.lines[:2]]
    assert log.losses() == whole_log.losses()
    assert [step for step, _ in log.lines] == [1, 2, 3, 4, 5, 6]
    assert result == whole_result
    for one, other in zip(network.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    elapsed = [line["elapsed_s"] for _, line in log.lines]
    assert elapsed == sorted(elapsed)


def test_a_damaged_state_is_a_new_beginning(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "state.npz"
    with pytest.raises(EnoughError):
        run(report=enough_after(1), checkpoint=Checkpoint(path))
    path.write_bytes(path.read_bytes()[:500])
    assert Checkpoint(path).load() is None
    assert "the training begins anew" in caplog.text
    assert Checkpoint(tmp_path / "none.npz").load() is None


def test_the_average_is_what_is_judged_and_without_memory_it_is_the_network():
    changes = {"training.epochs": 2}
    slow, fast, plain = (run(**changes, **{"training.ema_epochs": n})[1] for n in (9, 0.2, 0))
    # The steps are the same, what is judged is not.
    assert {log.lines[0][1]["train_loss"] for log in (slow, fast, plain)} == {
        plain.lines[0][1]["train_loss"]
    }
    assert len({log.lines[1][1]["validation_loss"] for log in (slow, fast, plain)}) == 3


def test_it_stops_when_nothing_gets_better():
    result = run(**{"training.learning_rate": 1e-9, "training.patience": 2})[2]
    assert result.epochs - result.best_epoch == 2
    assert result.epochs < 12


def test_without_validation_tracks_it_ends_with_the_last_epoch():
    be_deterministic(0)
    log = ListLog()
    config = CONFIG.override({"training.epochs": 4, "training.patience": 1})
    network, result = train(
        tracks(1, 15), None, config=config, n_genres=3, log=log, report=lambda epoch, loss: None
    )
    assert (result.best_epoch, result.epochs, len(log.lines)) == (4, 4, 4)
    assert np.isnan(result.validation_loss)
    assert predict_tracks(network, tracks(2, 9)).shape == (9, 3)


def test_a_report_can_end_it():
    with pytest.raises(EnoughError):
        run(report=enough_after(2))


def test_divergence_is_an_error_with_its_epoch():
    broken = tracks(1, 15)
    broken.spectrograms[3][:] = np.nan
    with pytest.raises(TrainingDivergedError, match="diverged in epoch 1"):
        train(
            broken,
            tracks(2, 9),
            config=CONFIG,
            n_genres=3,
            log=ListLog(),
            report=lambda epoch, loss: None,
        )


def test_bfloat16_trains_too_and_gives_a_float32_network():
    network, log, _ = run(**{"training.precision": "bfloat16", "training.epochs": 3})
    assert {weight.dtype for weight in network.weights} == {"float32"}
    exact = run(**{"training.precision": "float32", "training.epochs": 3})[1].losses()
    assert log.losses() != exact
    np.testing.assert_allclose(log.losses(), exact, atol=0.2)


def test_tracks_are_judged_in_order_whatever_their_length():
    network = average_networks(build_networks(NETWORK, FEATURES, n_genres=3))
    many = tracks(6, 80)
    judged = predict_tracks(network, many)
    assert judged.shape == (80, 3)
    alone = predict_tracks(network, TrackSet(many.spectrograms[57:58], many.labels[57:58]))
    np.testing.assert_allclose(judged[57], alone[0], atol=1e-6)
