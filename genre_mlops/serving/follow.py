"""Another champion takes its place without a pause: `GENRE_FOLLOW_CHAMPION`."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from genre_mlops.errors import GenreError
from genre_mlops.names import TAKEN
from genre_mlops.serving import metrics
from genre_mlops.serving.answers import ModelName
from genre_mlops.serving.served import Served

_log = logging.getLogger("genre_mlops.champion")
_log.setLevel(logging.INFO)
# A module to run: imported here, it would bring MLflow with it.
_LOOKS = "genre_mlops.serving.champion"
_PREFIX = "genre-champion-"


class Follower:
    """Loads each new champion of the registry, and hands it over when it is ready to answer.

    The registry is asked by a child process, as MLflow is not for the service's memory. Whatever
    goes wrong there or with a champion's files, the model that answers goes on.

    Parameters
    ----------
    name : str
        The registered model's.
    every_s : float
        Pause between two looks, in seconds.
    known : tuple of (int, str)
        Number and seal of the version that answers already.
    take : callable
        Given the new champion.
    """

    def __init__(
        self, name: str, *, every_s: float, known: tuple[int, str], take: Callable[[Served], None]
    ) -> None:
        self._name, self._every_s, self._known, self._take = name, every_s, known, take
        self._ended = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self._said = ""
        self._thread = threading.Thread(target=self._run, name="follow-champion", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and leave nothing behind."""
        self._ended.set()
        if child := self._child:
            child.terminate()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as place:
                    self._listen(place)
            except (OSError, ValueError) as error:  # no memory, no disk, half a line
                self._tell("failed", f"nothing looks for the champion: {error}")
            # What looks should never end: it was killed, or cannot start.
            self._ended.wait(self._every_s)

    def _listen(self, place: str) -> None:
        asked = [self._name, place, self._every_s, *self._known]
        # MLflow's temporary files go where they are removed; keys are not its business.
        env = {n: v for n, v in os.environ.items() if not n.startswith("GENRE_")}
        # In a session of its own: Ctrl-C is for the service, which ends it.
        with subprocess.Popen(
            [sys.executable, "-m", _LOOKS, *map(str, asked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env | {"TMPDIR": place},
            start_new_session=True,
        ) as child:
            self._child = child
            if self._ended.is_set():
                child.terminate()
            assert child.stdin and child.stdout  # noqa: S101, PT018
            for line in child.stdout:
                self._hear(json.loads(line), child.stdin)
        # By SIGTERM: what ends the service has reached it first.
        if not self._ended.is_set() and child.returncode != -signal.SIGTERM:
            self._tell("failed", f"what looks for the champion ended by {child.returncode}")

    def _hear(self, look: dict[str, Any], answer: IO[str]) -> None:
        if "problem" in look:
            self._tell("failed", look["problem"])
        elif "same" in look:
            metrics.LOOKS.labels("same").inc()
            self._said = ""
        elif "refused" in look:
            metrics.LOOKS.labels("refused").inc()
        else:
            taken = self._load(look["version"], Path(look["folder"]), seal=look["seal"])
            print(TAKEN if taken else "refused", file=answer, flush=True)

    def _load(self, version: int, folder: Path, *, seal: str) -> bool:
        tag = f"models:/{self._name}/{version}"
        model = ModelName(name=self._name, version=version, tag=tag)
        try:
            if not seal:
                raise GenreError("it does not say the sha256 of its files")
            self._take(Served.load(folder, model, seal=seal))
        except Exception as error:  # whatever is wrong with it, the other goes on
            self._tell("refused", f"{tag}: {' '.join(str(error).split())}")
            return False
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        metrics.LOOKS.labels("new").inc()
        self._said, self._known = "", (version, seal)
        _log.info("the champion is version %d of %s now", version, self._name)
        return True

    def _tell(self, outcome: str, text: str) -> None:
        metrics.LOOKS.labels(outcome).inc()
        if text != self._said:
            _log.warning("the model stays as it is: %s", text)
        self._said = text
