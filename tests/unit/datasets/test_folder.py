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
        ("rock/band/a.FLAC", "rock", "rock/band"),
        ("rock/band/cd 2/b.wav", "rock", "rock/band"),
        ("rock/one.wav", "rock", None),
        ("tango/x.ogg", "tango", None),
    ]
    assert listing.passed_over == (".git/rock/y.wav", "loose.wav", "readme.txt")


def test_links_to_genre_folders_are_followed_and_loops_end(tmp_path: Path):
    write_tune(tmp_path / "elsewhere" / "a.wav", seed=1)
    (tmp_path / "music" / "blues").mkdir(parents=True)
    (tmp_path / "music" / "rock").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "music" / "blues" / "up").symlink_to(tmp_path / "music")
    listing = FolderDataset(tmp_path / "music").listing()
    assert [track.track_id for track in listing.tracks] == ["rock/a.wav"]


def test_names_of_every_kind(tmp_path: Path):
    for name in ("hip hop/a,b;c'd\"e.wav", "hip hop/ünï 音楽.wav", "r&b/50%.wav"):
        write_tune(tmp_path / name, seed=1)
    (Path(os.fsdecode(bytes(tmp_path / "r&b") + b"/\xff\xfe.wav"))).write_bytes(b"")
    listing = FolderDataset(tmp_path).listing()
    assert {track.genre for track in listing.tracks} == {"hip hop", "r&b"}
    assert len(listing.tracks) == 3
    assert listing.passed_over == ("r&b/??.wav",)


def test_what_is_no_data_set_is_said(tmp_path: Path):
    with pytest.raises(DataError, match="does not exist; expected demo, or a folder"):
        open_dataset(DataConfig(dataset=str(tmp_path / "gone")), root=tmp_path)
    (tmp_path / "file.zip").write_bytes(b"")
    with pytest.raises(DataError, match="is a file; expected"):
        FolderDataset(tmp_path / "file.zip")
    with pytest.raises(DataError, match="no audio file in any subfolder"):
        FolderDataset(tmp_path).listing()
