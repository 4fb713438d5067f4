"""What is read of the service: its page, its model, its description, and its figures."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast

import bentoml
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from genre_mlops.serving import metrics
from genre_mlops.serving.openapi import document
from genre_mlops.serving.site import site as page

if TYPE_CHECKING:
    from starlette.requests import Request

    from genre_mlops.serving.service import GenreClassifier


async def _model(request: Request) -> Response:
    del request
    service = cast("GenreClassifier", bentoml.get_current_service())
    return JSONResponse(service.about().model_dump())


async def _docs(request: Request) -> Response:
    del request
    return JSONResponse(_document())


def _metrics(request: Request) -> Response:
    # In a thread: files are read.
    del request
    return Response(metrics.text(), media_type=metrics.MEDIA_TYPE)


@lru_cache(maxsize=1)
def _document() -> dict[str, object]:
    return document()


site = Starlette(
    routes=[
        Route("/model", _model, methods=["GET"]),
        Route("/docs.json", _docs, methods=["GET"]),
        Route("/metrics", _metrics, methods=["GET"]),
        *page.routes,
    ]
)
