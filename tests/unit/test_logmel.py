from pathlib import Path

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlops import logmel
from genre_mlops.audio import load_clip
from genre_mlops.config import FeatureConfig
from genre_mlops.domain import Clip
from genre_mlops.errors import AudioError
from genre_mlops.logmel import LogMel, mel_filters
from tests.music import tune

DEFAULT = FeatureConfig()
SMALL = FeatureConfig(sr=16_000, n_fft=512, hop_length=200, n_mels=40, fmin=50, fmax=7_000)


def reference(clip: Clip, config: FeatureConfig) -> np.ndarray:
    """The same by librosa alone."""
    S = librosa.feature.melspectrogram(
        y=clip.y,
        sr=config.sr,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        n_mels=config.n_mels,
        fmin=config.fmin,
        fmax=config.fmax,
        pad_mode="constant",
    )
    full_scale = (librosa.filters.get_window("hann", config.n_fft).sum() / 2) ** 2
    S_db = librosa.power_to_db(S, ref=full_scale, amin=1e-20, top_db=None)
    return np.maximum(S_db, config.floor_db).T


def check_against_librosa(clip: Clip, config: FeatureConfig) -> None:
    ours = LogMel(config, mel_filters(config))(clip)
    theirs = reference(clip, config)
    assert ours.shape == theirs.shape == (1 + clip.y.size // config.hop_length, config.n_mels)
    assert ours.dtype == np.float32
    loud = theirs > -80
    assert loud.any()
    np.testing.assert_allclose(ours[loud], theirs[loud], atol=0.05)


@pytest.mark.parametrize("config", [DEFAULT, SMALL])
@pytest.mark.parametrize("n_samples", [150, 511, 40_000, 100_003])
@pytest.mark.filterwarnings("ignore:n_fft=.* is too large")
def test_it_is_librosas(config: FeatureConfig, n_samples: int):
    y = tune(seed=n_samples, duration_s=5, sr=config.sr)[:n_samples].astype(np.float32)
    check_against_librosa(Clip("tune", y + 0.1, config.sr), config)


def test_it_is_librosas_on_real_recordings(real_data: Path):
    for path in sorted((real_data / "gtzan_mini/genres").glob("*/*.00000.wav")):
        check_against_librosa(load_clip(path, sr=DEFAULT.sr), DEFAULT)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400), st.integers(1, 9_000))
def test_the_block_size_changes_nothing(block: int, n_samples: int):
    clip = Clip("tune", tune(seed=7, duration_s=1, sr=16_000)[:n_samples].astype("f4"), 16_000)
    log_mel = LogMel(SMALL, mel_filters(SMALL))
    expected = log_mel(clip)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logmel, "BLOCK_FRAMES", block)
        np.testing.assert_array_equal(log_mel(clip), expected)


def test_gain_shifts_by_its_decibels():
    log_mel = LogMel(SMALL, mel_filters(SMALL))
    y = tune(seed=1, duration_s=1, sr=16_000).astype(np.float32)
    loud, quiet = (log_mel(Clip("tune", y * gain, 16_000)) for gain in (1.0, 0.1))
    heard = quiet > -95
    np.testing.assert_allclose((loud - quiet)[heard], 20.0, atol=0.02)


def test_silence_is_the_floor_and_a_full_scale_sine_is_near_zero():
    filters = np.eye(SMALL.n_mels, 257, k=32, dtype=np.float32)  # passes bins 32 to 71 as they are
    log_mel = LogMel(SMALL, filters)
    silence = log_mel(Clip("silence", np.zeros(4_000, np.float32), 16_000))
    np.testing.assert_allclose(silence, SMALL.floor_db, atol=1e-4)
    t = np.arange(8_000) / 16_000
    sine = np.sin(2 * np.pi * 40 * 16_000 / 512 * t).astype(np.float32)
    S_db = log_mel(Clip("sine", sine, 16_000))
    # Bin 40 is row 8 of these filters; the frames at the ends see the padding.
    np.testing.assert_allclose(S_db[4:-4, 8], 0.0, atol=0.01)


def test_what_does_not_fit_is_refused():
    log_mel = LogMel(SMALL, mel_filters(SMALL))
    with pytest.raises(AudioError, match="is at 8000 Hz, expected 16000 Hz"):
        log_mel(Clip("slow", np.zeros(10, np.float32), 8_000))
    with pytest.raises(AudioError, match="has no samples"):
        log_mel(Clip("empty", np.zeros(0, np.float32), 16_000))
    with pytest.raises(ValueError, match=r"filters have shape \(128, 1025\)"):
        LogMel(SMALL, mel_filters(DEFAULT))
