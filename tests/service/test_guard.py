"""Limits, keys, headers and logs, around the real service."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr, ValidationError
from starlette.testclient import TestClient

from genre_mlops.errors import ConfigError
from genre_mlops.serving.guard import Guard
from genre_mlops.serving.limits import Limits, limits

Recording = Callable[..., Path]


@contextmanager
def guarded(app: object, **allowed: object) -> Iterator[TestClient]:
    """Ask the service within limits."""
    with TestClient(Guard(app, Limits(**allowed))) as client:
        yield client


def post(client: TestClient, content: bytes, **more: object) -> httpx.Response:
    return client.post("/predict", files={"audio": ("clip.wav", content)}, **more)


def test_a_body_that_says_it_is_too_large_is_refused_unread(app, recording: Recording):
    with guarded(app, max_body_mb=0.1) as client:
        reply = post(client, bytes(200_000))
        assert reply.status_code == 413
        assert "larger than 0.1 MB: send a shorter excerpt" in reply.json()["detail"]
        assert reply.headers["connection"] == "close"
        assert post(client, recording(duration_s=0.5).read_bytes()).status_code == 200


def test_a_body_that_does_not_say_its_size_is_cut_off(app):
    n_sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal n_sent
        yield b'--x\r\ncontent-disposition: form-data; name="audio"; filename="a"\r\n\r\n'
        for _ in range(1_000):
            n_sent += 10_000
            yield bytes(10_000)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    with guarded(app, max_body_mb=0.1) as client:
        reply = client.post("/predict", content=endless(), headers=headers)
    assert reply.status_code == 413
    assert "larger than 0.1 MB" in reply.json()["detail"]


def test_a_length_that_is_none_is_refused(app):
    with guarded(app) as client:
        reply = client.post("/predict", content=b"", headers={"content-length": "many"})
    assert reply.status_code == 413


def test_one_request_too_many_is_told_when_to_come_again(app, recording: Recording):
    arrived, go_on = threading.Event(), threading.Event()

    async def waiting(scope, receive, send):
        if scope.get("path") == "/predict":
            arrived.set()
            await asyncio.to_thread(go_on.wait, 30)
        await app(scope, receive, send)

    content = recording().read_bytes()
    with guarded(waiting, max_concurrency=1) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, client, content)
        assert arrived.wait(30)
        reply = post(client, content)
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")
        assert "try again after the seconds" in reply.json()["detail"]
        # Probes are answered, however busy it is.
        assert client.get("/readyz").status_code == 200
        go_on.set()
        assert first.result(30).status_code == 200
        assert post(client, content).status_code == 200


def test_work_stops_when_its_time_is_over(app, recording: Recording, monkeypatch):
    content = recording(duration_s=60.0).read_bytes()
    with guarded(app, timeout_s=0.001) as client:
        reply = post(client, content)
    # Not even the form was read in this time, or the recording not decoded.
    assert reply.status_code in {408, 504}
    assert "the time" in reply.json()["detail"]
    # What stopped has left nothing that the next one waits for.
    with guarded(app) as client:
        assert post(client, recording(duration_s=0.5).read_bytes()).status_code == 200


def test_a_key_is_asked_for_but_by_probes_and_the_page(app, recording: Recording):
    content = recording(duration_s=0.5).read_bytes()
    with guarded(app, api_keys=SecretStr("one, two")) as client:
        for headers in ({}, {"x-api-key": "three"}, {"x-api-key": "one, two"}, {"x-api-key": ""}):
            reply = post(client, content, headers=headers)
            assert reply.status_code == 401
            assert "X-API-Key" in reply.json()["detail"]
            assert reply.headers["www-authenticate"].startswith("ApiKey")
            assert client.get("/model", headers=headers).status_code == 401
        for headers in ({"x-api-key": "one"}, {"authorization": "Bearer two"}):
            assert post(client, content, headers=headers).status_code == 200
            assert client.get("/model", headers=headers).status_code == 200
        for path in ("/livez", "/readyz", "/docs.json"):
            assert client.get(path).status_code == 200


def test_keys_are_not_shown(app):
    del app
    named = Limits(api_keys=SecretStr("secret-key"))
    assert "secret-key" not in repr(named)
    assert "secret-key" not in str(named.model_dump())


def test_every_answer_has_the_headers_of_a_careful_service(app, recording: Recording):
    content = recording(duration_s=0.5).read_bytes()
    with guarded(app) as client:
        replies = [post(client, content), post(client, b"text"), client.get("/nothing/here")]
    assert [reply.status_code for reply in replies] == [200, 422, 404]
    for reply in replies:
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in reply.headers["content-security-policy"]
        assert "access-control-allow-origin" not in reply.headers
        assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/predict", 405, "does not take this method"),
        ("GET", "/nothing/here", 404, "there is nothing at this address"),
        ("POST", "/docs.json", 405, "does not take this method"),
    ],
)
def test_a_wrong_address_is_a_problem_in_words(app, method, path, status, detail):
    with guarded(app) as client:
        reply = client.request(method, path)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert detail in reply.json()["detail"]


def test_each_request_is_a_line_of_the_log(
    app, recording: Recording, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logging.getLogger("genre_mlops.requests"), "propagate", True)
    caplog.set_level(logging.INFO, "genre_mlops.requests")
    content = recording(duration_s=0.5).read_bytes()
    with guarded(app) as client:
        post(client, content, headers={"x-request-id": "mine-1"})
        post(client, b"text", headers={"x-request-id": "no\tid"})
        client.get("/readyz")
    # Of a bad recording nothing else is said, and probes would fill it.
    good, bad = map(json.loads, dict.fromkeys(caplog.messages))
    assert good["request_id"] == "mine-1"
    assert (good["status"], good["path"]) == (200, "/predict")
    assert good["n_bytes"] > len(content)
    assert (good["genre"], good["version"], good["duration_s"]) == ("disco", 1, 0.5)
    assert min(good["decode_ms"], good["features_ms"], good["network_ms"]) > 0
    assert bad["status"] == 422
    assert len(bad["request_id"]) == 32


@pytest.mark.parametrize(
    ("name", "value"),
    [("GENRE_MAX_BODY_MB", "-1"), ("GENRE_TIMEOUT_S", "soon"), ("GENRE_MAX_FILES", "0")],
)
def test_a_limit_out_of_range_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    limits.cache_clear()
    try:
        with pytest.raises(ConfigError, match=f"^{name}: "):
            limits()
    finally:
        monkeypatch.undo()
        limits.cache_clear()


def test_limits_do_not_change_once_they_are_read():
    with pytest.raises(ValidationError, match="frozen"):
        Limits().max_files = 3
