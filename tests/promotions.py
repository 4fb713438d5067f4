"""Registered models whose versions hold nothing, promoted in processes of their own."""

import os
import signal
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from genre_mlops import registry, tracking
from genre_mlops.learning.verdict import Outcome, Ruling, Verdict
from tests.stores import make_store

NAME = "tunes"


def verdict(outcome: Outcome = "passed") -> Verdict:
    """A verdict of one rule."""
    return Verdict((Ruling("better", outcome, f"{outcome}, says the rule"),))


def make_versions(database: Path, n: int = 3) -> None:
    """Registers so many versions in a database of its own, and takes it for the store."""
    tracking.use_tracking_uri(make_store(database))
    client = tracking.client()
    client.create_registered_model(NAME)
    for _ in range(n):
        client.create_model_version(NAME, "file:///nowhere")


def promote_at_once(
    database: Path, version: int, rounds: int, together: Barrier, told: Any
) -> None:
    """Promote a version again and again, each time at the same moment as another process."""
    tracking.use_tracking_uri(f"sqlite:///{database}")
    for _ in range(rounds):
        head = registry.read_history(NAME).head
        together.wait(60)
        try:
            registry.promote(NAME, version, verdict(), head=head)
            told.put((version, head, "won"))
        except registry.OvertakenError as error:
            told.put((version, head, str(error)))
        together.wait(60)


def die_at(step: int, database: Path, act: Callable[[], object]) -> None:
    """Do something, and be killed before its `step`-th change of the registry, from 0."""
    tracking.use_tracking_uri(f"sqlite:///{database}")
    die_before(step)
    act()


def die_before(step: int) -> None:
    """Have this process killed before its `step`-th change of the registry, from 0."""
    n_changes = 0

    def dying(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*args: Any, **kwargs: Any) -> Any:
            nonlocal n_changes
            if n_changes == step:
                os.kill(os.getpid(), signal.SIGKILL)
            n_changes += 1
            return change(*args, **kwargs)

        return changed

    for name in ("append_version", "set_alias"):
        setattr(tracking, name, dying(getattr(tracking, name)))


def promote_3() -> None:
    """Promote version 3."""
    registry.promote(NAME, 3, verdict(), head=registry.read_history(NAME).head)


def roll_back() -> None:
    """Bring the champion before back."""
    registry.roll_back(NAME)
