"""The service in this process: what it answers to recordings, and to what is none."""

import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import bentoml
import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from genre_mlops.errors import GenreError
from genre_mlops.learning.bundle import FILTERS, INFO, ONNX, Bundle
from genre_mlops.serving.guard import Guard
from genre_mlops.serving.limits import Limits
from tests.service.conftest import noise, write_audio

Recording = Callable[..., Path]


@pytest.fixture(scope="module")
def client(app) -> Iterator[TestClient]:
    with TestClient(Guard(app, Limits())) as client:
        yield client


@pytest.fixture(scope="module")
def bundle(store) -> Bundle:
    return Bundle(store.bundles[1], threads=1)


def post(client: TestClient, path: Path, **form: object):
    return client.post("/predict", files={"audio": (path.name, path.read_bytes())}, data=form)


@pytest.mark.parametrize("name", ["clip.wav", "clip.flac", "clip.mp3", "clip.ogg"])
def test_answers_what_the_bundle_says(client, bundle, recording: Recording, name: str):
    path = recording(name)
    answer = post(client, path).json()
    expected = bundle.predict(path)
    got = {item["genre"]: item["probability"] for item in answer["probabilities"]}
    assert list(got) == list(expected.probabilities)
    assert got == pytest.approx(expected.probabilities, abs=1e-12)
    assert (answer["genre"], answer["sure"]) == (expected.genre, True)
    assert answer["duration_s"] == pytest.approx(expected.duration_s)


def test_probabilities_fall_and_sum_to_one(client, recording: Recording):
    values = [item["probability"] for item in post(client, recording()).json()["probabilities"]]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1)
    assert len(values) == 3


def test_names_the_model_and_that_it_is_synthetic(client, recording: Recording, store):
    answer = post(client, recording()).json()
    model = next((store.home / "models" / "genre_classifier").glob("v1-*")).name
    assert answer["model"] == {
        "name": "genre_classifier",
        "version": 1,
        "tag": f"genre_classifier:{model}",
    }
    assert answer["synthetic"] is True
    assert answer["warnings"] == []


@pytest.mark.parametrize(("top_k", "n_genres"), [(1, 1), (2, 2), (7, 3)])
def test_top_k_keeps_the_most_probable(client, recording: Recording, top_k: int, n_genres: int):
    path = recording()
    everything = post(client, path).json()
    best = post(client, path, top_k=top_k).json()
    assert best["probabilities"] == everything["probabilities"][:n_genres]


def test_the_name_of_the_file_does_not_matter(client, recording: Recording):
    content = recording().read_bytes()
    for name in ("x" * 3_000 + ".wav", "../../etc/passwd", "clip", "clip.exe"):
        answer = client.post("/predict", files={"audio": (name, content, "text/plain")})
        assert answer.status_code == 200


