"""Steps of the learner: what it is taught, how fast, and that its members learn side by side."""

import time

import numpy as np
import pytest

from genre_mlops.config import AugmentConfig, Config
from genre_mlops.learning.augment import Augmenter
from genre_mlops.learning.batches import CropBatches, TrackSet
from genre_mlops.learning.learner import Learner
from genre_mlops.learning.networks import build_networks
from genre_mlops.learning.training import be_deterministic
from tests.plans import UNCHANGED

N_TRACKS, N_FRAMES, N_MELS, N_GENRES = 12, 48, 24, 3
RATE = 1e-3
# An epoch is one step, on all tracks; what is judged is the network itself, not its average.
CONFIG = Config().override(
    UNCHANGED
    | {
        "features.sr": 8_000,
        "features.n_mels": N_MELS,
        "features.fmax": 4_000,
        "network.kind": "cnn1d",
        "network.segment_frames": 32,
        "network.cnn1d.filters": 4,
        "network.cnn1d.n_blocks": 2,
        "network.cnn2d.filters": 3,
        "network.cnn2d.n_blocks": 2,
        "network.dense_units": 7,
        "network.dropout": 0,
        "training.precision": "float32",
        "training.epochs": 10,
        "training.batch_size": N_TRACKS,
        "training.crops_per_track": 1,
        "training.learning_rate": RATE,
        "training.warmup_share": 0,
        "training.weight_decay": 0,
        "training.label_smoothing": 0,
        "training.ema_epochs": 0,
    }
)


def tracks(n_frames: int = N_FRAMES) -> TrackSet:
    """Noise, louder in the bands of its genre."""
    rng = np.random.default_rng(7)
    labels = np.arange(N_TRACKS) % N_GENRES
    S_db = rng.normal(-60, 10, (N_TRACKS, n_frames, N_MELS))
    for track, label in zip(S_db, labels, strict=True):
        track[:, 8 * label : 8 * label + 8] += 10
    return TrackSet(list(S_db.astype(np.float16)), labels.astype(np.int64))


def learner(config: Config, shown: TrackSet | None = None) -> Learner:
    be_deterministic(0)
    return Learner(config, shown or tracks(), n_genres=N_GENRES)


def members_of(learnt: Learner, config: Config) -> list:
    """Networks of their own with the weights that the learner's members have now."""
    weights = learnt.averaged.get_weights()
    networks = build_networks(config.network, config.features, n_genres=N_GENRES)
    for network in networks:
        network.set_weights(weights[: len(network.weights)])
        weights = weights[len(network.weights) :]
    assert not weights
    return networks


