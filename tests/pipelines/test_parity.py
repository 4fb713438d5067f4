"""The same file gives the same numbers through every door."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from genre_mlops.audio import load_clip
from genre_mlops.learning.bundle import KERAS, Bundle
from genre_mlops.logmel import LogMel, mel_filters
from genre_mlops.segments import cut_segments, pool_segments
from tests.music import write_tune
from tests.pipelines.conftest import Place, Ran, serving
from tests.pipelines.runs import MODEL

pytestmark = pytest.mark.slow

# Genre -> probability, and whether that is sure.
Said = tuple[dict[str, float], bool]


@pytest.fixture(scope="module")
def bundle(main_job: Ran) -> Bundle:
    """The champion's, where the registry keeps it."""
    return Bundle(champion_folder(main_job.place))


def champion_folder(place: Place) -> Path:
    code = f"from genre_mlops.registry import load_champion;print(load_champion('{MODEL}').bundle)"
    return Path(place.run([sys.executable, "-c", code]).stdout.strip())


@pytest.fixture(scope="module")
def served(main_job: Ran) -> Iterator[str]:
    """The address of the bento that the main job packaged, served."""
    place = main_job.place
    command = ["bentoml", "serve", "genre_classifier:latest"]
    with serving(place.env, place.root, command, "readyz") as url:
        yield url


def by_keras(bundle: Bundle, path: Path) -> Said:
    from genre_mlops.learning.networks import load_network

    config = bundle.info.features
    S_db = LogMel(config, mel_filters(config))(load_clip(path, sr=config.sr))
    network = load_network(bundle.folder / KERAS)
    segments = network.predict(cut_segments(S_db, bundle.info.segment_frames), verbose=0)
    pooled = pool_segments(segments, bundle.info.temperature)
    sure = bool(pooled.max() > bundle.info.sure_above)
    return dict(zip(bundle.info.genres, pooled, strict=True)), sure


def by_onnx(bundle: Bundle, path: Path) -> Said:
    prediction = bundle.predict(path)
    return prediction.probabilities, prediction.sure


def by_pyfunc(place: Place, path: Path) -> Said:
    """In a process that may not unpickle anything."""
    code = (
        "import mlflow, pandas as pd;"
        f"m = mlflow.pyfunc.load_model('models:/{MODEL}@champion');"
        f"print(m.predict(pd.DataFrame({{'path': [{str(path)!r}]}})).to_json())"
    )
    env = place.env | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place.root,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    row = pd.DataFrame(json.loads(done.stdout)).iloc[0]
    probabilities = {n.removeprefix("p_"): float(row[n]) for n in row.index if n.startswith("p_")}
    return probabilities, bool(row["sure"])


def by_cli(place: Place, path: Path) -> Said:
    (answer,) = json.loads(place.cli("predict", str(path), "--json").stdout)
    return answer["probabilities"], answer["sure"]


def by_http(served: str, path: Path) -> Said:
    with path.open("rb") as file:
        answer = httpx.post(f"{served}/predict", files={"audio": file}, timeout=30)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    return {row["genre"]: row["probability"] for row in said["probabilities"]}, said["sure"]


def check_parity(bundle: Bundle, place: Place, served: str, path: Path) -> None:
    expected, sure = by_keras(bundle, path)
    # A network that says nothing would agree with anything.
    assert max(expected.values()) - min(expected.values()) > 0.01
    found = {
        "onnx": by_onnx(bundle, path),
        "pyfunc": by_pyfunc(place, path),
        "cli": by_cli(place, path),
        "http": by_http(served, path),
    }
    for door, (probabilities, said_sure) in found.items():
        assert said_sure is sure, door
        assert probabilities.keys() == expected.keys(), door
        genres = sorted(expected)
        np.testing.assert_allclose(
            [probabilities[g] for g in genres],
            [expected[g] for g in genres],
            atol=1e-4,
            err_msg=door,
        )


def test_a_stereo_mp3_gives_the_same_numbers_everywhere(
    main_job: Ran, bundle: Bundle, served: str, tmp_path: Path
):
    path = write_tune(tmp_path / "tune.mp3", seed=5, duration_s=7, sr=44_100, stereo=True)
    check_parity(bundle, main_job.place, served, path)


def test_a_real_recording_gives_the_same_numbers_everywhere(
    main_job: Ran, bundle: Bundle, served: str, real_data: Path
):
    check_parity(bundle, main_job.place, served, real_data / "cc" / "raylib_country.mp3")


def test_the_cli_predicts_folders_and_says_which_file_it_could_not_use(
    main_job: Ran, hard_folder: Path
):
    done = main_job.place.cli("predict", str(hard_folder / "hum"), "--json", exit_code=3)
    answers = {Path(answer["path"]).name: answer for answer in json.loads(done.stdout)}
    assert answers["zero.wav"]["error"] == "is empty (0 bytes)"
    assert answers["text.mp3"]["error"].startswith("cannot be decoded")
    assert answers["1.wav"]["genre"] in answers["1.wav"]["probabilities"]
    table = main_job.place.cli("predict", str(hard_folder / "hum"), exit_code=3)
    assert "trained on synthetic music" in table.stderr
    assert "zero.wav" in table.stdout


def test_without_a_champion_the_cli_says_what_to_do(place: Place, tmp_path: Path):
    path = write_tune(tmp_path / "tune.wav", seed=1)
    done = place.cli("predict", str(path), exit_code=1)
    assert "no champion of genre-classifier" in done.stderr
    assert "make run" in done.stderr
    assert not (place.root / "mlflow.db").exists()
    doctor = json.loads(place.cli("doctor", "--json").stdout)
    assert {f["topic"] for f in doctor if f["state"] == "note"} >= {"champion", "bento"}
