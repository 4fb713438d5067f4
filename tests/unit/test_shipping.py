"""What is shipped says how sure it is as the validation tracks ask for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genre_mlops.audio import load_clip
from genre_mlops.drift import describe
from genre_mlops.fitting import Plan
from genre_mlops.learning.backend import keras
from genre_mlops.learning.bundle import Bundle
from genre_mlops.learning.metrics import log_loss
from genre_mlops.learning.networks import save_network
from genre_mlops.learning.reference import FILE, read_reference
from genre_mlops.shipping import ship
from tests.plans import CONFIG, ORIGIN, make_plan

N_VALIDATION, N_WRONG = 30, 4


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Most tunes validate; a few of them are said to be of the other genre."""
    plan = make_plan(tmp_path, n_tracks=N_VALIDATION + 6)
    catalog = pd.read_parquet(plan.catalog)
    catalog["split"] = ["train"] * 4 + ["validation"] * N_VALIDATION + ["test"] * 2
    wrong = catalog.index[4 : 4 + N_WRONG]
    catalog.loc[wrong, "genre"] = catalog.loc[wrong, "genre"].map(
        {"hum": "whistle", "whistle": "hum"}
    )
    catalog.to_parquet(plan.catalog)
    return replace(plan, synthetic=False)


def by_pitch(plan: Plan, certainty: float) -> keras.Model:
    """Build a network that tells high tunes from low ones, the more certain the more it is said."""
    heard = plan.tracks("train", plan.config.features)
    spectra = np.array([S_db.mean(axis=0, dtype="f4") for S_db in heard.spectrograms])
    low, high = (spectra[heard.labels == label].mean(axis=0) for label in (0, 1))
    direction = (high - low) / np.sum((high - low) ** 2)
    segments = keras.Input((CONFIG.network.segment_frames, CONFIG.features.n_mels))
    mean = keras.layers.GlobalAveragePooling1D()(segments)
    dense = keras.layers.Dense(2, activation="softmax")
    network = keras.Model(segments, dense(mean))
    kernel = certainty * np.stack([-direction, direction], axis=1)
    dense.set_weights([kernel, -kernel.T @ (low + high) / 2])
    return network


@pytest.mark.parametrize(("certainty", "too_sure"), [(4.0, True), (0.8, False)])
def test_the_bundle_is_as_sure_as_the_validation_tracks_make_it(
    plan: Plan, tmp_path: Path, certainty: float, too_sure: bool
):
    path = tmp_path / "one.keras"
    save_network(by_pitch(plan, certainty), path)
    shipped = ship(plan, CONFIG, [path], tmp_path / "study", {}, origin=ORIGIN)
    bundle = Bundle(shipped.folder)
    assert not bundle.info.synthetic
    temperature = bundle.info.temperature
    assert temperature == shipped.metrics["temperature"]
    assert (temperature > 1.1) if too_sure else (temperature < 0.9)

    # The network's files are in the catalog's order, as the tunes were written.
    files = [tmp_path / f"{i}.wav" for i in range(4, 4 + N_VALIDATION)]
    labels = plan.tracks("validation", plan.config.features).labels

    def judged(at: float) -> tuple[float, float]:
        bundle.info = bundle.info.model_copy(update={"temperature": at})
        heard = [bundle.predict(path) for path in files]
        told = np.array([[each.probabilities[g] for g in plan.genres] for each in heard])
        return log_loss(told, labels), float(np.mean([each.sure for each in heard]))

    loss, coverage = judged(temperature)
    assert loss < min(judged(temperature * by)[0] for by in (0.9, 1.1))
    assert loss < shipped.metrics["validation_loss"] == pytest.approx(judged(1.0)[0], rel=1e-3)
    # Stored spectrograms are rounded: one track or two may be on the other side of the threshold.
    assert coverage == pytest.approx(shipped.metrics["validation_coverage"], abs=2 / N_VALIDATION)
    assert 0.2 < coverage < 0.9
    assert shipped.metrics["validation_accuracy"] == 1 - N_WRONG / N_VALIDATION


def test_the_reference_is_what_would_be_logged_of_the_validation_tracks(plan: Plan, tmp_path: Path):
    path = tmp_path / "one.keras"
    save_network(by_pitch(plan, 2.0), path)
    bundle = Bundle(ship(plan, CONFIG, [path], tmp_path / "study", {}, origin=ORIGIN).folder)
    assert bundle.info.temperature != 1
    reference = read_reference(bundle.folder)
    assert FILE in bundle.info.sha256
    assert len(reference.genre) == reference.n_validation == N_VALIDATION
    for row, number in enumerate(range(4, 4 + N_VALIDATION)):
        clip = load_clip(tmp_path / f"{number}.wav", sr=CONFIG.features.sr)
        said, heard = bundle.predict(clip), describe(bundle.log_mel(clip), bundle.info.features)
        assert reference.genre[row] == said.genre
        assert reference.confidence[row] == pytest.approx(said.probabilities[said.genre], abs=1e-3)
        kept = {name: values[row] for name, values in reference.figures.items()}
        assert kept == pytest.approx(heard, abs=0.05)
