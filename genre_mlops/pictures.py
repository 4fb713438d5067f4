"""Pictures of results, light on a white page, readable at the size MLflow shows them."""

import numpy as np
from matplotlib.figure import Figure

from genre_mlops.learning.metrics import Evaluation

_INK, _BLUES = "#1f2933", "Blues"


def confusion_picture(evaluation: Evaluation, *, title: str) -> Figure:
    """Draw the confusion matrix: colour is the share of the true genre, text counts tracks.

    Parameters
    ----------
    evaluation : Evaluation
        Of the test tracks.
    title : str
        Above the picture.

    Returns
    -------
    Figure
        Never shown on a screen from here.
    """
    counts, genres = evaluation.confusion, evaluation.genres
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.6 + 0.52 * len(genres)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap=_BLUES, vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        if counts[row, column]:
            colour = "white" if share[row, column] > 0.55 else _INK
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    # A dollar sign in a name is no formula.
    axes.set_xticks(range(len(genres)), genres, rotation=40, ha="right", parse_math=False)
    axes.set_yticks(range(len(genres)), genres, parse_math=False)
    axes.set_xlabel("predicted genre")
    axes.set_ylabel("true genre")
    axes.set_title(
        f"{title}\naccuracy {evaluation.accuracy}", fontsize=11, color=_INK, parse_math=False
    )
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label="share of the true genre's tracks", shrink=0.8)
    return figure
