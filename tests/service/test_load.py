"""A served bento that is asked for more than it may take, and one whose worker is killed."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from genre_mlops.serving.uploads import IN_MEMORY_BYTES
from tests.served import Server, serve

pytestmark = pytest.mark.slow

N_CLIENTS, N_ALLOWED = 6, 2


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server puts temporary files."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def server(store, scratch: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    env = {"GENRE_MAX_CONCURRENCY": str(N_ALLOWED), "TMPDIR": str(scratch)}
    folder = tmp_path_factory.mktemp("loaded")
    with serve(store.tags[2], home=store.home, folder=folder, env=env) as server:
        yield server


@pytest.fixture
def upload(recording: Callable[..., Path]) -> httpx.Request:
    """A request that is too large to be kept in memory."""
    audio = recording(duration_s=150.0).read_bytes()
    upload = httpx.Request("POST", "http://127.0.0.1/predict", files={"audio": audio})
    upload.read()
    assert len(upload.content) > IN_MEMORY_BYTES
    return upload


def ask(server: Server, upload: httpx.Request) -> httpx.Response:
    return httpx.post(
        f"{server.url}/predict", content=upload.content, headers=upload.headers, timeout=60
    )


def wait_for_in_flight(server: Server, n: int) -> None:
    """Wait until the service works on so many requests; it has more to do after an answer."""
    deadline = time.monotonic() + 60
    while f"genre_in_flight {n}.0" not in httpx.get(f"{server.url}/metrics", timeout=60).text:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def half_sent(server: Server, upload: httpx.Request, n: int) -> Iterator[list[HTTPConnection]]:
    """Send most of some requests, and wait until the service works on them."""
    wait_for_in_flight(server, 0)
    held = [HTTPConnection(urlsplit(server.url).netloc, timeout=60) for _ in range(n)]
    try:
        for connection in held:
            connection.putrequest("POST", "/predict")
            for name in ("content-type", "content-length"):
                connection.putheader(name, upload.headers[name])
            connection.endheaders()
            connection.send(upload.content[:-100])
        wait_for_in_flight(server, n)
        yield held
    finally:
        for connection in held:
            connection.close()


def test_what_is_too_much_is_told_to_come_again_and_nothing_else(server, upload: httpx.Request):
    with ThreadPoolExecutor(N_CLIENTS) as pool:
        with half_sent(server, upload, N_ALLOWED) as held:
            refused = [*pool.map(lambda _: ask(server, upload), range(2 * N_CLIENTS))]
            for connection in held:
                connection.send(upload.content[-100:])
            assert [connection.getresponse().status for connection in held] == [200] * N_ALLOWED
        assert {reply.status_code for reply in refused} == {429}
        free = [*pool.map(lambda _: ask(server, upload), range(2 * N_CLIENTS))]
    assert {reply.status_code for reply in free} <= {200, 429}
    for reply in [*refused, *free]:
        assert reply.is_success or int(reply.headers["retry-after"]) > 0
    wait_for_in_flight(server, 0)
    assert ask(server, upload).status_code == 200


def test_a_worker_that_is_killed_is_replaced_and_leaves_no_file(
    server, scratch: Path, upload: httpx.Request
):
    (worker,) = psutil.Process(server.pid).children()
    with half_sent(server, upload, N_ALLOWED) as held:
        worker.kill()
        for connection in held:
            with pytest.raises(ConnectionError):
                connection.getresponse()
    deadline = time.monotonic() + 60
    while True:
        try:
            status = ask(server, upload).status_code
        except httpx.HTTPError as error:
            status = error
        if status == 200:
            break
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    assert [path for path in scratch.rglob("*") if path.is_file()] == []
    # Not what the other was at.
    wait_for_in_flight(server, 0)


def test_whether_the_worker_is_gone_is_looked_at_every_second(store):
    script = """
import sys
import bentoml

bentoml.load(sys.argv[1])
from bentoml._internal.utils.circus import create_standalone_arbiter
print(create_standalone_arbiter([]).check_delay)
"""
    # As BentoML's command line does it: the service first, then what supervises it.
    command = [sys.executable, "-c", script, store.tags[2]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "1.0"
