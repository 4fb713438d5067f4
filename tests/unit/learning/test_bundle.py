import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from genre_mlops.config import FeatureConfig, NetworkConfig
from genre_mlops.domain import Clip
from genre_mlops.errors import GenreError
from genre_mlops.learning.bundle import (
    INFO,
    KERAS,
    ONNX,
    Bundle,
    BundleInfo,
    read_info,
    read_seen,
    write_info,
)
from genre_mlops.learning.export import write_bundle
from genre_mlops.learning.networks import average_networks, build_networks, load_network
from genre_mlops.segments import pool_segments
from tests.music import tune

FEATURES = FeatureConfig(sr=8_000, n_fft=512, hop_length=200, n_mels=24, fmax=4_000)
NETWORK = NetworkConfig(
    segment_frames=40,
    cnn1d={"filters": 3, "n_blocks": 2},
    cnn2d={"filters": 3, "n_blocks": 2},
    dense_units=7,
)
GENRES = ("a", "b", "c", "d", "e")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    network = average_networks(build_networks(NETWORK, FEATURES, n_genres=len(GENRES)))
    rng = np.random.default_rng(0)
    # Fresh networks say nearly the same of everything.
    weights = network.get_weights()
    network.set_weights(
        [w + 0.2 * rng.standard_normal(w.shape) if w.ndim > 1 else w for w in weights]
    )
    info = BundleInfo(
        genres=GENRES,
        features=FEATURES,
        segment_frames=NETWORK.segment_frames,
        synthetic=True,
        provenance={"seed": 3},
    )
    write_bundle(folder, network, info, seen=["b1", "a2"])
    return folder


@pytest.mark.parametrize("duration_s", [0.2, 1.0, 9.7])
def test_onnx_is_keras(folder: Path, duration_s: float):
    bundle = Bundle(folder)
    clip = Clip("tune", tune(seed=1, duration_s=duration_s, sr=8_000).astype("f4"), 8_000)
    prediction = bundle.predict(clip)
    n_frames = 1 + clip.y.size // 200
    assert prediction.segments.shape == (-(-n_frames // 40), 5)
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert prediction.genre == max(prediction.probabilities, key=prediction.probabilities.get)
    assert prediction.segment_starts_s[0] == 0

    rng = np.random.default_rng(2)
    segments = rng.uniform(-100, 0, (11, 40, 24)).astype(np.float32)
    keras = load_network(folder / KERAS).predict(segments, verbose=0)
    np.testing.assert_allclose(bundle.predict_segments(segments), keras, atol=1e-5)
    assert np.ptp(keras, axis=0).max() > 0.01


def certain(folder: Path, place: Path, **settings: float) -> Bundle:
    """Copy a bundle with another temperature or threshold."""
    shutil.copytree(folder, place)
    write_info(place, read_info(place).model_copy(update=settings))
    return Bundle(place)


def test_the_temperature_makes_it_less_certain_of_the_same(folder: Path, tmp_path: Path):
    clip = Clip("tune", tune(seed=1, duration_s=4, sr=8_000).astype("f4"), 8_000)
    plain = Bundle(folder).predict(clip)
    found = certain(folder, tmp_path / "bundle", temperature=2.5).predict(clip)
    assert list(found.probabilities) == list(plain.probabilities)
    expected = pool_segments(plain.segments, 2.5)
    assert [found.probabilities[g] for g in GENRES] == pytest.approx(list(expected))
    assert found.probabilities[found.genre] < plain.probabilities[plain.genre]


def test_it_is_sure_above_its_threshold(folder: Path, tmp_path: Path):
    clip = Clip("tune", tune(seed=1, duration_s=4, sr=8_000).astype("f4"), 8_000)
    best = max(Bundle(folder).predict(clip).probabilities.values())
    assert Bundle(folder).predict(clip).sure
    for name, threshold, sure in (("below", best - 0.01, True), ("above", best + 0.01, False)):
        bundle = certain(folder, tmp_path / name, sure_above=threshold)
        assert bundle.predict(clip).sure is sure, name


def test_a_bundle_of_before_there_were_thresholds_is_sure_of_all(folder: Path, tmp_path: Path):
    shutil.copytree(folder, tmp_path / "bundle")
    info = json.loads((tmp_path / "bundle" / INFO).read_text())
    del info["temperature"], info["sure_above"]
    (tmp_path / "bundle" / INFO).write_text(json.dumps(info))
    read = read_info(tmp_path / "bundle")
    assert (read.temperature, read.sure_above) == (1, 0)


def test_threads_and_batches_change_nothing(folder: Path):
    clip = Clip("tune", tune(seed=4, duration_s=30, sr=8_000).astype("f4"), 8_000)
    one, two = (Bundle(folder, threads=n).predict(clip).segments for n in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_a_bundle_knows_what_it_has_learnt_from(folder: Path):
    assert read_seen(folder) == {"a2", "b1"}


def test_a_changed_file_is_refused(folder: Path, tmp_path: Path):
    for name, change in ((ONNX, b"x"), (KERAS, b"x")):
        copy = tmp_path / name / "bundle"
        shutil.copytree(folder, copy)
        (copy / name).write_bytes((copy / name).read_bytes() + change)
        with pytest.raises(GenreError, match="not the file that was sealed"):
            Bundle(copy)
        (copy / name).unlink()
        with pytest.raises(GenreError, match=f"{name} is missing"):
            Bundle(copy)


def test_what_is_no_bundle_is_said(tmp_path: Path):
    with pytest.raises(GenreError, match="is no bundle"):
        Bundle(tmp_path)
    (tmp_path / "bundle.json").write_text('{"format_version": 2}')
    with pytest.raises(GenreError, match="is not of this version: format_version"):
        Bundle(tmp_path)


def test_writing_over_an_older_bundle_leaves_only_the_new_one(folder: Path, tmp_path: Path):
    info = Bundle(folder).info
    network = load_network(folder / KERAS)
    place = tmp_path / "bundle"
    place.mkdir()
    (place / "old").write_text("")
    write_bundle(place, network, info, seen=[])
    assert {p.name for p in place.iterdir()} == {
        *("bundle.json", "network.keras", "network.onnx", "mel_filters.npz", "seen_tracks.txt")
    }
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]
