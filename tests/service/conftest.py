"""A small real bundle, recordings, and a BentoML home with bentos of two versions of it."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from genre_mlops.config import FeatureConfig
from genre_mlops.learning.bundle import KERAS, ONNX, BundleInfo, save_filters, write_info

PROJECT = Path(__file__).parents[2]
GENRES = ("blues", "disco", "metal")
SEGMENT_FRAMES = 40
FEATURES = FeatureConfig(sr=8_000, n_fft=512, hop_length=256, n_mels=16, fmax=4_000)


def make_bundle(
    folder: Path,
    *,
    seed: int,
    synthetic: bool = True,
    temperature: float = 2.0,
    sure_above: float = 0.0,
) -> Path:
    """Write a bundle whose network is one dense layer over the mean frame, of random weights."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    weights = (0.05 * rng.normal(size=(FEATURES.n_mels, len(GENRES)))).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["S_db"], ["mean"], axes=[1], keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        ],
        "dense",
        [
            helper.make_tensor_value_info(
                "S_db", TensorProto.FLOAT, ["n", SEGMENT_FRAMES, FEATURES.n_mels]
            )
        ],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(GENRES)])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / ONNX)
    (folder / KERAS).write_bytes(b"not needed to serve")
    filters = np.abs(rng.normal(size=(FEATURES.n_mels, 1 + FEATURES.n_fft // 2)))
    save_filters(folder, filters.astype(np.float32))
    info = BundleInfo(
        genres=GENRES,
        features=FEATURES,
        segment_frames=SEGMENT_FRAMES,
        temperature=temperature,
        sure_above=sure_above,
        synthetic=synthetic,
        provenance={"run_id": f"run-{seed}"},
    )
    write_info(folder, info)
    return folder


def noise(*, duration_s: float, sr: int, n_channels: int, seed: int = 0) -> NDArray[np.float32]:
    """Make noise that gets duller with the seed, of shape (n_samples, n_channels)."""
    rng = np.random.default_rng(seed)
    y = rng.normal(scale=0.1, size=(round(duration_s * sr), n_channels))
    smooth = np.ones(1 + seed) / (1 + seed)
    columns = [np.convolve(column, smooth, mode="same") for column in y.T]
    return np.stack(columns, axis=1).astype(np.float32)


def write_audio(path: Path, y: NDArray[np.float32], sr: int) -> Path:
    """Write a recording in the format of the suffix."""
    soundfile.write(path, y, sr)
    return path


def copy_project(folder: Path) -> Path:
    """Copy what a bento is built from, and what builds it."""
    shutil.copytree(
        PROJECT / "genre_mlops",
        folder / "genre_mlops",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (folder / "requirements").mkdir()
    shutil.copyfile(PROJECT / "requirements/serving.txt", folder / "requirements/serving.txt")
    shutil.copyfile(PROJECT / "bentofile.yaml", folder / "bentofile.yaml")
    (folder / "tests").mkdir()
    (folder / "tests" / "test_secret.py").write_text("SECRET = 1\n")
    (folder / "data.csv").write_text("a,b\n")
    return folder


@dataclass(frozen=True)
class Store:
    """A BentoML home with the bentos of versions 1 and 2; 2 is the latest."""

    project: Path
    home: Path
    bundles: dict[int, Path]
    tags: dict[int, str]

    def bento(self, version: int) -> Path:
        """Return the folder of a bento."""
        return self.home / "bentos" / self.tags[version].replace(":", "/")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    from genre_mlops.serving.packaging import package

    folder = tmp_path_factory.mktemp("serving")
    # A copy: the sources may be edited while the tests run.
    project = copy_project(folder / "project")
    # What recordings of the tests are above, unless they are louder than most.
    sure_above = {1: 0.53, 2: 0.0}
    bundles = {
        version: make_bundle(folder / f"bundle{version}", seed=version, sure_above=threshold)
        for version, threshold in sure_above.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        # BentoML reads both once a process, so they stay until the session ends.
        patch.setenv("BENTOML_HOME", str(folder / "home"))
        patch.setenv("BENTOML_DO_NOT_TRACK", "True")
        tags = {
            version: package(
                bundle,
                version=version,
                labels={"git_commit": "0a1b2c3"},
                project=project,
                card=f"# tunes {version}" if version == 1 else None,
            )
            for version, bundle in bundles.items()
        }
        yield Store(project, folder / "home", bundles, tags)


@pytest.fixture(scope="session")
def app(store: Store) -> object:
    """The service of version 1 in this process, without its guard.

    BentoML registers an app's metrics once a process: all tests share one.
    """
    import bentoml

    service = bentoml.load(store.tags[1])
    service.middlewares.clear()
    return service.to_asgi()


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes noise to a file."""

    def write(name: str = "clip.wav", *, duration_s: float = 3.0, sr: int = 11_025) -> Path:
        return write_audio(tmp_path / name, noise(duration_s=duration_s, sr=sr, n_channels=2), sr)

    return write


@pytest.fixture
def bundle_maker(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a bundle of a seed to a new folder."""

    def make(name: str = "bundle", *, seed: int = 1, synthetic: bool = True) -> Path:
        return make_bundle(tmp_path / name, seed=seed, synthetic=synthetic)

    return make


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the project to change, with files no bento should hold."""
    return copy_project(tmp_path / "project")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a new BentoML home, for what runs in other processes."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    return tmp_path / "home"