def first_batch(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Segments and labels of the first step, made by the parts that make them."""
    augment = Augmenter(
        config.augment, config.features, segment_frames=config.network.segment_frames
    )
    batches = CropBatches(
        tracks(),
        config.training,
        n_frames=augment.source_frames,
        n_genres=N_GENRES,
        seed=config.seed,
    )
    crops, labels = batches.batch(0, 0)
    segments, labels = augment(crops.astype(np.float32), labels, np.array((config.seed, 0), "i4"))
    return np.asarray(segments), np.asarray(labels)


@pytest.mark.parametrize(
    "changes",
    [
        {"augment.gain_db": 60},
        {"augment.time_stretch": 0.5, "augment.n_mel_masks": 4, "augment.mel_mask_share": 0.5},
        {"augment.mixup_alpha": 10},
        {"training.label_smoothing": 0.4},
        {"network.kind": "cnn1d+cnn2d", "training.label_smoothing": 0.2},
    ],
)
def test_the_loss_is_that_of_changed_examples_against_smoothed_labels(changes: dict[str, object]):
    config = CONFIG.override(changes)
    learnt = learner(config)
    members = members_of(learnt, config)
    segments, labels = first_batch(config)
    told = np.array([network(segments, training=True) for network in members], np.float64)
    smoothing = config.training.label_smoothing
    aims = (1 - smoothing) * labels + smoothing / N_GENRES
    found = learnt.run_epoch(0)
    assert found["train_loss"] == pytest.approx(-(aims * np.log(told)).sum(-1).mean(), rel=1e-3)
    right = told.mean(axis=0).argmax(axis=1) == labels.argmax(axis=1)
    assert found["train_accuracy"] == pytest.approx(right.mean())


def weights_after(learnt: Learner, n_steps: int) -> list[np.ndarray]:
    """Kernels and biases in one row, before the first step and after each."""

    def row() -> np.ndarray:
        return np.concatenate([w.numpy().ravel() for w in learnt.averaged.trainable_weights])

    found = [row()]
    for step in range(n_steps):
        learnt.run_epoch(step)
        found.append(row())
    return found


@pytest.mark.parametrize("n_warm", [0, 4])
def test_the_learning_rate_rises_in_the_warm_up_and_falls_as_a_cosine(n_warm: int):
    n_steps, rate = 10, 1e-5
    config = CONFIG.override(
        {
            "training.epochs": n_steps,
            "training.warmup_share": n_warm / n_steps,
            "training.learning_rate": rate,
        }
    )
    # All of each track, and so small steps that the gradient stays as it is: Adam then moves a
    # weight by the learning rate.
    learnt = learner(config, tracks(n_frames=config.network.segment_frames))
    moved = np.abs(np.diff(weights_after(learnt, n_steps), axis=0))
    by_rate = np.median(moved, axis=1) / rate
    rising = np.arange(n_warm) / max(1, n_warm)
    falling = (1 + np.cos(np.pi * np.arange(n_steps - n_warm) / (n_steps - n_warm))) / 2
    np.testing.assert_allclose(by_rate, [*rising, *falling], atol=0.03)


def test_kernels_decay_beside_what_they_learn():
    decay = 0.5
    plain, decayed = (
        learner(CONFIG.override({"training.weight_decay": share})) for share in (0, decay)
    )
    before = [weight.numpy() for weight in decayed.averaged.trainable_weights]
    for learnt in (plain, decayed):
        learnt.run_epoch(0)
    pairs = zip(
        before, plain.averaged.trainable_weights, decayed.averaged.trainable_weights, strict=True
    )
    kernels = [arrays for arrays in pairs if arrays[0].ndim > 1]
    assert len(kernels) == 4
    for began, without, with_decay in kernels:
        assert not np.allclose(without, began, atol=1e-6)
        less = without.numpy() - with_decay.numpy()
        np.testing.assert_allclose(less, RATE * decay * began, rtol=1e-2, atol=2e-7)


@pytest.mark.slow
def test_each_member_learns_as_it_would_alone():
    alone, pair = (
        learner(CONFIG.override({"network.kind": kind})) for kind in ("cnn1d", "cnn1d+cnn2d")
    )
    members = alone.averaged, pair.averaged.get_layer("cnn1d")
    began = alone.averaged.get_weights()
    for one, other in zip(*(member.get_weights() for member in members), strict=True):
        np.testing.assert_array_equal(one, other)
    for step in range(3):
        alone.run_epoch(step)
        pair.run_epoch(step)
    after = [member.get_weights() for member in members]
    assert not np.allclose(after[0][0], began[0])
    for one, other in zip(*after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_stretch_begins_anywhere_in_the_crop_where_it_fits():
    n, n_frames = 400, 40
    augment = Augmenter(
        AugmentConfig(
            **{key.removeprefix("augment."): 0 for key in UNCHANGED} | {"time_stretch": 0.5}
        ),
        CONFIG.features,
        segment_frames=n_frames,
    )
    last = augment.source_frames - 1
    # Each frame holds its own number.
    ramp = np.arange(-last, 1, dtype=np.float32)
    crops = np.broadcast_to(ramp[None, :, None], (n, last + 1, N_MELS)).copy()
    found, _ = augment(crops, np.eye(N_GENRES, dtype="f4")[np.zeros(n, int)], np.array((3, 1)))
    first, end = np.asarray(found)[:, [0, -1], 0].T + last
    room = last - (end - first)
    share = (first / room)[room > 1]
    assert len(share) > n / 2
    assert share.min() > -1e-3
    assert share.max() < 1 + 1e-3
    # As many in each quarter of the room.
    np.testing.assert_allclose(np.histogram(share, 4, (0, 1))[0] / len(share), 0.25, atol=0.08)


def test_a_last_batch_of_its_own_size_makes_no_graph_of_its_own():
    learnt = learner(CONFIG.override({"training.batch_size": 5}))
    learnt.run_epoch(0)
    learnt.run_epoch(1)
    assert learnt._step.experimental_get_tracing_count() == 1


class SlowToRead(list):
    """Spectrograms that take their time."""

    def __getitem__(self, place):
        time.sleep(0.1)
        return super().__getitem__(place)


def test_the_wait_for_input_is_told():
    shown = tracks()
    learnt = learner(CONFIG, TrackSet(SlowToRead(shown.spectrograms), shown.labels))
    # While the graph is made in the first epoch, some batches are made ahead.
    told = [learnt.run_epoch(epoch) for epoch in range(7)]
    assert max(line["input_wait_share"] for line in told[1:]) > 0.5
    assert max(line["step_ms"] for line in told[1:]) > 12 * 100 / 2
