"""One row a file: what is in it, or why it cannot be used. The same content is not read twice.

The cache is two tables that all sources share: which content a path had in a certain state, and
what was read in a content. A file that moved, or a copy, costs no more than its hash.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genre_mlops.datasets.base import Listing
from genre_mlops.domain import Mapper
from genre_mlops.errors import DataError
from genre_mlops.pieces import PieceTable
from genre_mlops.readings import (
    READING_VERSION,
    Reading,
    State,
    file_state,
    hash_files,
    read_files,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FILES_PER_TASK = 8
SAVE_EVERY_FILES = 256
_HASHES_PER_TASK = 64
# Arrow types of what a content decides: the fields of `Reading`, but for path and times.
_MEASURED = {
    "sha256": "string",
    "pcm_sha256": "string",
    "format": "string",
    "sr": "int64",
    "n_channels": "int64",
    "duration_s": "double",
    "rms_dbfs": "double",
    "peak_dbfs": "double",
    "clipping_share": "double",
    "silence_share": "double",
    "dc_offset": "double",
    "bandwidth_hz": "double",
    "truncated": "bool",
    "fingerprint": "large_binary",
    "error": "string",
}


def build_catalog(listing: Listing, *, cache: Path, run: Mapper) -> "pd.DataFrame":
    """Read every track of a listing, but for content that was read before.

    Parameters
    ----------
    listing : Listing
        The tracks of a source.
    cache : Path
        A folder for the readings of all sources, made where missing; killed half-way, most of the
        work done is in it. Several processes may use it at once.
    run : Mapper
        Where the reading happens.

    Returns
    -------
    DataFrame
        Indexed by `track_id`, in the listing's order: `genre`, `group`, `licence` and the fields
        of `Reading`.

    Raises
    ------
    DataError
        A path or another name is not UTF-8.
    """
    _check_names(listing)
    known = _Known(
        cache / f"readings-v{READING_VERSION}",
        {path: file_state(path) for path in dict.fromkeys(str(t.path) for t in listing.tracks)},
    )
    try:
        known.look_up()
        tasks = _tasks(known.perhaps_moved(), _HASHES_PER_TASK)
        if tasks:
            for hashed in run(hash_files, tasks, label="look for moved audio"):
                known.add_hashes(hashed)
            known.look_up()
        for readings in run(read_files, _tasks(known.unread(), FILES_PER_TASK), label="read audio"):
            known.add(readings)
    finally:
        known.save()
    known.tidy()
    return _frame(listing, known)


def _tasks(paths: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(paths[i : i + n]) for i in range(0, len(paths), n)]


def _check_names(listing: Listing) -> None:
    """Raise `DataError` where Arrow's tables, which are of Unicode, cannot hold a name."""
    for track in listing.tracks:
        for name in (track.track_id, track.path, track.genre, track.group, track.licence):
            try:
                str(name).encode()
            except UnicodeEncodeError as error:
                raise DataError(f"{str(name)!a}: its name is not UTF-8: rename it") from error


class _Known:
    """What is known of some files, and the tables that it comes from and goes to."""

    def __init__(self, folder: Path, states: Mapping[str, State]) -> None:
        state = dict.fromkeys(State._fields, "int64")
        self._files = PieceTable(folder, "files", {"path": "string", **state, "content": "string"})
        self._contents = PieceTable(
            folder, "contents", {"content": "string", "size_bytes": "int64", **_MEASURED}
        )
        self.states = dict(states)
        # Path -> content: the key of a row in one of the tables `rows`.
        self.content: dict[str, str] = {}
        self.rows: list[pa.Table] = []
        self._has_row: set[str] = set()
        self._new_files: list[Reading] = []
        self._new_rows: list[Reading] = []

    def look_up(self) -> None:
        """Find which contents the files have, where they have not changed, and their rows."""
        for row in self._files.read(self.states.keys() - self.content.keys()).to_pylist():
            if State(*(row[name] for name in State._fields)) == self.states[row["path"]]:
                self.content[row["path"]] = row["content"]
        self._take(self._contents.read({*self.content.values()} - self._has_row))

    def perhaps_moved(self) -> list[str]:
        """Return the files of unknown content that are as large as one that is known."""
        unknown = [path for path in self.states if path not in self.content]
        if not unknown:
            return []
        known = self._contents.read(columns=["content", "size_bytes"])
        sizes = set(known["size_bytes"].unique().to_pylist())
        return [path for path in unknown if self.states[path].size_bytes in sizes]

    def unread(self) -> list[str]:
        """Return the files without a row."""
        return [path for path in self.states if self.content.get(path) not in self._has_row]

    def add_hashes(self, hashed: Sequence[Reading]) -> None:
        """Learn the contents of files."""
        self._learn([reading for reading in hashed if reading.sha256 is not None])

    def add(self, readings: Sequence[Reading]) -> None:
        """Learn what was read; from time to time it is saved."""
        self._learn(readings)
        self._new_rows += readings
        if len(self._new_rows) >= SAVE_EVERY_FILES:
            self.save()

    def save(self) -> None:
        """Write what is new."""
        import pyarrow.compute as pc

        rows = _table(self._new_rows, self._contents)
        self._take(rows)
        # What could not be read may be readable the next time: it is not remembered.
        self._contents.append(rows.filter(pc.is_valid(rows["sha256"])))
        certain = [reading for reading in self._new_files if reading.sha256 is not None]
        self._files.append(_table(certain, self._files))
        self._new_files, self._new_rows = [], []

    def tidy(self) -> None:
        """Merge the pieces of the tables where there are many."""
        self._files.tidy()
        self._contents.tidy()

    def _learn(self, readings: Sequence[Reading]) -> None:
        for reading in readings:
            self.content[reading.path] = reading.content
            # It may have changed since the files were listed.
            self.states[reading.path] = reading.state
        self._new_files += readings

    def _take(self, rows: "pa.Table") -> None:
        self.rows.append(rows)
        self._has_row.update(rows["content"].to_pylist())


def _table(readings: Sequence[Reading], table: PieceTable) -> "pa.Table":
    import pyarrow as pa

    columns = {name: [getattr(r, name) for r in readings] for name in table.types}
    return pa.table(columns, schema=table.schema)


def _frame(listing: Listing, known: _Known) -> "pd.DataFrame":
    import pandas as pd
    import pyarrow as pa

    rows = pa.concat_tables(known.rows)
    # The fingerprints of a large set are large: they should not be there twice.
    known.rows.clear()
    place = {content: i for i, content in enumerate(rows["content"].to_pylist())}
    rows = rows.drop_columns(["content", "size_bytes"])
    measured = rows.to_pandas(split_blocks=True, self_destruct=True)
    del rows
    tracks = listing.tracks
    paths = [str(track.path) for track in tracks]
    about = {
        "genre": [track.genre for track in tracks],
        "group": [track.group for track in tracks],
        "licence": [track.licence for track in tracks],
        "path": paths,
    }
    # As Arrow's strings, so that a column without any value is of the same type.
    named = pa.table({name: pa.array(values, pa.string()) for name, values in about.items()})
    frame: pd.DataFrame = named.to_pandas()
    states = [known.states[path] for path in paths]
    for i, name in enumerate(State._fields):
        frame[name] = [state[i] for state in states]
    found = measured.take([place[known.content[path]] for path in paths]).reset_index(drop=True)
    frame = pd.concat([frame, found], axis=1)
    return frame.set_index(pd.Index([track.track_id for track in tracks], name="track_id"))
