import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile

from genre_mlops.changes import amplified, as_mp3, low_pass, middle, with_noise, write_mp3
from genre_mlops.domain import Clip
from tests.music import tune


def clip(*, sr: int = 22_050, duration_s: float = 3.0, seed: int = 1) -> Clip:
    y = tune(seed=seed, duration_s=duration_s, sr=sr).astype(np.float32)
    return Clip(f"tune {seed}", y, sr)


def level_db(y: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(y, dtype=np.float64)))


@pytest.mark.parametrize(("sr", "kbps"), [(11_025, 32), (22_050, 64), (44_100, 64), (48_000, 192)])
def test_an_mp3_has_the_bit_rate_asked(sr: int, kbps: int):
    file, original = io.BytesIO(), clip(sr=sr, duration_s=8)
    write_mp3(file, original.y, sr, kbps=kbps)
    assert 8 * len(file.getvalue()) / 8 / 1_000 == pytest.approx(kbps, rel=0.07)
    file.seek(0)
    assert soundfile.info(file).format == "MP3"


@pytest.mark.parametrize(
    ("sr", "comes_back_at"), [(22_050, 22_050), (22_000, 22_050), (96_000, 48_000), (7_000, 8_000)]
)
def test_an_mp3_comes_back_nearly_as_it_was(sr: int, comes_back_at: int):
    original = clip(sr=sr)
    heard = as_mp3(original, kbps=64)
    assert heard.sr == comes_back_at
    assert heard.duration_s == pytest.approx(original.duration_s, abs=0.1)
    assert level_db(heard.y) == pytest.approx(level_db(original.y), abs=0.5)
    if sr == comes_back_at:
        assert not np.array_equal(heard.y, original.y)
        assert np.corrcoef(heard.y, original.y[: heard.y.size])[0, 1] > 0.9


def test_12_db_less_is_a_quarter():
    quiet = amplified(clip(), gain_db=-12)
    assert level_db(quiet.y) == pytest.approx(level_db(clip().y) - 12, abs=1e-3)
    assert quiet.y.dtype == np.float32


def test_noise_is_as_far_below_as_asked_and_always_the_same():
    noise = with_noise(clip(), snr_db=20).y - clip().y
    assert level_db(noise) == pytest.approx(level_db(clip().y) - 20, abs=0.1)
    again, other = (with_noise(clip(seed=seed), snr_db=20).y - clip(seed=seed).y for seed in (1, 2))
    np.testing.assert_array_equal(again, noise)
    assert abs(np.corrcoef(noise, other)[0, 1]) < 0.05
    # White: as much in each half of the spectrum.
    power = np.abs(np.fft.rfft(noise)) ** 2
    halves = np.array_split(power, 2)
    assert halves[0].sum() == pytest.approx(halves[1].sum(), rel=0.1)


@pytest.mark.parametrize("cutoff_hz", [4_000, 8_000])
def test_a_low_pass_leaves_what_is_below_and_nothing_above(cutoff_hz: int):
    sr = 22_050
    t = np.arange(2 * sr) / sr
    below, above = (np.sin(2 * np.pi * f * t).astype(np.float32) for f in (1_000, cutoff_hz + 500))
    passed = low_pass(below + above, sr, cutoff_hz=cutoff_hz)
    assert passed.shape == t.shape
    inside = slice(sr // 2, -sr // 2)
    np.testing.assert_allclose(passed[inside], below[inside], atol=0.01)


@pytest.mark.parametrize(("duration_s", "n_samples"), [(2, 200), (7, 500)])
def test_the_middle_is_the_middle(duration_s: int, n_samples: int):
    y = np.arange(500, dtype=np.float32)
    cut = middle(y, 100, duration_s=duration_s)
    assert len(cut) == n_samples
    assert cut.mean() == y.mean()


@pytest.mark.parametrize("change", [as_mp3, amplified, with_noise])
def test_a_changed_clip_keeps_its_name(change: Callable[..., Clip]):
    setting = {as_mp3: {"kbps": 64}, amplified: {"gain_db": -12}, with_noise: {"snr_db": 20}}
    assert change(clip(), **setting[change]).track_id == "tune 1"
