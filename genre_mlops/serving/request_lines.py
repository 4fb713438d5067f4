"""The request log: a line for each answer, for `genre-mlops monitor`. No audio, no names."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genre_mlops.learning.bundle import Prediction
    from genre_mlops.serving.about import Served


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

    def keep(
        self, prediction: Prediction, served: Served, *, request_id: str, n_warnings: int
    ) -> None:
        """Write the line of an answer."""
        if self._log is None:
            return
        # NumPy, which the supervisor does without.
        from genre_mlops.drift import Answered, describe

        info, network = served.info, served.info.sha256["network.onnx"]
        line = Answered(
            at=datetime.now(UTC),
            request_id=request_id,
            model=served.model.name,
            version=served.model.version,
            network=network,
            duration_s=prediction.duration_s,
            input=describe(prediction.S_db, info.features),
            genre=prediction.genre,
            confidence=min(1.0, prediction.probabilities[prediction.genre]),
            sure=prediction.sure,
            warnings=n_warnings,
        ).to_line()
        self._log.info("%s", line)
