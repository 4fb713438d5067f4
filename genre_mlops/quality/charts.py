"""The geometry of the report's pictures: bars and histograms as numbers that a template draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# Of a histogram's picture, in its own units: about a CSS pixel each at the size it is shown.
WIDTH, HEIGHT = 320, 190
LEFT, RIGHT, TOP, BOTTOM = 40, 302, 30, 152
FRAME = {
    "width": WIDTH,
    "height": HEIGHT,
    "left": LEFT,
    "right": RIGHT,
    "top": TOP,
    "bottom": BOTTOM,
}
N_BINS, N_TICKS = 40, 5
_VISIBLE = 2.0


@dataclass(frozen=True)
class Column:
    """One bin: tracks used at the bottom, tracks not used on them, and both in words."""

    x: float
    width: float
    used_height: float
    unused_height: float
    text: str


@dataclass(frozen=True)
class Mark:
    """A label at a place along the axis."""

    x: float
    text: str


@dataclass(frozen=True)
class Limit:
    """A limit of a rule: where it is, what it says, and which side of the line has room."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True)
class Histogram:
    """A picture of one measure.

    Attributes
    ----------
    title, unit : str
        Of the measure.
    summary : str
        What the picture shows, in words.
    most : int
        Tracks in the highest bin.
    columns, ticks, limits : list
        What to draw.
    """

    title: str
    unit: str
    summary: str
    most: int
    columns: list[Column]
    ticks: list[Mark]
    limits: list[Limit]


def histogram(
    title: str,
    unit: str,
    *,
    used: NDArray[np.float64],
    unused: NDArray[np.float64],
    span: tuple[float, float],
    limits: Sequence[tuple[float, str]] = (),
) -> Histogram:
    """Count values in bins of a round width.

    Parameters
    ----------
    title, unit : str
        Of the measure, for people.
    used, unused : ndarray [shape=(n,)]
        One value a track, in `unit`; what is not finite is not counted.
    span : (float, float)
        What the axis covers at least; values outside are counted at its ends.
    limits : sequence of (float, str)
        Values to draw a line at, with their names; those outside the axis are not drawn.

    Returns
    -------
    Histogram
        With no columns where there is no value.
    """
    used, unused = used[np.isfinite(used)], unused[np.isfinite(unused)]
    every = np.concatenate([used, unused])
    if every.size == 0:
        return Histogram(title, unit, "no track could be measured", 0, [], [], [])
    step = round_step((span[1] - span[0]) / N_BINS)
    first, last = np.floor(span[0] / step), np.ceil(span[1] / step)
    edges = np.arange(first, max(last, first + 1) + 1) * step
    n_used, n_unused = (_counts(values, edges) for values in (used, unused))
    most = int((n_used + n_unused).max())
    low, high = float(edges[0]), float(edges[-1])
    summary = (
        f"{every.size:,} tracks; least {number(every.min())}, median {number(np.median(every))}, "
        f"most {number(every.max())} {unit}"
    )
    n_outside = int(np.count_nonzero((every < low) | (every > high)))
    if n_outside:
        summary += f"; {n_outside:,} beyond the picture, drawn at its edge"
    columns = [
        _column(edges[i], edges[i + 1], (int(n_used[i]), int(n_unused[i])), most, (low, high), unit)
        for i in np.flatnonzero(n_used + n_unused)
    ]
    marks = ticks(low, high)
    lines = [_limit(value, text, (low, high)) for value, text in limits if low <= value <= high]
    return Histogram(title, unit, summary, most, columns, marks, lines)


def shares(counts: Sequence[int], most: int) -> list[tuple[float, float]]:
    """Return start and width of each part of a stacked bar, in percent of the longest bar."""
    ends = np.cumsum([0, *counts]) * (100 / max(most, 1))
    return [(round(float(a), 2), round(float(b - a), 2)) for a, b in pairwise(ends)]


def round_step(least: float) -> float:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `least`."""
    if least <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(least))
    return float(next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= least * (1 - 1e-9)))


def number(value: float) -> str:
    """Return a number as people write it: three digits, thousands separated."""
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if digits else text
    return "0" if text == "-0" else text


def _counts(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]


def _column(
    start: float,
    end: float,
    counts: tuple[int, int],
    most: int,
    span: tuple[float, float],
    unit: str,
) -> Column:
    n_used, n_unused = counts
    height = BOTTOM - TOP
    # A single track among thousands is seen too.
    used, unused = (max(_VISIBLE, height * n / most) if n else 0.0 for n in counts)
    text = f"{number(start)} to {number(end)} {unit}: {n_used:,} used"
    if n_unused:
        text += f", {n_unused:,} not used"
    left, right = place(start, span), place(end, span)
    width = max(right - left - 0.6, 0.8)
    return Column(left, round(width, 1), round(used, 1), round(unused, 1), text)


def ticks(low: float, high: float) -> list[Mark]:
    """Return labels of round values along an axis."""
    step = round_step((high - low) / N_TICKS)
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [
        Mark(place(value, (low, high)), number(float(value)))
        for value in np.arange(first, last + 1) * step
    ]


def _limit(value: float, text: str, span: tuple[float, float]) -> Limit:
    x = place(value, span)
    return Limit(x, text, "start" if x < (LEFT + RIGHT) / 2 else "end")


def place(value: float, span: tuple[float, float]) -> float:
    """Return how far to the right a value is drawn, on an axis that covers a span."""
    low, high = span
    return round(LEFT + (RIGHT - LEFT) * (value - low) / (high - low), 1)
