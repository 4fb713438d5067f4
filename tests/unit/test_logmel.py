import hashlib
from pathlib import Path

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlops import logmel
from genre_mlops.audio import load_clip
from genre_mlops.config import FeatureConfig
from genre_mlops.domain import Clip, sequential
from genre_mlops.errors import AudioError
from genre_mlops.logmel import LogMel, mel_filters
from genre_mlops.store import FeatureStore, Source
from tests.music import tune, write_tune

DEFAULT = FeatureConfig()
SMALL = FeatureConfig(sr=16_000, n_fft=512, hop_length=200, n_mels=40, fmin=50, fmax=7_000)
ODD = SMALL.model_copy(update={"n_fft": 511})
FILTERS = mel_filters(SMALL)


def n_frames(n_samples: int, config: FeatureConfig) -> int:
    # No window of an odd length is centred between two samples.
    return 1 + (n_samples - config.n_fft % 2) // config.hop_length


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
    assert ours.shape == theirs.shape == (n_frames(clip.y.size, config), config.n_mels)
    assert ours.dtype == np.float32
    loud = theirs > -80
    assert loud.any()
    np.testing.assert_allclose(ours[loud], theirs[loud], atol=0.05)


@pytest.mark.parametrize("config", [DEFAULT, SMALL, ODD])
@pytest.mark.parametrize("n_samples", [150, 511, 40_000, 100_003])
@pytest.mark.filterwarnings("ignore:n_fft=.* is too large")
def test_it_is_librosas(config: FeatureConfig, n_samples: int):
    y = tune(seed=n_samples, duration_s=5, sr=config.sr)[:n_samples].astype(np.float32)
    check_against_librosa(Clip("tune", y + 0.1, config.sr), config)


def test_it_is_librosas_on_real_recordings(real_data: Path):
    for path in sorted((real_data / "gtzan_mini/genres").glob("*/*.00000.wav")):
        check_against_librosa(load_clip(path, sr=DEFAULT.sr), DEFAULT)


def check_the_store_against_librosa(folder: Path, paths: list[Path]) -> None:
    sources = {hashlib.sha256(path.read_bytes()).hexdigest(): Source(path, 30.0) for path in paths}
    store = FeatureStore(folder, DEFAULT)
    assert store.build(sources, sequential).n_built == len(paths)
    for sha256, (path, *_) in sources.items():
        y, _ = librosa.load(path, sr=DEFAULT.sr)
        theirs, stored = reference(Clip(path.name, y, DEFAULT.sr), DEFAULT), store[sha256]
        assert stored.dtype == np.float16
        assert stored.shape == theirs.shape
        loud = theirs > -80
        assert loud.mean() > 0.3
        # Half a step of float16 is up to 0.031 dB there.
        np.testing.assert_allclose(stored[loud].astype(np.float64), theirs[loud], rtol=0, atol=0.05)


def test_what_a_store_holds_of_a_file_is_librosas(tmp_path: Path):
    path = write_tune(tmp_path / "a.wav", seed=5, duration_s=6, sr=44_100, stereo=True)
    check_the_store_against_librosa(tmp_path / "f", [path])


def test_what_a_store_holds_of_real_recordings_is_librosas(tmp_path: Path, real_data: Path):
    wavs = sorted((real_data / "gtzan_mini/genres").glob("*/*.wav"))[:2]
    check_the_store_against_librosa(tmp_path / "f", wavs)


@st.composite
def small_configs(draw: st.DrawFn) -> FeatureConfig:
    n_fft = draw(st.sampled_from([64, 300, 301, 512]))
    return FeatureConfig(
        sr=16_000,
        n_fft=n_fft,
        hop_length=draw(st.integers(20, n_fft)),
        n_mels=draw(st.integers(8, 30)),
        fmax=8_000,
    )


@pytest.mark.filterwarnings("ignore:Empty filters detected")
@settings(max_examples=40, deadline=None)
@given(
    config=small_configs(),
    block_frames=st.integers(1, 400),
    n_samples=st.integers(1, 9_000),
    cuts=st.lists(st.integers(0, 9_000), max_size=9),
)
def test_blocks_of_frames_and_of_samples_change_no_bit(
    config: FeatureConfig, block_frames: int, n_samples: int, cuts: list[int]
):
    clip = Clip("tune", tune(seed=7, duration_s=1, sr=16_000)[:n_samples].astype("f4"), 16_000)
    log_mel = LogMel(config, mel_filters(config))
    expected = log_mel(clip)
    assert expected.shape == (n_frames(n_samples, config), config.n_mels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logmel, "BLOCK_FRAMES", block_frames)
        # Some of these blocks are empty.
        found = list(log_mel.stream(np.split(clip.y, sorted(cuts))))
    assert max(map(len, found)) <= block_frames
    np.testing.assert_array_equal(np.concatenate(found), expected)


def test_a_stream_asks_for_no_more_than_the_next_frames_need():
    log_mel, n_drawn = LogMel(SMALL, mel_filters(SMALL)), 0

    def seconds():
        nonlocal n_drawn
        for _ in range(99):
            n_drawn += 1
            yield np.ones(16_000, np.float32)

    assert len(next(log_mel.stream(seconds()))) == logmel.BLOCK_FRAMES
    assert n_drawn <= 2


@settings(max_examples=20, deadline=None)
@given(gain_db=st.floats(-20, 40), seed=st.integers(0, 99))
def test_gain_adds_its_decibels(gain_db: float, seed: int):
    log_mel = LogMel(SMALL, FILTERS)
    y = tune(seed=seed, duration_s=0.5, sr=16_000).astype(np.float32)
    before = log_mel(Clip("tune", y, 16_000))
    after = log_mel(Clip("tune", y * np.float32(10 ** (gain_db / 20)), 16_000))
    heard = (before > -95) & (after > -95)
    assert heard.mean() > 0.5
    np.testing.assert_allclose((after - before)[heard], gain_db, atol=0.02)


@settings(max_examples=20, deadline=None)
@given(n_samples=st.integers(1, 9_000), floor_db=st.floats(-200, 0))
def test_silence_is_the_floor(n_samples: int, floor_db: float):
    log_mel = LogMel(SMALL.model_copy(update={"floor_db": floor_db}), FILTERS)
    silence = log_mel(Clip("silence", np.zeros(n_samples, np.float32), 16_000))
    np.testing.assert_allclose(silence, floor_db, atol=1e-4)


def test_a_full_scale_sine_is_near_zero():
    filters = np.eye(SMALL.n_mels, 257, k=32, dtype=np.float32)  # passes bins 32 to 71 as they are
    log_mel = LogMel(SMALL, filters)
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
