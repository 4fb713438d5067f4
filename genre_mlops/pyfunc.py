"""The registered model, from code: MLflow runs this file when it loads a version.

A table of paths goes in, a table of genres and probabilities comes out. Beside `tracking` this is
the one module that imports MLflow; it must stand alone with `code_paths`.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel

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
        """Predict audio files.

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
            `genre`, `sure` (if not, it may be none of them), `duration_s`, and `p_<genre>`, the
            probability of each.

        Raises
        ------
        AudioError
            A file cannot be used.
        """
        del context, params
        rows = []
        for path in model_input["path"]:
            prediction = self.bundle.predict(Path(path))
            rows.append(
                {
                    "genre": prediction.genre,
                    "sure": prediction.sure,
                    "duration_s": prediction.duration_s,
                }
                | {f"p_{g}": prediction.probabilities[g] for g in self.bundle.info.genres}
            )
        return pd.DataFrame(rows)


mlflow.models.set_model(GenreClassifier())
