"""A web server on this machine that can fail in all the ways of those that are far away."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Served:
    """One address, and what goes wrong there; lists are used up from the front, one a request."""

    content: bytes = b""
    etag: str = '"1"'
    ranges: bool = True
    honours_if_range: bool = True
    statuses: list[int] = field(default_factory=list)
    """Answered with in place of the content."""
    cuts: list[int] = field(default_factory=list)
    """After so many bytes of the answer the connection is cut."""
    stalls: list[int] = field(default_factory=list)
    """After so many bytes nothing more comes, until the server ends."""
    content_type: str = "application/octet-stream"
    redirect: str = ""
    length_told: bool = True
    longest_range: int | None = None
    """Of a range, at most so many bytes are given."""
    always_in_parts: bool = False
    """Whether a range is given also where none was asked for."""
    total_told: bool = True
    """Whether the answer with a range says how long the whole is."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that were killed."""


class Loopback:
    """The server: `files` maps paths to what is served there, `requests` is what was asked."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, path: str, content: bytes = b"", **how: Any) -> Served:
        """Serve something at a path."""
        self.files[path] = Served(content, **how)
        return self.files[path]

    def ranges_asked(self) -> list[str | None]:
        """Return the Range header of each request in order."""
        return [asked for _, _, asked in self.requests]

    @contextmanager
    def running(self) -> Iterator["Loopback"]:
        """Answer in the background."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.ended.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = self.headers.get("Range")
                loopback.requests.append((self.command, self.path, asked))
                served = loopback.files.get(self.path)
                if served is None:
                    self._answer(404, b"")
                elif served.statuses and (status := served.statuses.pop(0)) != 200:
                    self._answer(status, b"")
                elif served.redirect:
                    self._answer(302, b"", Location=served.redirect)
                else:
                    self._give(served, asked)

            do_POST = do_GET  # noqa: N815

            def _answer(self, status: int, body: bytes, **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _give(self, served: Served, asked: str | None) -> None:
                content, start = served.content, 0
                condition = self.headers.get("If-Range")
                same = condition in (None, served.etag) or not served.honours_if_range
                wanted = re.fullmatch(r"bytes=(\d+)-", asked or "")
                if served.ranges and wanted and same:
                    start = int(wanted[1])
                    if start >= len(content):
                        self.send_response(416)
                        self.send_header("Content-Range", f"bytes */{len(content)}")
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                        return
                in_part = start > 0 or served.always_in_parts
                self.send_response(206 if in_part else 200)
                if served.ranges:
                    self.send_header("Accept-Ranges", "bytes")
                if in_part:
                    content = content[: start + (served.longest_range or len(content))]
                    total = len(served.content) if served.total_told else "*"
                    told = f"bytes {start}-{len(content) - 1}/{total}"
                    self.send_header("Content-Range", told)
                if served.etag:
                    self.send_header("ETag", served.etag)
                self.send_header("Content-Type", served.content_type)
                if served.length_told:
                    self.send_header("Content-Length", str(len(content) - start))
                else:
                    self.close_connection = True
                self.end_headers()
                self._send(served, content[start:])

            def _send(self, served: Served, body: bytes) -> None:
                n_cut = served.cuts.pop(0) if served.cuts else None
                n_stall = served.stalls.pop(0) if served.stalls else None
                n_sent = min(n for n in (n_cut, n_stall, len(body)) if n is not None)
                self.wfile.write(body[:n_sent])
                self.wfile.flush()
                if n_stall is not None:
                    loopback.ended.wait(30)
                if n_cut is not None or n_stall is not None:
                    self.close_connection = True

        return Handler
