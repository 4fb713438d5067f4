"""Around the service: limits, keys, headers, problems in words, and one line of log a request."""

import asyncio
import json
import logging
import re
import sys
import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genre_mlops.serving import metrics
from genre_mlops.serving.limits import Limits
from genre_mlops.serving.problems import MEDIA_TYPE, detail_of, messages, problem

_log = logging.getLogger("genre_mlops.requests")
# What recordings are sent to.
WORK = frozenset({"/predict", "/predict_batch"})
# Probes, Prometheus, and the page, which asks for a key itself.
_OPEN = frozenset({"/", "/livez", "/readyz", "/healthz", "/metrics", "/docs.json"})
_STATIC = "/static/"
_KNOWN = WORK | _OPEN | {"/model"}
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BUSY_S = 1
# A service that is asked by a page of another origin answers, but that page cannot read it.
_SECURITY = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; media-src 'self' "
    "blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_HEADERS = [(name.encode(), value.encode()) for name, value in _SECURITY.items()]


def log_requests() -> None:
    """Write the lines to standard output as they are: JSON, whatever BentoML makes of its own."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.handlers, _log.propagate = [handler], False
    _log.setLevel(logging.INFO)


@dataclass
class Asked:
    """A request while it is answered.

    Attributes
    ----------
    request_id : str
        The client's `X-Request-ID`, or one made here.
    deadline_s : float
        By `time.monotonic`, in seconds.
    began_s : float
        When it came, by the same clock.
    notes : dict
        What the answer adds to the line of the log.
    """

    request_id: str
    deadline_s: float
    began_s: float
    notes: dict[str, object] = field(default_factory=dict)


# Also in the threads that answer: each runs in a copy of its request's context.
ASKED: ContextVar[Asked | None] = ContextVar("asked", default=None)


class Guard:
    """ASGI middleware.

    Parameters
    ----------
    app : ASGIApp
        The service.
    limits : Limits
        What it allows.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits
        self._n_at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or say why not."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            # There are none; who gets no answer would wait for one.
            await send({"type": "websocket.close"})
            return
        exchange = _Exchange(scope, receive, send, self.limits)
        began = time.perf_counter()
        try:
            if refused := self._refuses(exchange):
                await exchange.refuse(*refused)
            elif exchange.is_work:
                await self._work(exchange)
            else:
                await self.app(scope, exchange.receive, exchange.send)
            await exchange.finish()
        finally:
            exchange.tell(time.perf_counter() - began)

    def _refuses(self, exchange: "_Exchange") -> tuple[int, str, str] | None:
        """Return status, reason in a word, and detail, where a request is refused unread."""
        limits, headers = self.limits, exchange.headers
        if limits.needs_key and not exchange.is_open and not limits.knows_key(_key_of(headers)):
            return 401, "key", ""
        if not exchange.is_work:
            return None
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limits.max_body_bytes:
            return 413, "body", exchange.too_large
        if self._n_at_work >= limits.max_concurrency:
            return 429, "busy", ""
        return None

    async def _work(self, exchange: "_Exchange") -> None:
        self._n_at_work += 1
        metrics.IN_FLIGHT.inc()
        token = ASKED.set(exchange.asked)
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                await self.app(exchange.scope, exchange.receive, exchange.send)
        except TimeoutError:
            # A thread that was at work has seen the same deadline, and has stopped.
            await exchange.refuse(*exchange.late())
        finally:
            ASKED.reset(token)
            metrics.IN_FLIGHT.dec()
            self._n_at_work -= 1


