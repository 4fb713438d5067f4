from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genre_mlops.config import DataConfig
from genre_mlops.datasets import open_dataset
from genre_mlops.datasets.table import TableDataset
from genre_mlops.errors import DataError


def table(path: Path, text: str) -> TableDataset:
    path.write_text(text, encoding="utf-8")
    return TableDataset(path)


def test_rows_become_tracks(tmp_path: Path):
    outside = tmp_path / "elsewhere" / "d.ogg"
    dataset = table(
        tmp_path / "here.csv",
        "\ufeffGenre,path,split,group,licence,bpm\n"
        "NA,b.wav,Train,,CC0,120\n"
        ' hip hop ,"sub/a, b.mp3",dev,The Band,,90\n'
        f"None,{outside},test,null,,1\n"
        "jazz,./sub/../c.wav,,,,\n",
    )
    listing = dataset.listing()
    assert [(t.track_id, t.genre, t.group, t.licence) for t in listing.tracks] == [
        ("b.wav", "NA", None, "CC0"),
        ("c.wav", "jazz", None, None),
        ("elsewhere/d.ogg", "None", "null", None),
        ("sub/a, b.mp3", "hip hop", "The Band", None),
    ]
    assert listing.tracks[2].path == outside
    assert listing.tracks[3].path == tmp_path / "sub" / "a, b.mp3"
    own = listing.splits["own"]
    assert own.of == {"b.wav": "train", "elsewhere/d.ogg": "test", "sub/a, b.mp3": "validation"}
    assert not own.shares_groups


def test_ids_of_files_elsewhere_are_their_paths_and_stay_unique(tmp_path: Path):
    here = tmp_path / "here"
    here.mkdir()
    outside = tmp_path / "a.wav"
    twin = str(outside).removeprefix("/")
    dataset = table(here / "t.csv", f"path,genre\n{outside},x\n{twin},x\n../b.wav,x\n")
    ids = {t.track_id: t.path for t in dataset.listing().tracks}
    assert ids == {
        twin: here / twin,
        f"elsewhere/{twin}": outside,
        str(tmp_path / "b.wav").removeprefix("/"): tmp_path / "b.wav",
    }


