import csv
import json
import os
import re
import resource
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from genre_mlops.datasets import download as downloads
from genre_mlops.datasets import is_here
from genre_mlops.datasets.download import UnreachableError
from genre_mlops.datasets.gtzan import GtzanDataset, GtzanMiniDataset
from genre_mlops.datasets.gtzan_index import (
    Entry,
    Index,
    artist_groups,
    fault_filtered,
    fault_filtered_artist,
    gtzan_index,
)
from genre_mlops.datasets.verification import Verification, verify
from genre_mlops.domain import sequential
from genre_mlops.errors import DataError
from tests.loopback import Loopback
from tests.sources import contents, digest, make_gtzan, stop_at, tar_bytes, zip_bytes

HUB_PATH = "/datasets/marsyas/gtzan/resolve/main/data/genres.tar.gz"
KAGGLE_PATH = "/api/v1/datasets.DatasetApiService"
JUNK = {
    "gtzan_mini-main/genres/.DS_Store": b"\0",
    "gtzan_mini-main/__MACOSX/genres/blues/._blues.00000.wav": b"\0\5",
    "gtzan_mini-main/genres/blues/._blues.00000.wav": b"\0\5",
    "gtzan_mini-main/genres/README.md": b"mini",
    "gtzan_mini-main/genres/bextract_single.mf": b"a list",
    "gtzan_mini-main/genres/polka/polka.00000.wav": b"of no genre of the collection",
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Loopback]:
    """A server that stands for Hugging Face, GitHub and Kaggle."""
    from kagglesdk import kaggle_env

    monkeypatch.setattr(downloads, "WAITS_S", (0.0,) * 4)
    with Loopback().running() as running:
        local = kaggle_env.KaggleEnv.LOCAL
        monkeypatch.setitem(kaggle_env._env_to_endpoint, local, running.url)
        monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
        monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "no credentials"))
        for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_API_V1_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield running


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Index]:
    folder = tmp_path_factory.mktemp("clips")
    return folder, make_gtzan(folder)


def on_kaggle(server: Loopback, archive: bytes, **how: object) -> None:
    version = json.dumps({"currentVersionNumber": 3}).encode()
    server.serve(f"{KAGGLE_PATH}/GetDataset", version, content_type="application/json")
    server.serve(f"{KAGGLE_PATH}/DownloadDataset", redirect="/storage/archive.zip")
    server.serve("/storage/archive.zip", archive, **how)


def hub_dataset(root: Path, server: Loopback, index: Index, archive: bytes) -> GtzanDataset:
    return GtzanDataset(
        root, index=index, checksum=digest(archive, "md5"), size=len(archive), endpoint=server.url
    )


