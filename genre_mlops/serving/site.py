"""The page for people at `/`: files beside this module, served as they are.

No framework, no build step, and nothing from elsewhere: the page works where the network ends.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FOLDER = Path(__file__).parent / "page"
_INDEX = "index.html"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str

    @classmethod
    def read(cls, path: Path) -> Self:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        return cls(content, _TYPES[path.suffix], f'"{digest[:16]}"')


_STATIC = {
    path.name: _File.read(path) for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES
}
_PAGE = _STATIC.pop(_INDEX)


def _answer(request: Request, file: _File) -> Response:
    # A browser asks each time: after an update, no old script meets a new page.
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if file.etag in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


async def _page(request: Request) -> Response:
    return _answer(request, _PAGE)


async def _static(request: Request) -> Response:
    file = _STATIC.get(request.path_params["name"])
    if file is None:
        raise HTTPException(404)
    return _answer(request, file)


site = Starlette(routes=[Route("/", _page), Route("/static/{name}", _static)])
