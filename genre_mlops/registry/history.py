"""Who was champion, when and why: an append-only history, in the registry itself.

Each entry is a version of the registered model `<name>-history`. MLflow numbers versions one after
the other and makes each in one transaction of its database, tags and all: the entries have an order
that all who read agree on. An entry names the one that was the last when it was decided. Of
two that name the same, the first counts and the other is void: two promotions at once cannot both
win. What counts follows from the entries alone, at any time.
"""

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

from genre_mlops import tracking
from genre_mlops.errors import GenreError

Kind = Literal["promote", "rollback"]
_ENTRY = "genre.entry"
# Of the registered model itself: how many entries it had when the aliases last followed.
_N_ENTRIES = "genre.n_entries"


class OvertakenError(GenreError):
    """Somebody else decided at the same time, and was first."""


@dataclass(frozen=True)
class Entry:
    """One decision.

    Attributes
    ----------
    kind : str
        ``"promote"`` or ``"rollback"``.
    version : int
        The champion from then on.
    before : int or None
        The champion until then.
    by : str
        Who decided.
    decision : str
        The gate's; empty where it was not asked.
    forced : bool
        Whether it was made whatever the gate says.
    reason : str
        Of the gate, or of who decided.
    verdict : dict or None
        All that the gate said, with its rules; None where it was not asked.
    after : int
        The number of the last entry that counted when it was decided; 0 for none.
    token : str
        Its own: an entry that a broken connection made us write twice is known by it.
    number : int
        From 1, in the order in which entries were written; 0 for one that is not written yet.
    at : str
        When it was written, by the store's clock: ISO 8601, UTC.
    """

    kind: Kind
    version: int
    before: int | None
    by: str
    decision: str
    forced: bool
    reason: str
    verdict: dict[str, Any] | None
    after: int
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    number: int = 0
    at: str = ""


@dataclass(frozen=True)
class History:
    """All entries of a registered model, in order.

    Attributes
    ----------
    written : tuple of Entry
        Also those that are void.
    """

    written: tuple[Entry, ...]

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Those that count."""
        counted: list[Entry] = []
        for entry in self.written:
            if entry.after == (counted[-1].number if counted else 0):
                counted.append(entry)
        return tuple(counted)

    @property
    def head(self) -> int:
        """The number of the last entry that counts, 0 for none."""
        return self.entries[-1].number if self.entries else 0

    @cached_property
    def champions(self) -> tuple[int, ...]:
        """The champion, last, and those that a rollback would go back to, one after the other."""
        line: list[int] = []
        for entry in self.entries:
            if not line and entry.before is not None:
                line.append(entry.before)
            if entry.kind == "rollback" and entry.version in line:
                while line[-1] != entry.version:
                    line.pop()
            else:
                # A rollback to one that a rollback had left goes forward again.
                line.append(entry.version)
        return tuple(line)


def read_history(name: str) -> History:
    """Return the history of a registered model; an empty one where nothing was decided yet.

    Raises
    ------
    GenreError
        Somebody has deleted entries, or written others.
    """
    model = _model(name)
    # Before they are listed: others may write meanwhile.
    n_known = _n_noted(model)
    versions = tracking.list_versions(model)
    numbers = [version.number for version in versions]
    if numbers != [*range(1, max(len(numbers), n_known) + 1)]:
        lost = min({*range(1, max([n_known, *numbers]) + 1)} - {*numbers})
        raise GenreError(
            f"{model} lacks version {lost}: somebody has deleted what was decided then, and "
            "who is champion does not follow from the rest; delete the registered model "
            f"{model}, and the next decision begins a new history from the aliases as they are"
        )
    for number, version in enumerate(versions, 1):
        if _ENTRY not in version.tags:
            raise GenreError(
                f"{model} {number} was not written by genre-mlops: the history is not to be trusted"
            )
    return History(tuple(map(_entry, versions)))


def append(name: str, entry: Entry) -> History:
    """Write an entry.

    Raises
    ------
    OvertakenError
        Another entry was written since `entry.after`: this one does not count.
    """
    said = {key: value for key, value in vars(entry).items() if key not in {"number", "at"}}
    tracking.append_version(
        _model(name),
        source=f"models:/{name}/{entry.version}",
        tags={_ENTRY: json.dumps(said, sort_keys=True)},
        description=in_words(entry)[: tracking.MOST_DESCRIBED],
        about=f"What was decided about {name}: who was champion, when and why. Written by "
        "genre-mlops; `genre-mlops models history` reads it.",
    )
    history = read_history(name)
    counted = {written.after: written for written in history.entries}
    first = counted.get(entry.after)
    if first is None:
        raise OvertakenError(
            f"the history of {name} was begun anew at the same time: nothing was changed; look at "
            "`genre-mlops models history` and decide again"
        )
    if first.token != entry.token:
        for written in history.written:
            if written.token == entry.token:
                told = f"Void, another came first. {in_words(entry)}"[: tracking.MOST_DESCRIBED]
                tracking.describe_version(_model(name), written.number, told)
        raise OvertakenError(
            f"{first.by} made version {first.version} the champion of {name} at the same time: "
            "nothing was changed; look at `genre-mlops models history` and decide again"
        )
    return history


def note_length(name: str, history: History) -> None:
    """Note how many entries there are, so that the last ones are missed when they are gone."""
    model, n = _model(name), len(history.written)
    if n > _n_noted(model):
        tracking.tag_model(model, _N_ENTRIES, str(n))


def in_words(entry: Entry) -> str:
    """Say what an entry decided, in one line."""
    before = f" instead of version {entry.before}" if entry.before is not None else ""
    how = {"promote": "promoted", "rollback": "brought back"}[entry.kind]
    against = ""
    if entry.forced:
        said = f"said {entry.decision}" if entry.decision else "could not be asked"
        against = f", by force: the gate {said}"
    return f"Version {entry.version} {how}{before} by {entry.by}{against}: {entry.reason}"


def _model(name: str) -> str:
    return f"{name}-history"


def _n_noted(model: str) -> int:
    return int(tracking.model_tags(model).get(_N_ENTRIES, 0))


def _entry(version: tracking.VersionInfo) -> Entry:
    at = datetime.fromtimestamp(version.created_ms / 1_000, UTC).isoformat(timespec="seconds")
    return Entry(**json.loads(version.tags[_ENTRY]), number=version.number, at=at)
