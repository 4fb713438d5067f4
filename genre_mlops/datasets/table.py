"""A table that names recordings: CSV or Parquet, one row a track."""

import csv
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from genre_mlops.datasets.base import Dataset, Listing, PublishedSplit
from genre_mlops.datasets.walk import whole_path
from genre_mlops.domain import Mapper, Progress, Track, silent
from genre_mlops.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
_REQUIRED = ("path", "genre")
_OPTIONAL = ("group", "split", "licence")
_PROBLEMS_SHOWN = 5
_NOT_COMMAS = {";": "semicolons", "\t": "tabs", "|": "bars"}

_Problems = dict[int, list[str]]
"""Row, counted from 1 below the header -> what is wrong with it."""


class TableDataset(Dataset):
    """Music named by a table, wherever it lies; nothing is changed.

    Columns: `path` (relative to the table's folder, or absolute) and `genre`; where wanted `group`
    (artist, album or session), `split` and `licence`, empty where unknown. Other columns are
    passed over. A file that is not there stays in the listing: the catalog sets it aside and says
    so.

    Parameters
    ----------
    path : Path
        The table, .csv (UTF-8, with a header) or .parquet.

    Raises
    ------
    DataError
        There is no such table.
    """

    synthetic = False
    licence = "unknown: that of the table's owner, or as its licence column says"

    def __init__(self, path: Path) -> None:
        self.path = whole_path(path)
        self.name, self.source = self.path.stem, str(self.path)
        if not self.path.is_file():
            raise DataError(f"dataset {path}: there is no such table")

    def prepare(self, run: Mapper, progress: Progress = silent) -> None:
        """Do nothing: the music is here."""

    def listing(self) -> Listing:
        """Name the tracks of the table.

        An id is the path relative to the table's folder, or the absolute one without its first
        slash where the file is elsewhere.

        Raises
        ------
        DataError
            The table cannot be read, lacks a column, or has rows that cannot be used.
        """
        rows, problems = self._rows()
        paths = [whole_path(self.path.parent / text) for text in rows["path"]]
        self._refuse_bad(rows, paths, problems)
        ids = self._ids(paths)
        columns = (rows[name] for name in ("genre", "group", "licence"))
        tracks = [
            Track(track_id, path, genre, group or None, licence or None)
            for track_id, path, genre, group, licence in zip(ids, paths, *columns, strict=True)
        ]
        split = {
            track_id: SPLIT_WORDS[word.lower()]
            for track_id, word in zip(ids, rows["split"], strict=True)
            if word
        }
        tracks.sort(key=lambda track: track.track_id)
        return Listing(tuple(tracks), splits={"own": PublishedSplit(split)} if split else {})

    def _rows(self) -> "tuple[pd.DataFrame, _Problems]":
        """Return the known columns as text, empty where unknown, and what is wrong with rows."""
        import pandas as pd

        problems: _Problems = defaultdict(list)
        try:
            if self.path.suffix.lower() == ".parquet":
                frame = pd.read_parquet(self.path, dtype_backend="numpy_nullable")
            else:
                frame = self._read_csv(problems)
        except UnicodeDecodeError as error:
            raise DataError(f"dataset {self.path}: is not UTF-8: {error}; save it so") from error
        except csv.Error as error:
            raise DataError(
                f"dataset {self.path}: cannot be read as a table: {error}; is a quote not closed?"
            ) from error
        except (OSError, ValueError) as error:
            raise DataError(f"dataset {self.path}: cannot be read as a table: {error}") from error
        frame.columns = [str(name).strip().lower() for name in frame.columns]
        names = list(frame.columns)
        missing = [name for name in _REQUIRED if name not in names]
        twice = [name for name in (*_REQUIRED, *_OPTIONAL) if names.count(name) > 1]
        if missing or twice:
            what = f"has no column {' or '.join(missing)}" if missing else f"has two: {twice[0]}"
            others = [word for mark, word in _NOT_COMMAS.items() if mark in "".join(names)]
            hint = f"; separate fields by commas, not by {others[0]}" if others else ""
            raise DataError(
                f"dataset {self.path}: {what}; expected path and genre, and where wanted "
                f"{', '.join(_OPTIONAL)}; found {', '.join(names)}{hint}"
            )
        # Other columns may have one name, as the empty ones of a spreadsheet do.
        frame = frame.loc[:, ~frame.columns.duplicated()].reindex(columns=[*_REQUIRED, *_OPTIONAL])
        text = frame.astype(object).where(frame.notna(), "").map(lambda cell: str(cell).strip())
        return text, problems

    def _read_csv(self, problems: _Problems) -> "pd.DataFrame":
        """Return all as text; a row with more fields than the header is a problem.

        `pandas.read_csv` takes the first field of such rows for an index: all would be shifted.
        """
        import pandas as pd

        with self.path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file, strict=True))
        # Of an empty line there is no field, or one of spaces.
        lines = [line for line in lines if len(line) > 1 or (line and line[0].strip())]
        if not lines:
            raise ValueError("it is empty")
        header, *rows = lines
        n_fields = len(header)
        for n, row in enumerate(rows, start=1):
            if any(row[n_fields:]):
                problems[n].append(f"has {len(row)} fields where the header has {n_fields}")
        cells = [row[:n_fields] + [""] * (n_fields - len(row)) for row in rows]
        return pd.DataFrame(cells, columns=header, dtype=object)

    def _refuse_bad(self, rows: "pd.DataFrame", paths: list[Path], problems: _Problems) -> None:
        """Refuse rows that cannot be used."""
        if not len(rows):
            raise DataError(f"dataset {self.path}: has no rows")
        seen: dict[Path, int] = {}
        misread = set(problems)
        for n, (path, text, genre, word) in enumerate(
            zip(paths, rows["path"], rows["genre"], rows["split"], strict=True), start=1
        ):
            if n in misread:
                continue
            if not text:
                problems[n].append("path is empty")
            elif "\0" in text:
                problems[n].append(f"path {text!r} holds a NUL")
            elif (first := seen.setdefault(path, n)) != n:
                problems[n].append(f"path {text} is that of row {first} too")
            if not genre:
                problems[n].append("genre is empty")
            if word and word.lower() not in SPLIT_WORDS:
                problems[n].append(f"split {word!r} is none of {', '.join(SPLIT_WORDS)}")
        if problems:
            shown = [f"row {n}: {', '.join(what)}" for n, what in sorted(problems.items())]
            more = len(shown) - _PROBLEMS_SHOWN
            rest = f"; and {more:,} more rows" if more > 0 else ""
            raise DataError(f"dataset {self.path}: {'; '.join(shown[:_PROBLEMS_SHOWN])}{rest}")

    def _ids(self, paths: list[Path]) -> list[str]:
        base = self.path.parent
        inside = [path.is_relative_to(base) for path in paths]
        taken = {
            path.relative_to(base).as_posix() for path, is_in in zip(paths, inside, strict=True)
            if is_in
        }  # fmt: skip
        ids = []
        for path, is_in in zip(paths, inside, strict=True):
            track_id = path.relative_to(base if is_in else path.anchor).as_posix()
            while not is_in and track_id in taken:
                track_id = f"elsewhere/{track_id}"
            taken.add(track_id)
            ids.append(track_id)
        return ids
