"""Pictures of results, light on a white page, readable at the size MLflow shows them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from genre_mlops.learning.calibration import Abstention
from genre_mlops.learning.judged import Judged
from genre_mlops.learning.metrics import Evaluation
from genre_mlops.learning.resampling import Estimate
from genre_mlops.learning.robustness import Change

INK, FAINT, BLUE, ORANGE = "#1f2933", "#c9d1d9", "#2b6cb0", "#c2560c"
BLUES = "Blues"
# In inches of 100 pixels, for MLflow's pane of about 700.
WIDTH, HEIGHT = 7.0, 4.4
# Beyond so many genres, counts in the cells of the confusion matrix are not readable.
_MOST_NUMBERED = 30


def pictures_of(judged: Judged) -> dict[str, Figure]:
    """Draw all that is known of the test tracks.

    Parameters
    ----------
    judged : Judged
        The figures.

    Returns
    -------
    dict of str to Figure
        By name; never shown on a screen from here.
    """
    found, title = judged.evaluation, judged.title
    pictures = {
        "confusion": confusion_picture(found, title=title),
        "per_genre": genre_picture(found, title=title),
        "reliability": reliability_picture(found, title=title),
        "abstention": abstention_picture(judged.abstention, title=title),
    }
    if judged.robustness:
        pictures["robustness"] = robustness_picture(judged.robustness, title=title)
    return pictures


def confusion_picture(evaluation: Evaluation, *, title: str) -> Figure:
    """Draw the confusion matrix: colour is the share of the true genre, text counts tracks."""
    counts, genres = evaluation.confusion, evaluation.genres
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(6.0, 1.6 + 0.42 * len(genres))
    figure, axes = page(
        side + 1.0, side, f"{title}\nconfusion, accuracy {evaluation.accuracy}", bare=True
    )
    image = axes.imshow(share, cmap=BLUES, vmin=0, vmax=1)
    for row, column in np.argwhere(counts) if len(genres) <= _MOST_NUMBERED else ():
        colour = "white" if share[row, column] > 0.55 else INK
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    # A dollar sign in a name is no formula.
    axes.set_xticks(range(len(genres)), genres, rotation=40, ha="right", parse_math=False)
    axes.set_yticks(range(len(genres)), genres, parse_math=False)
    axes.set_xlabel("predicted genre")
    axes.set_ylabel("true genre")
    bar = figure.colorbar(image, ax=axes, label="share of the true genre's tracks", shrink=0.7)
    bar.outline.set_visible(False)
    return figure


def genre_picture(evaluation: Evaluation, *, title: str) -> Figure:
    """Draw each genre's F1 as a bar with its interval, and how many tracks it rests on."""
    scores = evaluation.per_genre
    figure, axes = page(
        WIDTH, 1.9 + 0.32 * len(scores), f"{title}\nF1 of each genre, with 95 % intervals"
    )
    names = [f"{score.genre} ({score.n_tracks})" for score in scores]
    _bars(axes, names, [Estimate(s.f1, s.f1_low, s.f1_high) for s in scores])
    mean = evaluation.macro_f1.value
    axes.axvline(mean, color=ORANGE, lw=1.5, ls="--", label=f"mean of the genres, {mean:.2f}")
    figure.legend(loc="outside lower right", frameon=False)
    axes.set_xlabel("F1 (behind the name: test tracks)")
    return figure


def reliability_picture(evaluation: Evaluation, *, title: str) -> Figure:
    """Draw accuracy against confidence, bin by bin, and how many tracks are in each."""
    bins = evaluation.reliability
    figure, axes = page(
        WIDTH,
        5.2,
        f"{title}\nreliability, expected calibration error {evaluation.calibration_error}",
    )
    n_bins = len(bins.n_tracks)
    seen = bins.n_tracks > 0
    middles = (np.arange(n_bins) + 0.5) / n_bins
    axes.bar(middles[seen], bins.accuracy[seen], 0.92 / n_bins, color=BLUE, alpha=0.55)
    axes.plot([0, 1], [0, 1], color=INK, lw=1, ls="--", label="as right as it is confident")
    axes.plot(
        bins.confidence[seen], bins.accuracy[seen], "o", color=ORANGE, label="mean of the bin"
    )
    for middle, n in zip(middles[seen], bins.n_tracks[seen], strict=True):
        axes.text(middle, 0.015, str(n), ha="center", color=INK, fontsize=9)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("confidence: probability of the genre predicted (numbers: tracks)")
    axes.set_ylabel("share of these right")
    axes.legend(loc="upper left", frameon=False)
    return figure


