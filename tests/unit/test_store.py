"""Each test of these makes a store of short tunes; those of size make shards of zeros."""

import contextlib
import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from genre_mlops import shards as shards_module
from genre_mlops import store as store_module
from genre_mlops.audio import load_clip
from genre_mlops.config import FeatureConfig
from genre_mlops.domain import sequential
from genre_mlops.engine import Engine
from genre_mlops.errors import AudioError, DataError, GenreError
from genre_mlops.logmel import LogMel, mel_filters
from genre_mlops.readings import State, file_state
from genre_mlops.shards import Row, as_table, index_table
from genre_mlops.sound_files import open_regular
from genre_mlops.spectrograms import read_spectrogram
from genre_mlops.store import FeatureStore, Source
from tests.music import write_tune

CONFIG = FeatureConfig(sr=16_000, n_fft=512, hop_length=200, n_mels=20, fmax=8_000)


def source(path: Path, duration_s: float = 1.5) -> dict[str, Source]:
    return {hashlib.sha256(path.read_bytes()).hexdigest(): Source(path, duration_s)}


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for i in range(7):
        path = tmp_path / "music" / f"{i}.wav"
        found |= source(write_tune(path, seed=i, duration_s=1 + i / 7), 1 + i / 7)
    return found


@pytest.fixture(autouse=True)
def _few_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LEAST_SHARDS", 3)


def build(tmp_path: Path, sources: dict[str, Source], run=sequential):
    return FeatureStore(tmp_path / "f", CONFIG).build(sources, run)


def never(function, items, *, label):
    raise AssertionError(f"{label}: {items}")


def files_of(tmp_path: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in (tmp_path / "f").rglob("shard-*.npy")}


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_is_read_is_what_was_computed(
    tmp_path: Path, sources: dict[str, Source], workers: int
):
    report = build(tmp_path, sources, Engine(workers).map)
    assert (report.n_built, report.n_reused, report.failures) == (7, 0, {})
    store = FeatureStore(tmp_path / "f", CONFIG)
    log_mel = LogMel(CONFIG, mel_filters(CONFIG))
    names = [*sources, next(iter(sources))]
    together = store.sequence(names)
    assert len(together) == 8
    for digest, S_db in zip(names, together, strict=True):
        expected = log_mel(load_clip(sources[digest].path, sr=CONFIG.sr)).astype(np.float16)
        for found in (S_db, store[digest]):
            assert isinstance(found, np.memmap)
            assert found.dtype == np.float16
            np.testing.assert_array_equal(found, expected)
        assert digest in store
    np.testing.assert_array_equal(together[np.int64(-1)], together[0])
    np.testing.assert_array_equal(together[5:][1], together[6])
    # As any reader of NumPy's files finds them.
    shards = [np.load(path, mmap_mode="r") for path in files_of(tmp_path)]
    assert 3 <= len(shards) <= 4
    assert sum(map(len, shards)) == sum(map(len, together[:7]))
    unknown = "0" * 64
    assert unknown not in store
    with pytest.raises(KeyError, match=unknown):
        store.sequence([names[0], unknown])
    with pytest.raises(KeyError, match=unknown):
        FeatureStore(tmp_path / "none", CONFIG)[unknown]


def test_shards_follow_from_what_is_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made: dict[str, Source] = {}
    for i in range(12):
        made |= source(write_tune(tmp_path / f"{i}.wav", seed=i, duration_s=1), 1.0)
    # 81 frames of 20 bands of two bytes each.
    monkeypatch.setattr(store_module, "SHARD_BYTES", 2 * 81 * 20 * 2)
    build(tmp_path, made)
    assert [len(np.load(path)) for path in files_of(tmp_path)] == [2 * 81] * 6


def test_shards_do_not_depend_on_the_order_of_the_files(tmp_path: Path, sources: dict[str, Source]):
    for name, order in (("a", sources), ("b", reversed(sources))):
        named = {digest: sources[digest] for digest in order}
        FeatureStore(tmp_path / name, CONFIG).build(named, sequential)
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("shard-*.npy")}
        for name in "ab"
    )
    assert one
    assert one == other


