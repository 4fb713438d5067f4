"""Members of an ensemble: trained once each, kept, and told apart by their seeds."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from genre_mlops.config import Config
from genre_mlops.domain import sequential
from genre_mlops.engine import Engine
from genre_mlops.fitting import Plan
from genre_mlops.learning.bundle import Bundle, read_seen
from genre_mlops.learning.calibration import MIN_TRACKS
from genre_mlops.learning.networks import load_network
from genre_mlops.members import train_members
from genre_mlops.shipping import ship
from genre_mlops.store import FeatureStore, Source
from tests.music import write_tune

CONFIG = Config().override(
    {
        "features.sr": 8_000,
        "features.n_fft": 512,
        "features.hop_length": 200,
        "features.n_mels": 24,
        "features.fmax": 4_000,
        "network.segment_frames": 32,
        "network.cnn1d.filters": 2,
        "network.cnn1d.n_blocks": 2,
        "network.cnn2d.filters": 2,
        "network.cnn2d.n_blocks": 2,
        "network.dense_units": 5,
        "training.epochs": 2,
        "training.members": 3,
    }
)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Twelve tunes of two kinds, their spectrograms, and a database for runs."""
    rows, sources = [], {}
    for i in range(12):
        path = write_tune(
            tmp_path / f"{i}.wav", seed=i, duration_s=1.5, sr=8_000, base_hz=(200, 900)[i % 2]
        )
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        split = ("train", "train", "validation", "test")[i // 2 % 4]
        rows.append({"sha256": sha256, "genre": ("hum", "whistle")[i % 2], "split": split})
        sources[sha256] = Source(path, 1.5)
    FeatureStore(tmp_path / "features", CONFIG.features).build(sources, sequential)
    pd.DataFrame(rows).to_parquet(tmp_path / "catalog.parquet")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(uri)
    experiment = client.create_experiment("members")
    return Plan(
        config=CONFIG,
        genres=("hum", "whistle"),
        catalog=tmp_path / "catalog.parquet",
        features=tmp_path / "features",
        folder=tmp_path,
        key="key",
        tracking_uri=uri,
        experiment_id=experiment,
        parent_run_id=client.create_run(experiment).info.run_id,
        synthetic=True,
        tags={},
    )


def runs(plan: Plan) -> list[str]:
    found = MlflowClient(plan.tracking_uri).search_runs([plan.experiment_id])
    return sorted(run.info.run_name for run in found if "synthetic" in run.info.run_name)


@pytest.mark.slow
def test_each_member_is_trained_once_and_what_is_shipped_is_their_mean(plan: Plan, tmp_path: Path):
    folder = tmp_path / "study"
    paths = train_members(plan, CONFIG, folder, Engine(1))
    assert [path.name for path in paths] == ["member-001.keras", "member-002.keras"]
    assert runs(plan) == ["synthetic member-001", "synthetic member-002"]
    assert list(folder.glob("*.npz")) == []
    before = [load_network(path).get_weights() for path in paths]
    assert not all(np.array_equal(a, b) for a, b in zip(*before, strict=True))

    paths[1].unlink()
    train_members(plan, CONFIG, folder, Engine(1))
    assert runs(plan) == ["synthetic member-001", "synthetic member-002", "synthetic member-002"]
    for weights, path in zip(before, paths, strict=True):
        for one, other in zip(weights, load_network(path).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)

    shipped = ship(plan, CONFIG, paths, folder, {"dataset": "tunes"})
    bundle = Bundle(shipped.folder)
    rng = np.random.default_rng(0)
    segments = rng.uniform(-100, 0, (7, 32, 24)).astype(np.float32)
    means = np.mean([load_network(path)(segments) for path in paths], axis=0)
    np.testing.assert_allclose(bundle.predict_segments(segments), means, atol=1e-5)
    assert bundle.info.provenance["members"] == 2
    # Two validation tracks say nothing of certainty.
    assert len(plan.tracks("validation").labels) == 2 < MIN_TRACKS
    assert (bundle.info.temperature, bundle.info.sure_above) == (1, 1)
    catalog = pd.read_parquet(plan.catalog)
    assert read_seen(shipped.folder) == set(catalog.loc[catalog["split"] != "test", "sha256"])
    assert shipped.metrics["multiply_adds"] > 0
