"""Figures of a recording, and the line of a log that keeps them."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_mlops.changes import low_pass
from genre_mlops.config import FeatureConfig
from genre_mlops.domain import Clip
from genre_mlops.drift import (
    BANDS,
    BANDWIDTH,
    FIGURES,
    Answered,
    band_ranges_hz,
    describe,
    mel_edges_hz,
)
from genre_mlops.levels import LevelMeter
from genre_mlops.logmel import LogMel, mel_filters
from tests.music import tune

FEATURES = FeatureConfig()
SR = FEATURES.sr


@pytest.fixture(scope="module")
def log_mel() -> LogMel:
    return LogMel(FEATURES, mel_filters(FEATURES))


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    return tune(seed=3, duration_s=2.5, sr=SR).astype(np.float32)


def heard(log_mel: LogMel, y: np.ndarray) -> np.ndarray:
    return log_mel(Clip("tune", y.astype(np.float32), SR))


def figures(log_mel: LogMel, y: np.ndarray) -> dict[str, float]:
    return describe(heard(log_mel, y), FEATURES)


def test_the_edges_of_the_mel_bands_are_librosas():
    for config in (FEATURES, FeatureConfig(n_mels=40, fmin=300, fmax=9_000)):
        expected = librosa.mel_frequencies(
            n_mels=config.n_mels + 2, fmin=config.fmin, fmax=config.fmax
        )
        np.testing.assert_allclose(mel_edges_hz(config), expected, rtol=1e-9)
    starts, ends = zip(*band_ranges_hz(FEATURES), strict=True)
    assert len(starts) == len(BANDS)
    assert starts[1:] == ends[:-1]


def test_the_level_is_that_of_the_samples(log_mel: LogMel, y: np.ndarray):
    t = np.arange(3 * SR) / SR
    noise = np.random.default_rng(0).normal(scale=0.03, size=3 * SR)
    for samples in (y, 0.5 * np.sin(2 * np.pi * 440 * t), noise):
        meter = LevelMeter(SR)
        meter.add(samples.astype(np.float32))
        assert figures(log_mel, samples)["level_db"] == pytest.approx(
            meter.finish().rms_dbfs, abs=0.2
        )
    # A tenth of it is 20 dB louder than the rest.
    loud = np.concatenate([noise, 10 * noise[: len(noise) // 9]])
    found = figures(log_mel, loud)
    assert found["loud_db"] == pytest.approx(20 * np.log10(0.3), abs=0.5)
    assert found["loud_db"] - found["level_db"] > 8


def test_the_shares_are_of_all_power(log_mel: LogMel, y: np.ndarray):
    found = figures(log_mel, y)
    assert sum(10 ** (found[name] / 10) for name in BANDS) == pytest.approx(1, abs=0.01)
    low, high = band_ranges_hz(FEATURES)[5]
    inside = np.sin(2 * np.pi * np.sqrt(low * high) * np.arange(SR) / SR)
    assert max(BANDS, key=figures(log_mel, inside).__getitem__) == BANDS[5]
    # White noise has as much power in each Hz.
    noise = figures(log_mel, np.random.default_rng(0).normal(scale=0.1, size=3 * SR))
    widths = np.array([high - low for low, high in band_ranges_hz(FEATURES)])
    expected = 10 * np.log10(widths / widths.sum())
    assert [noise[name] for name in BANDS] == pytest.approx(expected.tolist(), abs=0.4)


def test_silence_has_figures_too(log_mel: LogMel):
    for samples in (np.zeros(SR), np.zeros(1)):
        for dtype in (np.float32, np.float16):
            found = describe(heard(log_mel, samples).astype(dtype), FEATURES)
            assert found == dict.fromkeys(FIGURES, -90.0) | {
                "level_db": -120.0,
                "loud_db": -120.0,
                BANDWIDTH: 0.0,
            }


def test_6_db_less_change_the_level_and_nothing_else(log_mel: LogMel, y: np.ndarray):
    was, now = figures(log_mel, y), figures(log_mel, y / 2)
    for name in ("level_db", "loud_db"):
        assert now[name] == pytest.approx(was[name] - 6.02, abs=0.02)
    for name in (BANDWIDTH, *BANDS):
        assert now[name] == pytest.approx(was[name], abs=0.02)


def test_a_low_pass_is_heard_above_it_and_nowhere_else(log_mel: LogMel, y: np.ndarray):
    was, now = figures(log_mel, y), figures(log_mel, low_pass(y, SR, cutoff_hz=8_000))
    assert was[BANDWIDTH] > 10_500
    assert 7_500 < now[BANDWIDTH] < 8_000
    assert now[BANDS[-1]] < was[BANDS[-1]] - 6
    for name in ("level_db", *BANDS[:-1]):
        assert now[name] == pytest.approx(was[name], abs=0.1)


def test_a_click_is_no_bandwidth(log_mel: LogMel, y: np.ndarray):
    dull = low_pass(y, SR, cutoff_hz=8_000)
    clicked = dull.copy()
    clicked[len(dull) // 2] = 1.0
    assert figures(log_mel, clicked)[BANDWIDTH] == figures(log_mel, dull)[BANDWIDTH]


def test_neither_length_nor_order_nor_the_stores_rounding_matters(log_mel: LogMel, y: np.ndarray):
    S_db = heard(log_mel, y)
    was = describe(S_db, FEATURES)
    order = np.random.default_rng(0).permutation(50 * len(S_db))
    # More frames than are worked on at once.
    found = describe(np.tile(S_db, (50, 1))[order].astype(np.float16), FEATURES)
    assert found == pytest.approx(was, abs=0.03)


@given(st.integers(1, 5), st.floats(-100, 0), st.integers(0, 2**31))
def test_figures_are_finite_whatever_is_heard(n_frames: int, most_db: float, seed: int):
    config = FeatureConfig(sr=8_000, n_fft=256, hop_length=128, n_mels=11, fmax=4_000)
    S_db = np.random.default_rng(seed).uniform(-100, most_db, size=(n_frames, config.n_mels))
    found = describe(S_db.astype(np.float32), config)
    assert list(found) == list(FIGURES)
    assert all(np.isfinite(value) for value in found.values())


def answered(**changes: object) -> Answered:
    said = {
        "at": datetime(2026, 11, 30, 8, 15, 2, 345_000, tzinfo=UTC),
        "request_id": "0a1b",
        "model": "genre_classifier",
        "version": 3,
        "network": "ab" * 32,
        "duration_s": 31.5,
        "input": {name: -3.25 - i for i, name in enumerate(FIGURES)},
        "genre": 'r&b \u2028 "soul"\n',
        "confidence": 0.625,
        "sure": True,
        "warnings": 2,
    }
    return Answered.model_validate(said | changes)


def test_a_line_comes_back_as_it_was():
    line = answered().to_line()
    assert Answered.from_line(line) == Answered.from_line(line.encode()) == answered()
    # One line, whatever a genre is called.
    assert line.endswith("\n")
    assert line.count("\n") == 1


def test_a_line_holds_what_it_should_and_no_more():
    assert json.loads(answered().to_line()).keys() == {
        *("at", "request_id", "model", "version", "network", "definition", "duration_s"),
        *("input", "genre", "confidence", "sure", "warnings"),
    }
    later = json.loads(answered().to_line()) | {"of_a_later_version": [1]}
    assert Answered.from_line(json.dumps(later)) == answered()


@pytest.mark.parametrize(
    "change",
    [
        {"confidence": 1.5},
        {"confidence": float("nan")},
        {"input": {"level_db": float("-inf")}},
        {"input": {"level_db": "loud"}},
        {"at": "yesterday"},
        {"at": "2026-11-30T08:15:02"},
        {"version": None},
        {"duration_s": -1},
    ],
)
def test_a_damaged_line_is_none(change: dict[str, object]):
    said = json.loads(answered().to_line())
    assert Answered.from_line(json.dumps(said)) is not None
    assert Answered.from_line(json.dumps(said | change)) is None


@pytest.mark.parametrize("line", [b"", b"\n", b"[]", b"GET / 200", b"\xff\xfe\0", b"{" * 3_000])
def test_another_files_line_is_none(line: bytes):
    assert Answered.from_line(line) is None
    whole = answered().to_line().encode()
    assert Answered.from_line(whole[: len(whole) // 2]) is None


def test_to_describe_needs_neither_scipy_nor_pandas():
    code = "import sys, genre_mlops.drift; print({'scipy', 'pandas', 'librosa'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
