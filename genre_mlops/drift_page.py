"""The drift report as one page of HTML that needs nothing else, online or off."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genre_mlops.drift_report import DriftReport
from genre_mlops.learning.shift import MIX
from genre_mlops.quality.charts import BOTTOM, FRAME, TOP, Mark, number, place, round_step, ticks
from genre_mlops.wording import printable

_N_BINS = 24
# What lies beyond is drawn at the edge: one odd request would leave no room for the others.
_ENDS = (0.5, 99.5)
_GENRES_SHOWN = 60


@dataclass(frozen=True)
class Picture:
    """Shares of the validation tracks, as columns, and of the requests, as a line over them.

    Attributes
    ----------
    name : str
        The figure's.
    title, unit : str
        For people.
    summary : str
        What the picture shows, in words.
    most : str
        The share at the top of the picture.
    columns : list of tuple
        x, y, width and height of each column, and what it shows in words.
    outline : str
        Of the requests: points of an SVG polyline.
    ticks : list of Mark
        Along the axis.
    drifted : bool
        Whether it has.
    """

    name: str
    title: str
    unit: str
    summary: str
    most: str
    columns: list[tuple[float, float, float, float, str]]
    outline: str
    ticks: list[Mark]
    drifted: bool


@dataclass(frozen=True)
class GenreRow:
    """How often a genre was answered, then and now: shares, and bars in percent of the longest."""

    genre: str
    then: float
    now: float
    then_bar: float
    now_bar: float


def drift_page(report: DriftReport) -> str:
    """Render a report as a whole HTML page; names of genres are escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("genre_mlops", ""),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["name"] = printable
    rows = genre_rows(report)
    return environment.get_template("drift.html.j2").render(
        report=report,
        facts=_facts(report),
        frame=FRAME,
        pictures=pictures(report),
        genres=rows[:_GENRES_SHOWN],
        n_more_genres=max(0, len(rows) - _GENRES_SHOWN),
        mix=MIX,
        passed_over=[(f"{n:,}", why) for why, n in report.requests.passed_over.most_common()],
    )


def pictures(report: DriftReport) -> list[Picture]:
    """Return a picture of each figure, those that have drifted first."""
    order = sorted(report.shifts, key=lambda shift: (not shift.drifted, -shift.psi * shift.drifted))
    return [
        _picture(
            (shift.name, *report.words(shift.name)),
            report.reference.figures[shift.name],
            report.requests.heard.figures[shift.name],
            drifted=shift.drifted,
        )
        for shift in order
        if shift.name != MIX
    ]


def genre_rows(report: DriftReport) -> list[GenreRow]:
    """Return how often each genre was answered, the most frequent of the requests first."""
    then, now = report.reference.genres, report.requests.heard.genres
    if not now:
        return []
    shares = {g: (then[g] / then.total(), now[g] / now.total()) for g in sorted(then | now)}
    most = max(max(pair) for pair in shares.values())
    return [
        GenreRow(genre, before, after, 100 * before / most, 100 * after / most)
        for genre, (before, after) in sorted(shares.items(), key=lambda item: -item[1][1])
    ]


def _facts(report: DriftReport) -> list[tuple[str, str]]:
    requests, n = report.requests, len(report.requests)
    found = [("requests compared", f"{n:,}"), ("validation tracks", f"{len(report.reference):,}")]
    if report.shifts:
        found.append(("figures shifted", f"{len(report.drifted)} of {len(report.shifts)}"))
    if n:
        found.append(("answers that are sure", f"{requests.n_sure / n:.0%}"))
    return [*found, ("lines passed over", f"{requests.passed_over.total():,}")]


def _picture(
    words: tuple[str, str, str],
    then: NDArray[np.float64],
    now: NDArray[np.float64],
    *,
    drifted: bool,
) -> Picture:
    name, title, unit = words
    edges = _edges(then, now)
    span = float(edges[0]), float(edges[-1])
    shares = [np.histogram(np.clip(x, *span), edges)[0] / len(x) for x in (then, now)]
    most = max(float(share.max()) for share in shares)
    heights = [(BOTTOM - TOP) * share / most for share in shares]
    x = [place(float(edge), span) for edge in edges]
    columns = [
        (
            *(x[i], round(BOTTOM - heights[0][i], 1)),
            *(round(x[i + 1] - x[i] - 0.6, 1), round(heights[0][i], 1)),
            f"{number(edges[i])} to {number(edges[i + 1])} {unit}: {shares[0][i]:.1%} of the "
            f"validation tracks, {shares[1][i]:.1%} of the requests",
        )
        for i in range(len(x) - 1)
    ]
    medians = " and ".join(number(float(np.median(values))) for values in (then, now))
    return Picture(
        name=name,
        title=title,
        unit=unit,
        summary=f"medians {medians} {unit}".strip(),
        most=f"{most:.0%}",
        columns=columns,
        outline=_outline(x, heights[1]),
        ticks=ticks(*span),
        drifted=drifted,
    )


def _edges(then: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ends of bins of a round width that hold both, but for what is far out."""
    ends = np.concatenate([np.percentile(values, _ENDS) for values in (then, now)])
    low, high = float(ends.min()), float(ends.max())
    step = round_step((high - low) / _N_BINS)
    first, last = np.floor(low / step), np.floor(high / step) + 1
    return np.arange(first, last + 1) * step


def _outline(x: Sequence[float], heights: NDArray[np.float64]) -> str:
    points: list[tuple[float, float]] = [(x[0], BOTTOM)]
    for i, height in enumerate(heights):
        y = round(BOTTOM - float(height), 1)
        points += [(x[i], y), (x[i + 1], y)]
    points.append((x[-1], BOTTOM))
    return " ".join(f"{left},{y}" for left, y in points)
