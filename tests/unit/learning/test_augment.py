"""Laws of the random changes: what each does, that each can be off, and that seeds decide."""

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlops.config import AugmentConfig, FeatureConfig
from genre_mlops.learning.augment import Augmenter
from genre_mlops.learning.backend import tf

FEATURES = FeatureConfig(sr=22_050, n_fft=1_024, n_mels=48, fmin=20, fmax=8_000)
N, FRAMES, GENRES = 9, 64, 5
OFF = AugmentConfig(
    gain_db=0,
    eq_db=0,
    time_stretch=0,
    pitch_shift_semitones=0,
    n_time_masks=0,
    n_mel_masks=0,
    noise_share=0,
    mixup_alpha=0,
)


def augmenter(**changes: float) -> Augmenter:
    return Augmenter(OFF.model_copy(update=changes), FEATURES, segment_frames=FRAMES)


def crops(change: Augmenter, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-80, -20, (N, change.source_frames, FEATURES.n_mels)).astype(np.float32)


def labels() -> np.ndarray:
    return np.eye(GENRES, dtype=np.float32)[np.arange(N) % GENRES]


def apply(change: Augmenter, S_db: np.ndarray, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    changed, mixed = change(tf.constant(S_db), labels(), tf.constant((seed, 1), tf.int32))
    return np.asarray(changed), np.asarray(mixed)


def test_with_every_change_off_nothing_changes():
    S_db = crops(augmenter())
    changed, mixed = apply(augmenter(), S_db)
    np.testing.assert_array_equal(changed, S_db)
    np.testing.assert_array_equal(mixed, labels())


@pytest.mark.parametrize(
    "change",
    [
        {"gain_db": 6},
        {"eq_db": 4},
        {"time_stretch": 0.1},
        {"pitch_shift_semitones": 1},
        {"n_time_masks": 2},
        {"n_mel_masks": 2},
        {"noise_share": 0.5},
        {"mixup_alpha": 0.3},
    ],
)
def test_each_change_alone_does_something_and_follows_the_seed(change: dict[str, float]):
    one = augmenter(**change)
    S_db = crops(one)
    found, mixed = apply(one, S_db)
    assert found.shape == (N, FRAMES, FEATURES.n_mels)
    assert np.isfinite(found).all()
    assert found.min() >= FEATURES.floor_db
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-5)
    assert not np.allclose(found, S_db[:, :FRAMES])
    np.testing.assert_array_equal(apply(one, S_db)[0], found)
    assert not np.array_equal(apply(one, S_db, seed=4)[0], found)


def test_in_a_graph_and_for_any_batch_it_is_the_same():
    one = Augmenter(AugmentConfig(), FEATURES, segment_frames=FRAMES)
    S_db = crops(one)
    in_graph = tf.function(
        one.__call__,
        autograph=False,
        input_signature=(
            tf.TensorSpec((None, *S_db.shape[1:])),
            tf.TensorSpec((None, GENRES)),
            tf.TensorSpec((2,), tf.int32),
        ),
    )
    for found, expected in zip(
        in_graph(S_db, labels(), tf.constant((3, 1))), apply(one, S_db), strict=True
    ):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)


def test_gain_is_one_number_of_decibels_an_example():
    one = augmenter(gain_db=6)
    S_db = crops(one)
    by_db = apply(one, S_db)[0] - S_db
    np.testing.assert_allclose(by_db, by_db[:, :1, :1] * np.ones_like(by_db), atol=1e-4)
    gains = by_db[:, 0, 0]
    assert 1 < np.ptp(gains) <= 12
    assert np.abs(gains).max() <= 6


def test_the_equalizer_is_a_smooth_curve_the_same_in_every_frame():
    one = augmenter(eq_db=4, eq_points=3)
    S_db = crops(one)
    by_db = apply(one, S_db)[0] - S_db
    np.testing.assert_allclose(by_db, by_db[:, :1] * np.ones_like(by_db), atol=1e-4)
    curve = by_db[:, 0]
    assert np.abs(curve).max() <= 4 + 1e-4
    # Between three points 8 dB apart at most, half a cosine is never steeper.
    assert np.abs(np.diff(curve)).max() <= 8 * np.pi / 2 / (FEATURES.n_mels - 1) * 2 + 1e-4
    assert np.ptp(curve, axis=1).max() > 0.5


