"""The same file gives the same numbers through every door."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from genre_mlops.audio import load_clip
from genre_mlops.learning.bundle import KERAS, Bundle
from genre_mlops.logmel import LogMel, mel_filters
from genre_mlops.segments import cut_segments, pool_segments
from genre_mlops.store import FeatureStore
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


def by_keras(bundle: Bundle, paths: Sequence[Path]) -> list[Said]:
    """As training hears them, with librosa's filters."""
    from genre_mlops.learning.networks import load_network

    config = bundle.info.features
    log_mel = LogMel(config, mel_filters(config))
    network = load_network(bundle.folder / KERAS)
    said: list[Said] = []
    for path in paths:
        S_db = log_mel(load_clip(path, sr=config.sr))
        segments = network.predict(cut_segments(S_db, bundle.info.segment_frames), verbose=0)
        pooled = pool_segments(segments, bundle.info.temperature)
        sure = bool(pooled.max() > bundle.info.sure_above)
        said.append((dict(zip(bundle.info.genres, pooled, strict=True)), sure))
    return said


def by_onnx(bundle: Bundle, paths: Sequence[Path]) -> list[Said]:
    predictions = [bundle.predict(path) for path in paths]
    return [(prediction.probabilities, prediction.sure) for prediction in predictions]


def by_pyfunc(place: Place, paths: Sequence[Path]) -> list[Said]:
    """In a process that may not unpickle anything."""
    code = (
        "import mlflow, pandas as pd;"
        f"m = mlflow.pyfunc.load_model('models:/{MODEL}@champion');"
        f"print(m.predict(pd.DataFrame({{'path': {[*map(str, paths)]!r}}})).to_json())"
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
    return [
        (
            {n.removeprefix("p_"): float(row[n]) for n in row.index if n.startswith("p_")},
            bool(row["sure"]),
        )
        for _, row in pd.DataFrame(json.loads(done.stdout)).iterrows()
    ]


def by_cli(place: Place, paths: Sequence[Path]) -> list[Said]:
    answers = json.loads(place.cli("predict", *map(str, paths), "--json").stdout)
    return [(answer["probabilities"], answer["sure"]) for answer in answers]


def by_http(served: str, paths: Sequence[Path]) -> list[Said]:
    said: list[Said] = []
    for path in paths:
        with path.open("rb") as file:
            answer = httpx.post(f"{served}/predict", files={"audio": file}, timeout=30)
        assert answer.status_code == 200, answer.text
        rows = answer.json()["probabilities"]
        probabilities = {row["genre"]: row["probability"] for row in rows}
        said.append((probabilities, answer.json()["sure"]))
    return said


def check_parity(bundle: Bundle, place: Place, served: str, paths: Sequence[Path]) -> None:
    expected = by_keras(bundle, paths)
    found = {
        "onnx": by_onnx(bundle, paths),
        "pyfunc": by_pyfunc(place, paths),
        "cli": by_cli(place, paths),
        "http": by_http(served, paths),
    }
    for i, path in enumerate(paths):
        wanted, sure = expected[i]
        # A network that says nothing would agree with anything.
        assert max(wanted.values()) - min(wanted.values()) > 0.01
        for door, said in found.items():
            assert len(said) == len(paths), door
            probabilities, said_sure = said[i]
            assert said_sure is sure, (door, path.name)
            assert probabilities.keys() == wanted.keys(), door
            genres = sorted(wanted)
            np.testing.assert_allclose(
                [probabilities[g] for g in genres],
                [wanted[g] for g in genres],
                atol=1e-4,
                err_msg=f"{door}, {path.name}",
            )


def test_a_recording_gives_the_same_numbers_everywhere(
    main_job: Ran, bundle: Bundle, served: str, tmp_path: Path
):
    paths = [
        write_tune(tmp_path / f"{seed}.{form}", seed=seed, duration_s=7, sr=44_100, stereo=True)
        for seed, form in enumerate(("wav", "flac", "mp3", "ogg"))
    ]
    paths.append(write_tune(tmp_path / "mono.wav", seed=5, duration_s=7, sr=22_050))
    check_parity(bundle, main_job.place, served, paths)


def test_a_real_recording_gives_the_same_numbers_everywhere(
    main_job: Ran, bundle: Bundle, served: str, real_data: Path
):
    check_parity(bundle, main_job.place, served, [real_data / "cc" / "raylib_country.mp3"])


def test_what_training_learnt_from_is_what_is_heard_when_it_is_asked_about(
    main_job: Ran, bundle: Bundle, served: str
):
    workspace = main_job.place.root / "workspace"
    tracks = pd.read_parquet(next((workspace / "splits").iterdir())).groupby("split").first()
    stored = FeatureStore(workspace / "features", bundle.info.features)
    log_mel = LogMel(bundle.info.features, mel_filters(bundle.info.features))
    paths = [*map(Path, tracks["path"])]
    assert len(paths) == 3
    for path, sha256 in zip(paths, tracks["sha256"], strict=True):
        heard = log_mel(load_clip(path, sr=bundle.info.features.sr))
        np.testing.assert_array_equal(stored[sha256], heard.astype(np.float16))
    for said, wanted in zip(by_http(served, paths), by_keras(bundle, paths), strict=True):
        assert said[0] == pytest.approx(wanted[0], abs=1e-4)


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
