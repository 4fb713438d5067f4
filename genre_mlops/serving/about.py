"""What is read of the service: its page, its model, and its description."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import bentoml
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from genre_mlops.serving import metrics
from genre_mlops.serving.answers import About, ModelName
from genre_mlops.serving.openapi import document
from genre_mlops.serving.site import site as page

if TYPE_CHECKING:
    from starlette.requests import Request

    from genre_mlops.learning.bundle import Bundle, BundleInfo
    from genre_mlops.serving.limits import Limits
    from genre_mlops.serving.service import GenreClassifier

# As the packaging writes it.
_CARD = "card.md"


@dataclass(frozen=True)
class Served:
    """A model that answers.

    Attributes
    ----------
    bundle : Bundle
        Loaded, each of its files held to its sha256.
    model : ModelName
        Its name and version.
    card : str or None
        Its model card, in Markdown.
    """

    bundle: Bundle
    model: ModelName
    card: str | None

    @classmethod
    def of(cls, stored: bentoml.Model) -> Served:
        """Load a model of BentoML's store.

        Raises
        ------
        GenreError
            A file of it is missing or changed.
        """
        from genre_mlops.learning.bundle import Bundle

        folder, labels = Path(stored.path), stored.info.labels
        model = ModelName(
            name=stored.tag.name, version=int(labels["registry_version"]), tag=str(stored.tag)
        )
        card = folder / _CARD
        served = cls(
            Bundle(folder, threads=1, seal=labels.get("bundle_sha256", "")),
            model,
            card.read_text(encoding="utf-8") if card.is_file() else None,
        )
        metrics.MODEL.labels(model.name, str(model.version), model.tag).set(1)
        return served

    @property
    def info(self) -> BundleInfo:
        """What the bundle says of itself."""
        return self.bundle.info

    def about(self, limits: Limits) -> About:
        """Say what the model is, and what the service allows."""
        allowed = ("max_body_mb", "max_duration_s", "max_files", "max_concurrency", "timeout_s")
        return About(
            model=self.model,
            genres=list(self.info.genres),
            synthetic=self.info.synthetic,
            segment_s=self.info.segment_s,
            sure_above=self.info.sure_above,
            limits={name: getattr(limits, name) for name in allowed},
            features=self.info.features.model_dump(),
            provenance=self.info.provenance,
            sha256=self.info.sha256,
            card=self.card,
        )


async def _model(request: Request) -> Response:
    del request
    service = cast("GenreClassifier", bentoml.get_current_service())
    return JSONResponse(service.about().model_dump())


async def _docs(request: Request) -> Response:
    del request
    return JSONResponse(_document())


@lru_cache(maxsize=1)
def _document() -> dict[str, object]:
    return document()


site = Starlette(
    routes=[
        Route("/model", _model, methods=["GET"]),
        Route("/docs.json", _docs, methods=["GET"]),
        *page.routes,
    ]
)