def test_a_stretch_reads_at_a_constant_speed_within_its_range():
    one = augmenter(time_stretch=0.25)
    ramp = np.linspace(-80, -20, one.source_frames, dtype=np.float32)
    S_db = np.broadcast_to(ramp[None, :, None], (N, ramp.size, FEATURES.n_mels)).copy()
    found = apply(one, S_db)[0]
    speed = np.diff(found, axis=1) / (ramp[1] - ramp[0])
    np.testing.assert_allclose(speed, speed[:, :1, :1] * np.ones_like(speed), atol=2e-3)
    assert 0.75 - 1e-3 <= speed.min() < 0.95
    assert 1.05 < speed.max() <= 1.25 + 1e-3


def test_a_pitch_shift_moves_a_tone_by_its_factor():
    one = augmenter(pitch_shift_semitones=4)
    centres = librosa.mel_frequencies(FEATURES.n_mels + 2, fmin=20, fmax=8_000)[1:-1]
    band = int(np.argmin(np.abs(centres - 2_000)))
    S_db = np.full((N, one.source_frames, FEATURES.n_mels), -80, np.float32)
    S_db[:, :, band - 1 : band + 2] = -30, -20, -30
    found = apply(one, S_db)[0][:, 0]
    weights = 10 ** (found / 10)
    heard_hz = (weights * centres).sum(axis=1) / weights.sum(axis=1)
    semitones = 12 * np.log2(heard_hz / centres[band])
    assert np.abs(semitones).max() <= 4.3
    assert semitones.min() < -1
    assert semitones.max() > 1


def test_masks_are_within_their_share_and_hold_the_mean():
    one = augmenter(n_time_masks=1, time_mask_share=0.25)
    S_db = crops(one)
    found = apply(one, S_db)[0]
    mean = S_db.mean(axis=(1, 2), keepdims=True)
    masked = np.isclose(found, mean, atol=1e-3).all(axis=2)
    np.testing.assert_array_equal(found[~masked], S_db[~masked])
    assert 0 < masked.sum(axis=1).max() <= FRAMES // 4
    # One stretch: it begins once at the most.
    assert (np.diff(masked.astype(int), axis=1, prepend=0) == 1).sum(axis=1).max() == 1


def test_a_change_draws_the_same_without_the_others():
    louder = augmenter(gain_db=6)
    masked = augmenter(gain_db=6, n_mel_masks=1, mel_mask_share=0.25, mixup_alpha=0)
    S_db = crops(louder)
    alone, both = apply(louder, S_db)[0], apply(masked, S_db)[0]
    same = np.isclose(alone, both).all(axis=1)
    assert FEATURES.n_mels // 2 < same.sum(axis=1).min() < same.sum(axis=1).max()
    with_masks = augmenter(n_mel_masks=1, mel_mask_share=0.25)
    hidden = ~np.isclose(apply(with_masks, S_db)[0], S_db).all(axis=1)
    np.testing.assert_array_equal(hidden, ~same)


def test_noise_is_added_in_power_to_its_share_of_the_examples():
    one = augmenter(noise_share=1 / 3, noise_snr_db=10)
    S_db = crops(one)
    found = apply(one, S_db)[0]
    noisy = ~np.isclose(found, S_db).all(axis=(1, 2))
    assert noisy.sum() == N // 3
    power, after = (10 ** (x[noisy] / 10) for x in (S_db, found))
    assert (after >= power * (1 - 1e-4)).all()
    snr_db = 10 * np.log10(power.mean(axis=(1, 2)) / (after - power).mean(axis=(1, 2)))
    assert snr_db.min() > 9
    assert snr_db.max() < 41


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**30))
def test_mixup_blends_examples_as_it_blends_their_labels(seed: int):
    one = augmenter(mixup_alpha=0.4)
    S_db = crops(one)
    found, mixed = apply(one, S_db, seed)
    share = ((found - S_db[::-1]) / (S_db - S_db[::-1] + 1e-9))[:, :, 0].mean(axis=1)
    own, other = labels(), labels()[::-1]
    middle = N // 2  # its own mirror image
    expected = own * share[:, None] + other * (1 - share[:, None])
    keep = np.arange(N) != middle
    np.testing.assert_allclose(mixed[keep], expected[keep], atol=1e-3)
    np.testing.assert_array_equal(mixed[middle], own[middle])


def test_the_mel_scale_is_librosas():
    from genre_mlops.learning import augment

    expected = librosa.mel_frequencies(FEATURES.n_mels + 2, fmin=20, fmax=8_000)[1:-1]
    np.testing.assert_allclose(augmenter()._band_hz, expected, rtol=1e-5)
    hz = np.array([30.0, 999.0, 1_000.0, 7_000.0])
    np.testing.assert_allclose(augment._mels(hz).numpy(), librosa.hz_to_mel(hz), rtol=1e-5)
