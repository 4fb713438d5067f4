import io

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from genre_mlops import levels
from genre_mlops.levels import LevelMeter, Levels
from tests.music import tune


def measure(y: np.ndarray, sr: int) -> Levels:
    meter = LevelMeter(sr)
    meter.add(y.astype(np.float32))
    return meter.finish()


def rounded(y: np.ndarray, sr: int) -> np.ndarray:
    """What a 16-bit wav file keeps."""
    file = io.BytesIO()
    soundfile.write(file, y, sr, format="WAV", subtype="PCM_16")
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def noise(n: int, *, rms: float = 0.1) -> np.ndarray:
    return rms * np.random.default_rng(0).standard_normal(n)


@given(
    sr=st.sampled_from([1, 7, 1_000, 22_050, 44_100]),
    n=st.integers(1, 30_000),
    cuts=st.lists(st.integers(1, 29_999), max_size=12),
)
def test_how_a_recording_is_cut_changes_nothing(sr: int, n: int, cuts: list[int]):
    y = tune(seed=3, duration_s=1.4, sr=22_050)[:n].astype(np.float32)
    y[n // 3 :: 2] = 0
    meter = LevelMeter(sr)
    for block in np.split(y, sorted(cut for cut in cuts if cut < n)):
        meter.add(block)
    cut, whole = meter.finish(), measure(y, sr)
    for name in Levels.__dataclass_fields__:
        assert getattr(cut, name) == pytest.approx(getattr(whole, name), rel=1e-5, abs=1e-6)


@given(cuts=st.lists(st.integers(1, 59_999), max_size=12))
def test_which_spectra_are_kept_depends_on_their_numbers_only(cuts: list[int]):
    y = noise(60_000).astype(np.float32) * np.linspace(0, 1, 60_000, dtype=np.float32)
    spectra = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(levels, "_MAX_SPECTRA", 16)
        for blocks in ([y], np.split(y, sorted(cuts))):
            meter = LevelMeter(1_000)
            for block in blocks:
                meter.add(block)
            spectra.append(np.stack(meter._spectra._kept))
    # 240 chunks: each sixteenth.
    assert len(spectra[0]) == 15
    np.testing.assert_allclose(spectra[1], spectra[0], rtol=1e-5)


def test_the_mean_is_the_dc_offset_with_its_sign():
    y = tune(seed=1, duration_s=2.0, sr=16_000)
    y -= y.mean()
    assert measure(y, 16_000).dc_offset == pytest.approx(0, abs=1e-6)
    assert measure(y - 0.03, 16_000).dc_offset == pytest.approx(-0.03, abs=1e-6)


@pytest.mark.parametrize("n_channels", [2, 3])
def test_a_mix_hides_neither_clipping_nor_dc_offset(n_channels: int):
    frames = np.zeros((4_000, n_channels), np.float32)
    # A fifth of one channel is at full scale, 0.03 of it on the mean, and the opposite of another.
    frames[:400, 0], frames[400:800, 0] = 1, -1
    frames[:, 0] += np.float32(0.03) * (np.arange(4_000) >= 800)
    frames[:, 1] = np.float32(-0.025)
    meter = LevelMeter(8_000)
    for block in np.split(frames, [1_000, 1_003]):
        meter.add(block.mean(axis=1), block)
    found = meter.finish()
    assert found.clipping_share == pytest.approx(0.2 / n_channels)
    assert found.dc_offset == pytest.approx(-0.025, abs=1e-6)
    assert measure(frames.mean(axis=1), 8_000).clipping_share == 0


def test_silence_is_the_floor_and_has_no_bandwidth():
    silent = measure(np.zeros(9_000), 22_050)
    assert (silent.rms_dbfs, silent.peak_dbfs, silent.silence_share) == (-200, -200, 1)
    assert (silent.bandwidth_hz, silent.dc_offset) == (0, 0)
    with pytest.raises(ValueError, match="at least one sample"):
        LevelMeter(22_050).finish()


@pytest.mark.parametrize("gain_db", [0, -20, -50])
@pytest.mark.parametrize(("through_sr", "cut_hz"), [(8_000, 4_000), (16_000, 8_000)])
def test_the_cut_of_a_resampling_shows_at_any_level(gain_db: float, through_sr: int, cut_hz: int):
    y = tune(seed=2, duration_s=4.0, sr=44_100, base_hz=300)
    up = soxr.resample(soxr.resample(y, 44_100, through_sr), through_sr, 44_100)
    found = measure(rounded(up * 10 ** (gain_db / 20), 44_100), 44_100)
    assert 0.9 * cut_hz < found.bandwidth_hz <= 1.01 * cut_hz


@pytest.mark.parametrize("sr", [8_000, 22_050, 44_100])
@pytest.mark.parametrize("rms", [0.1, 1e-3])
def test_noise_fills_the_band(sr: int, rms: float):
    found = measure(rounded(noise(3 * sr, rms=rms), sr), sr)
    assert found.bandwidth_hz == pytest.approx(sr / 2, rel=0.01)


def test_weak_highs_count_and_a_click_does_not():
    y = tune(seed=4, duration_s=9.0, sr=44_100)
    low = soxr.resample(soxr.resample(y, 44_100, 11_025), 11_025, 44_100)
    # Cymbals 70 dB below full scale, in a fifth of the time.
    cymbals = noise(y.size, rms=3e-4) * (np.arange(y.size) % 44_100 < 9_000)
    assert measure(rounded(low + cymbals, 44_100), 44_100).bandwidth_hz > 21_000
    # In one of the stretches that are looked at.
    low[88_300] = 0.9
    assert 5_000 < measure(rounded(low, 44_100), 44_100).bandwidth_hz < 5_600


@pytest.mark.parametrize("quality", [0.5, 0.99])
def test_the_low_pass_of_an_mp3_shows(quality: float):
    y = noise(4 * 44_100)
    file = io.BytesIO()
    soundfile.write(
        file, y, 44_100, format="MP3", bitrate_mode="CONSTANT", compression_level=quality
    )
    file.seek(0)
    found = measure(soundfile.read(file, dtype="float32")[0], 44_100).bandwidth_hz
    # What the encoder cut, found here as the edge of the mean spectrum.
    file.seek(0)
    y = soundfile.read(file, dtype="float32")[0][: 40 * 4_096].reshape(-1, 4_096)
    power = np.mean(np.abs(np.fft.rfft(y * np.hanning(4_096), axis=1)) ** 2, axis=0)
    edge_hz = np.flatnonzero(power > power.max() * 1e-5)[-1] * 44_100 / 4_096
    assert edge_hz < 21_000
    assert found == pytest.approx(edge_hz, rel=0.05)


def test_an_hour_costs_memory_for_no_more_spectra_than_a_song():
    meter = LevelMeter(8_000)
    song = noise(60 * 8_000).astype(np.float32)
    for _ in range(20):
        meter.add(song)
    assert len(meter._spectra._kept) <= 512
    assert meter.finish().bandwidth_hz == pytest.approx(4_000, rel=0.01)