def test_the_pieces_of_the_index_do_not_grow_for_ever(
    tmp_path: Path, sources: dict[str, Source], monkeypatch: pytest.MonkeyPatch
):
    def pieces() -> list[Path]:
        return list((tmp_path / "f").rglob("index-*.parquet"))

    build(tmp_path, sources)
    assert len(pieces()) >= 3
    monkeypatch.setattr("genre_mlops.pieces._MOST_PIECES", 2)
    # What a killed build left is merged by one that has nothing to do.
    build(tmp_path, sources, never)
    assert len(pieces()) == 1
    for seed in range(70, 74):
        sources |= source(write_tune(tmp_path / f"{seed}.wav", seed=seed, duration_s=1), 1.0)
        build(tmp_path, sources)
        assert len(pieces()) <= 2
    assert build(tmp_path, sources, never).n_reused == 7 + 4


def test_nothing_is_computed_twice(tmp_path: Path, sources: dict[str, Source]):
    build(tmp_path, sources)
    shards = files_of(tmp_path)
    report = build(tmp_path, sources, never)
    assert (report.n_built, report.n_reused) == (0, 7)
    first = next(iter(sources.values())).path
    moved = first.rename(first.with_name("moved.wav"))
    new = write_tune(first.with_name("new.wav"), seed=70)
    sources = sources | source(moved) | source(new)
    report = build(tmp_path, sources)
    assert (report.n_built, report.n_reused) == (1, 7)
    now = files_of(tmp_path)
    assert now.items() > shards.items()
    # The one new shard holds the one new file.
    assert [len(np.load(path)) for path in now.keys() - shards.keys()] == [1 + 4 * 16_000 // 200]


def test_another_config_is_another_store(tmp_path: Path, sources: dict[str, Source]):
    build(tmp_path, sources)
    other = CONFIG.model_copy(update={"n_mels": 21})
    assert FeatureStore(tmp_path / "f", other).build(sources, sequential).n_built == 7


def test_a_build_that_was_stopped_goes_on(tmp_path: Path, sources: dict[str, Source]):
    def stops_after_one(function, items, *, label):
        yield function(items[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, sources, stops_after_one)
    report = build(tmp_path, sources)
    assert report.n_built + report.n_reused == 7
    assert report.n_reused >= 2


def test_a_shard_that_the_index_does_not_know_does_not_count(
    tmp_path: Path, sources: dict[str, Source]
):
    # Killed between a shard and its index; a damaged one has the name of what is written next.
    build(tmp_path, sources)
    shards = {path: path.read_bytes() for path in files_of(tmp_path)}
    for piece in (tmp_path / "f").rglob("index-*.parquet"):
        piece.unlink()
    first, second = list(shards)[:2]
    first.write_bytes(shards[first][:-9])
    second.write_bytes(shards[second][:-1] + b"?")
    assert not any(digest in FeatureStore(tmp_path / "f", CONFIG) for digest in sources)
    report = build(tmp_path, sources)
    assert (report.n_built, report.n_reused) == (7, 0)
    assert {path: path.read_bytes() for path in files_of(tmp_path)} == shards


KILLED = """
import hashlib, sys, time
from pathlib import Path
from genre_mlops import store
from genre_mlops.shards import build_shard
from genre_mlops.config import FeatureConfig
from genre_mlops.engine import Engine

folder, config = Path(sys.argv[1]), FeatureConfig.model_validate_json(sys.argv[2])
files = [*Path(folder, "music").iterdir()]
sources = {hashlib.sha256(f.read_bytes()).hexdigest(): store.Source(f, 0.5) for f in files}
store.LEAST_SHARDS = len(files)
def slowly(*arguments):
    time.sleep(0.05)
    return build_shard(*arguments)
store.build_shard = slowly
store.FeatureStore(folder / "f", config).build(sources, Engine(int(sys.argv[3])).map)
"""


def has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_it_loses_no_more_than_what_it_is_at(tmp_path: Path, workers: int):
    made: dict[str, Source] = {}
    for i in range(60):
        path = write_tune(tmp_path / "music" / f"{i}.wav", seed=i, duration_s=0.5, sr=8_000)
        made |= source(path, 0.5)
    running = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), CONFIG.model_dump_json(), str(workers)],
        start_new_session=True,
    )
    try:
        while len(list((tmp_path / "f").rglob("index-*.parquet"))) < 2:
            assert running.poll() is None
            time.sleep(0.01)
        helpers = psutil.Process(running.pid).children(recursive=True)
        running.kill()
        assert running.wait() == -signal.SIGKILL
        assert len(helpers) >= (workers if workers > 1 else 0)
        store = FeatureStore(tmp_path / "f", CONFIG)
        n_there = sum(digest in store for digest in made)
        assert 2 <= n_there < 60
        # Workers may be ahead of the index, and finish what they are at.
        assert workers > 1 or n_there >= len(files_of(tmp_path)) - 1
        whole = {p: at for p, at in files_of(tmp_path).items() if p.stem in store.index.shards}
        report = build(tmp_path, made)
        # Nobody is left behind.
        for _ in range(600):
            if all(map(has_ended, helpers)):
                break
            time.sleep(0.1)
        assert all(map(has_ended, helpers))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    assert (report.n_built, report.n_reused) == (60 - n_there, n_there)
    assert files_of(tmp_path).items() >= whole.items()
    store, log_mel = FeatureStore(tmp_path / "f", CONFIG), LogMel(CONFIG, mel_filters(CONFIG))
    for digest, (path, *_) in made.items():
        expected = log_mel(load_clip(path, sr=CONFIG.sr)).astype(np.float16)
        np.testing.assert_array_equal(store[digest], expected)


