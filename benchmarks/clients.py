"""Clients of a server, in a process of their own: how long each request took, and its status.

Imports nothing but the standard library, so that what is measured is the server. Closed, each
client asks again when it was answered, on a connection that it keeps. Open, requests begin at a
constant rate whatever becomes of them, each on a connection of its own, and the time of one counts
from the moment at which it was due.
"""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from math import ceil
from pathlib import Path

TIMEOUT_S = 120.0
# Far more than a server works on at a time; what is refused is gone at once.
OPEN_THREADS = 64


@dataclass(frozen=True)
class Request:
    """What is asked, byte for byte.

    Attributes
    ----------
    port : int
        On the loopback interface.
    path : str
        The address.
    content_type : str
        Of the body.
    body : str
        File that holds it.
    """

    port: int
    path: str
    content_type: str
    body: str


@dataclass(frozen=True)
class Answered:
    """One request: when it ended, in s since the first began, how long it took, and its status."""

    at_s: float
    took_s: float
    status: str


@dataclass(frozen=True)
class Load:
    """What clients saw.

    Attributes
    ----------
    answers : tuple of Answered
        All, in the order in which they ended.
    warm_s : float
        What ended before is left out of rates and times.
    until_s : float
        What ended after is left out of rates.
    """

    answers: tuple[Answered, ...]
    warm_s: float
    until_s: float

    @property
    def statuses(self) -> Counter[str]:
        """How many of each status; of what was not answered, the error's name."""
        return Counter(answer.status for answer in self.answers)

    @property
    def rate(self) -> float:
        """Requests answered 200 in a second, while all clients asked."""
        n_ok = sum(self.warm_s < a.at_s <= self.until_s and a.status == "200" for a in self.answers)
        return n_ok / (self.until_s - self.warm_s)

    def took_ms(self, share: float) -> float:
        """Return the time within which that share of those answered 200 were; NaN for none."""
        took = sorted(a.took_s for a in self.answers if a.status == "200" and a.at_s > self.warm_s)
        return 1e3 * took[ceil(share * len(took)) - 1] if took else float("nan")


def ask(connection: HTTPConnection, request: Request, body: bytes) -> tuple[str, bytes]:
    """Ask once; return the status, or the name of the error, and what was said."""
    try:
        if connection.sock is None:
            connection.connect()
        # Who is refused unread may find out while sending, and is answered all the same.
        with suppress(ConnectionError):
            connection.request("POST", request.path, body, {"Content-Type": request.content_type})
        reply = connection.getresponse()
        return str(reply.status), reply.read()
    except (OSError, HTTPException) as error:
        connection.close()
        return type(error).__name__, b""


def ask_once(request: Request, *, timeout_s: float = TIMEOUT_S) -> tuple[str, bytes]:
    """Ask on a connection of its own."""
    connection = HTTPConnection("127.0.0.1", request.port, timeout=timeout_s)
    try:
        return ask(connection, request, Path(request.body).read_bytes())
    finally:
        connection.close()


def closed(request: Request, *, n_clients: int, seconds: float) -> list[Answered]:
    """Ask by as many clients, each again when it is answered, until the time is over."""
    body, answers = Path(request.body).read_bytes(), list[Answered]()
    began = time.perf_counter()

    def client() -> None:
        connection = HTTPConnection("127.0.0.1", request.port, timeout=TIMEOUT_S)
        while (asked := time.perf_counter()) < began + seconds:
            status, _ = ask(connection, request, body)
            now = time.perf_counter()
            answers.append(Answered(now - began, now - asked, status))
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(n_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def open_loop(request: Request, *, rate: float, seconds: float) -> list[Answered]:
    """Ask so many times a second, whatever the answers, until the time is over."""
    body, answers = Path(request.body).read_bytes(), list[Answered]()
    began = time.perf_counter()

    def one(due: float) -> None:
        connection = HTTPConnection("127.0.0.1", request.port, timeout=TIMEOUT_S)
        status, _ = ask(connection, request, body)
        now = time.perf_counter()
        connection.close()
        answers.append(Answered(now - began, now - due, status))

    with ThreadPoolExecutor(OPEN_THREADS) as pool:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            pool.submit(one, due)
    return answers


def run_clients(
    request: Request,
    *,
    seconds: float,
    n_clients: int | None = None,
    rate: float | None = None,
    warm_s: float = 0.0,
    look: Callable[[], object] = lambda: None,
    look_every_s: float = 0.5,
) -> Load:
    """Ask from another process, by a number of clients (closed) or at a rate (open).

    Parameters
    ----------
    request : Request
        What they ask.
    seconds : float
        How long, beside `warm_s`.
    n_clients : int, optional
        Clients, each of which waits for its answer.
    rate : float, optional
        Requests a second.
    warm_s : float
        In the beginning: is left out of rates and times.
    look : callable
        Called again and again meanwhile.
    look_every_s : float
        How often.

    Returns
    -------
    Load
        What they saw.
    """
    how = {"n_clients": n_clients} if rate is None else {"rate": rate}
    job = json.dumps([asdict(request), {**how, "seconds": warm_s + seconds}])
    running = subprocess.Popen(
        [sys.executable, "-m", __name__, job], stdout=subprocess.PIPE, text=True
    )
    while True:
        try:
            said, _ = running.communicate(timeout=look_every_s)
        except subprocess.TimeoutExpired:
            look()
        else:
            break
    if running.returncode:
        sys.exit(f"the clients ended with exit code {running.returncode}")
    answers = sorted((Answered(*row) for row in json.loads(said)), key=lambda one: one.at_s)
    return Load(tuple(answers), warm_s, warm_s + seconds)


def _main(job: str) -> None:
    request, how = json.loads(job)
    ask_by = open_loop if "rate" in how else closed
    answers = ask_by(Request(**request), **how)
    print(json.dumps([[a.at_s, a.took_s, a.status] for a in answers]))


if __name__ == "__main__":
    _main(sys.argv[1])
