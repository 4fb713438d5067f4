"""Alarms: seldom where nothing has changed, surely where something has."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.stats import binom, chi2_contingency, ks_2samp

from genre_mlops.changes import amplified, low_pass
from genre_mlops.config import FeatureConfig, MonitorConfig
from genre_mlops.domain import Clip
from genre_mlops.drift import BANDS, BANDWIDTH, FIGURES, describe
from genre_mlops.learning.gate import holm
from genre_mlops.learning.reference import CONFIDENCE, Heard, heard
from genre_mlops.learning.shift import (
    MIX,
    Shift,
    binned,
    chance,
    compare,
    counted_genres,
    mix_p,
    stability,
)
from genre_mlops.logmel import LogMel, mel_filters
from tests.music import tune

GENRES = ("blues", "disco", "metal", "tango")
FEATURES = FeatureConfig()
NAMES = (*FIGURES, CONFIDENCE)


def music(rng: np.random.Generator, n: int, *, shift: float = 0.0, even: bool = True) -> Heard:
    """Figures that go along with each other, as those of music do."""
    common = rng.normal(size=(n, 1))
    values = common + rng.standard_t(5, size=(n, len(NAMES))) + shift
    values[:, -1] = 1 / (1 + np.exp(-values[:, -1]))
    mix = rng.choice(GENRES, n, p=None if even else [0.7, 0.1, 0.1, 0.1])
    return heard(dict(zip(NAMES, values.T, strict=True)), Counter(mix.tolist()))


def drifted(shifts: tuple[Shift, ...]) -> set[str]:
    return {shift.name for shift in shifts if shift.drifted}


@pytest.fixture(scope="module")
def unchanged() -> list[tuple[Shift, ...]]:
    """Many reports of requests that are like the reference, few of either."""
    rng, rules = np.random.default_rng(7), MonitorConfig(alpha=0.05)
    return [compare(music(rng, 90), music(rng, 60), rules) for _ in range(120)]


def test_where_nothing_has_changed_alarms_are_as_seldom_as_asked(unchanged):
    alpha = 0.05
    # More than so many would be seen once in ten thousand such tests, if the share were alpha.
    most = binom.isf(1e-4, len(unchanged), alpha)
    tests = sum(any(shift.p <= alpha for shift in shifts) for shifts in unchanged)
    indices = sum(any(shift.psi > shift.threshold for shift in shifts) for shifts in unchanged)
    assert tests <= most
    assert indices <= most
    # Either of them keeps to it, and both have to say so.
    assert sum(map(bool, map(drifted, unchanged))) <= min(tests, indices)


def test_what_few_requests_show_by_chance_is_no_alarm(unchanged):
    """The rule of thumb would alarm each time: above 0.1 "some", above 0.25 "large" shift."""
    assert all(max(shift.psi for shift in shifts) > 0.1 for shifts in unchanged)
    assert np.mean([max(s.psi for s in shifts) > 0.25 for shifts in unchanged]) > 0.5


def test_of_many_requests_no_small_shift_is_an_alarm_and_a_large_one_is():
    rng, rules = np.random.default_rng(1), MonitorConfig()
    then = music(rng, 4_000)
    small = compare(then, music(rng, 12_000, shift=0.3), rules)
    assert all(shift.p < 1e-6 for shift in small if shift.name in FIGURES)
    assert drifted(small) == set()
    assert all(shift.threshold == rules.psi for shift in small)
    assert drifted(compare(then, music(rng, 12_000, shift=0.8), rules)) == set(NAMES)
    mix = compare(then, music(rng, 12_000, even=False), rules)
    assert drifted(mix) == {MIX}
    assert mix[-1].now is None


def test_the_rules_are_those_asked_for():
    rng = np.random.default_rng(2)
    then, now = music(rng, 300), music(rng, 200, shift=1.5)
    assert drifted(compare(then, now, MonitorConfig())) >= set(FIGURES)
    assert drifted(compare(then, now, MonitorConfig(psi=3.0))) == set()
    assert compare(then, now, MonitorConfig(min_requests=201)) == ()
    strict, lax = (compare(then, now, MonitorConfig(alpha=a)) for a in (0.001, 0.2))
    assert all(s.threshold > x.threshold for s, x in zip(strict, lax, strict=True))


def test_neither_the_order_of_tracks_nor_that_of_requests_matters():
    rng = np.random.default_rng(3)
    then, now = music(rng, 70), music(rng, 55, shift=0.5)

    def shuffled(of: Heard) -> Heard:
        order = rng.permutation(len(of))
        genres = Counter(dict(reversed(of.genres.items())))
        return Heard({name: values[order] for name, values in of.figures.items()}, genres)

    rules = MonitorConfig()
    assert compare(shuffled(then), shuffled(now), rules) == compare(then, now, rules)
    # Where few are dealt anew, the place of a genre decides what it is dealt.
    counts = counted_genres(shuffled(then).genres, shuffled(now).genres)
    assert counts.tolist() == counted_genres(then.genres, now.genres).tolist()


def test_p_is_of_kolmogorov_and_smirnov_and_knows_of_all_tests():
    rng = np.random.default_rng(4)
    then, now = music(rng, 80), music(rng, 60, shift=0.3)
    told = compare(then, now, MonitorConfig())
    alone = [ks_2samp(then.figures[name], now.figures[name]).pvalue for name in NAMES]
    alone.append(chi2_contingency(counted_genres(then.genres, now.genres)).pvalue)
    assert [shift.p for shift in told] == pytest.approx(holm(alone))
    medians = [(np.median(then.figures[name]), np.median(now.figures[name])) for name in NAMES]
    assert [(shift.then, shift.now) for shift in told[:-1]] == medians


def test_the_index_is_0_for_equal_shares_and_as_high_either_way():
    assert stability(np.array([[20, 30, 50], [20, 30, 50]])) == 0
    there, back = (np.array(rows) for rows in ([[80, 20], [20, 80]], [[20, 80], [80, 20]]))
    assert stability(there) == stability(back)
    # 0.6 ln 4 twice, but for the half that is added.
    assert stability(1_000 * there) == pytest.approx(1.2 * np.log(4), rel=1e-3)
    assert np.isfinite(stability(np.array([[90, 0], [0, 40]])))


def test_chance_is_what_the_index_reaches_so_often():
    rng = np.random.default_rng(5)
    tables = [binned(rng.normal(size=150), rng.normal(size=80)) for _ in range(1_000)]
    assert {table.shape for table in tables} == {(2, 10)}
    above = np.mean([stability(table) > chance(table, 0.1) for table in tables])
    assert binom.ppf(1e-4, 1_000, 0.1) <= 1_000 * above <= binom.isf(1e-4, 1_000, 0.1)


def test_bins_are_deciles_and_values_that_many_share_have_their_own():
    table = binned(np.arange(200.0), np.arange(200.0) + 100)
    assert table[0].tolist() == [20] * 10
    assert table[1].tolist() == [0] * 5 + [20] * 4 + [120]
    few = binned(np.arange(15.0), np.arange(15.0))
    assert few.shape == (2, 3)
    same = np.full(50, 7.0)
    assert binned(same, np.array([6.0, 7.0, 7.0, 8.0])).tolist() == [[0, 50, 0], [1, 2, 1]]
    assert stability(binned(same, same)) == chance(binned(same, same), 0.01) == 0


def test_a_mix_of_few_is_dealt_anew():
    """Chi-square is no approximation there; the share of deals is that of all there are."""
    assert mix_p(np.array([[9, 1], [2, 6]])) == pytest.approx(0.01282, abs=0.002)
    assert mix_p(np.array([[1, 9], [6, 2]])) == pytest.approx(0.01282, abs=0.002)
    many = np.array([[90, 40, 30], [50, 60, 35]])
    assert mix_p(many) == pytest.approx(chi2_contingency(many).pvalue)
    assert mix_p(np.array([[12], [60]])) == 1


def described(clips: list[Clip], log_mel: LogMel) -> Heard:
    """Real figures of real audio; what is said of them stays the same."""
    rows = [describe(log_mel(clip), FEATURES) for clip in clips]
    n = np.arange(len(clips))
    figures = {name: [row[name] for row in rows] for name in FIGURES}
    genres = Counter(GENRES[i % len(GENRES)] for i in n)
    return heard({**figures, CONFIDENCE: (0.3 + 0.6 * np.sin(7.0 * n) ** 2).tolist()}, genres)


def dull(clip: Clip) -> Clip:
    return Clip(clip.track_id, low_pass(clip.y, clip.sr, cutoff_hz=8_000), clip.sr)


@pytest.fixture(scope="module")
def log_mel() -> LogMel:
    return LogMel(FEATURES, mel_filters(FEATURES))


@pytest.fixture(scope="module")
def tunes() -> list[Clip]:
    found = []
    for seed in range(110):
        rng = np.random.default_rng(seed)
        y = tune(seed=seed, duration_s=0.7, sr=FEATURES.sr, base_hz=90 * 2 ** rng.uniform(0, 4))
        gain = 10 ** (rng.uniform(-15, 0) / 20)
        found.append(Clip(str(seed), (gain * y).astype(np.float32), FEATURES.sr))
    return found


def test_tunes_with_nothing_above_8_khz_alarm_and_others_do_not(tunes: list[Clip], log_mel: LogMel):
    then, rules = described(tunes[:40], log_mel), MonitorConfig()
    assert drifted(compare(then, described(tunes[40:], log_mel), rules)) == set()
    told = compare(then, described([dull(clip) for clip in tunes[40:]], log_mel), rules)
    assert drifted(told) == {BANDWIDTH, BANDS[-1]}


def test_recordings_with_nothing_above_8_khz_alarm_and_others_do_not(
    real_data: Path, log_mel: LogMel
):
    files = sorted((real_data / "gtzan_mini").rglob("*.wav"))
    clips = [_excerpt(path) for path in np.random.default_rng(0).permutation(np.array(files))]
    then, now = clips[::2], clips[1::2]
    rules = MonitorConfig(min_requests=20)
    was = described(then, log_mel)
    assert drifted(compare(was, described(now, log_mel), rules)) == set()
    low = compare(was, described([dull(clip) for clip in now], log_mel), rules)
    assert BANDWIDTH in drifted(low) <= {BANDWIDTH, BANDS[-1]}
    quiet = compare(was, described([amplified(clip, gain_db=-15) for clip in now], log_mel), rules)
    assert drifted(quiet) >= {"level_db", "loud_db"}


def _excerpt(path: Path) -> Clip:
    y, sr = soundfile.read(path, frames=3 * FEATURES.sr, start=5 * FEATURES.sr, dtype="float32")
    assert sr == FEATURES.sr
    return Clip(path.name, y, sr)
