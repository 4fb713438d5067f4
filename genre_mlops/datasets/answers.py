"""What servers answer about a file, and why they do not."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests


def why(error: "requests.RequestException") -> str:
    """Return in a few words what was wrong with a connection."""
    import requests

    text = str(error)
    if isinstance(error, requests.Timeout) or "Read timed out" in text:
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return f"the server's certificate is not accepted ({text})"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy does not let us through ({text})"
    if "NameResolutionError" in text or "Failed to resolve" in text:
        return "the name of the server cannot be resolved: this machine seems to be offline"
    if "Connection refused" in text:
        return "the connection is refused"
    if "Network is unreachable" in text or "No route to host" in text:
        return "the network cannot be reached: this machine seems to be offline"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return f"the connection was cut ({text})"
    return text


def validator_of(answer: "requests.Response") -> str:
    """Return what `If-Range` may be: a strong ETag or a date, empty where there is neither."""
    etag = answer.headers.get("ETag", "")
    return etag if etag.startswith('"') else answer.headers.get("Last-Modified", "")


def first_byte(answer: "requests.Response") -> int | None:
    """Return the position of the first byte of a partial answer."""
    first = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdigit() else None


def total_bytes(answer: "requests.Response") -> int | None:
    """Return how long the whole file is, where an answer tells: also one that is a part of it."""
    if answer.status_code in (206, 416):
        total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        total = answer.headers.get("Content-Length", "")
    return int(total) if total.isdigit() else None
