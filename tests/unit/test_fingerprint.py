"""What holds for the words of any recording. What they are good for is in test_duplicates."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from genre_mlops.domain import Clip
from genre_mlops.fingerprint import HOP_S, NOTHING, WORD_S, Fingerprinter, fingerprint


def noise(duration_s: float, sr: int, *, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(duration_s * sr))).astype(np.float32)


def words_of(y: NDArray[np.floating], sr: int = 22_050) -> NDArray[np.uint32]:
    return fingerprint(Clip("a", y.astype(np.float32, copy=False), sr))


@settings(deadline=None, max_examples=30)
@given(
    sr=st.sampled_from([7_919, 22_050, 48_000]),
    sizes=st.lists(st.integers(0, 40_000), min_size=1, max_size=20),
)
def test_the_words_do_not_depend_on_the_blocks(sr: int, sizes: list[int]):
    y = noise(7.3, sr)
    fingerprinter = Fingerprinter(sr)
    for block in np.split(y, np.minimum(np.cumsum(sizes), y.size)):
        fingerprinter.add(block)
    words = fingerprinter.finish()
    assert words.dtype == np.uint32
    np.testing.assert_array_equal(words, words_of(y, sr))


@settings(deadline=None, max_examples=10)
@given(st.integers(-6, 3))
def test_the_words_do_not_depend_on_the_level(doublings: int):
    y = noise(4.1, 22_050)
    np.testing.assert_array_equal(words_of(y * 2.0**doublings), words_of(y))


@settings(deadline=None, max_examples=10)
@given(st.floats(0.0, 6.0), st.sampled_from([8_000, 44_100]))
def test_there_is_a_word_a_hop(duration_s: float, sr: int):
    n_words = len(words_of(noise(duration_s, sr), sr))
    assert n_words == pytest.approx(max(0, 1 + (duration_s - WORD_S) / HOP_S), abs=1.01)
    assert n_words > 0 or duration_s < WORD_S + HOP_S


def test_a_word_tells_of_its_own_seconds_only():
    sr, change_s = 22_050, 3.0
    y = noise(6, sr)
    other = np.where(np.arange(y.size) < change_s * sr, y, noise(6, sr, seed=1))
    same = words_of(other) == words_of(y)
    # The resampler's filter reaches a few milliseconds further.
    assert same[: int((change_s - WORD_S) / HOP_S) - 1].all()
    assert not same[int(change_s / HOP_S) :].any()


def test_words_are_a_hop_apart_to_the_sample():
    y, hop = noise(60, 22_050), round(HOP_S * 22_050)
    later = words_of(y[900 * hop :])
    # At its beginning the resampler knows nothing of what was before.
    assert np.mean(later[1:] == words_of(y)[901:]) > 0.95


t = np.arange(4 * 22_050) / 22_050
rng = np.random.default_rng(2)


@pytest.mark.parametrize(
    "y",
    [
        pytest.param(np.zeros(t.size), id="silence"),
        pytest.param(np.full(t.size, 0.3), id="offset"),
        pytest.param(np.rint(rng.uniform(-1, 1, t.size)) / 32_768, id="dither"),
        pytest.param(0.3 * np.sin(2 * np.pi * 50 * t), id="hum"),
        pytest.param(0.3 * np.sin(2 * np.pi * 440 * t), id="tone"),
        pytest.param(
            np.rint(3_000 * (np.sin(2 * np.pi * 523 * t) + np.sin(2 * np.pi * 1_300 * t))) / 32_768,
            id="chord of 16 bits",
        ),
    ],
)
def test_what_does_not_change_says_nothing(y: NDArray[np.float64]):
    words = words_of(y)
    assert len(words) > 60
    assert set(words) == {NOTHING}


def test_silence_in_music_says_nothing():
    y = noise(9, 22_050)
    y[3 * 22_050 : 6 * 22_050] = 0
    words = words_of(y)
    quiet = words == NOTHING
    assert quiet[int(3 / HOP_S) : int((6 - WORD_S) / HOP_S)].all()
    assert not quiet[: int((3 - WORD_S) / HOP_S)].any()
    assert not quiet[int(6 / HOP_S) + 1 :].any()


@pytest.mark.parametrize("sr", [1, 100, 5_512, 768_000])
def test_any_rate_is_taken(sr: int):
    words = words_of(noise(3, sr), sr)
    assert len(words) == pytest.approx(1 + (3 - WORD_S) / HOP_S, abs=1.01)


def test_only_the_words_grow_with_the_recording():
    y = np.resize(noise(20, 16_000), 900 * 16_000)
    words_of(y[:160_000], 16_000)
    tracemalloc.start()
    words = words_of(y, 16_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(words) > 19_000
    # The recording itself is 57 MB.
    assert peak < 5e6
