"""`genre-mlops predict`: files, the champion, and a table of what it says."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from genre_mlops import registry
from genre_mlops.datasets.base import AUDIO_SUFFIXES
from genre_mlops.domain import Progress
from genre_mlops.errors import AudioError
from genre_mlops.learning.bundle import Bundle, Prediction
from genre_mlops.processes import quiet_stderr
from genre_mlops.readings import LONGEST_S


@dataclass(frozen=True)
class Champion:
    """The champion, ready to predict."""

    name: str
    version: int
    bundle: Bundle


@dataclass(frozen=True)
class Answer:
    """What came of one file: a prediction, or why there is none."""

    path: Path
    champion: Champion
    prediction: Prediction | None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the answer for scripts, probabilities in full."""
        who = {
            "path": str(self.path),
            "model": self.champion.name,
            "version": self.champion.version,
            "synthetic": self.champion.bundle.info.synthetic,
        }
        if self.prediction is None:
            return {**who, "error": self.error}
        return {
            **who,
            "genre": self.prediction.genre,
            "sure": self.prediction.sure,
            "probabilities": self.prediction.probabilities,
            "duration_s": self.prediction.duration_s,
        }


def find_audio(source: Path) -> list[tuple[Path, str | None]]:
    """Return a file, or the audio files of a folder and its subfolders.

    Returns
    -------
    list of (Path, str or None)
        Each file; or the source itself, and why there is none.
    """
    if not source.exists():
        return [(source, "there is no such file or folder")]
    if not source.is_dir():
        return [(source, None)]
    files = sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file() and path.name[0] != "."
    )
    if not files:
        return [(source, "no audio file in this folder or below it")]
    return [(path, None) for path in files]


def open_champion(name: str) -> Champion:
    """Load the champion of a registered model."""
    found = registry.load_champion(name)
    return Champion(found.name, found.version, Bundle(found.bundle))


def predict_files(
    champion: Champion, sources: Sequence[Path], progress: Progress
) -> Iterator[Answer]:
    """Predict files and folders in turn; one that cannot be used does not stop the rest."""
    files = [found for source in sources for found in find_audio(source)]
    for n_done, (path, missing) in enumerate(files, start=1):
        yield Answer(path, champion, None, missing) if missing else _answer(champion, path)
        progress("predict", n_done, len(files))


def _answer(champion: Champion, path: Path) -> Answer:
    try:
        # The mp3 decoder writes its warnings past Python.
        with quiet_stderr():
            return Answer(path, champion, champion.bundle.predict(path, max_duration_s=LONGEST_S))
    except AudioError as error:
        return Answer(path, champion, None, error.reason)


def as_table(answers: Sequence[Answer], *, top: int) -> Table:
    """Lay answers out, a row a file, named by what tells it from the others."""
    folders = {answer.path.absolute().parent for answer in answers}
    below = Path(os.path.commonpath(folders)) if folders else Path()
    table = Table(box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("genre", style="bold")
    table.add_column(f"most probable {top}" if top > 1 else "probability")
    for answer in answers:
        # As text: file names may hold what rich takes for markup.
        name = Text(str(answer.path.absolute().relative_to(below)))
        if answer.prediction is None:
            table.add_row(name, Text("-"), Text(answer.error or "", style="red"))
            continue
        best = list(answer.prediction.probabilities.items())[:top]
        shown = "  ".join(f"{genre} {probability:.0%}" for genre, probability in best)
        guess = Text(answer.prediction.genre)
        if not answer.prediction.sure:
            guess.append(" none of these?", style="not bold yellow")
        table.add_row(name, guess, Text(shown))
    return table
