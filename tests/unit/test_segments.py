import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from genre_mlops.segments import cut_segments, pool_segments, segment_starts, temper


@given(st.integers(1, 300), st.integers(1, 64))
def test_every_frame_is_in_a_segment(n_frames: int, segment_frames: int):
    S_db = np.arange(n_frames * 3, dtype=np.float32).reshape(n_frames, 3)
    segments = cut_segments(S_db, segment_frames)
    assert segments.shape == (-(-n_frames // segment_frames), segment_frames, 3)
    assert set(segments[:, :, 0].ravel()) == set(S_db[:, 0])
    starts = segment_starts(n_frames, segment_frames)
    assert [s[0, 0] for s in segments] == [S_db[start, 0] for start in starts]


def test_a_short_track_is_repeated():
    S_db = np.array([[1.0], [2.0], [3.0]], np.float16)
    np.testing.assert_array_equal(cut_segments(S_db, 7)[0, :, 0], [1, 2, 3, 1, 2, 3, 1])


@given(
    nps.arrays(
        np.float32,
        nps.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.floats(0.015625, 1, width=32),
    )
)
def test_pooling_is_a_distribution_that_ignores_order(weights: np.ndarray):
    rows = weights / weights.sum(axis=1, keepdims=True)
    pooled = pool_segments(rows)
    assert pooled.sum() == pytest.approx(1)
    np.testing.assert_allclose(pool_segments(rows[::-1]), pooled, rtol=1e-9)
    np.testing.assert_allclose(pool_segments(rows[:1]), rows[0], rtol=1e-5)


@given(st.integers(0, 1_000), st.floats(0.25, 4))
def test_temperature_keeps_the_order_and_may_be_changed_afterwards(seed: int, temperature: float):
    rows = np.random.default_rng(seed).dirichlet(np.ones(4), 3)
    plain, pooled = pool_segments(rows), pool_segments(rows, temperature)
    assert pooled.sum() == pytest.approx(1)
    np.testing.assert_array_equal(np.argsort(pooled), np.argsort(plain))
    assert (pooled.max() <= plain.max() + 1e-12) == (temperature >= 1) or temperature == 1
    np.testing.assert_allclose(temper(plain[np.newaxis], temperature)[0], pooled, rtol=1e-6)


def test_one_segment_that_rules_a_genre_out_counts():
    pooled = pool_segments(np.array([[0.6, 0.4], [0.6, 0.4], [0.0, 1.0]]))
    assert pooled[1] > 0.95
