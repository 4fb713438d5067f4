import errno
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genre_mlops import pieces
from genre_mlops.errors import GenreError
from genre_mlops.pieces import PieceTable

TYPES = {"name": "string", "n": "int64", "words": "large_binary"}


def rows(table: PieceTable, numbers: dict[str, int]) -> pa.Table:
    columns = {"name": list(numbers), "n": list(numbers.values())}
    words = [bytes([n]) * 50 for n in numbers.values()]
    return pa.table({**columns, "words": words}, schema=table.schema)


def held(table: PieceTable, *keys: str) -> dict[str, int]:
    found = table.read(keys or None)
    assert all(row["words"] == bytes([row["n"]]) * 50 for row in found.to_pylist())
    return dict(zip(found["name"].to_pylist(), found["n"].to_pylist(), strict=True))


@settings(deadline=None, max_examples=40)
@given(
    appended=st.lists(
        st.dictionaries(st.sampled_from("abcde"), st.integers(0, 255)), min_size=1, max_size=6
    ),
    tidied=st.sets(st.integers(0, 5)),
)
def test_the_newest_row_of_a_key_counts_tidied_or_not(
    tmp_path_factory: pytest.TempPathFactory, appended: list[dict[str, int]], tidied: set[int]
):
    table = PieceTable(tmp_path_factory.mktemp("t"), "numbers", TYPES)
    expected: dict[str, int] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_MOST_PIECES", 1)
        for i, numbers in enumerate(appended):
            table.append(rows(table, numbers))
            expected |= numbers
            if i in tidied:
                table.tidy()
                assert len(list(table.folder.glob("*.parquet"))) <= 1
    assert held(table) == expected
    assert held(table, "a", "z") == {k: n for k, n in expected.items() if k == "a"}
    assert table.read(columns=["name", "n"]).column_names == ["name", "n"]


def test_many_pieces_become_one_and_few_stay(tmp_path: Path):
    table = PieceTable(tmp_path, "numbers", TYPES)
    for i in range(33):
        table.tidy()
        assert len(list(tmp_path.iterdir())) == i
        table.append(rows(table, {f"k{i}": i}))
    table.tidy()
    assert len(list(tmp_path.iterdir())) == 1
    assert held(table) == {f"k{i}": i for i in range(33)}


def test_damaged_and_foreign_pieces_count_as_missing_and_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    table = PieceTable(tmp_path, "numbers", TYPES)
    for i in range(4):
        table.append(rows(table, {f"k{i}": i}))
    first, second, *_ = sorted(tmp_path.iterdir())
    first.write_bytes(first.read_bytes()[:-9])
    second.write_bytes(bytes(second.stat().st_size))
    other = PieceTable(tmp_path, "numbers", {"name": "string", "n": "double"})
    other.append(pa.table({"name": ["k9"], "n": [0.5]}, schema=other.schema))
    (tmp_path / "numbers-9.parquet").write_bytes(b"")
    assert held(table) == {"k2": 2, "k3": 3}
    monkeypatch.setattr(pieces, "_MOST_PIECES", 1)
    table.tidy()
    assert len(list(tmp_path.iterdir())) == 1
    assert held(table) == {"k2": 2, "k3": 3}


@settings(deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
# In the name of a column.
@example(where=406 / 1176, bit=7)
def test_a_flipped_bit_loses_rows_at_most(
    tmp_path_factory: pytest.TempPathFactory, where: float, bit: int
):
    table = PieceTable(tmp_path_factory.mktemp("t"), "numbers", TYPES)
    table.append(rows(table, {"k1": 1, "k2": 2}))
    (piece,) = table.folder.iterdir()
    damaged = bytearray(piece.read_bytes())
    damaged[int(where * len(damaged))] ^= 1 << bit
    piece.write_bytes(damaged)
    assert held(table) in ({}, {"k1": 1, "k2": 2})


def test_another_process_may_merge_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mine, theirs = (PieceTable(tmp_path, "numbers", TYPES) for _ in range(2))
    for i in range(3):
        mine.append(rows(mine, {f"k{i}": i}))
    monkeypatch.setattr(pieces, "_MOST_PIECES", 1)
    listed = mine._pieces

    def then_merged() -> list[Path]:
        found = listed()
        theirs.tidy()
        return found

    monkeypatch.setattr(mine, "_pieces", then_merged)
    assert held(mine) == {"k0": 0, "k1": 1, "k2": 2}
    # Both at once: nothing is lost, and what comes in between is newer.
    for i in range(3):
        theirs.append(rows(theirs, {f"k{i}": 10 + i}))
    mine.tidy()
    assert held(mine) == {"k0": 10, "k1": 11, "k2": 12}


def test_a_disc_that_fails_is_no_empty_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    table = PieceTable(tmp_path, "numbers", TYPES)
    table.append(rows(table, {"a": 1}))

    def fails(*args: object, **how: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as disc:
        disc.setattr("pyarrow.parquet.ParquetFile", fails)
        with pytest.raises(OSError, match="Input/output error"):
            table.read()
    assert held(table) == {"a": 1}


def test_a_piece_that_is_listed_and_never_found_is_no_empty_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pieces, "_PAUSE_S", 0)
    table = PieceTable(tmp_path, "numbers", TYPES)
    table.append(rows(table, {"a": 1}))
    link = tmp_path / "numbers-0.parquet"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(GenreError, match=r"its numbers-\*\.parquet come and go"):
        table.read()
    link.unlink()
    assert held(table) == {"a": 1}