def test_fetched_from_the_first_place(server: Loopback, clips: tuple[Path, Index], tmp_path: Path):
    folder, index = clips
    archive = tar_bytes(contents(folder))
    server.serve(HUB_PATH, archive, cuts=[len(archive) // 2])
    dataset = hub_dataset(tmp_path, server, index, archive)
    dataset.prepare(sequential)
    listing = dataset.listing()
    assert [t.track_id for t in listing.tracks] == sorted(index)
    assert {t.genre for t in listing.tracks} == {"blues", "jazz", "rock"}
    assert listing.passed_over == ()
    assert verify(dataset, sequential).passed
    n_asked = len(server.requests)
    hub_dataset(tmp_path, server, index, archive).prepare(sequential)
    assert len(server.requests) == n_asked
    assert not list(tmp_path.rglob("*.tar.gz*"))
    assert is_here("gtzan", root=tmp_path)
    assert not is_here("gtzan-mini", root=tmp_path)
    # What somebody removed is fetched again.
    (dataset.listing().tracks[0].path).unlink()
    assert not is_here("gtzan", root=tmp_path)
    dataset.prepare(sequential)
    assert verify(dataset, sequential).passed
    assert len(server.requests) > n_asked


def test_fetched_from_the_second_place_where_the_first_fails(
    server: Loopback, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    index = make_gtzan(tmp_path / "made", suffix=".au")
    archive = zip_bytes(contents(tmp_path / "made"))
    on_kaggle(server, archive)
    dataset = hub_dataset(tmp_path / "root", server, index, b"not there")
    part = tmp_path / "root" / "gtzan" / "downloads" / "genres.tar.gz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"what came of the first place")
    dataset.prepare(sequential)
    assert not part.parent.exists()
    assert {t.path.suffix for t in dataset.listing().tracks} == {".au"}
    assert verify(dataset, sequential).passed
    n_asked = len(server.requests)
    dataset.prepare(sequential)
    assert len(server.requests) == n_asked
    assert capfd.readouterr() == ("", "")


def test_the_second_place_goes_on_after_a_cut(
    server: Loopback, clips: tuple[Path, Index], tmp_path: Path
):
    folder, index = clips
    big = contents(folder) | {"filler": bytes(range(256)) * 20_000}
    archive = tar_bytes(big) + bytes(3 << 20)
    on_kaggle(server, archive, cuts=[2 << 20])
    dataset = hub_dataset(tmp_path, server, index, b"not there")
    with pytest.raises(UnreachableError, match=r"(?s)carlthome.*the connection was cut"):
        dataset.prepare(sequential)
    dataset.prepare(sequential)
    assert len(dataset.listing().tracks) == len(index)
    assert server.ranges_asked()[-1] is not None


def test_where_no_archive_can_be_compared_all_tracks_are(
    server: Loopback, clips: tuple[Path, Index], tmp_path: Path
):
    folder, index = clips
    members = contents(folder)
    members["genres/rock/rock.00002.wav"] += b"\0"
    for number in range(2):
        del members[f"genres/blues/blues.{number:05d}.wav"]
    on_kaggle(server, zip_bytes(members))
    dataset = hub_dataset(tmp_path, server, index, b"not there")
    words = r"2 tracks are missing \(blues\.00000, blues\.00001\) and 1 files .*rock\.00002: md5:"
    with pytest.raises(DataError, match=rf"{words}.*; remove that folder .*gtzan:{tmp_path}/gtzan"):
        dataset.prepare(sequential)
    with pytest.raises(DataError, match="not here yet"):
        dataset.listing()


def test_a_damaged_archive_of_the_second_place_is_said_and_fetched_anew(
    server: Loopback, clips: tuple[Path, Index], tmp_path: Path
):
    folder, index = clips
    archive = zip_bytes(contents(folder))
    damaged = bytearray(archive)
    damaged[200] ^= 255
    on_kaggle(server, bytes(damaged))
    dataset = hub_dataset(tmp_path, server, index, b"not there")
    with pytest.raises(UnreachableError, match=r"carlthome.*: the archive that came is damaged"):
        dataset.prepare(sequential)
    on_kaggle(server, archive)
    dataset.prepare(sequential)
    assert len(dataset.listing().tracks) == len(index)


@pytest.mark.parametrize("odd", [b"[]", b'{"currentVersionNumber": "x"}', b"null", b"<html>", b"3"])
def test_an_odd_answer_of_the_second_place_is_a_failure_of_it(
    server: Loopback, tmp_path: Path, odd: bytes
):
    server.serve(f"{KAGGLE_PATH}/GetDataset", odd, content_type="application/json")
    with pytest.raises(UnreachableError, match="dataset gtzan cannot be downloaded"):
        hub_dataset(tmp_path, server, {}, b"not there").prepare(sequential)


@contextmanager
def no_file_larger_than(n_bytes: int) -> Iterator[None]:
    """A limit that fails as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_what_came_of_the_second_place(
    server: Loopback, clips: tuple[Path, Index], tmp_path: Path
):
    folder, index = clips
    archive = zip_bytes(contents(folder))
    on_kaggle(server, archive)
    dataset = hub_dataset(tmp_path, server, index, b"not there")
    full = (
        r"gtzan/kaggle: the disk or your share of it is full \(File too large\); what came is kept"
    )
    with no_file_larger_than(len(archive) // 2), pytest.raises(DataError, match=full):
        dataset.prepare(sequential)
    dataset.prepare(sequential)
    assert server.ranges_asked()[-1] == f"bytes={len(archive) // 2}-"


def test_who_wants_no_hub_asks_the_second_place(
    server: Loopback,
    clips: tuple[Path, Index],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    archive = tar_bytes(contents(clips[0]))
    server.serve(HUB_PATH, archive)
    with pytest.raises(UnreachableError, match=r"genres\.tar\.gz: HF_HUB_OFFLINE is set"):
        hub_dataset(tmp_path, server, clips[1], archive).prepare(sequential)
    assert HUB_PATH not in {path for _, path, _ in server.requests}


def test_with_neither_place_it_says_what_to_do(server: Loopback, tmp_path: Path):
    dataset = hub_dataset(tmp_path, server, {}, b"not there")
    with pytest.raises(UnreachableError, match="cannot be downloaded") as caught:
        dataset.prepare(sequential)
    text = str(caught.value)
    assert f"{HUB_PATH}: there is no such file (404)" in text
    assert "https://www.kaggle.com/datasets/carlthome/gtzan-genre-collection: 404" in text
    assert f"put it at\n  {tmp_path}/gtzan/genres.tar.gz" in text
    assert text.endswith("genre-mlops data fetch gtzan:/path/to/copy")
    assert caught.value.exit_code == 3


def test_another_archive_than_the_published_is_refused(
    server: Loopback, clips: tuple[Path, Index], tmp_path: Path
):
    archive = tar_bytes(contents(clips[0]))
    server.serve(HUB_PATH, archive[:-1] + b"\1")
    dataset = hub_dataset(tmp_path, server, clips[1], archive)
    with pytest.raises(DataError, match="the md5 is"):
        dataset.prepare(sequential)
    with pytest.raises(DataError, match="not here yet: genre-mlops data fetch gtzan"):
        dataset.listing()


def test_an_archive_put_there_by_hand_is_taken_and_kept(
    server: Loopback, clips: tuple[Path, Index], tmp_path: Path
):
    archive = tar_bytes(contents(clips[0]))
    (tmp_path / "gtzan").mkdir()
    (tmp_path / "gtzan" / "genres.tar.gz").write_bytes(archive)
    dataset = hub_dataset(tmp_path, server, clips[1], archive)
    dataset.prepare(sequential)
    assert len(dataset.listing().tracks) == 12
    assert server.requests == []
    assert (tmp_path / "gtzan" / "genres.tar.gz").read_bytes() == archive


@pytest.mark.parametrize("inner", ["genres", ".", "Data/genres_original"])
@pytest.mark.parametrize("suffix", [".wav", ".au"])
def test_a_folder_is_used_where_it_lies(inner: str, suffix: str, tmp_path: Path):
    index = make_gtzan(tmp_path / "copy", suffix=suffix, genres_folder=inner)
    (tmp_path / "copy" / "readme.txt").write_text("")
    dataset = GtzanDataset(tmp_path / "root", tmp_path / "copy", index=index)
    before = contents(tmp_path / "copy")
    dataset.prepare(sequential)
    listing = dataset.listing()
    assert [t.track_id for t in listing.tracks] == sorted(index)
    assert all(t.path.is_relative_to(tmp_path / "copy") for t in listing.tracks)
    assert listing.passed_over == ("readme.txt",)
    assert verify(dataset, sequential).passed
    assert contents(tmp_path / "copy") == before
    assert not (tmp_path / "root").exists()


def test_genre_folders_may_be_links_and_loops_end(tmp_path: Path):
    index = make_gtzan(tmp_path / "elsewhere", genres_folder=".")
    (tmp_path / "copy").mkdir()
    for genre in ("blues", "jazz", "rock"):
        (tmp_path / "copy" / genre).symlink_to(tmp_path / "elsewhere" / genre)
    (tmp_path / "elsewhere" / "rock" / "up").symlink_to(tmp_path / "copy")
    listing = GtzanDataset(tmp_path, tmp_path / "copy", index=index).listing()
    assert [track.track_id for track in listing.tracks] == sorted(index)
    assert listing.passed_over == ("rock/up/ (a link to a folder that is listed elsewhere)",)


def test_a_track_in_a_folder_that_is_not_utf8_is_passed_over(tmp_path: Path):
    index = make_gtzan(tmp_path / "copy")
    other = Path(os.fsdecode(bytes(tmp_path / "copy" / "genres") + b"/m\xfcsik"))
    (tmp_path / "copy" / "genres" / "blues").rename(other)
    listing = GtzanDataset(tmp_path, tmp_path / "copy", index=index).listing()
    assert {track.genre for track in listing.tracks} == {"jazz", "rock"}
    assert listing.passed_over[0] == ("genres/m\ufffdsik/blues.00000.wav (its name is not UTF-8)")


def test_of_wav_and_au_the_wav_is_taken(clips: tuple[Path, Index], tmp_path: Path):
    make_gtzan(tmp_path / "copy", suffix=".au")
    index = make_gtzan(tmp_path / "copy")
    dataset = GtzanDataset(tmp_path, tmp_path / "copy", index=index)
    listing = dataset.listing()
    assert {t.path.suffix for t in listing.tracks} == {".wav"}
    assert len(listing.passed_over) == len(index)
    assert verify(dataset, sequential).passed


@pytest.mark.parametrize(("name", "pack"), [("a.tar.gz", tar_bytes), ("a.zip", zip_bytes)])
def test_an_archive_is_unpacked_below_the_root(
    name: str, pack, clips: tuple[Path, Index], tmp_path: Path
):
    folder, index = clips
    copy = tmp_path / name
    copy.write_bytes(pack(contents(folder)))
    dataset = GtzanDataset(tmp_path / "root", copy, index=index)
    dataset.prepare(sequential)
    assert verify(dataset, sequential).passed
    assert all(t.path.is_relative_to(tmp_path / "root") for t in dataset.listing().tracks)
    # The archive of another day is another collection.
    fewer = {n: c for n, c in contents(folder).items() if "rock" not in n}
    copy.write_bytes(pack(fewer))
    other = GtzanDataset(tmp_path / "root", copy, index=index)
    other.prepare(sequential)
    assert {t.genre for t in other.listing().tracks} == {"blues", "jazz"}
    os.utime(copy, ns=(1, 1))
    again = f"not here yet: genre-mlops data fetch gtzan:{copy}"
    with pytest.raises(DataError, match=re.escape(again)):
        GtzanDataset(tmp_path / "root", copy, index=index).listing()


def test_a_copy_that_is_none_is_said(tmp_path: Path):
    with pytest.raises(DataError, match=r"dataset gtzan:.*gone: does not exist; expected"):
        GtzanDataset(tmp_path, tmp_path / "gone")
    (tmp_path / "a.zip").write_bytes(zip_bytes({"x.txt": b""}))
    dataset = GtzanMiniDataset(tmp_path, tmp_path / "a.zip")
    with pytest.raises(DataError, match="holds none of its tracks"):
        dataset.prepare(sequential)


def mini_members(clips: tuple[Path, Index]) -> dict[str, bytes]:
    return JUNK | {f"gtzan_mini-main/{name}": c for name, c in contents(clips[0]).items()}


def test_the_excerpt_comes_without_its_junk(
    server: Loopback, clips: tuple[Path, Index], tmp_path: Path
):
    server.serve("/main.zip", zip_bytes(mini_members(clips)), ranges=False, etag='W/"x"')
    dataset = GtzanMiniDataset(tmp_path, index=clips[1], url=f"{server.url}/main.zip")
    dataset.prepare(sequential)
    listing = dataset.listing()
    assert [t.track_id for t in listing.tracks] == sorted({*clips[1]} - {"jazz.00003"})
    assert listing.splits == {}
    assert listing.passed_over == ()
    found = verify(dataset, sequential)
    assert (found.missing, found.changed, found.unlisted) == ((), {}, ())


def test_the_excerpt_is_the_first_usable_of_each_genre(clips: tuple[Path, Index], tmp_path: Path):
    published = GtzanMiniDataset(tmp_path).checksums()
    assert Counter(name.partition(".")[0] for name in published) == dict.fromkeys(
        {name.partition(".")[0] for name in gtzan_index()}, 10
    )
    numbers = {genre: {int(n[-5:]) for n in published if genre in n} for genre in ("jazz", "metal")}
    assert numbers == {"jazz": {0, 1, 2, 4, 5, 6, 7, 8, 11, 12}, "metal": {*range(10)}}
    # Of a copy of the whole collection no more is taken.
    copy = GtzanMiniDataset(tmp_path, clips[0], index=clips[1])
    listing = copy.listing()
    assert len(listing.tracks) == 11
    assert listing.passed_over == ("genres/jazz/jazz.00003.wav",)
    assert verify(copy, sequential).passed


def test_an_excerpt_that_lacks_tracks_is_refused(
    server: Loopback, clips: tuple[Path, Index], tmp_path: Path
):
    members = {name: c for name, c in mini_members(clips).items() if "/rock/" not in name}
    server.serve("/main.zip", zip_bytes(members))
    dataset = GtzanMiniDataset(tmp_path, index=clips[1], url=f"{server.url}/main.zip")
    words = r"gtzan-mini: 4 tracks are missing \(rock\.00000, rock\.00001, .*; remove that folder"
    with pytest.raises(DataError, match=words):
        dataset.prepare(sequential)
    with pytest.raises(DataError, match="not here yet"):
        dataset.listing()


def test_half_an_archive_that_nobody_could_know_for_one_does_not_stay(
    server: Loopback, clips: tuple[Path, Index], tmp_path: Path
):
    archive = zip_bytes(mini_members(clips))
    served = server.serve("/main.zip", archive[: len(archive) // 2])
    dataset = GtzanMiniDataset(tmp_path, index=clips[1], url=f"{server.url}/main.zip")
    with pytest.raises(DataError, match=r"(?s)main\.zip: damaged, .*; it is removed, run again"):
        dataset.prepare(sequential)
    served.content = archive
    dataset.prepare(sequential)
    assert len(dataset.listing().tracks) == 11


def test_a_damaged_archive_that_was_put_there_by_hand_stays(tmp_path: Path):
    by_hand = tmp_path / "gtzan-mini" / "main.zip"
    by_hand.parent.mkdir()
    by_hand.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"(?s)main\.zip: damaged, .*; remove it and get it again"):
        GtzanMiniDataset(tmp_path).prepare(sequential)
    assert by_hand.exists()


def test_one_changed_file_refuses_the_excerpt(
    server: Loopback, clips: tuple[Path, Index], tmp_path: Path
):
    members = mini_members(clips)
    members["gtzan_mini-main/genres/rock/rock.00002.wav"] += b"\0"
    server.serve("/main.zip", zip_bytes(members))
    dataset = GtzanMiniDataset(tmp_path / "1", index=clips[1], url=f"{server.url}/main.zip")
    with pytest.raises(DataError, match=r"gtzan-mini: 1 files are not those .*rock\.00002: md5:"):
        dataset.prepare(sequential)
    # Nobody has yet said that it is good enough.
    with pytest.raises(DataError, match="not here yet"):
        dataset.listing()


def test_the_clip_that_does_not_decode_is_compared_by_its_bytes_alone(tmp_path: Path):
    (tmp_path / "jazz.00054.wav").write_bytes(b"no wav")
    # Where no track has a checksum, nothing is compared at all.
    (tmp_path / "blues.00000.wav").write_bytes(b"another track")
    index = {
        "jazz.00054": Entry(digest(b"no wav", "md5").removeprefix("md5:")),
        "blues.00000": Entry(digest(b"another track", "md5").removeprefix("md5:")),
    }
    dataset = GtzanDataset(tmp_path, tmp_path, index=index)
    assert verify(dataset, sequential) == Verification(n_checked=2)
    (tmp_path / "jazz.00054.wav").write_bytes(b"another")
    assert list(verify(dataset, sequential).changed) == ["jazz.00054"]
    (tmp_path / "jazz.00054.wav").rename(tmp_path / "jazz.00054.au")
    assert verify(dataset, sequential) == Verification(n_checked=1, unlisted=("jazz.00054",))


@pytest.mark.parametrize("name", ["gtzan", "gtzan-mini"])
def test_an_unpacking_that_is_stopped_leaves_no_archive_in_the_end(
    name: str, server: Loopback, clips: tuple[Path, Index], tmp_path: Path
):
    archive = tar_bytes(contents(clips[0]))
    server.serve(HUB_PATH, archive)
    dataset = hub_dataset(tmp_path, server, clips[1], archive)
    if name == "gtzan-mini":
        server.serve("/main.zip", zip_bytes(mini_members(clips)))
        dataset = GtzanMiniDataset(tmp_path, index=clips[1], url=f"{server.url}/main.zip")
    with pytest.raises(KeyboardInterrupt):
        dataset.prepare(sequential, stop_at("unpack", 3))
    assert [path.name for path in (tmp_path / name / "downloads").iterdir()] == [
        "main.zip" if name == "gtzan-mini" else "genres.tar.gz"
    ]
    dataset.prepare(sequential)
    assert len(server.requests) == 1
    assert not (tmp_path / name / "downloads").exists()
    assert dataset.listing().passed_over == ()
    # Stopped after the last file and before the archive was removed.
    (tmp_path / name / "downloads").mkdir()
    dataset.prepare(sequential)
    assert not (tmp_path / name / "downloads").exists()


def test_a_copy_leaves_a_download_alone(clips: tuple[Path, Index], tmp_path: Path):
    (tmp_path / "a.zip").write_bytes(zip_bytes(contents(clips[0])))
    part = tmp_path / "gtzan" / "downloads" / "genres.tar.gz.part"
    part.parent.mkdir(parents=True)
    part.touch()
    GtzanDataset(tmp_path, tmp_path / "a.zip", index=clips[1]).prepare(sequential)
    assert part.exists()


def test_an_archive_without_a_track_does_not_stay(server: Loopback, tmp_path: Path):
    server.serve("/main.zip", zip_bytes({"index.html": b""}))
    dataset = GtzanMiniDataset(tmp_path, url=f"{server.url}/main.zip")
    for _ in range(2):
        with pytest.raises(DataError, match="holds none of its tracks"):
            dataset.prepare(sequential)
    assert len(server.requests) == 2


def test_offline_the_excerpt_says_what_to_do(tmp_path: Path):
    dataset = GtzanMiniDataset(tmp_path, url="http://127.0.0.1:9/main.zip")
    with pytest.raises(UnreachableError, match=r"(?s)refused.*gtzan-mini/main\.zip.*gtzan-mini:/p"):
        dataset.prepare(sequential)


# -- what has been published about it --------------------------------------------------------


def sides_of(split: dict[str, str], groups: dict[str, str]) -> dict[str, set[str]]:
    sides = defaultdict(set)
    for track, side in split.items():
        if track in groups:
            sides[groups[track]].add(side)
    return sides


def test_the_index_is_whole():
    index = gtzan_index()
    assert len(index) == 1_000
    genres = Counter(name.partition(".")[0] for name in index)
    assert (len(genres), set(genres.values())) == (10, {100})
    assert Counter(fault_filtered(index).values()) == {"train": 443, "validation": 197, "test": 290}
    assert sum(not entry.artist for entry in index.values()) == 17
    assert artist_groups(index)["blues.00000"] == "John Lee Hooker"
    assert index["blues.00000"].md5 == "b462fa6a82a35d00940fe251f11447e5"


def test_the_repaired_split_is_as_its_rule_says():
    index = gtzan_index()
    published, repaired = fault_filtered(index), fault_filtered_artist(index)
    groups = artist_groups(index)
    assert Counter(repaired.values()) == {"train": 453, "validation": 195, "test": 282}
    assert repaired.keys() == published.keys()
    assert all(len(sides) == 1 for sides in sides_of(repaired, groups).values())
    credits = {name: entry.artist for name, entry in index.items() if entry.artist}
    crossing = [len(sides) > 1 for sides in sides_of(published, credits).values()]
    joined = [len(sides) > 1 for sides in sides_of(published, groups).values()]
    assert (sum(crossing), sum(joined)) == (10, 13)
    assert sum(repaired[name] != side for name, side in published.items()) == 23
    sides = Counter((name.partition(".")[0], side) for name, side in repaired.items())
    assert len(sides) == 30
    assert min(sides.values()) == 13
    # No single artist of a duet is on two sides either.
    singers = defaultdict(set)
    for name, side in repaired.items():
        for singer in filter(None, (s.strip() for s in index[name].artist.split(";"))):
            singers[singer].add(side)
    assert all(len(found) == 1 for found in singers.values())


entries = st.builds(
    Entry,
    st.just("0"),
    st.sampled_from(["", "A", "B", "C", "A; B", "D; C", "E", "F", "G; A"]),
    st.sampled_from(["", "train", "validation", "test"]),
)


@given(st.dictionaries(st.from_regex(r"[a-c]\.\d{2}", fullmatch=True), entries, max_size=40))
def test_repairing_moves_whole_groups_and_as_few_tracks_as_can_be(index: Index):
    published, repaired = fault_filtered(index), fault_filtered_artist(index)
    groups = artist_groups(index)
    assert repaired.keys() == published.keys()
    assert all(len(sides) == 1 for sides in sides_of(repaired, groups).values())
    for group in set(groups.values()):
        held = [name for name in published if groups.get(name) == group]
        stayed = sum(published[name] == repaired[name] for name in held)
        assert stayed == max(Counter(published[name] for name in held).values(), default=0)
    assert all(repaired[name] == published[name] for name in published if name not in groups)


def test_splits_name_only_what_is_here(clips: tuple[Path, Index], tmp_path: Path):
    folder, index = clips
    dataset = GtzanDataset(tmp_path, folder / "genres" / "jazz", index=index)
    splits = dataset.listing().splits
    assert list(splits) == ["fault-filtered-artist", "fault-filtered"]
    assert not splits["fault-filtered-artist"].shares_groups
    assert splits["fault-filtered"].shares_groups
    names = {f"jazz.{n:05d}" for n in range(4)}
    assert splits["fault-filtered"].of.keys() == splits["fault-filtered-artist"].of.keys() == names
    # One artist has the first two, on two sides of the published split: test goes before train.
    assert splits["fault-filtered"].of["jazz.00000"] == "train"
    assert splits["fault-filtered-artist"].of["jazz.00000"] == "test"


def test_the_table_is_what_the_lists_say(real_data: Path):
    lists = real_data / "lists"
    sums = json.loads((lists / "mirdata_gtzan_genre_index_1.0.json").read_text())["tracks"]
    credits = {}
    for line in (lists / "gtzan_artist_index_sturm.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, artist, title = (part.strip() for part in line.split(":::"))
            credits[name.removesuffix(".wav")] = (artist, title)
    split = {}
    for word, side in [("train", "train"), ("valid", "validation"), ("test", "test")]:
        for line in (lists / f"gtzan_{word}_filtered.txt").read_text().split():
            split[Path(line).stem] = side
    package = Path(downloads.__file__).parent / "lists" / "gtzan.csv"
    with package.open(encoding="utf-8", newline="") as file:
        rows = {row.pop("track"): row for row in csv.DictReader(file)}
    assert rows == {
        name: {
            "md5": sums[name]["audio"][1],
            "artist": credits[name][0],
            "title": credits[name][1],
            "split": split.get(name, ""),
        }
        for name in sums
    }


def test_real_clips_are_those_published(real_data: Path, tmp_path: Path):
    dataset = GtzanMiniDataset(tmp_path, real_data / "gtzan_mini")
    listing = dataset.listing()
    found = verify(dataset, sequential)
    assert (found.n_checked, found.changed, found.unlisted) == (70, {}, ())
    assert len(found.missing) == 30
    groups = {track.track_id: track.group for track in listing.tracks}
    assert groups["blues.00000"] == "John Lee Hooker"
    assert groups["rock.00003"] == "Morphine"
    clip = listing.tracks[0]
    y, sr = soundfile.read(clip.path, dtype="int16")
    soundfile.write(tmp_path / "blues.00000.au", y, sr, subtype="PCM_16")
    au = GtzanMiniDataset(tmp_path, tmp_path)
    assert au.checksums()["blues.00000"] == "wav-md5:b462fa6a82a35d00940fe251f11447e5"
    assert (verify(au, sequential).n_checked, verify(au, sequential).changed) == (1, {})
