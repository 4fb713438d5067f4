import hashlib
from pathlib import Path

import numpy as np
import pytest

from genre_mlops import store as store_module
from genre_mlops.audio import load_clip
from genre_mlops.config import FeatureConfig
from genre_mlops.domain import sequential
from genre_mlops.logmel import LogMel, mel_filters
from genre_mlops.store import FeatureStore
from tests.music import write_tune

CONFIG = FeatureConfig(sr=16_000, n_fft=512, hop_length=200, n_mels=20, fmax=8_000)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    paths = [
        write_tune(tmp_path / "music" / f"{i}.wav", seed=i, duration_s=1 + i / 7) for i in range(7)
    ]
    return {sha256(path): path for path in paths}


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "TRACKS_PER_SHARD", 3)


def test_what_is_read_is_what_was_computed(tmp_path: Path, sources: dict[str, Path]):
    report = FeatureStore(tmp_path / "f", CONFIG).build(sources, sequential)
    assert (report.n_built, report.n_reused, report.failures) == (7, 0, {})
    store = FeatureStore(tmp_path / "f", CONFIG)
    log_mel = LogMel(CONFIG, mel_filters(CONFIG))
    for digest, path in sources.items():
        expected = log_mel(load_clip(path, sr=CONFIG.sr))
        assert store[digest].dtype == np.float16
        np.testing.assert_array_equal(store[digest], expected.astype(np.float16))
        assert isinstance(store[digest], np.memmap)
    assert len(list((tmp_path / "f").glob(f"{CONFIG.digest()}-v*/shard-*.npy"))) == 3


def test_nothing_is_computed_twice(tmp_path: Path, sources: dict[str, Path]):
    FeatureStore(tmp_path / "f", CONFIG).build(sources, sequential)
    shards = {p: p.stat().st_mtime_ns for p in (tmp_path / "f").rglob("shard-*")}
    report = FeatureStore(tmp_path / "f", CONFIG).build(sources, sequential)
    assert (report.n_built, report.n_reused) == (0, 7)
    first = next(iter(sources.values()))
    moved = first.rename(first.with_name("moved.wav"))
    new = write_tune(first.with_name("new.wav"), seed=70)
    sources = sources | {sha256(moved): moved, sha256(new): new}
    report = FeatureStore(tmp_path / "f", CONFIG).build(sources, sequential)
    assert (report.n_built, report.n_reused) == (1, 7)
    assert all(p.stat().st_mtime_ns == mtime for p, mtime in shards.items())


def test_another_config_is_another_store(tmp_path: Path, sources: dict[str, Path]):
    FeatureStore(tmp_path / "f", CONFIG).build(sources, sequential)
    other = CONFIG.model_copy(update={"n_mels": 21})
    assert FeatureStore(tmp_path / "f", other).build(sources, sequential).n_built == 7


def test_a_killed_build_goes_on(tmp_path: Path, sources: dict[str, Path]):
    def stops_after_one(function, items, *, label):
        yield function(items[0])
        raise KeyboardInterrupt

    store = FeatureStore(tmp_path / "f", CONFIG)
    with pytest.raises(KeyboardInterrupt):
        store.build(sources, stops_after_one)
    # Killed between a shard and its index: the shard does not count.
    orphan = next((tmp_path / "f").rglob("shard-*.npy"))
    (orphan.parent / "shard-0123456789abcdef.npy").write_bytes(orphan.read_bytes()[:99])
    report = FeatureStore(tmp_path / "f", CONFIG).build(sources, sequential)
    assert (report.n_built, report.n_reused) == (4, 3)


def test_a_changed_or_missing_file_is_a_failure_and_its_neighbours_are_not(
    tmp_path: Path, sources: dict[str, Path]
):
    changed, gone = list(sources.values())[:2]
    write_tune(changed, seed=99)
    gone.unlink()
    store = FeatureStore(tmp_path / "f", CONFIG)
    report = store.build(sources, sequential)
    assert report.n_built == 5
    assert "has changed since it was checked" in report.failures[str(changed)]
    assert "cannot be read" in report.failures[str(gone)]
    assert sum(digest in store for digest in sources) == 5
