"""Whether what is heard now is distributed as what was heard then: tests, and how large a shift is.

A figure has drifted where its shift is shown, by a Kolmogorov-Smirnov test that knows of the other
figures' tests, and where it matters, by a population stability index above what matters in practice
and above what so few recordings show by chance.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, ks_2samp

from genre_mlops.config import MonitorConfig
from genre_mlops.learning.gate import holm
from genre_mlops.learning.reference import Heard

MIX = "genre_mix"
_MOST_BINS, _LEAST_IN_BIN = 10, 5
# Added to each bin's count: an empty one has a logarithm, and of few recordings less is made.
_SMOOTHING = 0.5
# Below so many expected in a cell of a table, chi-square is no approximation: it is drawn instead.
_LEAST_EXPECTED = 5
_DRAWS = 20_000


@dataclass(frozen=True)
class Shift:
    """How one figure has shifted.

    Attributes
    ----------
    name : str
        The figure's, or `MIX`.
    then, now : float or None
        Its median in the reference and in the requests; None for the mix.
    psi : float
        Population stability index.
    threshold : float
        What it has to be above to count.
    n_bins : int
        In which it was counted.
    p : float
        Of the test, as high as all tests together make it (Holm).
    drifted : bool
        Whether both say so.
    """

    name: str
    then: float | None
    now: float | None
    psi: float
    threshold: float
    n_bins: int
    p: float
    drifted: bool


def compare(then: Heard, now: Heard, rules: MonitorConfig) -> tuple[Shift, ...]:
    """Compare recordings figure by figure, and the mix of genres that is said of them.

    Parameters
    ----------
    then : Heard
        The reference.
    now : Heard
        The requests, with the same figures.
    rules : MonitorConfig
        From where on a shift counts.

    Returns
    -------
    tuple of Shift
        In the order of the figures, the mix last. Empty where there are fewer requests than
        `min_requests`.

    Notes
    -----
    With nothing shifted, at least one of them has drifted in at most `alpha` of cases, if
    recordings are independent: Kolmogorov-Smirnov's test is exact or, with ties, conservative, and
    the other condition only ever takes an alarm away.
    """
    if len(now) < rules.min_requests:
        return ()
    names = list(then.figures)
    pairs = [(then.figures[name], now.figures[name]) for name in names]
    tables = [binned(*pair) for pair in pairs]
    mix = counted_genres(then.genres, now.genres)
    p = holm([*(float(ks_2samp(*pair).pvalue) for pair in pairs), mix_p(mix)])
    medians = [(float(np.median(a)), float(np.median(b))) for a, b in pairs]
    told = zip([*names, MIX], [*medians, (None, None)], [*tables, mix], p, strict=True)
    return tuple(_shift(*each, rules, rules.alpha / len(p)) for each in told)


def binned(then: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count values in bins that hold about equally many of the first of two sets.

    Parameters
    ----------
    then : ndarray [shape=(n,)]
        Makes the bins: deciles, or fewer bins where five of these would not come to a bin. A value
        that takes the place of several deciles has a bin to itself.
    now : ndarray [shape=(m,)]
        Is counted too; what is beyond all of `then` falls into the outermost bins.

    Returns
    -------
    ndarray [shape=(2, n_bins), dtype=int64]
        No column is empty.
    """
    n_bins = int(np.clip(len(then) // _LEAST_IN_BIN, 2, _MOST_BINS))
    inner = np.arange(1, n_bins) / n_bins
    ends = np.unique(np.quantile(then, inner, method="inverted_cdf"))
    if ends[0] == then.min():
        # What lies below a value that many share is not like it.
        ends = np.array([np.nextafter(ends[0], -np.inf), *ends])
    counts = [
        np.bincount(np.searchsorted(ends, values), minlength=len(ends) + 1)
        for values in (then, now)
    ]
    return _without_empty(np.array(counts, np.int64))


def counted_genres(then: Counter[str], now: Counter[str]) -> NDArray[np.int64]:
    """Return how often each genre was said, a row each, a column for each genre that was."""
    genres = sorted(then | now)
    return np.array([[of[genre] for genre in genres] for of in (then, now)], np.int64)


def stability(table: NDArray[np.int64]) -> float:
    """Return the population stability index of two rows of counts.

    The sum over bins of (q - p) ln(q / p), with p and q the shares of either row, half of one added
    to each count; 0 for equal shares.

    References
    ----------
    S. Kullback, R. A. Leibler, On information and sufficiency, Annals of Mathematical Statistics 22
    (1951), where it is the divergence J.
    """
    shares = table + _SMOOTHING
    shares = shares / shares.sum(axis=1, keepdims=True)
    p, q = shares
    return float(np.sum((q - p) * np.log(q / p)))


def chance(table: NDArray[np.int64], alpha: float) -> float:
    """Return what the index is above in a share `alpha` of cases where nothing has shifted.

    It is then distributed about as (1/n + 1/m) times chi-square with one degree of freedom less
    than bins.

    References
    ----------
    B. Yurdakul, J. Naranjo, Statistical properties of the population stability index, Journal of
    Risk Model Validation 14 (2020).
    """
    n, m = table.sum(axis=1)
    freedom = table.shape[1] - 1
    return float(chi2.isf(alpha, freedom) * (1 / n + 1 / m)) if freedom else 0.0


def mix_p(table: NDArray[np.int64]) -> float:
    """Return the p-value of the chi-square test that two rows of counts have the same shares.

    Where a cell has too few expected for that, it is that of a permutation test of the same
    statistic: labels "then" and "now" are dealt anew, with a fixed seed.
    """
    if table.shape[1] < 2:
        return 1.0
    totals, (n, m) = table.sum(axis=0), table.sum(axis=1)
    expected = totals * m / (n + m)
    # Of rows with these totals, the second alone decides; up to a factor.
    variance = totals * (n / (n + m)) * (m / (n + m))
    found = float(np.sum((table[1] - expected) ** 2 / variance))
    if min(totals.min() * n, totals.min() * m) >= _LEAST_EXPECTED * (n + m):
        return float(chi2.sf(found, table.shape[1] - 1))
    drawn = np.random.default_rng(0).multivariate_hypergeometric(totals, m, size=_DRAWS)
    dealt = np.sum((drawn - expected) ** 2 / variance, axis=1)
    return float((1 + np.count_nonzero(dealt >= found * (1 - 1e-9))) / (1 + _DRAWS))


def _shift(
    name: str,
    medians: tuple[float | None, float | None],
    table: NDArray[np.int64],
    p: float,
    rules: MonitorConfig,
    alpha: float,
) -> Shift:
    psi, threshold = stability(table), max(rules.psi, chance(table, alpha))
    drifted = p <= rules.alpha and psi > threshold
    return Shift(name, medians[0], medians[1], psi, threshold, table.shape[1], p, drifted)


def _without_empty(table: NDArray[np.int64]) -> NDArray[np.int64]:
    return table[:, table.any(axis=0)]
