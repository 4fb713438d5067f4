import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genre_mlops import catalog, readings
from genre_mlops.apart import Apart, EndedError
from genre_mlops.audio import decode
from genre_mlops.catalog import build_catalog
from genre_mlops.datasets.base import Listing
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.domain import Track, sequential
from genre_mlops.errors import DataError
from genre_mlops.fingerprint import fingerprint
from genre_mlops.readings import Reading, State, read_file
from tests.damage import (
    computes_on,
    ends_its_process,
    has_no_memory,
    is_measured_slowly,
    make_odd_things,
)
from tests.music import write_tune


class Counting:
    """A Mapper that remembers what was asked of it."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.hashed: list[str] = []

    def __call__(self, function, items, *, label):
        asked = self.read if function is readings.read_files else self.hashed
        for paths in items:
            asked += [Path(path).name for path in paths]
            yield function(paths)


@pytest.fixture
def music(tmp_path: Path) -> FolderDataset:
    """Six tracks of different lengths in two genres."""
    for i in range(6):
        write_tune(
            tmp_path / "music" / "ab"[i % 2] / f"{i}.wav", seed=i, duration_s=1 + i / 8, sr=8_000
        )
    return FolderDataset(tmp_path / "music")


def test_levels_are_relative_to_full_scale(tmp_path: Path):
    sr = 8_000
    square = np.where(np.arange(2 * sr) % 80 < 40, 1.0, -1.0)
    soundfile.write(tmp_path / "half.wav", square / 2, sr, subtype="FLOAT")
    half = read_file(str(tmp_path / "half.wav"))
    assert (half.rms_dbfs, half.peak_dbfs) == pytest.approx((-6.0206, -6.0206), abs=1e-3)
    assert (half.clipping_share, half.silence_share) == (0, 0)
    square[: sr // 2] = 0
    soundfile.write(tmp_path / "full.wav", square, sr, subtype="FLOAT")
    full = read_file(str(tmp_path / "full.wav"))
    assert full.clipping_share == pytest.approx(0.75)
    assert full.silence_share == pytest.approx(0.25)
    assert (full.sr, full.n_channels, full.duration_s, full.format) == (sr, 1, 2.0, "WAV/FLOAT")


def test_one_side_of_a_stereo_file_is_not_hidden_by_the_other(tmp_path: Path):
    y = np.stack([np.where(np.arange(8_000) % 80 < 60, 1.0, -1.0), np.full(8_000, -0.5)], axis=1)
    soundfile.write(tmp_path / "a.wav", y, 8_000, subtype="FLOAT")
    found = read_file(str(tmp_path / "a.wav"))
    assert (found.clipping_share, found.dc_offset) == (0.5, 0.5)


def test_the_same_audio_in_another_container_has_the_same_pcm_digest(tmp_path: Path):
    wav = write_tune(tmp_path / "a.wav", seed=1)
    y, sr = soundfile.read(wav)
    soundfile.write(tmp_path / "a.flac", y, sr)
    one, two = read_file(str(wav)), read_file(str(tmp_path / "a.flac"))
    assert one.pcm_sha256 == two.pcm_sha256
    assert one.fingerprint == two.fingerprint
    assert one.sha256 != two.sha256
    assert read_file(str(write_tune(tmp_path / "b.wav", seed=2))).pcm_sha256 != one.pcm_sha256


def test_the_fingerprint_is_the_clips_and_none_where_there_is_too_little(tmp_path: Path):
    # Longer than a block of the decoder.
    path = write_tune(tmp_path / "a.wav", seed=1, duration_s=16, sr=44_100)
    found = np.frombuffer(read_file(str(path)).fingerprint, "<u4")
    np.testing.assert_array_equal(found, fingerprint(decode(path).clip))
    short = read_file(str(write_tune(tmp_path / "b.wav", seed=1, duration_s=0.3)))
    assert (short.fingerprint, short.error) == (None, None)


def test_a_catalog_has_a_row_a_file_with_every_fault(hard_folder: Path, tmp_path: Path):
    listing = FolderDataset(hard_folder).listing()
    found = build_catalog(listing, cache=tmp_path / "cache", run=sequential)
    assert list(found.index) == [track.track_id for track in listing.tracks]
    assert found.columns.to_list() == [
        *("genre", "group", "licence"),
        *Reading.__dataclass_fields__,
    ]
    errors = found["error"].dropna().to_dict()
    assert set(errors) == {"hum/zero.wav", "hum/text.mp3"}
    assert found.index[found["truncated"].eq(True)].to_list() == ["hum/cut.mp3"]
    assert found.at["whistle/silent.wav", "silence_share"] == 1
    assert found["fingerprint"].map(type).isin([bytes, type(None)]).all()


def test_what_the_listing_says_of_a_track_is_in_its_row(music: FolderDataset, tmp_path: Path):
    path = music.listing().tracks[0].path
    tracks = (Track("x", path, "rock", "band", "CC-BY"), Track("y", path, "tango"))
    found = build_catalog(Listing(tracks), cache=tmp_path / "cache", run=sequential)
    assert found[["genre", "group", "licence"]].iloc[0].to_list() == ["rock", "band", "CC-BY"]
    assert found.loc["y", ["group", "licence"]].isna().all()
    assert found["path"].to_list() == [str(path)] * 2


def test_unchanged_files_are_not_read_again(music: FolderDataset, tmp_path: Path):
    run, cache = Counting(), tmp_path / "cache"
    first = build_catalog(music.listing(), cache=cache, run=run)
    assert sorted(run.read) == [f"{i}.wav" for i in range(6)]
    run = Counting()
    assert build_catalog(music.listing(), cache=cache, run=run).equals(first)
    assert run.read + run.hashed == []
    write_tune(music.root / "b" / "1.wav", seed=9, duration_s=1.7, sr=8_000)
    changed = build_catalog(music.listing(), cache=cache, run=run)
    assert run.read == ["1.wav"]
    assert changed["sha256"].ne(first["sha256"]).to_list() == [t == "b/1.wav" for t in first.index]


def test_what_is_of_the_same_size_is_not_taken_for_the_same(tmp_path: Path):
    cache, run = tmp_path / "cache", Counting()
    paths = [
        write_tune(tmp_path / "music" / f"{genre}/1.wav", seed=i, sr=8_000)
        for i, genre in enumerate("ab")
    ]
    for path in paths:
        os.utime(path, (1e9, 1e9))
    listing = FolderDataset(tmp_path / "music").listing()
    first = build_catalog(listing, cache=cache, run=run)
    # Two that were mislabelled are exchanged; each keeps its time.
    paths[0].rename(tmp_path / "aside")
    paths[1].rename(paths[0])
    (tmp_path / "aside").rename(paths[1])
    exchanged = build_catalog(listing, cache=cache, run=run)
    assert exchanged["sha256"].to_list() == first["sha256"].to_list()[::-1]
    # One is written anew.
    write_tune(paths[0], seed=2, sr=8_000)
    assert paths[0].stat().st_size == paths[1].stat().st_size
    again = build_catalog(listing, cache=cache, run=run)
    assert again.at["a/1.wav", "pcm_sha256"] == read_file(str(paths[0])).pcm_sha256
    assert not set(again["sha256"]) <= set(first["sha256"])


@pytest.mark.parametrize("i", range(len(State._fields)))
def test_each_part_of_a_state_counts(
    music: FolderDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, i: int
):
    cache, run = tmp_path / "cache", Counting()
    first = build_catalog(music.listing(), cache=cache, run=sequential)

    def one_is_other(path: str) -> State:
        state = list(readings.file_state(path))
        state[i] += path.endswith("1.wav")
        return State(*state)

    monkeypatch.setattr(catalog, "file_state", one_is_other)
    assert build_catalog(music.listing(), cache=cache, run=run).equals(first)
    assert run.read + run.hashed == ["1.wav"]


def test_moved_files_and_copies_cost_only_their_hash(music: FolderDataset, tmp_path: Path):
    cache = tmp_path / "cache"
    first = build_catalog(music.listing(), cache=cache, run=sequential)
    elsewhere = music.root.rename(tmp_path / "elsewhere")
    (elsewhere / "a" / "copy.wav").write_bytes((elsewhere / "a" / "2.wav").read_bytes())
    run = Counting()
    moved = build_catalog(FolderDataset(elsewhere).listing(), cache=cache, run=run)
    assert run.read == []
    assert len(run.hashed) == 7
    measured = moved.columns.drop(["path", "mtime_ns", "ctime_ns"])
    assert moved.drop("a/copy.wav")[measured].equals(first[measured])
    assert moved.at["a/copy.wav", "fingerprint"] == moved.at["a/2.wav", "fingerprint"]
    again = Counting()
    assert build_catalog(FolderDataset(elsewhere).listing(), cache=cache, run=again).equals(moved)
    assert again.read + again.hashed == []


def test_a_reason_that_names_the_suffix_is_not_shared(tmp_path: Path):
    for name in ("g/a.m4a", "g/b.wav", "g/c.m4a"):
        (tmp_path / "music" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "music" / name).write_bytes(b"\0\0\0 ftypM4A " + b"x" * 200)
        listing = FolderDataset(tmp_path / "music").listing()
        found = build_catalog(listing, cache=tmp_path / "cache", run=sequential)
        assert (".m4a is not supported" in found.at[name, "error"]) == name.endswith("m4a")


def test_what_cannot_be_read_now_is_tried_again(tmp_path: Path):
    (tmp_path / "music" / "g").mkdir(parents=True)
    (tmp_path / "music" / "g" / "a.wav").symlink_to(tmp_path / "later.wav")
    listing, cache = FolderDataset(tmp_path / "music").listing(), tmp_path / "cache"
    for _ in range(2):
        found = build_catalog(listing, cache=cache, run=sequential)
        assert "No such file" in found.at["g/a.wav", "error"]
    write_tune(tmp_path / "later.wav", seed=1)
    assert build_catalog(listing, cache=cache, run=sequential)["error"].isna().all()


def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_tune(tmp_path / "a.wav", seed=1)
    real = readings._measure

    def changes(name: str):
        found = real(name)
        write_tune(path, seed=2, duration_s=2)
        return found

    monkeypatch.setattr(readings, "_measure", changes)
    found = read_file(str(path))
    assert (found.error, found.sha256) == ("changed while it was read; run again", None)


def test_only_regular_files_are_opened(tmp_path: Path):
    made = make_odd_things(tmp_path / "music" / "g")
    listing = FolderDataset(tmp_path / "music").listing()
    found = build_catalog(listing, cache=tmp_path / "cache", run=sequential)
    for name in ("pipe", "socket", "device"):
        assert found.at[f"g/{name}.wav", "error"] == "cannot be read: it is no regular file"
    assert "symbolic links" in found.at["g/loop.wav", "error"]
    assert found["error"].isna()["g/new\nline.wav"]
    shown = {name.partition(" (")[0] for name in listing.passed_over} | {*found.index}
    assert shown == {f"g/{name}" for name in made}


def test_a_killed_reading_keeps_what_it_has(
    music: FolderDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(catalog, "FILES_PER_TASK", 2)

    def stops_half_way(function, items, *, label):
        yield function(items[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_catalog(music.listing(), cache=tmp_path / "cache", run=stops_half_way)
    run = Counting()
    assert len(build_catalog(music.listing(), cache=tmp_path / "cache", run=run)) == 6
    assert len(run.read) == 4


def test_a_reading_that_is_killed_at_once_keeps_what_it_saved(music: FolderDataset, tmp_path: Path):
    script = f"""
