"""A served bento is sent what nobody should send: it answers in words, and goes on as it was."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
import pytest

from genre_mlops.serving.uploads import IN_MEMORY_BYTES
from tests import hostile
from tests.served import Server, serve
from tests.service.conftest import PROJECT

pytestmark = pytest.mark.slow

N_FILES = 500
SEED = 0
MAX_FILES = 16
KEY = "X-API-Key: key-1"
# Of a busy machine too.
PATIENCE_S = 60.0
# What is held for as long as BentoML's own time for a request, and what the allocator keeps.
MOST_GROWTH_MB = 16.0
# What the HTTP server says by itself; or it closes the connection.
NO_HTTP = {(400, b"Invalid HTTP request received."), (0, b"")}
CLIP = hostile.clip()
FORM = hostile.form(('; name="audio"; filename="clip.wav"', CLIP))


@dataclass(frozen=True)
class Target:
    """A served bento, with a temporary folder of its own."""

    server: Server
    folder: Path
    client: httpx.Client

    @property
    def worker(self) -> psutil.Process:
        """The process that answers."""
        (worker,) = psutil.Process(self.server.pid).children()
        return worker

    def files(self) -> set[Path]:
        """What lies in the temporary folder."""
        return {path for path in self.folder.rglob("*") if not path.is_dir()}

    def ask(self, **form: object) -> httpx.Response:
        return self.client.post("/predict", files={"audio": ("clip.wav", CLIP)}, data=form)

    def wire(self) -> socket.socket:
        address = urlsplit(self.server.url)
        return socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def target(store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "tmp").mkdir()
    env = {
        "TMPDIR": str(folder / "tmp"),
        "GENRE_API_KEYS": "key-1,key-2",
        "GENRE_REQUEST_LOG": str(folder / "requests.jsonl"),
    }
    headers = dict([KEY.split(": ")])
    with (
        serve(store.tags[1], home=store.home, folder=folder, env=env) as server,
        httpx.Client(base_url=server.url, headers=headers, timeout=2 * PATIENCE_S) as client,
    ):
        yield Target(server, folder / "tmp", client)


@pytest.fixture
def unharmed(target: Target) -> Iterator[None]:
    """Afterwards the same process says of a good recording what it said before."""
    worker, answer, files = target.worker, target.ask().json(), target.files()
    assert answer["genre"]
    yield
    assert target.ask().json() == answer
    assert target.worker == worker
    assert target.files() == files
    # Neither an answer nor the log knows of a failure.
    assert (
        re.findall(r'genre_requests_total.*status="5.*', target.client.get("/metrics").text) == []
    )
    assert "Traceback" not in target.server.log.read_text()


def check(reply: httpx.Response) -> None:
    """No failure; a refusal says why in words, and nothing of what is behind it."""
    assert reply.status_code < 500
    if reply.status_code < 400:
        return
    assert reply.headers["content-type"] == "application/problem+json"
    said = reply.json()
    assert said["status"] == reply.status_code
    assert said["instance"] == f"urn:request:{reply.headers['x-request-id']}"
    check_words(said["detail"])


def check_words(detail: str) -> None:
    assert 10 < len(detail) < 200
    assert re.search(r"Traceback|Error\(|\.py|0x\w{5}|(?<!\w)/\w+/|passwd", detail) is None, detail


def test_the_openapi_document_tells_the_truth(target: Target, unharmed: None, tmp_path: Path):
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{target.server.url}/docs.json"]
    options = ["--checks=all", "--phases=coverage,fuzzing", "--max-examples=25", f"--header={KEY}"]
    # The key is given: what is made up would take its place.
    options += ["--generation-deterministic", "--generation-with-security-parameters=false"]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [*command, *options, "--no-color", "--continue-on-failure"],
        env=os.environ | hooks,
        cwd=tmp_path,  # which it makes notes in
        capture_output=True,
        text=True,
        timeout=10 * PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout
    assert "Tested: 6" in done.stdout
    n_passed = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert n_passed
    # With what it declares of keys, they are held to be asked for.
    work = target.client.get("/docs.json").json()["paths"]["/predict"]["post"]
    assert work["security"] == [{"key": []}, {"bearer": []}]
    assert int(n_passed[2]) == int(n_passed[1]) > 150


def test_a_recording_is_answered_or_refused_alone_as_in_a_batch(
    target: Target, unharmed: None, tmp_path: Path
):
    files = hostile.recordings(tmp_path / "damaged", n_files=N_FILES, seed=SEED)
    answers: dict[str, object] = {}
    ends: Counter[int] = Counter()
    for what, content in files.items():
        reply = target.client.post("/predict", files={"audio": (what, content)})
        check(reply)
        assert reply.status_code in {200, 422}, what
        ends[reply.status_code] += 1
        answers[what] = reply.json() if reply.is_success else None
    # Not all is good, or beyond reading: that would show nothing.
    assert ends.total() == N_FILES
    assert min(ends[200], ends[422]) > N_FILES // 5
    names = list(files)
    for start in range(0, N_FILES, MAX_FILES):
        batch = names[start : start + MAX_FILES]
        reply = target.client.post(
            "/predict_batch", files=[("audio", (what, files[what])) for what in batch]
        )
        check(reply)
        items = dict(zip(batch, reply.json()["items"], strict=True))
        for what, item in items.items():
            assert item["answer"] == answers[what]
            if item["problem"]:
                assert item["problem"]["status"] == 422
                check_words(item["problem"]["detail"])


def test_what_is_far_too_long_is_refused_in_little_memory(target: Target, unharmed: None):
    worker, ended, seen = target.worker, Event(), []

    def watch() -> None:
        while not ended.wait(0.01):
            seen.append(worker.memory_info().rss)

    before = worker.memory_info().rss
    watching = Thread(target=watch)
    watching.start()
    bombs = hostile.bombs()
    replies = {
        what: target.client.post("/predict", files={"audio": content})
        for what, content in bombs.items()
    }
    ended.set()
    watching.join()
    for reply in replies.values():
        check(reply)
        assert reply.status_code == 422
        assert reply.json()["detail"] == "audio is longer than 600 s"
    # The samples of three hours would be 345 MB.
    assert max(seen) - before < 60e6


def test_a_file_may_have_any_name(target: Target, unharmed: None):
    answer = target.ask().json()
    for name in hostile.FILE_NAMES:
        for content_type in ("audio/wav", "text/html", "application/x-sh"):
            reply = target.client.post("/predict", files={"audio": (name, CLIP, content_type)})
            assert reply.json() == answer


def test_a_wrong_field_is_refused_and_an_odd_one_taken(target: Target, unharmed: None):
    for name, value in hostile.FIELDS:
        reply = target.ask(**{name: value})
        check(reply)
        assert reply.status_code == 400, (name, value)
    for name, value in hostile.TAKEN:
        assert target.ask(**{name: value}).status_code == 200


@pytest.mark.parametrize("path", ["/predict", "/predict_batch"])
def test_a_malformed_form_is_refused(target: Target, unharmed: None, path: str):
    for what, (content_type, body) in hostile.forms(CLIP).items():
        headers = {"Content-Type": content_type.encode("latin-1")}
        reply = target.client.post(path, content=body, headers=headers)
        check(reply)
        assert reply.status_code in {400, 415}, what


def tell(target: Target, message: bytes, *, hang_up: bool = False) -> tuple[int, bytes]:
    """Send bytes; the status and body of what comes back, (0, b"") where nothing does."""
    with target.wire() as wire:
        wire.sendall(message)
        if hang_up:
            wire.shutdown(socket.SHUT_WR)
        reply = http.client.HTTPResponse(wire)
        try:
            reply.begin()
            return reply.status, reply.read()
        except (http.client.HTTPException, ConnectionError):
            return 0, b""


def test_an_odd_message_is_answered_by_its_status(target: Target, unharmed: None):
    answer = target.ask().content
    for what, (message, status) in hostile.messages(FORM, KEY).items():
        got, body = tell(target, message)
        assert got == status, what
        if status == 200 and message.startswith(b"POST"):
            assert body == answer, what


def test_what_is_no_http_is_told_so(target: Target, unharmed: None):
    for what, message in hostile.no_messages(FORM, KEY).items():
        assert tell(target, message) in NO_HTTP, what


def test_who_hangs_up_leaves_nothing_behind(target: Target, unharmed: None):
    worker = target.worker
    n_handles, files = worker.num_fds(), target.files()
    for end in (len(hostile.message(KEY)), 1, 10, 300, len(FORM)):
        for how in (f"Content-Length: {len(FORM)}", "Transfer-Encoding: chunked"):
            message = hostile.message(KEY, how, body=FORM)
            assert tell(target, message[:end], hang_up=True) in NO_HTTP
    wait_until(lambda: worker.num_fds() == n_handles)
    begun = FORM[:-20] + bytes(IN_MEMORY_BYTES)
    half = hostile.message(KEY, f"Content-Length: {2 * len(begun)}", body=begun)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(target.wire()).sendall(half)
        # Each has a file beside its connection, and none has a name.
        wait_until(lambda: worker.num_fds() == n_handles + 6)
        assert target.files() == files
    wait_until(lambda: worker.num_fds() == n_handles)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline_s, "it was waited for in vain"
        time.sleep(0.05)


def test_requests_leave_no_memory_no_handles_and_no_files(
    target: Target, unharmed: None, tmp_path: Path, record_property: Callable[[str, object], None]
):
    asks = hostile.mixture(CLIP, tmp_path / "damaged", seed=SEED)
    rng = np.random.default_rng(SEED)

    def ask(n: int) -> float:
        for _ in range(n):
            path, sent = asks[rng.integers(len(asks))]
            # No address twice.
            check(target.client.post(path.format(rng.integers(1 << 62)), **sent))
        # The files of a form are closed after its answer.
        wait_until(lambda: target.worker.num_fds() <= n_handles)
        return target.worker.memory_full_info().uss / 1e6

    target.ask()
    wait_until(lambda: "genre_in_flight 0.0" in target.client.get("/metrics").text)
    n_handles, files = target.worker.num_fds(), target.files()
    before_mb = ask(300)
    after_mb = ask(2_000)
    growth_mb = after_mb - before_mb
    record_property(
        "memory", f"{before_mb:.1f} MB after 300 requests, {after_mb:.1f} after 2,000 more"
    )
    assert growth_mb < MOST_GROWTH_MB
    assert target.files() == files
    # Nor are there figures of each address that was asked for.
    assert "nothing" not in target.client.get("/metrics").text
