"""The step `features` where files fail, and where the work is to run on a cluster."""

import json
from pathlib import Path

import pandas as pd
import pytest

from genre_mlops import tracking
from genre_mlops.config import Config
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.engine import Engine
from genre_mlops.errors import DataError, GenreError
from genre_mlops.readings import hash_files
from genre_mlops.store import Estimate
from pipelines import features
from pipelines.job import Job, Validated, run
from tests.music import write_tune
from tests.pipelines.conftest import Place
from tests.pipelines.runs import client, runs_of

NOBODY = "tcp://127.0.0.1:1"


@pytest.mark.usefixtures("store")
def test_files_that_give_no_features_are_named_counted_and_listed(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(place.root)
    music = place.root / "music" / "hum"
    paths = [write_tune(music / f"{i}.wav", seed=i, duration_s=1) for i in range(9)]
    rows = [
        {"path": read.path, "sha256": read.sha256, "duration_s": 1.0, **read.state._asdict()}
        for read in hash_files([str(path) for path in paths])
    ]
    changed = paths[1:8]
    for path in changed:
        write_tune(path, seed=9)
    data = Validated(
        source=FolderDataset(music.parent),
        catalog=pd.DataFrame(rows),
        path=place.root / "catalog.parquet",
        digest="0",
        scheme="grouped",
        genres=("hum",),
        n_quarantined=0,
    )
    tracking.use_tracking_uri(place.tracking_uri)
    said = (
        r"features: 7 files gave none .*failures\.txt of the run\)\n.*wav and 6 more: has changed"
    )
    with pytest.raises(DataError, match=said):
        features.run(Job(Config(), place.root / "workspace", Engine(1)), data)
    [run] = runs_of(place, "features")
    assert run.info.status == "FAILED"
    counts = {key: run.data.metrics[key] for key in ("built", "reused", "failed")}
    assert counts == {"built": 2, "reused": 0, "failed": 7}
    listed = client(place).download_artifacts(run.info.run_id, "failures.txt")
    why = "has changed since it was checked; run again"
    assert sorted(Path(listed).read_text().splitlines()) == [f"{path}: {why}" for path in changed]


@pytest.mark.parametrize(
    ("workers", "words"),
    [
        (0, "about 90 s shared by the cluster's workers"),
        (1, "about 90 s on 1 worker"),
        (3, "about 30 s on 3 workers"),
    ],
)
def test_the_estimate_says_where_the_work_is_done(workers: int, words: str):
    said = features.in_words(Estimate(n_tracks=1_200, n_bytes=4 * 10**8, cpu_s=90.0), workers)
    assert said == f"1,200 to build, about 400 MB, {words}"
    unknown = features.in_words(Estimate(n_tracks=9, n_bytes=10**6, cpu_s=None), workers)
    assert unknown == "9 to build, about 1 MB"


@pytest.mark.parametrize(
    ("runs", "studies", "named"),
    [
        ("http://h:5000", "postgresql+psycopg://h/genre", None),
        ("sqlite:///a.db", "postgresql+psycopg://h/genre", "(MLFLOW_TRACKING_URI; docs"),
        ("http://h:5000", "", "(GENRE_SEARCH_STORAGE; docs"),
    ],
)
def test_files_that_other_machines_would_write_to_are_warned_of(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    runs: str,
    studies: str,
    named: str | None,
):
    monkeypatch.setattr("genre_mlops.tracking.tracking_uri", lambda: runs)
    monkeypatch.setattr("genre_mlops.engine.Engine.check", refuse)
    monkeypatch.setenv("GENRE_SEARCH_STORAGE", studies)
    monkeypatch.setenv("GENRE_WORKSPACE", str(tmp_path))
    for host, is_told in (("127.0.0.1", False), ("localhost", False), ("10.0.0.5", bool(named))):
        caplog.clear()
        monkeypatch.setenv("GENRE_DASK_SCHEDULER", f"tcp://{host}:8786")
        monkeypatch.setattr("genre_mlops.search.storage.open_storage", lambda address: None)
        with pytest.raises(GenreError, match="nobody is there"):
            run("train", lambda job: None, Config(), engine="dask")
        told = [record.message for record in caplog.records]
        assert [named in message for message in told if named] == [True] * is_told


def refuse(engine: Engine) -> None:
    raise GenreError("nobody is there")


@pytest.mark.slow
@pytest.mark.usefixtures("store")
def test_a_cluster_that_cannot_be_reached_is_said_before_any_work(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GENRE_DASK_SCHEDULER", NOBODY)
    arguments = ["--dataset", "demo", "--engine", "dask"]
    done = place.pipeline(arguments, step="features", exit_code=1)
    assert f"no Dask scheduler can be reached at {NOBODY}" in done.stderr
    assert "SQLite is for one machine" not in done.stderr
    found = json.loads(place.cli("doctor", "--json", exit_code=1).stdout)
    assert NOBODY in {f["topic"]: f for f in found if f["state"] == "wrong"}["cluster"]["text"]
    monkeypatch.setenv("GENRE_DASK_SCHEDULER", "somewhere")
    found = json.loads(place.cli("doctor", "--json", exit_code=1).stdout)
    [wrong] = [finding for finding in found if finding["state"] == "wrong"]
    assert "GENRE_DASK_SCHEDULER somewhere: not the address of a Dask scheduler" in wrong["text"]
