"""Who is champion: decided by the history, shown by the aliases.

An entry of the history is the decision; the aliases follow it. Whoever is killed between the two
leaves aliases that are behind, and the next command, or `genre-mlops doctor --mend`, moves them.
"""

import getpass
import json
import logging
import os
import socket

from genre_mlops import tracking
from genre_mlops.errors import GateError, GenreError
from genre_mlops.learning.verdict import Verdict
from genre_mlops.names import CHAMPION
from genre_mlops.registry.history import Entry, History, append, note_length, read_history
from genre_mlops.registry.versions import CHALLENGER, PREVIOUS, ModelVersion, version_of

_log = logging.getLogger("genre_mlops.registry")
_VERDICT = "genre.verdict"


def promote(
    name: str,
    version: int,
    verdict: Verdict | None,
    *,
    head: int,
    reason: str = "",
    force: bool = False,
) -> History:
    """Make a version the champion, where the gate lets it.

    Parameters
    ----------
    name : str
        The registered model's.
    version : int
        The new champion.
    verdict : Verdict or None
        The gate's, against the champion of entry `head`; None where it could not be asked.
    head : int
        The last entry of the history when that was decided.
    reason : str
        Of who decides; empty: the gate's.
    force : bool
        Whether it is to be champion whatever the gate says.

    Returns
    -------
    History
        With the new entry.

    Raises
    ------
    GateError
        The gate holds or refuses, and nothing forces it.
    OvertakenError
        The history has gone on meanwhile.
    """
    lets_pass = verdict is not None and verdict.promotes
    if not lets_pass and not force:
        told = f"{verdict.decision}: {verdict.reason}" if verdict else "the gate was not asked"
        raise GateError(f"{name} {version}: {told}")
    append(
        name,
        Entry(
            kind="promote",
            version=version,
            before=champion_number(name, settle(name)),
            by=_who(),
            decision=verdict.decision if verdict else "",
            forced=not lets_pass,
            reason=reason or (verdict.reason if verdict else ""),
            verdict=verdict.as_json() if verdict else None,
            after=head,
        ),
    )
    return settle(name)


def roll_back(name: str, *, to: int | None = None, reason: str = "") -> History:
    """Make a former champion the champion again.

    Parameters
    ----------
    name : str
        The registered model's.
    to : int or None
        A former champion; None takes the one before.
    reason : str
        For the history.

    Returns
    -------
    History
        With the new entry.

    Raises
    ------
    GenreError
        There is none to go back to.
    OvertakenError
        The history has gone on meanwhile.
    """
    history = settle(name)
    append(
        name,
        Entry(
            kind="rollback",
            version=former_champion(name, history, to),
            before=champion_number(name, history),
            by=_who(),
            decision="",
            forced=False,
            reason=reason or "no reason was given",
            verdict=None,
            after=history.head,
        ),
    )
    return settle(name)


def former_champion(name: str, history: History, to: int | None = None) -> int:
    """Return the version that a rollback brings back: `to`, or the champion before.

    Raises
    ------
    GenreError
        There is none to go back to.
    """
    there = tracking.version_numbers(name)
    if to is None:
        former = [number for number in history.champions[:-1] if number in there]
        if not former:
            raise GenreError(f"{name} has no champion before this one to go back to")
        return former[-1]
    was = {entry.version for entry in history.entries} | {e.before for e in history.entries}
    if to == champion_number(name, history):
        raise GenreError(f"{name} {to} is the champion already")
    if to not in there:
        raise GenreError(f"{name} has no version {to}")
    if to not in was:
        raise GenreError(
            f"{name} {to} never was the champion: `genre-mlops promote {to}` asks the gate"
        )
    return to


def settle(name: str) -> History:
    """Move the aliases to where the history says they belong, and return it.

    With no history they stay as they are.
    """
    history = read_history(name)
    while history.entries:
        note_length(name, history)
        for alias, version in differences(name, history).items():
            # A version that was registered a moment ago keeps its alias.
            newer = alias == CHALLENGER and version_of(name, alias) != history.champions[-1]
            if not newer:
                tracking.set_alias(name, alias, version)
                told = f"version {version}" if version is not None else "no version"
                _log.info("%s: %s is %s now", name, alias, told)
        later = read_history(name)
        if later.head == history.head:
            break
        # Somebody has decided meanwhile: what was just set may be behind what they have.
        history = later
    return history


def differences(name: str, history: History) -> dict[str, int | None]:
    """Return the aliases that are not as the history has them, with what they should be."""
    if not history.entries:
        return {}
    there = tracking.version_numbers(name)
    line = [number for number in history.champions if number in there]
    # A champion that somebody has deleted has no follower but by a decision.
    champion = history.champions[-1] if history.champions[-1] in there else None
    before = [number for number in line if number != champion]
    wanted: dict[str, int | None] = {CHAMPION: champion, PREVIOUS: before[-1] if before else None}
    found = tracking.aliases(name)
    if found.get(CHALLENGER) is not None and found.get(CHALLENGER) == champion:
        wanted[CHALLENGER] = None
    return {alias: number for alias, number in wanted.items() if found.get(alias) != number}


def champion_number(name: str, history: History) -> int | None:
    """Return the champion by the history; of a model that has none, the one its alias names."""
    if not history.champions:
        return tracking.aliases(name).get(CHAMPION)
    number = history.champions[-1]
    # Somebody may have deleted it.
    return number if number in tracking.version_numbers(name) else None


def _who() -> str:
    """Return who decides: a name that the tracking server knows, or that of the system."""
    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    try:
        user = user or getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def note_verdict(version: ModelVersion, verdict: Verdict) -> None:
    """Tag a version with what the gate said of it."""
    said = {
        "verdict": verdict.decision,
        "reason": verdict.reason,
        _VERDICT: json.dumps(verdict.as_json()),
    }
    tracking.tag_version(version.name, version.version, said)


def read_verdict(version: ModelVersion) -> Verdict | None:
    """Return what the gate said of a version last; None where it was not asked."""
    text = version.tags.get(_VERDICT)
    return Verdict.from_json(json.loads(text)) if text else None
