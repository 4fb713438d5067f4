"""The service as an OpenAPI 3.1 document, from the types that it answers by.

BentoML's own says `type: file`, which is none, and knows no errors.
"""

from typing import Any

from pydantic.json_schema import models_json_schema

from genre_mlops import __version__
from genre_mlops.serving.answers import About, Answer, Batch, Problem
from genre_mlops.serving.limits import limits
from genre_mlops.serving.problems import MEDIA_TYPE

_REF = "#/components/schemas/{model}"
_MODELS = (About, Answer, Batch, Problem)
_FORMATS = "wav, flac, mp3, ogg (Vorbis, Opus), au or aiff; any name"


def document() -> dict[str, Any]:
    """Return the document."""
    _, schemas = models_json_schema(
        [(model, "serialization") for model in _MODELS], ref_template=_REF
    )
    audio = {"type": "string", "contentMediaType": "application/octet-stream"}
    several = {
        "type": "array",
        "items": audio,
        "minItems": 1,
        "maxItems": limits().max_files,
        "description": f"each {_FORMATS}",
    }
    single = {**audio, "description": _FORMATS}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "genre_classifier",
            "version": __version__,
            "description": "Says which genres a recording has.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": {
            "/predict": {"post": _work("predict", "Say which genres a recording has", single)},
            "/predict_batch": {
                "post": _work("predict_batch", "Say which genres several recordings have", several)
            },
            "/model": {
                "get": {
                    "operationId": "model",
                    "summary": "Say which model answers, and what is allowed",
                    "security": _security(),
                    "responses": {
                        "200": _json("The model", "About"),
                        **_problems(401, 500, 503),
                    },
                }
            },
            **{path: {"get": _probe(path)} for path in ("/livez", "/readyz", "/metrics")},
        },
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _work(name: str, summary: str, audio: dict[str, Any]) -> dict[str, Any]:
    form = {
        "type": "object",
        "required": ["audio"],
        "additionalProperties": False,
        "properties": {
            "audio": audio,
            "top_k": {
                "type": ["integer", "null"],
                "minimum": 1,
                "description": "genres to name; else all",
            },
            "timeline": {"type": "boolean", "default": False, "description": "part by part too"},
        },
    }
    return {
        "operationId": name,
        "summary": summary,
        "security": _security(),
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": {
            "200": _json("The answer", "Answer" if name == "predict" else "Batch"),
            **_problems(400, 401, 408, 413, 415, 422, 429, 500, 503, 504),
        },
    }


def _security() -> list[dict[str, list[str]]]:
    return [{"key": []}, {"bearer": []}] if limits().needs_key else []


def _json(description: str, model: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF.format(model=model)}}}
    return {"description": description, "content": content}


def _problems(*statuses: int) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}
    meanings = {
        400: "The form is malformed, or a field of it is",
        401: "The service asks for a key, and this is none",
        408: "The request did not arrive in time",
        413: "The request is too large",
        415: "No form",
        422: "The recording cannot be used, and why",
        429: "Too many requests; Retry-After says when to try again, in seconds",
        500: "The service failed",
        503: "The service is not ready",
        504: "The time for a request was over",
    }
    problems = {s: {"description": meanings[s], "content": content} for s in statuses}
    if 429 in problems:
        retry = {"schema": {"type": "integer", "minimum": 0}, "description": "in seconds"}
        problems[429]["headers"] = {"Retry-After": retry}
    return {str(s): said for s, said in problems.items()}


def _probe(path: str) -> dict[str, Any]:
    return {
        "operationId": path.strip("/"),
        "summary": {
            "/livez": "Whether it lives",
            "/readyz": "Whether the model is loaded and warm",
            "/metrics": "For Prometheus",
        }[path],
        "responses": {
            "200": {
                "description": "Yes",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            **({"503": {"description": "Not yet"}} if path == "/readyz" else {}),
        },
    }