@pytest.mark.parametrize("n_built", [5, 7])
def test_what_a_killed_build_left_is_removed_when_it_is_old(
    tmp_path: Path, sources: dict[str, Source], n_built: int
):
    build(tmp_path, dict(list(sources.items())[:n_built]))
    folder = next(iter(files_of(tmp_path))).parent
    old = {folder / "shard-0123456789abcdef.npy", folder / ".12.host.shard-0123456789abcdee.npy"}
    new = {folder / "shard-fedcba9876543210.npy", folder / ".34.host.index-1.parquet"}
    kept = {*folder.iterdir(), *new}
    for path in old | new:
        path.write_bytes(b"half")
    for path in (*old, *kept - new):
        os.utime(path, (0, 0))
    # Also where there is nothing to compute.
    build(tmp_path, sources, sequential if n_built < 7 else never)
    now = set(folder.iterdir())
    assert not old & now
    assert kept <= now
    store = FeatureStore(tmp_path / "f", CONFIG)
    assert all(digest in store for digest in sources)


def test_shards_whose_index_cannot_be_read_are_not_taken_for_left_behind(
    tmp_path: Path, sources: dict[str, Source]
):
    build(tmp_path, sources)
    store, shards = FeatureStore(tmp_path / "f", CONFIG), files_of(tmp_path)
    for path in shards:
        os.utime(path, (0, 0))
    orphan = store.folder / "shard-0123456789abcdef.npy"
    orphan.write_bytes(b"half")
    os.utime(orphan, (0, 0))
    (store.folder / "index-0.parquet").symlink_to(tmp_path / "nowhere")
    with pytest.raises(GenreError, match="come and go"):
        store.build(sources, sequential)
    assert files_of(tmp_path).keys() == {*shards, orphan}


def test_what_others_have_built_since_is_not_taken_for_left_behind(
    tmp_path: Path, sources: dict[str, Source]
):
    opened_early = FeatureStore(tmp_path / "f", CONFIG)
    build(tmp_path, sources)
    for path in files_of(tmp_path):
        os.utime(path, (0, 0))
    assert opened_early.build({}, never).n_built == 0
    assert all(digest in FeatureStore(tmp_path / "f", CONFIG) for digest in sources)


def test_what_cannot_be_used_is_remembered_by_its_content(
    tmp_path: Path, sources: dict[str, Source]
):
    text = tmp_path / "music" / "text.mp3"
    text.write_text("this is no music\n" * 30)
    report = build(tmp_path, sources | source(text))
    assert (report.n_built, report.n_reused) == (7, 0)
    assert report.failures.keys() == {str(text)}
    assert "cannot be decoded" in report.failures[str(text)]
    again = build(tmp_path, sources | source(text), never)
    assert (again.n_built, again.n_reused, again.failures) == (0, 7, report.failures)
    # Of other files nothing is said.
    assert build(tmp_path, sources, never).failures == {}
    write_tune(text, seed=80)
    mended = build(tmp_path, sources | source(text))
    assert (mended.n_built, mended.n_reused, mended.failures) == (1, 7, {})