def test_ids_do_not_depend_on_how_the_table_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "music" / "sub").mkdir(parents=True)
    here = tmp_path / "music" / "t.csv"
    here.write_text(f"path,genre\n{tmp_path}/music/a.wav,x\nsub/b.wav,y\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "music" / "sub")
    for way in (here, Path("../t.csv"), here.parent / "sub" / ".." / "t.csv"):
        listing = TableDataset(way).listing()
        assert [track.track_id for track in listing.tracks] == ["a.wav", "sub/b.wav"]
        assert listing.tracks[0].path == tmp_path / "music" / "a.wav"


cells = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"]), min_size=1
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            cells.filter(lambda text: "/" not in text and text not in {".", ".."}),
            cells,
            st.one_of(st.just(""), cells),
            st.sampled_from(["", "train", "valid", "TEST"]),
        ),
        min_size=1, max_size=6, unique_by=lambda row: row[0],
    )
)  # fmt: skip
def test_csv_and_parquet_say_the_same(tmp_path: Path, rows: list[tuple[str, ...]]):
    frame = pd.DataFrame(rows, columns=["path", "genre", "group", "split"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.replace("", None).to_parquet(tmp_path / "a.parquet")
    csv, parquet = (TableDataset(tmp_path / name).listing() for name in ("a.csv", "a.parquet"))
    assert csv == parquet
    assert {(t.path.name, t.genre, t.group or "") for t in csv.tracks} == {r[:3] for r in rows}


def test_numbers_in_a_parquet_column_are_names(tmp_path: Path):
    frame = pd.DataFrame({"path": ["a.wav", "b.wav"], "genre": [1, 2], "group": [None, 7]})
    frame.astype({"group": "Int64"}).to_parquet(tmp_path / "a.parquet")
    tracks = TableDataset(tmp_path / "a.parquet").listing().tracks
    assert [(t.genre, t.group) for t in tracks] == [("1", None), ("2", "7")]


def test_numbers_with_empty_cells_are_the_same_names_in_either_form(tmp_path: Path):
    # As other programs than pandas write it.
    rows = pa.table({"path": ["a.wav", "b.wav"], "genre": ["x", "y"], "group": [None, 7]})
    pq.write_table(rows, tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("path,genre,group\na.wav,x,\nb.wav,y,7\n")
    csv, parquet = (TableDataset(tmp_path / name).listing() for name in ("a.csv", "a.parquet"))
    assert csv == parquet
    assert [t.group for t in csv.tracks] == [None, "7"]


def test_other_columns_of_one_name_are_passed_over(tmp_path: Path):
    tracks = table(tmp_path / "t.csv", "path,genre,,,tag,tag\na.wav,x,,,1,2\n").listing().tracks
    assert [(t.track_id, t.genre) for t in tracks] == [("a.wav", "x")]


def test_a_path_through_a_link_is_the_file_that_the_system_opens(tmp_path: Path):
    (tmp_path / "far" / "disc").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "far" / "disc")
    (tmp_path / "far" / "a.wav").write_bytes(b"right")
    (tmp_path / "here" / "a.wav").write_bytes(b"wrong")
    (track,) = table(tmp_path / "here" / "t.csv", "path,genre\nlink/../a.wav,x\n").listing().tracks
    assert track.path.read_bytes() == b"right"


def test_empty_lines_and_empty_fields_beyond_the_header_are_nothing(tmp_path: Path):
    text = "path,genre\r\na.wav,x,\r\n\r\n  \r\nb.wav,y,,\r\n"
    tracks = table(tmp_path / "t.csv", text).listing().tracks
    assert [(t.track_id, t.genre) for t in tracks] == [("a.wav", "x"), ("b.wav", "y")]


def test_a_nul_in_a_path_is_a_bad_row(tmp_path: Path):
    frame = pd.DataFrame({"path": ["a.wav", "a\0b.wav"], "genre": ["x", "y"]})
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv", index=False)
    for name in ("a.parquet", "a.csv"):
        with pytest.raises(DataError, match=r"row 2: path 'a\\x00b\.wav' holds a NUL"):
            TableDataset(tmp_path / name).listing()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read as a table"),
        ("path,genre\n", "has no rows"),
        ("file,label\na,b\n", "has no column path or genre; expected path and .* file, label"),
        ("path,Genre,genre \na,b,c\n", "has two: genre"),
        ("path,genre\na.wav,\nb.wav,x\n,y\n", "row 1: genre is empty; row 3: path is empty"),
        ("path,genre\na.wav,x\n./a.wav,y\n", r"row 2: path \./a\.wav is that of row 1 too"),
        ("path,genre,split\na,x,train\nb,x,holdout\n", "row 2: split 'holdout' is none of train"),
        ("path,genre\nx.wav,blues,more\n", "row 1: has 3 fields where the header has 2"),
        ("path,genre\na,x\n\nb,y,,z\nc,x,w\n", "row 2: has 4 fields.*; row 3: has 3 fields"),
        ("path,genre\na,b,x,y\nc,\n", "row 1: has 4 fields where the header has 2; row 2: genre"),
        ("path;genre\na;b\n", "found path;genre; separate fields by commas, not by semicolons"),
        ("path\tgenre\na\tb\n", "separate fields by commas, not by tabs"),
        ('path,genre\na.wav,"x\n', "cannot be read as a table: unexpected end of data"),
        ("path,genre,genre\na,b,c\n", "has two: genre"),
        ("path,genre\n" + ",\n" * 9, r"row 5: path is empty, genre is empty; and 4 more rows"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_once_with_its_rows(text: str, words: str, tmp_path: Path):
    with pytest.raises(DataError, match=words):
        table(tmp_path / "t.csv", text).listing()


def test_no_table_is_said(tmp_path: Path):
    with pytest.raises(DataError, match="there is no such table"):
        open_dataset(DataConfig(dataset=str(tmp_path / "gone.csv")), root=tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="cannot be read as a table"):
        TableDataset(tmp_path / "a.parquet").listing()
    (tmp_path / "latin.csv").write_bytes("path,genre\nä,b\n".encode("latin-1"))
    with pytest.raises(DataError, match="is not UTF-8"):
        TableDataset(tmp_path / "latin.csv").listing()
