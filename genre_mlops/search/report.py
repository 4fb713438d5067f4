"""What a search leaves in the run of its step: space, table of trials, pictures, a note."""

import logging
import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import matplotlib
import optuna
import pandas as pd
from matplotlib import pyplot
from optuna.trial import FrozenTrial, TrialState

from genre_mlops import tracking
from genre_mlops.config import Config
from genre_mlops.fitting import Plan
from genre_mlops.search.attributes import ACCURACY, MEMORY_MB, PLACE, REASON, RUN, SECONDS
from genre_mlops.search.budget import Budget
from genre_mlops.search.space import space_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from genre_mlops.search import BestTrial

_WIDTH, _HEIGHT = 9.0, 5.0
# Of fewer it would say that all settings are alike.
_LEAST_FOR_IMPORTANCE = 10


def dashboard_command(plan: Plan) -> str:
    """Return the command that shows a study in a browser; it has no password in it."""
    if plan.storage.get_secret_value():
        return 'optuna-dashboard "$GENRE_SEARCH_STORAGE" --host 127.0.0.1'
    return f"optuna-dashboard {shlex.quote(plan.database)} --host 127.0.0.1"


def log_space(config: Config) -> None:
    """Store what is searched as a table of the open run."""
    rows = space_rows(config)
    tracking.log_table(
        pd.DataFrame(
            {
                "setting": [row.key for row in rows],
                "first trial": [str(row.first) for row in rows],
                "tried": [row.tried for row in rows],
                "not searched": [row.left_out for row in rows],
            }
        ),
        "search/space.json",
    )


def log_search(plan: Plan, best: "BestTrial") -> None:
    """Store what came of a search in the open run, and mark the best trial's run."""
    budget = Budget(plan, best.study)
    tracking.log_best_trial(best.choice.place, best.choice.run_id, best.summary())
    tracking.set_tags({"genre.study": best.study, "genre.objective": plan.config.search.objective})
    tracking.log_table(trial_table(budget.ended()), "search/trials.json")
    kind = "synthetic " if plan.synthetic else ""
    for name, picture in search_pictures(budget.study, kind=kind).items():
        tracking.log_figure(picture, f"search/{name}.png")
        pyplot.close(picture)
    tracking.describe(_note(plan, best, kind))


def trial_table(trials: list[FrozenTrial]) -> pd.DataFrame:
    """Lay out ended trials, a row each, in the order of their places."""
    rows: list[dict[str, Any]] = []
    for trial in sorted(trials, key=lambda trial: trial.user_attrs[PLACE]):
        told = trial.user_attrs
        values = dict(zip(("validation_loss", "multiply_adds"), trial.values or (), strict=False))
        rows.append(
            {
                "trial": told[PLACE],
                "state": trial.state.name.lower(),
                **values,
                "validation_accuracy": told.get(ACCURACY),
                "epochs": trial.last_step,
                "seconds": told.get(SECONDS),
                "worker_memory_mb": told.get(MEMORY_MB),
                "why": told.get(REASON, ""),
                **trial.params,
                "run_id": told.get(RUN, ""),
            }
        )
    return pd.DataFrame(rows)


def search_pictures(study: optuna.Study, *, kind: str) -> "dict[str, Figure]":
    """Draw history, intermediate values, parallel coordinates and importance, where there are any.

    Parameters
    ----------
    study : optuna.Study
        Of one objective, or of two: then the Pareto front, and the others for the loss.
    kind : str
        Said of the loss, such as ``"synthetic "``.

    Returns
    -------
    dict of str to Figure
        By name.
    """
    from optuna.visualization import matplotlib as draw

    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    loss = f"{kind}validation loss"
    how: dict[str, Any] = {"target": lambda trial: trial.values[0], "target_name": loss}
    pictures: dict[str, Figure] = {}
    with _quiet():
        pictures["history"] = _finished(draw.plot_optimization_history(study, **how), loss)
        if len(study.directions) > 1:
            names = [loss, "multiply-adds of a segment"]
            axes = draw.plot_pareto_front(study, target_names=names)
            pictures["pareto_front"] = _finished(axes, names[1])
        else:
            axes = draw.plot_intermediate_values(study)
            axes.set_xlabel("epoch")
            pictures["intermediate_values"] = _finished(axes, loss)
        if len(complete) > 1:
            axes = draw.plot_parallel_coordinate(study, **how)
            axes.tick_params(axis="x", labelrotation=30)
            pictures["parallel_coordinate"] = _finished(axes)
        importance = importances(study)
        if importance:
            pictures["importance"] = _importance(importance, loss)
    return pictures


def importances(study: optuna.Study) -> dict[str, float]:
    """Return each setting's share in what makes the loss low; empty for too few trials.

    References
    ----------
    S. Watanabe, A. Bansal, F. Hutter, PED-ANOVA: efficiently quantifying hyperparameter importance
    in arbitrary subspaces, IJCAI 2023.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < _LEAST_FOR_IMPORTANCE:
        return {}
    with _quiet():
        return optuna.importance.get_param_importances(study, target=lambda trial: trial.values[0])


def _importance(found: dict[str, float], loss: str) -> "Figure":
    figure = pyplot.figure()
    axes = figure.add_subplot()
    names = list(reversed(found))
    axes.barh(names, [found[name] for name in names])
    axes.set(xlabel=f"share in what makes {loss} low (PED-ANOVA)", title="Importance")
    return _finished(axes)


def _finished(axes: "Axes", y_label: str = "") -> "Figure":
    if y_label:
        axes.set_ylabel(y_label)
    figure = cast("Figure", axes.get_figure())
    figure.set_size_inches(_WIDTH, _HEIGHT)
    figure.tight_layout()
    return figure


def _note(plan: Plan, best: "BestTrial", kind: str) -> str:
    flat = plan.config.flat()
    rows = [f"| {key} | {flat[key]} | {value} |" for key, value in best.choice.params.items()]
    return "\n".join(
        [
            f"Study `{best.study}`: {best.n_trials} trials, {best.n_pruned} of them pruned. "
            f"Trial {best.choice.place} is taken: {best.choice.why}, "
            f"{kind}validation loss {best.validation_loss:.4f}.",
            "",
            "| setting | first trial | taken |",
            "|---|---|---|",
            *rows,
            "",
            f"Writing runs took {best.tracking_share:.1%} of the trials' time. "
            f"The study in a browser: `{dashboard_command(plan)}`",
        ]
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Draw without a screen, and without remarks."""
    matplotlib.use("Agg")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