def test_a_changed_or_missing_file_is_a_failure_for_now(tmp_path: Path, sources: dict[str, Source]):
    changed, gone = [source.path for source in sources.values()][:2]
    before, lost = changed.read_bytes(), gone.read_bytes()
    write_tune(changed, seed=99)
    gone.unlink()
    report = build(tmp_path, sources)
    assert report.n_built == 5
    assert "has changed since it was checked" in report.failures[str(changed)]
    assert "cannot be read" in report.failures[str(gone)]
    store = FeatureStore(tmp_path / "f", CONFIG)
    assert sum(digest in store for digest in sources) == 5
    changed.write_bytes(before)
    gone.write_bytes(lost)
    report = build(tmp_path, sources)
    assert (report.n_built, report.n_reused, report.failures) == (2, 5, {})


def test_a_file_in_the_state_it_was_hashed_in_is_not_hashed_again(
    tmp_path: Path, sources: dict[str, Source]
):
    # Wrong names for the contents show who was believed.
    known = {
        f"{i:064}": source._replace(state=file_state(str(source.path)))
        for i, source in enumerate(sources.values())
    }
    first, second = (source.path for source in list(known.values())[:2])
    first.touch()
    write_tune(second, seed=99)
    report = build(tmp_path, known)
    assert report.n_built == 5
    assert report.failures.keys() == {str(first), str(second)}
    # Touched is not changed.
    touched = {digest: source._replace(state=State(1, 2, 3)) for digest, source in sources.items()}
    assert build(tmp_path, touched).failures.keys() == {str(second)}


def test_shards_that_are_gone_or_cut_short_are_built_again(
    tmp_path: Path, sources: dict[str, Source]
):
    build(tmp_path, sources)
    gone, short, *_ = files_of(tmp_path)
    store = FeatureStore(tmp_path / "f", CONFIG)
    os.truncate(short, short.stat().st_size - 1)
    gone.unlink()
    # One who has opened it before is told.
    with pytest.raises(GenreError, match="build the features again"):
        list(store.sequence(list(sources)))
    lost = [digest for digest in sources if digest not in FeatureStore(tmp_path / "f", CONFIG)]
    assert 2 <= len(lost) < 7
    assert build(tmp_path, sources).n_built == len(lost)
    assert build(tmp_path, sources, never).n_reused == 7
    assert all(map(len, FeatureStore(tmp_path / "f", CONFIG).sequence(list(sources))))


def test_what_the_disk_has_no_room_for_is_not_begun(tmp_path: Path, sources: dict[str, Source]):
    endless = {digest: Source(path, 1e10) for digest, (path, *_) in sources.items()}
    with pytest.raises(DataError, match=r"224,000,000 MB are needed and [\d,]+ MB are free"):
        build(tmp_path, endless, never)


def test_the_estimate_is_of_what_is_missing(tmp_path: Path, sources: dict[str, Source]):
    store = FeatureStore(tmp_path / "f", CONFIG)
    estimate = store.estimate(sources)
    # One of seven is no small sample.
    assert (estimate.n_tracks, estimate.cpu_s) == (7, None)
    build(tmp_path, sources)
    n_bytes = sum(path.stat().st_size - 128 for path in files_of(tmp_path))
    assert estimate.n_bytes == pytest.approx(n_bytes, rel=0.01)
    built = FeatureStore(tmp_path / "f", CONFIG).estimate(sources)
    assert (built.n_tracks, built.n_bytes, built.cpu_s) == (0, 0, None)


def test_the_estimate_is_the_time_of_a_sample_for_the_length_of_all(
    tmp_path: Path, sources: dict[str, Source], monkeypatch: pytest.MonkeyPatch
):
    now_s = 100.0

    def timed(log_mel: LogMel, source: Source, sha256: str):
        nonlocal now_s
        now_s += 3 * source.duration_s
        # What gives nothing says nothing of the others.
        if sha256 == f"{1:064}":
            raise AudioError("1", "is empty")

    monkeypatch.setattr(store_module, "compute", timed)
    monkeypatch.setattr(store_module, "time", SimpleNamespace(monotonic=lambda: now_s))
    # As if each stood for many files of its kind; the first are shorter than the mean.
    many = {f"{i:064}": s for i, s in enumerate(100 * list(sources.values()))}
    cpu_s = FeatureStore(tmp_path / "f", CONFIG).estimate(many).cpu_s
    assert now_s > 100
    assert cpu_s == pytest.approx(3 * sum(s.duration_s for s in many.values()))


