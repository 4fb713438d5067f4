"""The request log: a line for each answer, for `genre-mlops monitor`. No audio, no names."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genre_mlops.config import FeatureConfig
    from genre_mlops.learning.bundle import Prediction
    from genre_mlops.serving.served import Served


class RequestLog:
    """A file that grows by a line an answer; one that is rotated away is begun anew.

    Parameters
    ----------
    path : Path or None
        The file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._log: logging.Logger | None = None
        if path is None:
            return
        handler = WatchedFileHandler(path, encoding="utf-8")
        # A line brings its own end. A disk that fills up is told on stderr, and fails nothing.
        handler.terminator = ""
        self._log = logging.Logger("genre_mlops.request_log", logging.INFO)
        self._log.addHandler(handler)

    def describe(self, S_db: NDArray[np.floating], features: FeatureConfig) -> dict[str, float]:
        """Return what is kept of a spectrogram; nothing where nothing is kept."""
        if self._log is None:
            return {}
        # NumPy, which the supervisor does without.
        from genre_mlops.drift import describe

        return describe(S_db, features)

    def keep(
        self,
        prediction: Prediction,
        served: Served,
        sound: dict[str, float],
        *,
        request_id: str,
        n_warnings: int,
    ) -> None:
        """Write the line of an answer; `sound` is what `describe` said of it."""
        if self._log is None:
            return
        from genre_mlops.drift import Answered

        line = Answered(
            at=datetime.now(UTC),
            request_id=request_id,
            model=served.model.name,
            version=served.model.version,
            network=served.info.sha256["network.onnx"],
            duration_s=prediction.duration_s,
            input=sound,
            genre=prediction.genre,
            confidence=min(1.0, prediction.probabilities[prediction.genre]),
            sure=prediction.sure,
            warnings=n_warnings,
        ).to_line()
        self._log.info("%s", line)
