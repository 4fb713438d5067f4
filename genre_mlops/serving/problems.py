"""Errors as problem details (RFC 9457): what went wrong, in words a person can act on."""

import json
from http import HTTPStatus
from typing import Any

from starlette.types import Message

MEDIA_TYPE = "application/problem+json"
# What a status means here, where nothing better is known.
_DETAILS = {
    401: "send a key of this service in the header X-API-Key",
    404: "there is nothing at this address; / is the page, /docs.json describes the service",
    405: "this address does not take this method; /docs.json describes the service",
    429: "the service is busy; try again after the seconds that Retry-After names",
    500: "the service failed; its log has more under the id in `instance`",
    503: "the service is not ready; try again in some seconds",
    504: "the time for a request was over before this one was answered; send a shorter recording, "
    "or try again when the service is less busy",
}


def problem(status: int, detail: str, request_id: str) -> dict[str, Any]:
    """Return the document.

    Parameters
    ----------
    status : int
        Of HTTP, from 400.
    detail : str
        What was wrong, and what to do; empty takes what the status means here.
    request_id : str
        As in the log.
    """
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or _DETAILS.get(status, HTTPStatus(status).description),
        "instance": f"urn:request:{request_id}",
    }


def messages(document: dict[str, Any], headers: list[tuple[bytes, bytes]]) -> list[Message]:
    """Return a document as the messages of a response."""
    body = json.dumps(document).encode()
    all_headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    return [
        {"type": "http.response.start", "status": document["status"], "headers": all_headers},
        {"type": "http.response.body", "body": body},
    ]


def detail_of(status: int, body: bytes) -> str:
    """Return the reason that BentoML gives in a body; nothing where a failure might tell of itself.

    BentoML writes ``{"error": ...}``, or a list with one of these.
    """
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ""
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    if isinstance(said, list) and said:
        said = said[0]
    reason = said.get("error") if isinstance(said, dict) else None
    return reason if isinstance(reason, str) else ""