class _Exchange:
    """One request and its response, on their way through."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self.scope, self.headers = scope, Headers(scope=scope)
        self._receive, self._send, self._limits = receive, send, limits
        given = self.headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        now = time.monotonic()
        self.asked = Asked(request_id, now + limits.timeout_s, now)
        self.path: str = scope["path"]
        self.is_work = scope["method"] == "POST" and self.path in WORK
        self.is_open = self.path in _OPEN or self.path.startswith(_STATIC)
        self._n_bytes, self._whole, self._cut_off = 0, False, False
        self._status, self._failed, self._body = 0, False, b""
        self._reason = ""
        self._allowed: list[tuple[bytes, bytes]] = []

    @property
    def too_large(self) -> str:
        """What to say of a body above the limit."""
        return (
            f"the request is larger than {self._limits.max_body_mb:g} MB: send a shorter excerpt, "
            "or a compressed format such as mp3, ogg or flac"
        )

    async def receive(self) -> Message:
        """Give the service what the client sends, up to the limit."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._n_bytes += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self.is_work and self._n_bytes > self._limits.max_body_bytes:
                self._cut_off = True
                return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """Give the client what the service answers; of an error only its reason."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            said = Headers(raw=message["headers"]).get("content-type", "") == MEDIA_TYPE
            self._failed = self._cut_off or (self._status >= 400 and not said)
            self._allowed = [item for item in message["headers"] if item[0] == b"allow"]
            if not self._failed:
                await self._send({**message, "headers": [*message["headers"], *self._own()]})
        elif not self._failed:
            await self._send(message)
        else:
            self._body += message.get("body", b"")

    async def finish(self) -> None:
        """Say what was wrong, where the service has answered by an error."""
        if self._cut_off:
            await self.refuse(413, "body", self.too_large)
        elif self._failed and not self._reason:
            detail = detail_of(self._status, self._body)
            await self.refuse(self._status, _WORDS.get(self._status, "error"), detail)

    async def refuse(self, status: int, reason: str, detail: str) -> None:
        """Answer by a problem, unless an answer has begun."""
        if self._reason or (self._status and not self._failed):
            return
        self._status, self._reason = status, reason
        more = []
        if status == 405:
            more = self._allowed
        elif status == 429:
            more = [(b"retry-after", str(_BUSY_S).encode())]
        elif status == 401:
            more = [(b"www-authenticate", b'ApiKey realm="genre-mlops"')]
        if self.is_work and not self._whole:
            # What the client still sends is not read.
            more.append((b"connection", b"close"))
        document = problem(status, detail, self.asked.request_id)
        for message in messages(document, [*more, *self._own()]):
            await self._send(message)

    def late(self) -> tuple[int, str, str]:
        """Return what a request is answered whose time is over."""
        if self._whole:
            return 504, "time", ""
        return 408, "slow", "the request did not arrive within the time for one"

    def tell(self, took_s: float) -> None:
        """Write the line of the log, and count."""
        path = self.path if self.path in _KNOWN else "other"
        metrics.REQUESTS.labels(path, str(self._status)).inc()
        if self._reason:
            metrics.REJECTED.labels(self._reason).inc()
        if self.is_work:
            metrics.REQUEST_S.labels(path).observe(took_s)
        elif path in _OPEN:
            return  # probes would fill it
        line = {
            "request_id": self.asked.request_id,
            "method": self.scope["method"],
            "path": path,
            "status": self._status,
            "took_ms": round(1e3 * took_s, 1),
            "n_bytes": self._n_bytes,
            **({"rejected": self._reason} if self._reason else {}),
            **self.asked.notes,
        }
        _log.info("%s", json.dumps(line))

    def _own(self) -> list[tuple[bytes, bytes]]:
        own = [*_HEADERS, (b"x-request-id", self.asked.request_id.encode())]
        if not self.path.startswith(_STATIC) and self.path != "/":
            own.append((b"cache-control", b"no-store"))
        return own


def _key_of(headers: Headers) -> bytes:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    key = headers.get("x-api-key") or (token if scheme.lower() == "bearer" else "")
    return key.strip().encode()


# Why a request came to nothing, in the word that Prometheus is told.
_WORDS = {
    **{400: "form", 404: "address", 405: "method", 408: "slow", 415: "form", 422: "audio"},
    **{429: "busy", 503: "not ready", 504: "time"},
}
