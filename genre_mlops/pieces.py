"""A table that only grows: a folder of Parquet pieces, each whole or not there.

A piece that is damaged or of another form counts as missing. Processes may write to one table at
once; none sees half of what another wrote.
"""

import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genre_mlops.errors import GenreError
from genre_mlops.files import replacing

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_PIECES = 32
# Another process may merge the pieces while this one reads them.
_ATTEMPTS, _PAUSE_S = 10, 0.1


class PieceTable:
    """Rows found by a key; the newest of those with one key counts.

    Parameters
    ----------
    folder : Path
        Made where it is missing; other tables may be in it.
    name : str
        Of the table, for file names.
    types : dict of str to str
        Column -> Arrow type. The first column is the key.
    """

    def __init__(self, folder: Path, name: str, types: dict[str, str]) -> None:
        self.folder, self.name, self.types = folder, name, types
        self.key = next(iter(types))

    @property
    def schema(self) -> "pa.Schema":
        """The columns, for tables to append."""
        import pyarrow as pa

        return pa.schema([(name, pa.type_for_alias(type_)) for name, type_ in self.types.items()])

    def append(self, rows: "pa.Table") -> None:
        """Add rows as a piece of their own."""
        import pyarrow.parquet as pq

        if len(rows):
            with replacing(self._new_piece()) as partial:
                pq.write_table(rows, partial, write_page_checksum=True)

    def read(
        self, keys: Iterable[str] | None = None, columns: Sequence[str] | None = None
    ) -> "pa.Table":
        """Return the newest row of each key, in any order.

        Parameters
        ----------
        keys : iterable of str, optional
            Those to return, where they are there; by default all.
        columns : sequence of str, optional
            With the key among them; by default all.

        Raises
        ------
        GenreError
            Pieces that are listed cannot be found, for some seconds.
        OSError
            The disk fails.
        """
        import pyarrow as pa

        wanted = None if keys is None else frozenset(keys)
        names = list(columns or self.types)
        schema = pa.schema([self.schema.field(name) for name in names])
        for attempt in range(_ATTEMPTS):
            try:
                tables = list(self._newest(self._pieces(), names, wanted))
            except FileNotFoundError:
                # Another process merges them; a folder that machines share shows it late.
                time.sleep(_PAUSE_S * attempt)
                continue
            return pa.concat_tables([pa.Table.from_batches([], schema), *tables])
        raise GenreError(
            f"{self.folder}: its {self.name}-*.parquet come and go: is another process at work, or "
            "are some links that lead nowhere? run again, or remove these"
        )

    def tidy(self) -> None:
        """Merge the pieces where there are many, row by row: the table need not fit in memory."""
        import pyarrow.parquet as pq

        pieces = self._pieces()
        if len(pieces) <= _MOST_PIECES:
            return
        # Named before it is filled: what others write meanwhile is newer.
        merged = self._new_piece()
        try:
            with (
                replacing(merged) as partial,
                pq.ParquetWriter(partial, self.schema, write_page_checksum=True) as writer,
            ):
                for rows in self._newest(pieces, list(self.types)):
                    writer.write_table(rows)
        except FileNotFoundError:
            return  # Another process is at it.
        for piece in pieces:
            piece.unlink(missing_ok=True)

    def _pieces(self) -> list[Path]:
        """Return the pieces, newest first."""
        return sorted(self.folder.glob(f"{self.name}-*.parquet"), reverse=True)

    def _new_piece(self) -> Path:
        return self.folder / f"{self.name}-{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet"

    def _newest(
        self, pieces: Sequence[Path], columns: list[str], wanted: frozenset[str] | None = None
    ) -> Iterator["pa.Table"]:
        """Yield the rows of all pieces, each key once.

        Raises
        ------
        FileNotFoundError
            A piece went away.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        seen: set[str] = set()
        for piece in pieces:
            try:
                with pq.ParquetFile(piece, page_checksum_verification=True) as file:
                    if not file.schema_arrow.equals(self.schema):
                        continue
                    for group in range(file.num_row_groups):
                        keys = file.read_row_group(group, [self.key])[self.key].to_pylist()
                        taken = []
                        for key in keys:
                            taken.append(key not in seen and (wanted is None or key in wanted))
                            seen.add(key)
                        if any(taken):
                            rows = file.read_row_group(group, columns)
                            # To make an array of our own, Arrow imports pandas: most of a second.
                            yield rows if all(taken) else rows.filter(pa.array(taken, pa.bool_()))
            except OSError as error:
                # Arrow's own come without a number. One of the system says nothing of what is in
                # the piece: taken for empty, it would be made anew, and what it names be removed.
                if error.errno is not None:
                    raise
            except (ValueError, pa.ArrowException):
                continue