def abstention_picture(abstention: Abstention, *, title: str) -> Figure:
    """Draw the accuracy of the tracks answered against how many are, and the threshold chosen."""
    curve, covered = abstention.curve, abstention.coverage
    figure, axes = page(WIDTH, HEIGHT, f'{title}\nanswering less: "none of these" for the rest')
    axes.plot(curve.coverage, curve.accuracy, color=BLUE, lw=2, drawstyle="steps-pre")
    low = float(curve.accuracy.min())
    if abstention.accuracy:
        right = abstention.accuracy
        low = min(low, right.low)
        axes.errorbar(
            covered.value,
            right.value,
            xerr=_ends([covered]),
            yerr=_ends([right]),
            fmt="o",
            color=ORANGE,
            capsize=3,
            label=f"sure above {abstention.sure_above:.2f}: {100 * covered.value:.0f} % of the "
            f"tracks, {100 * right.value:.0f} % of these right",
        )
    else:
        axes.plot([], [], " ", label="no test track is sure")
    figure.legend(loc="outside lower right", frameon=False)
    axes.set(xlim=(0, 1.02), ylim=(max(0.0, low - 0.15), 1.02))
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlabel("share of tracks answered, the most confident first")
    axes.set_ylabel("share of these right")
    return figure


def robustness_picture(changes: Sequence[Change], *, title: str) -> Figure:
    """Draw what each change of the sound does to accuracy, on the same tracks."""
    figure, axes = page(
        WIDTH, 1.7 + 0.42 * len(changes), f"{title}\naccuracy when the sound is changed"
    )
    names = [f"{change.name} ({change.n_tracks})" for change in changes]
    _bars(axes, names, [change.accuracy for change in changes])
    for row, change in enumerate(changes):
        marker = axes.plot([change.unchanged] * 2, [row - 0.4, row + 0.4], color=ORANGE, lw=2)
        told = [100 * x for x in (change.difference.value, change.difference.low)]
        told.append(100 * change.difference.high)
        text = "{:+.0f} points\n({:+.0f} to {:+.0f})".format(*told)
        axes.text(1.03, row, text, va="center", fontsize=9, color=INK)
    marker[0].set_label("the same tracks unchanged")
    figure.legend(loc="outside lower right", frameon=False)
    axes.set_xlabel("accuracy (behind the name: test tracks)")
    return figure


def comparison_picture(differences: Mapping[str, Estimate], *, title: str) -> Figure:
    """Draw by how much a challenger is ahead of the champion, as a whole and genre by genre."""
    names, found = [*differences], [*differences.values()]
    figure, axes = page(
        WIDTH, 1.7 + 0.32 * len(names), f"{title}\nchallenger less champion, 95 % intervals"
    )
    rows = range(len(names))
    values = [100 * estimate.value for estimate in found]
    ends = [[100 * end for end in side] for side in _ends(found)]
    colours = [BLUE if value >= 0 else ORANGE for value in values]
    axes.barh(rows, values, 0.72, color=colours, alpha=0.55)
    axes.errorbar(values, rows, xerr=ends, fmt="none", ecolor=INK, elinewidth=1.2, capsize=2.5)
    axes.axvline(0, color=INK, lw=1)
    axes.set_yticks(rows, names, parse_math=False)
    most = max(10.0, *(100 * max(abs(e.low), abs(e.high), abs(e.value)) for e in found))
    axes.set(xlim=(-1.05 * most, 1.05 * most), ylim=(len(names) - 0.4, -0.6))
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("points on the same test tracks; to the right the challenger is better")
    return figure


def page(width: float, height: float, title: str, *, bare: bool = False) -> tuple[Figure, Axes]:
    """Return a white page with one set of axes and a title."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11, color=INK, loc="left", parse_math=False)
    axes.tick_params(colors=INK, length=0)
    hidden = [":"] if bare else ["top", "right"]
    for name in hidden:
        axes.spines[slice(None) if name == ":" else name].set_visible(False)
    axes.spines[:].set_color(FAINT)
    if not bare:
        axes.grid(color=FAINT, lw=0.6)
        axes.set_axisbelow(True)
    return figure, axes


def _bars(axes: Axes, names: Sequence[str], values: Sequence[Estimate]) -> None:
    """Draw a bar a value from the top down, from 0 to 1, with its interval."""
    rows = range(len(names))
    found = [value.value for value in values]
    axes.barh(rows, found, 0.72, color=BLUE, alpha=0.55)
    axes.errorbar(
        found, rows, xerr=_ends(values), fmt="none", ecolor=INK, elinewidth=1.2, capsize=2.5
    )
    axes.set_yticks(rows, names, parse_math=False)
    axes.set(xlim=(0, 1.0), ylim=(len(names) - 0.4, -0.6))
    axes.grid(visible=False, axis="y")


def _ends(values: Sequence[Estimate]) -> list[list[float]]:
    """Return how far each interval reaches down and up; it need not hold the figure itself."""
    down = [max(0.0, value.value - value.low) for value in values]
    return [down, [max(0.0, value.high - value.value) for value in values]]
