import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genre_mlops import store as store_module
from genre_mlops.config import FeatureConfig
from genre_mlops.domain import sequential
from genre_mlops.feature_checks import Content, FeatureCheck, verify_features
from genre_mlops.logmel import mel_filters
from genre_mlops.store import FeatureStore, Source
from tests.music import tune, write_tune

CONFIG = FeatureConfig(sr=16_000, n_fft=512, hop_length=200, n_mels=20, fmax=8_000)


@pytest.fixture
def tracks(tmp_path: Path) -> dict[str, Content]:
    found = {}
    for i in range(6):
        path = write_tune(tmp_path / "music" / f"{i}.wav", seed=i, duration_s=1)
        found[f"{i}.wav"] = Content(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    return found


def build(tmp_path: Path, tracks: dict[str, Content]) -> None:
    sources = {sha256: Source(path, 1.0) for sha256, path in tracks.values()}
    FeatureStore(tmp_path / "f", CONFIG).build(sources, sequential)


def verify(tmp_path: Path, tracks: dict[str, Content], n_sample: int = 6) -> FeatureCheck:
    store = FeatureStore(tmp_path / "f", CONFIG)
    return verify_features(store, tracks, sequential, n_sample=n_sample, seed=0)


def shard_of(tmp_path: Path, content: Content) -> Path:
    store = FeatureStore(tmp_path / "f", CONFIG)
    return store.folder / str(store.index.shard_of(content.sha256))


def test_a_good_store_passes(tmp_path: Path, tracks: dict[str, Content]):
    build(tmp_path, tracks)
    found = verify(tmp_path, tracks)
    assert found == FeatureCheck(n_tracks=6, n_recomputed=6, n_identical=6)
    assert found.passed
    assert verify(tmp_path, tracks, 2) == FeatureCheck(6, n_recomputed=2, n_identical=2)
    assert verify(tmp_path, tracks, 99).n_recomputed == 6


def test_the_missing_are_named_with_the_reason_where_there_is_one(
    tmp_path: Path, tracks: dict[str, Content]
):
    text = tmp_path / "music" / "text.mp3"
    text.write_text("this is no music\n" * 30)
    tracks["text.mp3"] = Content(hashlib.sha256(text.read_bytes()).hexdigest(), text)
    late = {name: tracks.pop(name) for name in ("0.wav", "1.wav")}
    build(tmp_path, tracks)
    found = verify(tmp_path, tracks | late)
    assert found.missing.keys() == {"0.wav", "1.wav", "text.mp3"}
    assert found.missing["0.wav"] == "was not computed"
    assert "cannot be decoded" in found.missing["text.mp3"]
    assert (found.n_recomputed, found.passed) == (4, False)


def test_the_damaged_are_named_with_their_shard(tmp_path: Path, tracks: dict[str, Content]):
    build(tmp_path, tracks)
    gone, short, flipped = (shard_of(tmp_path, tracks[f"{i}.wav"]) for i in (1, 2, 4))
    gone.unlink()
    os.truncate(short, 200)
    content = bytearray(flipped.read_bytes())
    content[-5] ^= 1
    flipped.write_bytes(content)
    found = verify(tmp_path, tracks)
    assert found.damaged == {
        "1.wav": f"{gone.name} is gone or cut short",
        "2.wav": f"{short.name} is gone or cut short",
        "4.wav": f"{flipped.name} is not as it was written",
    }
    assert (found.missing, found.different, found.n_identical) == ({}, {}, 3)
    assert not found.passed


@pytest.mark.parametrize(("gain", "passes"), [(1.01, True), (1.5, False)])
def test_others_than_the_file_gives_are_named_beyond_the_tolerance(
    tmp_path: Path,
    tracks: dict[str, Content],
    monkeypatch: pytest.MonkeyPatch,
    gain: float,
    passes: bool,
):
    # As if another version of librosa had made the filters.
    other = mel_filters(CONFIG) * np.float32(gain)
    monkeypatch.setattr(store_module, "mel_filters", lambda config: other)
    build(tmp_path, tracks)
    found = verify(tmp_path, tracks)
    assert found.passed is passes
    assert (found.n_recomputed, found.n_identical) == (6, 0)
    if not passes:
        assert found.different.keys() == tracks.keys()
        assert "differs by up to 1.8" in found.different["0.wav"]


@pytest.mark.parametrize(("amplitude", "passes"), [(0.003, True), (0.01, False)])
def test_what_nobody_hears_may_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, amplitude: float, passes: bool
):
    path = tmp_path / "quiet.wav"
    # The loudest band is at -86 or -76 dB.
    y = amplitude * tune(seed=1, duration_s=1, sr=CONFIG.sr)
    soundfile.write(path, y, CONFIG.sr, subtype="FLOAT")
    tracks = {"quiet.wav": Content(hashlib.sha256(path.read_bytes()).hexdigest(), path)}
    other = mel_filters(CONFIG) * np.float32(1.5)
    monkeypatch.setattr(store_module, "mel_filters", lambda config: other)
    build(tmp_path, tracks)
    found = verify(tmp_path, tracks)
    assert (found.n_recomputed, found.n_identical) == (1, 0)
    assert found.passed is passes


def test_the_seed_chooses_the_sample(tmp_path: Path, tracks: dict[str, Content]):
    build(tmp_path, tracks)
    store = FeatureStore(tmp_path / "f", CONFIG)

    def chosen(seed: int, tracks: dict[str, Content]) -> frozenset[str]:
        names: list[str] = []

        def noted(function, items, *, label):
            names.extend(track_id for task in items for track_id, _ in task)
            return sequential(function, items, label=label)

        found = verify_features(store, tracks, noted, n_sample=2, seed=seed)
        assert found == FeatureCheck(6, n_recomputed=2, n_identical=2)
        return frozenset(names)

    samples = [chosen(seed, tracks) for seed in range(6)]
    assert len(set(samples)) > 2
    backwards = dict(reversed(tracks.items()))
    assert [chosen(seed, backwards) for seed in range(6)] == samples


def test_a_file_that_has_changed_since_is_named(tmp_path: Path, tracks: dict[str, Content]):
    build(tmp_path, tracks)
    write_tune(tracks["3.wav"].path, seed=99)
    assert "has changed" in verify(tmp_path, tracks).different["3.wav"]
