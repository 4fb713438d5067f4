"""Pictures of a search: how its best came about, and what its trials tried."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from genre_mlops.pictures import BLUE, BLUES, FAINT, HEIGHT, INK, ORANGE, WIDTH, page
from genre_mlops.search.report import SearchReport, SeenTrial

# Beyond so many values of one setting, its axis names the first and the last.
_MOST_NAMED = 5


def search_pictures(found: SearchReport) -> dict[str, Figure]:
    """Draw a search, with one objective or two.

    Parameters
    ----------
    found : SearchReport
        At least one of its trials is complete.

    Returns
    -------
    dict of str to Figure
        By name; never shown on a screen from here.
    """
    pictures = {"history": history_picture(found)}
    if found.n_objectives > 1:
        pictures["pareto_front"] = front_picture(found)
    else:
        pictures["intermediate_values"] = curves_picture(found)
    if len(found.complete) > 1 and found.varied:
        pictures["parallel_coordinate"] = parallel_picture(found)
    if found.importance:
        pictures["importance"] = importance_picture(found)
    return pictures


def history_picture(found: SearchReport) -> Figure:
    """Draw each trial's loss, the best so far, and that of the config as it is."""
    figure, axes = page(WIDTH, HEIGHT, f"{found.title}\nvalidation loss of each trial")
    complete = found.complete
    cut_off = [trial for trial in complete if trial.cut_off]
    pruned = [trial for trial in found.trials if trial.loss is None and trial.curve]
    axes.scatter(*_points(complete), color=BLUE, s=28, zorder=3, label="not pruned")
    if pruned:
        last = [trial.curve[max(trial.curve)] for trial in pruned]
        places = [trial.place for trial in pruned]
        axes.scatter(places, last, color=INK, s=22, marker="x", lw=1, alpha=0.5, label="pruned at")
    if cut_off:
        axes.scatter(*_points(cut_off), color="white", s=9, zorder=4)
        axes.scatter([], [], edgecolor=BLUE, color="white", s=28, lw=2, label="time was over")
    _keep_readable(axes, [trial.loss or 0.0 for trial in complete])
    so_far = np.minimum.accumulate([trial.loss or 0.0 for trial in complete])
    ends = [*(trial.place for trial in complete), max(trial.place for trial in found.trials)]
    axes.step(ends, [*so_far, so_far[-1]], where="post", color=BLUE, lw=1.4, label="best so far")
    if complete[0].place == 0:
        axes.axhline(complete[0].loss or 0.0, color=ORANGE, lw=1, ls="--", label="config as it is")
    axes.set(xlabel="trial", ylabel=found.loss_name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower right", ncols=5, frameon=False, fontsize=9)
    return figure


def curves_picture(found: SearchReport) -> Figure:
    """Draw the loss of each trial after each epoch, and where it was pruned."""
    figure, axes = page(WIDTH, HEIGHT, f"{found.title}\nvalidation loss after each epoch")
    for trial in found.trials:
        taken, pruned = trial.place == found.taken, trial.loss is None
        colour = ORANGE if taken else INK if pruned else BLUE
        faint = 1.0 if taken else 0.35 if pruned else 0.6
        epochs = sorted(trial.curve)
        losses = [trial.curve[epoch] for epoch in epochs]
        thick = 2.2 if taken else 1.0
        axes.plot(epochs, losses, color=colour, alpha=faint, lw=thick, zorder=2 + taken)
        if pruned and epochs:
            axes.plot(epochs[-1], trial.curve[epochs[-1]], "x", color=INK, ms=5, alpha=0.6)
    axes.set(xlabel="epoch", ylabel=found.loss_name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _keep_readable(axes, [loss for trial in found.complete for loss in trial.curve.values()])
    _legend(figure, taken=f"trial {found.taken}, taken", pruned=bool(_pruned(found)))
    return figure


def front_picture(found: SearchReport) -> Figure:
    """Draw loss against multiply-adds, the Pareto front, and the trial that is taken."""
    figure, axes = page(WIDTH, HEIGHT, f"{found.title}\nvalidation loss against size")
    sizes = [(trial.size or 0.0) / 1e6 for trial in found.complete]
    losses = [trial.loss or 0.0 for trial in found.complete]
    axes.scatter(sizes, losses, color=BLUE, s=28, alpha=0.6, label="trials")
    best, front = np.inf, []
    for size, loss in sorted(zip(sizes, losses, strict=True)):
        if loss < best:
            front.append((size, loss))
            best = loss
    axes.step(*zip(*front, strict=True), where="post", color=BLUE, lw=1.4, label="Pareto front")
    [chosen] = [trial for trial in found.complete if trial.place == found.taken]
    axes.scatter(
        [(chosen.size or 0.0) / 1e6],
        [chosen.loss or 0.0],
        color=ORANGE,
        s=60,
        zorder=3,
        label=f"trial {found.taken}, taken",
    )
    axes.axhspan(min(losses), found.loss_limit, color=ORANGE, alpha=0.08, lw=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    axes.set(xlabel="million multiply-adds of a segment", ylabel=found.loss_name)
    axes.text(
        0.01, found.loss_limit, " within one standard error of the least loss", fontsize=8.5,
        color=INK, va="bottom", transform=axes.get_yaxis_transform(),
    )  # fmt: skip
    figure.legend(loc="outside lower right", ncols=3, frameon=False, fontsize=9)
    return figure


def parallel_picture(found: SearchReport) -> Figure:
    """Draw what each trial tried as a line over all settings, darker for a lower loss."""
    names = found.varied
    width = max(WIDTH, 1.05 * len(names) + 1.5)
    title = f"{found.title}\nwhat trials tried: the darker the lower their loss"
    figure, axes = page(width, HEIGHT + 0.8, title, bare=True)
    heights = {
        name: _scale(
            [trial.params[name] for trial in found.trials], by_ratio=name in found.by_ratio
        )
        for name in names
    }
    ranked = sorted(found.complete, key=lambda trial: trial.loss or 0.0, reverse=True)
    shades = dict(zip((t.place for t in ranked), np.linspace(0.4, 1.0, len(ranked)), strict=True))
    for number, trial in enumerate([*_pruned(found), *ranked]):
        line = [heights[name][0][trial.params[name]] for name in names]
        taken, shade = trial.place == found.taken, shades.get(trial.place)
        colour = ORANGE if taken else FAINT if shade is None else _blue(shade)
        style = (0, (1, 1.5)) if shade is None else "-"
        thick = 2.4 if taken else 1.2
        axes.plot(range(len(names)), line, color=colour, lw=thick, ls=style, zorder=number + 2)
    for x, name in enumerate(names):
        axes.axvline(x, color=INK, lw=0.8, zorder=1)
        for value, height in heights[name][1]:
            axes.text(
                x, height, f" {_short(value)}", fontsize=8, color=INK, va="center",
                zorder=1_000, bbox={"facecolor": "white", "alpha": 0.9, "lw": 0, "pad": 0.5},
            )  # fmt: skip
    labels = [name.replace(".", ".\n", name.count(".") - 1 or 1) for name in names]
    axes.set_xticks(range(len(names)), labels, fontsize=8.5, parse_math=False)
    axes.set(yticks=[], xlim=(-0.5, len(names) - 0.4), ylim=(-0.06, 1.06))
    _legend(figure, taken=f"trial {found.taken}, taken", pruned=bool(_pruned(found)))
    return figure


def importance_picture(found: SearchReport) -> Figure:
    """Draw each setting's share in what makes the loss low."""
    names = sorted(found.importance, key=found.importance.__getitem__, reverse=True)
    height = max(2.6, 1.4 + 0.28 * len(names))
    figure, axes = page(WIDTH, height, f"{found.title}\nimportance of the settings")
    axes.barh(range(len(names)), [found.importance[name] for name in names], color=BLUE, alpha=0.6)
    axes.set_yticks(range(len(names)), names, fontsize=9, parse_math=False)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("share in what makes the loss low (PED-ANOVA)")
    return figure


def _points(trials: Sequence[SeenTrial]) -> tuple[list[int], list[float]]:
    return [trial.place for trial in trials], [trial.loss or 0.0 for trial in trials]


def _pruned(found: SearchReport) -> list[SeenTrial]:
    return [trial for trial in found.trials if trial.loss is None]


def _scale(
    values: Sequence[object], *, by_ratio: bool
) -> tuple[dict[object, float], list[tuple[object, float]]]:
    """Return where on its axis each value of a setting is, from 0 to 1, and which are named.

    Few values are evenly apart, in their order.
    """
    distinct = sorted(set(values), key=lambda value: (str(type(value)), value))
    numbers = [float(value) for value in distinct if isinstance(value, int | float)]
    if len(numbers) == len(distinct) > _MOST_NAMED:
        scaled = np.log(numbers) if by_ratio else np.array(numbers)
        heights = (scaled - scaled[0]) / (scaled[-1] - scaled[0])
        where = dict(zip(distinct, map(float, heights), strict=True))
        return where, [(distinct[0], 0.0), (distinct[-1], 1.0)]
    steps = np.linspace(0, 1, len(distinct)) if len(distinct) > 1 else [0.5]
    where = dict(zip(distinct, map(float, steps), strict=True))
    return where, list(where.items())


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _blue(shade: float) -> tuple[float, ...]:
    from matplotlib import colormaps

    return tuple(colormaps[BLUES](shade))


def _keep_readable(axes: Axes, losses: Sequence[float]) -> None:
    """Leave outside, and say so, what is far above the losses of trials that were not pruned."""
    most = max(losses) + 0.3 * (max(losses) - min(losses))
    if axes.get_ylim()[1] > most > min(losses):
        axes.set_ylim(top=most)
        axes.text(
            0.99, 0.98, "higher losses are not shown", fontsize=8.5, color=INK,
            ha="right", va="top", transform=axes.transAxes,
        )  # fmt: skip


def _legend(figure: Figure, *, taken: str, pruned: bool) -> None:
    kinds = {taken: (ORANGE, 2.2), "not pruned": (BLUE, 1.2)}
    if pruned:
        kinds["pruned"] = (FAINT, 1.2)
    lines = [Line2D([], [], color=colour, lw=lw) for colour, lw in kinds.values()]
    figure.legend(lines, list(kinds), loc="outside lower right", ncols=3, frameon=False, fontsize=9)