def test_warns_of_a_file_that_is_cut_short(client, recording: Recording):
    path = recording(duration_s=5.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert post(client, path).json()["warnings"] == ["the file is cut short: its end is missing"]


def test_warns_of_less_than_a_segment(client, recording: Recording):
    warnings = post(client, recording(duration_s=0.5)).json()["warnings"]
    assert len(warnings) == 1
    assert "shorter than the 1.3 s" in warnings[0]


def test_says_when_it_is_not_sure(client, bundle, tmp_path: Path):
    loud = write_audio(
        tmp_path / "loud.wav", 3 * noise(duration_s=3.0, sr=11_025, n_channels=2), 11_025
    )
    answer = post(client, loud).json()
    assert answer["probabilities"][0]["probability"] < bundle.info.sure_above
    assert answer["sure"] is False
    assert answer["warnings"] == [
        "not sure: disco is the best guess, but it may be none of the genres"
    ]


def test_model_says_what_it_is(client):
    about = client.get("/model").json()
    assert about["genres"] == ["blues", "disco", "metal"]
    assert about["model"]["version"] == 1
    assert about["provenance"] == {"run_id": "run-1"}
    assert about["segment_s"] == pytest.approx(40 * 256 / 8_000)
    assert about["limits"]["max_duration_s"] == 600
    assert about["card"] == "# tunes 1"
    assert about["features"]["sr"] == 8_000
    assert about["sha256"].keys() == {ONNX, FILTERS}
    assert about["synthetic"] is True


@pytest.mark.parametrize("name", [INFO, ONNX])
def test_a_changed_file_of_the_model_is_refused_by_name(store, name: str):
    (folder,) = (store.home / "models" / "genre_classifier").glob("v2-*")
    whole = (folder / name).read_bytes()
    # Of bundle.json a digit of the temperature, which leaves it what it is.
    changed = whole.replace(b'"temperature": 2.0', b'"temperature": 3.0')
    changed = changed if name == INFO else bytes([whole[0] ^ 1]) + whole[1:]
    assert changed != whole
    service = bentoml.load(store.tags[2])
    service.inner()
    (folder / name).write_bytes(changed)
    try:
        with pytest.raises(GenreError, match=f"{name} is not the file that was"):
            service.inner()
    finally:
        (folder / name).write_bytes(whole)


def unusable(folder: Path, kind: str) -> bytes:
    mp3 = folder / "noise.mp3"
    soundfile.write(mp3, np.random.default_rng(0).normal(scale=0.1, size=44_100), 44_100)
    wav = folder / "silence.wav"
    soundfile.write(wav, np.zeros(8_000), 8_000)
    not_finite = folder / "nan.wav"
    soundfile.write(not_finite, np.full(8_000, np.nan), 8_000, subtype="FLOAT")
    too_long = folder / "long.flac"
    soundfile.write(too_long, np.zeros(601 * 4_000), 4_000)
    return {
        "empty": b"",
        "text": b"this is a text, whatever its name says",
        "part of a header": wav.read_bytes()[:30],
        "header of an mp3": mp3.read_bytes()[:300],
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        "not finite": not_finite.read_bytes(),
        "too long": too_long.read_bytes(),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "audio is empty"),
        ("text", "audio cannot be decoded"),
        ("part of a header", "audio cannot be decoded"),
        ("header of an mp3", "audio cannot be decoded"),
        ("picture", "audio cannot be decoded"),
        ("not finite", "not finite numbers"),
        ("too long", "longer than 600 s"),
    ],
)
def test_unusable_audio_is_422_with_the_reason(client, tmp_path: Path, kind: str, reason: str):
    content = unusable(tmp_path, kind)
    answer = client.post("/predict", files={"audio": ("clip.wav", content)})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert (said["title"], said["status"]) == ("Unprocessable Entity", 422)
    assert reason in said["detail"]
    assert "/" not in said["detail"]
    assert said["instance"] == f"urn:request:{answer.headers['x-request-id']}"


FILE = {"audio": ("clip.wav", b"RIFF")}
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({}, "a file in the field audio"),
        ({"json": {"audio": "/etc/passwd"}}, "a file in the field audio"),
        ({"data": {"audio": "/etc/passwd"}}, "a file in the field audio"),
        ({"data": {"audio": "x"}, "files": {"other": b"x"}}, "a file in the field audio"),
        ({"data": {"audio": "http://127.0.0.1:9/"}, "files": {"o": b"x"}}, "a file in the field"),
        ({"content": b"RIFF", "headers": {"content-type": "audio/wav"}}, "a file in the field"),
        ({"content": b"RIFF", "headers": {"content-type": "multipart/form-data"}}, "malformed"),
        ({"content": b"RIFF", "headers": MULTIPART}, "malformed"),
        ({"files": FILE, "data": {"top_k": "0"}}, "top_k: expected an integer"),
        ({"files": FILE, "data": {"top_k": "-1"}}, "top_k: expected an integer"),
        ({"files": FILE, "data": {"top_k": "two"}}, "top_k: expected an integer"),
        ({"files": FILE, "data": {"top_k": ""}}, "top_k: expected an integer"),
        ({"files": FILE, "data": {"timeline": "perhaps"}}, "timeline: expected true or false"),
        ({"files": [("audio", b"RIFF"), ("audio", b"RIFF")]}, "Too many files"),
        ({"files": FILE, "data": {"x": "y" * 2_000}}, "malformed form"),
    ],
)
def test_a_wrong_form_is_400_with_the_reason(client, request_: dict[str, object], reason: str):
    answer = client.post("/predict", **request_)
    assert answer.status_code == 400
    assert reason in answer.json()["detail"]


