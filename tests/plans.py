"""Plans of trainings so small that they take a second."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pandas as pd
from mlflow.tracking import MlflowClient

from genre_mlops.config import Config
from genre_mlops.domain import sequential
from genre_mlops.fitting import Plan
from genre_mlops.readings import State
from genre_mlops.shipping import Origin
from genre_mlops.store import FeatureStore, Source
from tests.music import write_tune
from tests.stores import make_store

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
# No change of the examples: each takes time to be put into a graph.
UNCHANGED = {
    f"augment.{key}": 0
    for key in (
        "gain_db",
        "eq_db",
        "time_stretch",
        "pitch_shift_semitones",
        "n_time_masks",
        "n_mel_masks",
        "noise_share",
        "mixup_alpha",
    )
}

# What is said to `ship` of where networks come from.
ORIGIN = Origin(
    source="composed by the tests",
    threads=1,
    runs={"train": "x"},
    cut_short=False,
    chosen_by="least validation loss",
    n_trials=2,
    cpu_s=3.5,
)


def make_plan(folder: Path, config: Config = CONFIG, *, n_tracks: int = 12) -> Plan:
    """Tunes of two kinds and their spectrograms, in a folder; no runs can be logged."""
    rows, sources = [], {}
    for i in range(n_tracks):
        path = write_tune(
            folder / f"{i}.wav", seed=i, duration_s=1.5, sr=8_000, base_hz=(200, 900)[i % 2]
        )
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        split = ("train", "train", "validation", "test")[i // 2 % 4]
        found = path.stat()
        state = State(found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        row = {"sha256": sha256, "genre": ("hum", "whistle")[i % 2], "split": split}
        rows.append(row | {"path": str(path), "duration_s": 1.5, **state._asdict()})
        sources[sha256] = Source(path, 1.5, state)
    FeatureStore(folder / "features", config.features).build(sources, sequential)
    pd.DataFrame(rows).to_parquet(folder / "catalog.parquet")
    return Plan(
        config=config,
        genres=("hum", "whistle"),
        catalog=folder / "catalog.parquet",
        features=folder / "features",
        folder=folder,
        key="key",
        tracking_uri="",
        experiment_id="",
        parent_run_id="",
        synthetic=True,
        tags={},
    )


def with_runs(plan: Plan) -> Plan:
    """Give a plan a database for runs."""
    uri = make_store(plan.folder / "mlflow.db")
    client = MlflowClient(uri)
    experiment = client.create_experiment("tunes")
    parent = client.create_run(experiment).info.run_id
    return replace(plan, tracking_uri=uri, experiment_id=experiment, parent_run_id=parent)
