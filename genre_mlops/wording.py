"""Words for messages: what was perhaps meant, how many, one line, a cell, and no password."""

import difflib
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

# The least share of letters in common for a name to be suggested.
_ALIKE = 0.5
_IN_QUERY = re.compile(r"(\b(?:password|token)=)[^&\s]+")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean ...?`` with the known names most like another one, or nothing."""
    alike = {k: difflib.SequenceMatcher(None, k, name).ratio() for k in sorted(known)}
    most = max(alike.values(), default=0.0)
    close = [k for k, share in alike.items() if share == most]
    return f"; did you mean {' or '.join(close)}?" if most >= _ALIKE else ""


def counted(n: int, noun: str) -> str:
    """Return a number with its noun, whose plural ends in s: ``1 file``, ``1,000 files``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def printable(text: object) -> str:
    """Return text as one line: what cannot be seen is written as an escape.

    Names of files may hold line breaks, which would forge lines of a log, codes that command a
    terminal, and marks of writing direction, which show one name as another.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def in_cell(text: object) -> str:
    """Return a text that is no Markdown: a name may hold what would be."""
    line = " ".join(str(text).split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|" else c for c in line)


def without_password(text: str, address: str) -> str:
    """Return a text about an address such as ``https://user:password@host`` without who asks.

    Parameters
    ----------
    text : str
        May name the address, as what libraries say of their troubles does.
    address : str
        A URL.
    """
    try:
        secret, at, _ = urlsplit(address).netloc.rpartition("@")
    except ValueError:
        secret = at = ""
    told = text.replace(secret + at, "***@") if at else text
    return _IN_QUERY.sub(r"\1***", told)
