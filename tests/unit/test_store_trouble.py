"""A feature store where the disk, a decoder or a sample gives trouble."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from genre_mlops import shards as shards_module
from genre_mlops import store as store_module
from genre_mlops.config import FeatureConfig
from genre_mlops.domain import sequential
from genre_mlops.feature_checks import Content, verify_features
from genre_mlops.sound_files import SlowError
from genre_mlops.store import FeatureStore, Source
from tests.music import write_tune

CONFIG = FeatureConfig(sr=16_000, n_fft=512, hop_length=200, n_mels=20, fmax=8_000)
N = 12
# A limit on the size of files fails as a full disk does, but needs no disk of its own.
CHILD = """
import resource, sys
from pathlib import Path
from genre_mlops.console import exit_codes
from genre_mlops.domain import sequential
from tests.unit.test_store_trouble import CONFIG, FeatureStore, sources_in
music, root, limit = sys.argv[1:]
store, sources = FeatureStore(Path(root), CONFIG), sources_in(Path(music))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
with exit_codes():
    store.build(sources, sequential)
"""


def sources_in(music: Path) -> dict[str, Source]:
    paths = sorted(music.iterdir())
    lengths_s = {path: path.stat().st_size / 2 / 22_050 for path in paths}
    return {hashlib.sha256(p.read_bytes()).hexdigest(): Source(p, lengths_s[p]) for p in paths}


@pytest.fixture
def music(tmp_path: Path) -> Path:
    for i in range(N):
        write_tune(tmp_path / "music" / f"{i}.wav", seed=i, duration_s=8)
    return tmp_path / "music"


def test_a_full_disk_is_told_and_what_is_done_stays(music: Path, tmp_path: Path):
    longer = write_tune(music / "longer.wav", seed=99, duration_s=12)
    sources = sources_in(music)
    # Of its shard, which is not the first that is written.
    assert sorted(sources)[0] != hashlib.sha256(longer.read_bytes()).hexdigest()
    limit = 11 * 80 * CONFIG.n_mels * 2
    argv = [sys.executable, "-c", CHILD, str(music), str(tmp_path / "f"), str(limit)]
    full = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    folder = FeatureStore(tmp_path / "f", CONFIG).folder
    assert full.returncode == 3, full.stderr
    assert (
        f"{folder}: the disk or your share of it is full (File too large): make room and run the "
        "same command to go on; the shards that are done stay"
    ) in " ".join(full.stderr.split())
    assert not list(folder.glob(".*"))
    report = FeatureStore(tmp_path / "f", CONFIG).build(sources, sequential)
    assert report.failures == {}
    assert report.n_built + report.n_reused == N + 1
    assert report.n_reused > 0
    contents = {s.path.name: Content(sha256, s.path) for sha256, s in sources.items()}
    store = FeatureStore(tmp_path / "f", CONFIG)
    assert verify_features(store, contents, sequential, n_sample=N + 1, seed=0).n_identical == N + 1


def test_what_was_given_up_as_slow_is_tried_again(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sources = sources_in(music)
    slow = music / "3.wav"

    def read(path: Path, *args: object, **how: object):
        if path == slow:
            raise SlowError(str(path), "takes too long to decode")
        return read_spectrogram(path, *args, **how)

    read_spectrogram = shards_module.read_spectrogram
    with monkeypatch.context() as patch:
        patch.setattr(shards_module, "read_spectrogram", read)
        report = FeatureStore(tmp_path / "f", CONFIG).build(sources, sequential)
    assert report.failures == {str(slow): "takes too long to decode"}
    again = FeatureStore(tmp_path / "f", CONFIG).build(sources, sequential)
    assert (again.n_built, again.n_reused, again.failures) == (1, N - 1, {})


def test_a_sample_that_fails_ends_nothing(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fails(*_: object):
        raise MemoryError

    store, sources = FeatureStore(tmp_path / "f", CONFIG), sources_in(music)
    assert store.estimate(sources).cpu_s is not None
    monkeypatch.setattr(store_module, "compute", fails)
    estimate = store.estimate(sources)
    assert (estimate.n_tracks, estimate.cpu_s) == (N, None)