def test_a_timeline_says_it_part_by_part(client, bundle, recording: Recording):
    path = recording(duration_s=3.0)
    answer = post(client, path, timeline="true").json()
    expected = bundle.predict(path)
    parts = answer["timeline"]
    assert [part["start_s"] for part in parts] == pytest.approx(expected.segment_starts_s)
    assert len(parts) == 3
    assert parts[-1]["end_s"] == pytest.approx(3.0, abs=0.05)
    for part, row in zip(parts, expected.segments, strict=True):
        assert part["end_s"] == pytest.approx(min(part["start_s"] + 1.28, 3.0))
        assert [*part["probabilities"].values()] == pytest.approx(row, abs=1e-6)
        assert part["genre"] == max(part["probabilities"], key=part["probabilities"].get)
    assert post(client, path).json()["timeline"] == []
    # Less than a part ends where the recording does.
    (short,) = post(client, recording(duration_s=0.5), timeline="true").json()["timeline"]
    assert short["start_s"] == 0
    assert short["end_s"] == pytest.approx(0.5, abs=1e-3)


def test_a_prediction_does_not_hold_what_was_heard(bundle, recording: Recording):
    heard = []
    predictions = [
        bundle.predict(recording(), listen=lambda S_db: heard.append(weakref.ref(S_db)))
        for _ in range(2)
    ]
    assert len(predictions) == len(heard) == 2
    assert [S_db() for S_db in heard] == [None, None]


def test_a_decision_is_a_genre_or_none_of_these(client, recording: Recording, tmp_path: Path):
    assert post(client, recording()).json()["decision"] == "disco"
    loud = 3 * noise(duration_s=3.0, sr=11_025, n_channels=2)
    answer = post(client, write_audio(tmp_path / "loud.wav", loud, 11_025)).json()
    assert (answer["decision"], answer["genre"]) == ("none of these", "disco")


def test_warns_of_a_sampling_rate_below_that_of_training(client, recording: Recording):
    (warning,) = post(client, recording(sr=4_000)).json()["warnings"]
    assert warning.startswith("recorded at 4000 Hz and resampled to 8000 Hz: above 2000 Hz")


def test_a_batch_is_answered_file_by_file(client, recording: Recording):
    path = recording()
    good = path.read_bytes()
    files = [("audio", ("a.wav", good)), ("audio", ("b.txt", b"text")), ("audio", ("c", good))]
    reply = client.post("/predict_batch", files=files, data={"top_k": "1", "timeline": "true"})
    first, second, third = reply.json()["items"]
    alone = post(client, path, top_k=1, timeline="true").json()
    assert first["answer"] == third["answer"] == alone
    assert first["problem"] is None
    assert second["answer"] is None
    assert second["problem"]["status"] == 422
    assert "cannot be decoded" in second["problem"]["detail"]


def test_a_batch_of_too_many_files_is_refused(client):
    files = [("audio", (f"{i}.wav", b"RIFF")) for i in range(17)]
    reply = client.post("/predict_batch", files=files)
    assert reply.status_code == 400
    assert "Maximum number of files is 16" in reply.json()["detail"]


def test_what_is_large_is_decoded_from_disk(
    client, store, bundle, recording: Recording, monkeypatch: pytest.MonkeyPatch
):
    # The module that answers is the bento's own copy.
    answering = bentoml.load(store.tags[1]).inner.__module__
    monkeypatch.setattr(sys.modules[answering], "_SMALL_BYTES", 1_000)
    path = recording(duration_s=30.0)
    assert path.stat().st_size > 1_000_000
    got = {
        item["genre"]: item["probability"] for item in post(client, path).json()["probabilities"]
    }
    assert got == pytest.approx(bundle.predict(path).probabilities, abs=1e-12)
