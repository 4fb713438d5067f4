"""The registered model, from code: MLflow runs this file when it loads a version.

A table of paths goes in, a table of genres and probabilities comes out. Beside `tracking` this is
the one module that imports MLflow; it must stand alone with `code_paths`.
"""

import math
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel

from genre_mlops.errors import AudioError
from genre_mlops.learning.bundle import Bundle


class GenreClassifier(PythonModel):
    """Loads the bundle and predicts audio files by path."""

    def load_context(self, context: Any) -> None:
        """Load the bundle among the model's artifacts."""
        seal = (context.model_config or {}).get("seal", "")
        self.bundle = Bundle(Path(context.artifacts["bundle"]), seal=seal)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Predict audio files; one that cannot be used does not stop the rest.

        Parameters
        ----------
        context : PythonModelContext
            Given by MLflow; not used.
        model_input : DataFrame
            One column, `path`: audio files that this process can read.
        params : dict, optional
            None are known.

        Returns
        -------
        DataFrame
            `genre`, `sure` (if not, it may be none of them), `duration_s`, `error`, which is empty,
            and `p_<genre>`, the probability of each. Where a file cannot be used, `error` says why,
            `genre` is empty, `sure` false, and no other column is a number.
        """
        del context, params
        # Before any prediction, so that a table without rows has its columns too.
        columns = list(self._row(""))
        return pd.DataFrame([self._predict(path) for path in model_input["path"]], columns=columns)

    def _predict(self, path: object) -> dict[str, Any]:
        if not isinstance(path, str):
            return self._row("there is no path")
        try:
            said = self.bundle.predict(Path(path))
        except AudioError as error:
            return self._row(error.reason)
        known = {"genre": said.genre, "sure": said.sure, "duration_s": said.duration_s}
        return self._row("") | known | {f"p_{g}": p for g, p in said.probabilities.items()}

    def _row(self, error: str) -> dict[str, Any]:
        """Return the row of a file of which nothing is known but why."""
        probabilities = {f"p_{genre}": math.nan for genre in self.bundle.info.genres}
        return {"genre": "", "sure": False, "duration_s": math.nan, "error": error} | probabilities


mlflow.models.set_model(GenreClassifier())
