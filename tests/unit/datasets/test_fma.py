from collections.abc import Iterator
from pathlib import Path

import pytest

from genre_mlops.datasets import download as downloads
from genre_mlops.datasets import is_here
from genre_mlops.datasets.download import UnreachableError
from genre_mlops.datasets.fma import FmaDataset, read_tracks
from genre_mlops.datasets.verification import verify
from genre_mlops.domain import sequential
from genre_mlops.errors import DataError
from tests.loopback import Loopback
from tests.sources import FMA_ROWS, digest, fma_archives, fma_row, fma_table, stop_at

SMALL = {f"{n // 1000:03d}/{n:06d}.mp3": b"clip %d" % n * 99 for n in (2, 5, 140, 141, 1000)}
LARGE = SMALL | {"001/001007.mp3": b"medium", "155/155321.mp3": b"large"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setattr(downloads, "WAITS_S", (0.0,) * 4)
    with Loopback().running() as running:
        yield running


def published(server: Loopback, root: Path, size: str, clips: dict[str, bytes]) -> FmaDataset:
    archives = fma_archives(clips, size=size)
    for name, content in archives.items():
        server.serve(f"/fma/{name}", content)
    sums = {name: digest(content, "sha1") for name, content in archives.items()}
    return FmaDataset(root, size, url=f"{server.url}/fma/", checksums=sums)


def test_fetched_and_listed(server: Loopback, tmp_path: Path):
    dataset = published(server, tmp_path, "small", SMALL)
    server.files["/fma/fma_small.zip"].cuts = [200]
    assert not is_here("fma-small", root=tmp_path)
    dataset.prepare(sequential)
    assert is_here("fma-small", root=tmp_path)
    listing = dataset.listing()
    licence = "Attribution-NonCommercial-ShareAlike 3.0 International"
    assert [(t.track_id, t.genre, t.group, t.licence) for t in listing.tracks] == [
        ("000/000002.mp3", "Hip-Hop", f"AWOL [{sum(b'AWOL')}]", "none given"),
        ("000/000005.mp3", "Hip-Hop", f"AWOL [{sum(b'AWOL')}]", licence),
        ("000/000140.mp3", "Folk", f"Alec [{sum(b'Alec')}]", "none given"),
        ("001/001000.mp3", "Folk", f"Chad [{sum(b'Chad')}]", "none given"),
    ]
    assert listing.tracks[0].path.read_bytes() == SMALL["000/000002.mp3"]
    assert listing.passed_over == ("000/000141.mp3 (no top genre)",)
    own = listing.splits["own"]
    assert list(own.of.values()) == ["train", "train", "test", "validation"]
    assert verify(dataset, sequential).passed
    assert len(dataset.checksums()) == 4
    n_asked = len(server.requests)
    dataset.prepare(sequential)
    assert len(server.requests) == n_asked
    assert not list(tmp_path.rglob("*.zip"))


def test_sizes_share_metadata_and_each_holds_the_smaller(server: Loopback, tmp_path: Path):
    published(server, tmp_path, "small", SMALL).prepare(sequential)
    large = published(server, tmp_path, "large", LARGE)
    large.prepare(sequential)
    asked = [path for _, path, _ in server.requests]
    assert asked == ["/fma/fma_metadata.zip", "/fma/fma_small.zip", "/fma/fma_large.zip"]
    listed = {t.track_id: t.group for t in large.listing().tracks}
    assert listed.keys() == LARGE.keys() - {"000/000141.mp3"}
    assert listed["001/001007.mp3"] is None
    medium = FmaDataset(tmp_path, "medium", url=f"{server.url}/fma/")
    # What a size does not hold is not of it, even where its file is there.
    (tmp_path / "fma" / "fma_large").rename(tmp_path / "fma" / "fma_medium")
    assert "155/155321.mp3" not in {t.track_id for t in medium.listing().tracks}


def test_an_artist_on_two_sides_is_never_let_pass(tmp_path: Path):
    for name in ("fma_metadata/tracks.csv", "000/000002.mp3", "000/000005.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    rows = [fma_row(2, "Hip-Hop", "AWOL"), fma_row(5, "Hip-Hop", "AWOL", split="test")]
    (tmp_path / "fma_metadata" / "tracks.csv").write_text(fma_table(rows))
    listing = FmaDataset(tmp_path / "root", "small", tmp_path).listing()
    assert len({track.group for track in listing.tracks}) == 1
    assert set(listing.splits["own"].of.values()) == {"train", "test"}
    assert not listing.splits["own"].shares_groups


def test_an_unpacking_that_is_stopped_leaves_no_archive_in_the_end(
    server: Loopback, tmp_path: Path
):
    dataset = published(server, tmp_path, "small", SMALL)
    with pytest.raises(KeyboardInterrupt):
        dataset.prepare(sequential, stop_at("unpack fma_small.zip", 3))
    assert list(tmp_path.rglob("fma_small.zip"))
    with pytest.raises(DataError, match="not here yet: genre-mlops data fetch fma-small"):
        dataset.listing()
    n_asked = len(server.requests)
    dataset.prepare(sequential)
    assert len(server.requests) == n_asked
    assert not list(tmp_path.rglob("*.zip*"))
    assert not (tmp_path / "fma" / "downloads").exists()
    assert verify(dataset, sequential).passed


def test_an_archive_put_there_by_hand_stays_even_if_unpacking_is_stopped(
    server: Loopback, tmp_path: Path
):
    dataset = published(server, tmp_path, "small", SMALL)
    by_hand = tmp_path / "fma" / "fma_small.zip"
    by_hand.parent.mkdir()
    by_hand.write_bytes(fma_archives(SMALL)["fma_small.zip"])
    with pytest.raises(KeyboardInterrupt):
        dataset.prepare(sequential, stop_at("unpack fma_small.zip", 3))
    dataset.prepare(sequential)
    assert [path for _, path, _ in server.requests] == ["/fma/fma_metadata.zip"]
    assert list(tmp_path.rglob("*.zip*")) == [by_hand]


def test_a_size_that_is_whole_leaves_the_download_of_another_alone(
    server: Loopback, tmp_path: Path
):
    dataset = published(server, tmp_path, "small", SMALL)
    dataset.prepare(sequential)
    downloads_of = tmp_path / "fma" / "downloads"
    downloads_of.mkdir()
    for name in ("fma_small.zip", "fma_large.zip.part"):
        (downloads_of / name).touch()
    dataset.prepare(sequential)
    assert [path.name for path in downloads_of.iterdir()] == ["fma_large.zip.part"]


@pytest.mark.parametrize("inner", ["fma_small", "."])
def test_a_folder_is_used_where_it_lies(inner: str, tmp_path: Path):
    for name, clip in SMALL.items():
        path = tmp_path / "copy" / inner / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip)
    with pytest.raises(DataError, match=r"there is no fma_metadata/tracks\.csv in it"):
        FmaDataset(tmp_path / "root", "small", tmp_path / "copy")
    (tmp_path / "a.zip").touch()
    with pytest.raises(DataError, match=r"a copy of FMA is a folder, no archive, .*unpack fma_me"):
        FmaDataset(tmp_path / "root", "small", tmp_path / "a.zip")
    (tmp_path / "copy" / "fma_metadata").mkdir()
    (tmp_path / "copy" / "fma_metadata" / "tracks.csv").write_text(fma_table(FMA_ROWS))
    dataset = FmaDataset(tmp_path / "root", "small", tmp_path / "copy")
    dataset.prepare(sequential)
    assert len(dataset.listing().tracks) == 4
    assert dataset.checksums() == {}
    assert not (tmp_path / "root").exists()


def test_offline_it_says_what_to_do(server: Loopback, tmp_path: Path):
    dataset = FmaDataset(tmp_path, "medium", url=f"{server.url}/fma/")
    with pytest.raises(UnreachableError, match="fma-medium cannot be downloaded") as caught:
        dataset.prepare(sequential)
    text = str(caught.value)
    assert f"{server.url}/fma/fma_metadata.zip: there is no such file (404)" in text
    assert f"put it at\n  {tmp_path}/fma/fma_metadata.zip" in text
    assert text.endswith("genre-mlops data fetch fma-medium:/path/to/copy")


def test_a_wrong_archive_is_refused(server: Loopback, tmp_path: Path):
    dataset = published(server, tmp_path, "small", SMALL)
    server.serve("/fma/fma_small.zip", fma_archives(LARGE)["fma_small.zip"])
    with pytest.raises(DataError, match="the sha1 is"):
        dataset.prepare(sequential)


def test_metadata_of_another_form_are_said(tmp_path: Path):
    path = tmp_path / "tracks.csv"
    for text in ("", "a,b\n", "a,b\nc,d\n", fma_table([fma_row(2, "Folk", "A")]) + "3,short\n"):
        path.write_text(text)
        with pytest.raises(DataError, match=r"is not the tracks\.csv of the FMA data set"):
            list(read_tracks(path))


def test_a_very_long_biography_is_read_over(tmp_path: Path):
    row = fma_row(2, "Folk", "A") | {("artist", "bio"): "la " * 200_000}
    path = tmp_path / "tracks.csv"
    path.write_text(fma_table([row, fma_row(5, "Rock", "B")]))
    assert [row.genre for row in read_tracks(path)] == ["Folk", "Rock"]
