"""Words for messages: what was perhaps meant, how many, and names that print as one line."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean ...?`` with the known name most like another one, or nothing."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def counted(n: int, noun: str) -> str:
    """Return a number with its noun, whose plural ends in s: ``1 file``, ``1,000 files``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def printable(text: object) -> str:
    """Return text as one line: what cannot be seen is written as an escape.

    Names of files may hold line breaks, which would forge lines of a log, codes that command a
    terminal, and marks of writing direction, which show one name as another.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