import os, signal
from pathlib import Path
from genre_mlops import catalog
from genre_mlops.datasets.folder import FolderDataset
catalog.FILES_PER_TASK = catalog.SAVE_EVERY_FILES = 2
def run(function, items, *, label):
    yield function(items[0])
    yield function(items[1])
    os.kill(os.getpid(), signal.SIGKILL)
catalog.build_catalog(
    FolderDataset(Path({str(music.root)!r})).listing(),
    cache=Path({str(tmp_path / "cache")!r}),
    run=run,
)
"""
    ended = subprocess.run([sys.executable, "-c", script])
    assert ended.returncode == -signal.SIGKILL
    run = Counting()
    assert len(build_catalog(music.listing(), cache=tmp_path / "cache", run=run)) == 6
    assert len(run.read) == 2


def test_damaged_pieces_of_the_cache_are_read_anew(music: FolderDataset, tmp_path: Path):
    cache = tmp_path / "cache"
    first = build_catalog(music.listing(), cache=cache, run=sequential)
    for piece in cache.rglob("*.parquet"):
        piece.write_bytes(piece.read_bytes()[:100])
    run = Counting()
    assert build_catalog(music.listing(), cache=cache, run=run).equals(first)
    assert len(run.read) == 6


def test_two_at_once_do_no_harm(music: FolderDataset, tmp_path: Path):
    found = {}

    def build(i: int) -> None:
        found[i] = build_catalog(music.listing(), cache=tmp_path / "cache", run=sequential)

    threads = [threading.Thread(target=build, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = Counting()
    last = build_catalog(music.listing(), cache=tmp_path / "cache", run=again)
    assert again.read == []
    assert [frame.equals(last) for frame in found.values()] == [True] * 4


def test_a_file_that_ends_its_decoder_costs_itself_only_and_is_not_read_again(
    music: FolderDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(readings, "_LIMIT_S", 0.3)
    monkeypatch.setattr(readings, "_HASH_S_PER_MB", 0.0)
    monkeypatch.setattr(readings, "read_file", ends_its_process)
    first, second = Counting(), Counting()
    found = build_catalog(music.listing(), cache=tmp_path / "cache", run=first)
    assert found["error"].dropna().to_dict() == {
        "a/4.wav": "takes too long to decode: given up after 0.3 s of computing for a block",
        "b/1.wav": "cannot be read now: its process ended (SIGKILL); run again",
        "b/3.wav": "crashes the decoder",
    }
    assert len(first.read) == 6
    assert build_catalog(music.listing(), cache=tmp_path / "cache", run=second).equals(found)
    assert second.read == ["1.wav"]


def test_a_failure_that_nobody_thought_of_costs_its_file_only_and_is_tried_again(
    music: FolderDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(readings, "read_file", has_no_memory)
        found = build_catalog(music.listing(), cache=tmp_path / "cache", run=sequential)
    assert found["error"].dropna().to_dict() == {
        "b/3.wav": "cannot be read now: MemoryError: no more than a byte; run again"
    }
    run = Counting()
    found = build_catalog(music.listing(), cache=tmp_path / "cache", run=run)
    assert found["error"].isna().all()
    assert run.read == ["3.wav"]


def test_the_time_is_up_only_where_nothing_comes(tmp_path: Path):
    apart = Apart()
    assert apart.call(computes_on, 4, limit_s=0.25) == 4
    with pytest.raises(EndedError, match="SIGPROF"):
        apart.call(computes_on, 1, limit_s=0.05)
    # Five blocks.
    path = write_tune(tmp_path / "a.wav", seed=1, duration_s=4.5, sr=65_536)
    found = apart.call(is_measured_slowly, str(path), limit_s=0.25)
    assert (found.duration_s, found.error) == (4.5, None)


def test_a_crash_is_not_held_against_what_took_the_files_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_tune(tmp_path / "3.wav", seed=1)

    def crashes_and_changes(*args: object, **kwargs: object) -> Reading:
        write_tune(path, seed=2, duration_s=2)
        raise EndedError(-signal.SIGSEGV)

    monkeypatch.setattr(Apart, "call", crashes_and_changes)
    (found,) = readings.read_files([str(path)])
    assert (found.error, found.sha256) == ("changed while it was read; run again", None)


def test_the_state_in_a_row_is_that_of_what_was_read(
    music: FolderDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = music.root / "b" / "1.wav"

    def changes_first(function, items, *, label):
        write_tune(path, seed=9, duration_s=1.7, sr=8_000)
        return sequential(function, items, label=label)

    found = build_catalog(music.listing(), cache=tmp_path / "cache", run=changes_first)
    row = found.loc["b/1.wav"]
    assert row["duration_s"] == 1.7
    assert tuple(row[list(State._fields)]) == readings.file_state(str(path))
    again = Counting()
    assert build_catalog(music.listing(), cache=tmp_path / "cache", run=again).equals(found)
    assert again.read == []


def test_a_name_with_a_nul_has_a_reason(tmp_path: Path):
    listing = Listing((Track("a", tmp_path / "a\0.wav", "rock"),))
    found = build_catalog(listing, cache=tmp_path / "cache", run=sequential)
    assert found.at["a", "error"] == "cannot be read: its name holds a NUL"


def test_a_name_that_is_not_unicode_is_shown_escaped(tmp_path: Path):
    listing = Listing((Track("a", tmp_path / "caf\udce9" / "a.wav", "rock"),))
    with pytest.raises(DataError, match=r"caf\\udce9/a\.wav': its name is not UTF-8: rename it"):
        build_catalog(listing, cache=tmp_path / "cache", run=sequential)