def make_shards(folder: Path, *, n_shards: int, n_frames: int) -> list[str]:
    """Write shards of zeros, one spectrogram each, and return the sha256 they stand for."""
    n_mels = CONFIG.n_mels
    digests = [f"{i:064}" for i in range(n_shards)]
    folder.mkdir(parents=True)
    for digest in digests:
        path = folder / f"shard-{digest[-16:]}.npy"
        np.save(path, np.zeros((0, n_mels), np.float16))
        os.truncate(path, 128 + n_frames * n_mels * 2)
    index = index_table(folder)
    rows = [Row(digest, f"shard-{digest[-16:]}", 0, n_frames) for digest in digests]
    index.append(as_table(rows, index))
    return digests


def test_open_files_do_not_grow_with_the_shards(tmp_path: Path):
    store = FeatureStore(tmp_path, CONFIG)
    digests = make_shards(store.folder, n_shards=300, n_frames=9)
    tracks = FeatureStore(tmp_path, CONFIG).sequence(digests)
    before = psutil.Process().num_fds()
    most = 0
    for S_db in tracks:
        assert S_db.shape == (9, 20)
        most = max(most, psutil.Process().num_fds())
    assert 0 < most - before <= shards_module._MOST_OPEN + 2


def test_memory_does_not_grow_with_what_was_read(tmp_path: Path):
    store = FeatureStore(tmp_path, CONFIG)
    # 60 spectrograms of 10 MB.
    digests = make_shards(store.folder, n_shards=60, n_frames=250_000)
    tracks = FeatureStore(tmp_path, CONFIG).sequence(digests)
    before, most = psutil.Process().memory_info().rss, 0
    for S_db in tracks:
        assert S_db[::50].sum() == 0  # touches every page
        most = max(most, psutil.Process().memory_info().rss)
    assert 50e6 < most - before < 200e6


def test_what_is_not_the_files_fault_costs_one_file_and_is_not_remembered(
    tmp_path: Path, sources: dict[str, Source], monkeypatch: pytest.MonkeyPatch
):
    unlucky = str(next(iter(sources.values())).path)

    def short_of_memory(source: Path, *args: object, **how: object):
        if str(source) == unlucky:
            raise MemoryError
        return read_spectrogram(source, *args, **how)

    with monkeypatch.context() as machine:
        machine.setattr("genre_mlops.shards.read_spectrogram", short_of_memory)
        report = build(tmp_path, sources)
    assert list(report.failures) == [unlucky]
    assert "cannot be computed now: MemoryError" in report.failures[unlucky]
    again = build(tmp_path, sources)
    assert (again.n_built, again.n_reused, again.failures) == (1, len(sources) - 1, {})


@pytest.mark.parametrize(
    ("mishap", "reason"),
    [
        ("is another's", "has changed since it was checked"),
        ("is damaged", "has changed since it was checked"),
        ("is out of reach", "cannot be read: Input/output error"),
    ],
)
def test_what_befalls_a_file_while_it_is_read_is_a_failure_for_now(
    tmp_path: Path,
    sources: dict[str, Source],
    monkeypatch: pytest.MonkeyPatch,
    mishap: str,
    reason: str,
):
    digest, (unlucky, *_) = next(iter(sources.items()))
    before = unlucky.read_bytes()

    def opened_after(path: Path):
        """Open a file to decode it; it was hashed by another way."""
        if path == unlucky:
            if mishap == "is out of reach":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            if mishap == "is damaged":
                path.write_text("this is no music\n" * 30)
            else:
                write_tune(path, seed=99)
        return open_regular(path)

    with monkeypatch.context() as machine:
        machine.setattr("genre_mlops.audio.open_regular", opened_after)
        report = build(tmp_path, sources)
    assert report.n_built == 6
    assert list(report.failures) == [str(unlucky)]
    assert reason in report.failures[str(unlucky)]
    assert digest not in FeatureStore(tmp_path / "f", CONFIG)
    unlucky.write_bytes(before)
    again = build(tmp_path, sources)
    assert (again.n_built, again.n_reused, again.failures) == (1, 6, {})
