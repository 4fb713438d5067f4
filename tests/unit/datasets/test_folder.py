import os
from pathlib import Path

import pytest

from genre_mlops.config import DataConfig
from genre_mlops.datasets import open_dataset
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.errors import DataError
from tests.music import write_tune


def test_genre_group_and_id_come_from_the_path(tmp_path: Path):
    for name in ("rock/one.wav", "rock/band/a.FLAC", "rock/band/cd 2/b.wav", "tango/x.ogg"):
        write_tune(tmp_path / name, seed=1)
    (tmp_path / "readme.txt").write_text("")
    (tmp_path / "loose.wav").write_bytes(b"")
    (tmp_path / ".git" / "rock").mkdir(parents=True)
    (tmp_path / ".git" / "rock" / "y.wav").write_bytes(b"")
    listing = FolderDataset(tmp_path).listing()
    assert [(t.track_id, t.genre, t.group) for t in listing.tracks] == [
        ("rock/band/a.FLAC", "rock", "band"),
        ("rock/band/cd 2/b.wav", "rock", "band"),
        ("rock/one.wav", "rock", None),
        ("tango/x.ogg", "tango", None),
    ]
    assert listing.passed_over == (
        ".git/rock/y.wav (hidden)",
        "loose.wav (in no genre's folder)",
        "readme.txt",
    )


def test_links_to_genre_folders_are_followed_and_loops_end(tmp_path: Path):
    write_tune(tmp_path / "elsewhere" / "a.wav", seed=1)
    (tmp_path / "music" / "blues").mkdir(parents=True)
    (tmp_path / "music" / "rock").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "music" / "blues" / "up").symlink_to(tmp_path / "music")
    listing = FolderDataset(tmp_path / "music").listing()
    assert [track.track_id for track in listing.tracks] == ["rock/a.wav"]
    assert listing.passed_over == (
        "blues/ (no track in it)",
        "blues/up/ (a link to a folder that is listed elsewhere)",
    )


def test_of_several_links_to_a_folder_the_first_by_name_is_taken(tmp_path: Path):
    write_tune(tmp_path / "elsewhere" / "a.wav", seed=1)
    (tmp_path / "music").mkdir()
    for name in "hfbdgaec":
        (tmp_path / "music" / name).symlink_to(tmp_path / "elsewhere")
    listing = FolderDataset(tmp_path / "music").listing()
    assert [track.track_id for track in listing.tracks] == ["a/a.wav"]
    assert len(listing.passed_over) == 7


def test_a_folder_goes_by_its_own_name_whatever_links_to_it(tmp_path: Path):
    write_tune(tmp_path / "jazz" / "classics" / "a.wav", seed=1)
    (tmp_path / "blues").mkdir()
    (tmp_path / "blues" / "best").symlink_to("../jazz/classics")
    listing = FolderDataset(tmp_path).listing()
    assert [(t.track_id, t.genre) for t in listing.tracks] == [("jazz/classics/a.wav", "jazz")]
    assert listing.passed_over == (
        "blues/ (no track in it)",
        "blues/best/ (a link to a folder that is listed elsewhere)",
    )


def test_names_of_every_kind(tmp_path: Path):
    for name in ("hip hop/a,b;c'd\"e.wav", "hip hop/ünï 音楽.wav", "r&b/50%.wav"):
        write_tune(tmp_path / name, seed=1)
    write_tune(tmp_path / "two\nlines" / "new\nline.wav", seed=1)
    (Path(os.fsdecode(bytes(tmp_path / "r&b") + b"/\xff\xfe.wav"))).write_bytes(b"")
    (Path(os.fsdecode(bytes(tmp_path / "r&b") + b"/\xe9.txt"))).write_bytes(b"")
    listing = FolderDataset(tmp_path).listing()
    assert {track.genre for track in listing.tracks} == {"hip hop", "r&b", "two\nlines"}
    assert len(listing.tracks) == 4
    assert listing.passed_over == (
        "r&b/\ufffd.txt",
        "r&b/\ufffd\ufffd.wav (its name is not UTF-8)",
    )


def test_an_artist_of_two_genres_is_one_group(tmp_path: Path):
    for name in ("blues/John/a.wav", "jazz/John/live/b.wav", "jazz/Ella/c.wav"):
        write_tune(tmp_path / name, seed=1)
    groups = {t.track_id: t.group for t in FolderDataset(tmp_path).listing().tracks}
    assert groups == {
        "blues/John/a.wav": "John", "jazz/John/live/b.wav": "John", "jazz/Ella/c.wav": "Ella",
    }  # fmt: skip


def test_a_folder_that_is_named_like_audio_is_said_and_entered(tmp_path: Path):
    write_tune(tmp_path / "rock" / "album.wav" / "a.wav", seed=1)
    listing = FolderDataset(tmp_path).listing()
    assert [(t.track_id, t.group) for t in listing.tracks] == [
        ("rock/album.wav/a.wav", "album.wav")
    ]
    assert listing.passed_over == ("rock/album.wav/ (a folder)",)


def test_what_is_no_data_set_is_said(tmp_path: Path):
    with pytest.raises(DataError, match=r"no such path; expected one of demo, .* a table"):
        open_dataset(DataConfig(dataset=str(tmp_path / "gone")), root=tmp_path)
    (tmp_path / "file.zip").write_bytes(b"")
    with pytest.raises(DataError, match="is a file; expected"):
        FolderDataset(tmp_path / "file.zip")
    (tmp_path / "a.mp3").write_bytes(b"")
    with pytest.raises(DataError, match=r"passed over: a.mp3 \(in no genre's folder\), file.zip$"):
        FolderDataset(tmp_path).listing()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"folder\), empty/ \(no track in it\), file.zip$"):
        FolderDataset(tmp_path).listing()
    with pytest.raises(DataError, match=r"no audio file in any subfolder.*the folder is empty"):
        FolderDataset(tmp_path / "empty").listing()


def test_the_name_of_a_folder_does_not_depend_on_how_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_tune(tmp_path / "music" / "rock" / "a.wav", seed=1)
    monkeypatch.chdir(tmp_path / "music" / "rock")
    for way in ("..", "../../music", tmp_path / "music" / "rock" / ".."):
        dataset = FolderDataset(Path(way))
        assert (dataset.name, dataset.source) == ("music", str(tmp_path / "music"))
