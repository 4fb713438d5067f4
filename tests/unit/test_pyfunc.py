"""The registered model from code: a table of paths in, a row for each out."""

from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models.utils import _enforce_schema

from genre_mlops import registry, tracking
from genre_mlops.learning.bundle import Bundle, read_info, seal_of
from genre_mlops.pyfunc import GenreClassifier
from tests.music import write_tune
from tests.service.conftest import GENRES, make_bundle
from tests.stores import make_store

NUMBERS = ["duration_s", *(f"p_{genre}" for genre in GENRES)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "bundle", seed=1)


@pytest.fixture(scope="module")
def model(bundle: Path) -> GenreClassifier:
    found = GenreClassifier()
    artifacts = {"bundle": str(bundle)}
    found.load_context(SimpleNamespace(artifacts=artifacts, model_config={"seal": seal_of(bundle)}))
    return found


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Two recordings, and what is none between them."""
    text = tmp_path / "text.mp3"
    text.write_text("this is a text")
    return {
        "one": str(write_tune(tmp_path / "one.wav", seed=1)),
        "text": str(text),
        "missing": str(tmp_path / "missing.wav"),
        "folder": str(tmp_path),
        "NUL": "a\0b.wav",
        "none": "",
        "two": str(write_tune(tmp_path / "two.wav", seed=2)),
    }


def asked(model: GenreClassifier, paths: list[str | None]) -> pd.DataFrame:
    return model.predict(None, pd.DataFrame({"path": paths}, dtype=object))


def test_a_file_that_cannot_be_used_leaves_the_others_their_answers(
    model: GenreClassifier, bundle: Path, files: dict[str, str]
):
    rows = asked(model, [*files.values(), None]).set_axis([*files, "null"])
    good, bad = rows.loc[["one", "two"]], rows.drop(["one", "two"])
    for name, row in good.iterrows():
        said = Bundle(bundle).predict(Path(files[str(name)]))
        assert (row["genre"], row["error"]) == (said.genre, "")
        assert {g: row[f"p_{g}"] for g in GENRES} == pytest.approx(said.probabilities)
    assert (bad["error"] != "").all()
    assert rows.loc["text", "error"].startswith("cannot be decoded")
    assert rows.loc["null", "error"] == "there is no path"
    assert list(bad["genre"].unique()) == [""]
    assert not bad["sure"].any()
    assert bad[NUMBERS].isna().all(axis=None)


def test_columns_are_the_same_whatever_the_files_are(model: GenreClassifier, files: dict[str, str]):
    mixed = asked(model, [*files.values()])
    assert list(mixed) == ["genre", "sure", "duration_s", "error", *NUMBERS[1:]]
    kinds = mixed.dtypes.to_dict()
    assert kinds["sure"] == np.bool_
    assert {kinds[name] for name in NUMBERS} == {np.dtype(np.float64)}
    for paths in ([files["one"]], [files["text"]]):
        assert asked(model, paths).dtypes.to_dict() == kinds
    assert list(asked(model, [])) == list(mixed)


@pytest.mark.slow
def test_a_registered_version_keeps_to_its_signature(
    bundle: Path, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # Artifacts lie where the database was made.
    monkeypatch.chdir(tmp_path)
    tracking.use_tracking_uri(make_store(tmp_path / "mlflow.db"))
    with tracking.open_run("register"):
        number = registry.register(bundle, read_info(bundle), name="tunes", tags={})
    uri = f"models:/tunes/{number}"
    loaded = mlflow.pyfunc.load_model(uri)
    usable = [path for name, path in files.items() if name != "NUL"]
    answers = loaded.predict(pd.DataFrame({"path": usable}))
    outputs = loaded.metadata.get_output_schema()
    assert list(answers) == outputs.input_names()
    pd.testing.assert_frame_equal(_enforce_schema(answers, outputs), answers)
    apart = tracking.predict_apart(uri, [Path(files["one"]), Path(files["text"])])
    assert [row["error"] == "" for row in apart] == [True, False]
    assert [row[f"p_{GENRES[0]}"] is None for row in apart] == [False, True]
