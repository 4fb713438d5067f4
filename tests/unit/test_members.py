"""Members of an ensemble: trained once each, kept, and told apart by their seeds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from genre_mlops.fitting import Plan
from genre_mlops.learning.bundle import Bundle, read_seen
from genre_mlops.learning.calibration import MIN_TRACKS
from genre_mlops.learning.checkpoints import Checkpoint
from genre_mlops.learning.networks import load_network
from genre_mlops.members import train_members
from genre_mlops.processes import this_process
from genre_mlops.shipping import ship
from tests.plans import CONFIG, ORIGIN, UNCHANGED, make_plan, with_runs
from tests.searches import EngineHere


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return with_runs(make_plan(tmp_path_factory.mktemp("music")))


@pytest.fixture
def plan(music: Plan, tmp_path: Path) -> Plan:
    experiment = MlflowClient(music.tracking_uri).create_experiment(tmp_path.name)
    return replace(music, folder=tmp_path, experiment_id=experiment)


def runs(plan: Plan) -> list[str]:
    found = MlflowClient(plan.tracking_uri).search_runs([plan.experiment_id])
    return sorted(run.info.run_name for run in found if "synthetic" in run.info.run_name)


@pytest.mark.slow
def test_each_member_is_trained_once_and_what_is_shipped_is_their_mean(plan: Plan, tmp_path: Path):
    folder = tmp_path / "study"
    first = folder / "trial-007.keras"
    paths = train_members(plan, CONFIG, first, EngineHere())
    names = ["trial-007-member-001", "trial-007-member-002"]
    assert [path.stem for path in paths] == names
    assert runs(plan) == [f"synthetic {name}" for name in names]
    assert list(folder.glob("*.npz")) == []
    before = [load_network(path).get_weights() for path in paths]
    assert not all(np.array_equal(a, b) for a, b in zip(*before, strict=True))

    paths[1].unlink()
    train_members(plan, CONFIG, first, EngineHere())
    assert runs(plan) == [f"synthetic {name}" for name in (*names, names[1])]
    for weights, path in zip(before, paths, strict=True):
        for one, other in zip(weights, load_network(path).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)

    shipped = ship(plan, CONFIG, paths, folder / "bundle-000", {"dataset": "tunes"}, origin=ORIGIN)
    bundle = Bundle(shipped.folder)
    rng = np.random.default_rng(0)
    segments = rng.uniform(-100, 0, (7, 32, 24)).astype(np.float32)
    means = np.mean([load_network(path)(segments) for path in paths], axis=0)
    np.testing.assert_allclose(bundle.predict_segments(segments), means, atol=1e-5)
    assert bundle.info.provenance["members"] == 2
    # Two validation tracks say nothing of certainty.
    assert len(plan.tracks("validation", plan.config.features).labels) == 2 < MIN_TRACKS
    assert (bundle.info.temperature, bundle.info.sure_above) == (1, 1)
    catalog = pd.read_parquet(plan.catalog)
    assert read_seen(shipped.folder) == set(catalog.loc[catalog["split"] != "test", "sha256"])
    assert shipped.metrics["multiply_adds"] > 0


@pytest.mark.slow
def test_a_member_whose_job_is_gone_ends_with_its_epoch_and_goes_on_for_the_next(
    plan: Plan, tmp_path: Path
):
    config = CONFIG.override({"network.kind": "cnn1d", "training.members": 2} | UNCHANGED)
    gone = replace(plan, job=this_process() | {"process_started": "0.00"})
    folder = tmp_path / "study"
    first = folder / "trial-000.keras"
    with pytest.raises(SystemExit, match="is gone"):
        train_members(gone, config, first, EngineHere())
    state = folder / "trial-000-member-001.npz"
    assert [path.name for path in folder.iterdir()] == [state.name]
    kept = Checkpoint(state).load()
    assert len(kept.lines) == 1
    # Another trial has become the best: what was begun is not of its config.
    [other] = train_members(plan, config, folder / "trial-001.keras", EngineHere())
    assert state.exists()
    other.unlink()
    [path] = train_members(plan, config, first, EngineHere())
    assert [each.name for each in folder.iterdir()] == [path.name]
    client = MlflowClient(plan.tracking_uri)
    ended, _, cut_off = client.search_runs([plan.experiment_id])
    assert (cut_off.info.status, ended.info.status) == ("KILLED", "FINISHED")
    # What was measured before is told again, not measured again.
    told = client.get_metric_history(ended.info.run_id, "elapsed_s")
    assert [metric.step for metric in told] == [1, 2]
    assert told[0].value == kept.lines[0]["elapsed_s"]
