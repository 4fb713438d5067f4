import shutil
import signal
from pathlib import Path

import pytest

from genre_mlops import promotions, registry, tracking
from genre_mlops.errors import GateError, GenreError
from tests import copied
from tests.promotions import (
    NAME,
    die_at,
    make_versions,
    promote_3,
    promote_at_once,
    roll_back,
    verdict,
)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with versions 1 to 3, of which none was promoted; to be copied."""
    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    make_versions(database)
    return database


@pytest.fixture
def database(fresh: Path, tmp_path: Path) -> Path:
    """A copy of it, taken for the store."""
    return open_copy(fresh, tmp_path / "mlflow.db")


def open_copy(fresh: Path, database: Path) -> Path:
    shutil.copy(fresh, database)
    tracking.use_tracking_uri(f"sqlite:///{database}")
    return database


@pytest.fixture
def two(database: Path) -> Path:
    """The store where version 1 and then 2 became champion, and 3 wants to."""
    promote(1)
    promote(2)
    tracking.set_alias(NAME, "challenger", 3)
    return database


def promote(version: int, **how: object) -> registry.History:
    head = registry.read_history(NAME).head
    return registry.promote(NAME, version, verdict(), head=head, **how)


def aliases() -> dict[str, int]:
    return tracking.aliases(NAME)


def test_without_a_history_the_aliases_stay_as_they_are(database: Path):
    tracking.set_alias(NAME, "champion", 2)
    assert registry.settle(NAME).entries == ()
    assert aliases() == {"champion": 2}
    # It was champion before there was a history.
    assert promote(3).entries[0].before == 2
    assert aliases() == {"champion": 3, "previous": 2}
    registry.roll_back(NAME)
    assert aliases() == {"champion": 2}


def test_a_promotion_moves_the_aliases_and_is_written_down(two: Path):
    assert aliases() == {"champion": 2, "previous": 1, "challenger": 3}
    promote(3)
    assert aliases() == {"champion": 3, "previous": 2}
    entries = registry.read_history(NAME).entries
    assert [(e.before, e.version, e.decision) for e in entries] == [
        (None, 1, "promote"),
        (1, 2, "promote"),
        (2, 3, "promote"),
    ]
    assert entries[-1].at.endswith("+00:00")
    assert entries[-1].reason == "passed, says the rule"
    assert "@" in entries[-1].by


@pytest.mark.parametrize("outcome", ["not shown", "failed"])
def test_the_gate_lets_nobody_pass_but_by_force_with_a_reason(two: Path, outcome):
    head = registry.read_history(NAME).head
    with pytest.raises(GateError, match="says the rule") as caught:
        registry.promote(NAME, 3, verdict(outcome), head=head)
    assert caught.value.exit_code == 4
    assert aliases()["champion"] == 2
    registry.promote(NAME, 3, verdict(outcome), head=head, reason="the other is mute", force=True)
    assert aliases()["champion"] == 3
    last = registry.read_history(NAME).entries[-1]
    assert (last.forced, last.reason) == (True, "the other is mute")
    assert "by force: the gate said" in registry.in_words(last)
    assert last.verdict == verdict(outcome).as_json()


def test_rollbacks_go_back_one_after_the_other(two: Path):
    promote(3)
    registry.roll_back(NAME, reason="it hears tango everywhere")
    assert aliases() == {"champion": 2, "previous": 1}
    assert registry.read_history(NAME).entries[-1].reason == "it hears tango everywhere"
    registry.roll_back(NAME)
    assert aliases() == {"champion": 1}
    with pytest.raises(GenreError, match="no champion before"):
        registry.roll_back(NAME)
    # A later promotion goes on from there.
    promote(3)
    assert aliases() == {"champion": 3, "previous": 1}


def test_a_rollback_to_a_version_that_was_champion_alone(two: Path):
    with pytest.raises(GenreError, match="3 never was the champion"):
        registry.roll_back(NAME, to=3)
    with pytest.raises(GenreError, match="has no version 9"):
        registry.roll_back(NAME, to=9)
    with pytest.raises(GenreError, match="2 is the champion already"):
        registry.roll_back(NAME, to=2)
    registry.roll_back(NAME, to=1)
    # Also one that a rollback has left: that was a mistake, it seems.
    registry.roll_back(NAME, to=2)
    assert aliases() == {"champion": 2, "previous": 1, "challenger": 3}
    registry.roll_back(NAME)
    assert aliases() == {"champion": 1, "challenger": 3}


def test_a_rollback_passes_over_a_version_that_was_deleted(two: Path):
    promote(3)
    tracking.client().delete_model_version(NAME, "2")
    registry.settle(NAME)
    assert aliases() == {"champion": 3, "previous": 1}
    registry.roll_back(NAME)
    assert aliases() == {"champion": 1}


def test_a_version_challenges_unless_it_is_champion_or_a_newer_one_does(two: Path):
    for number, challenger in ((1, 3), (2, 3), (3, 3)):
        registry.challenge(NAME, number)
        assert aliases()["challenger"] == challenger
    tracking.set_alias(NAME, "challenger", None)
    registry.challenge(NAME, 2)
    assert "challenger" not in aliases()
    registry.challenge(NAME, 3)
    assert aliases()["challenger"] == 3


def test_a_rollback_looks_at_the_files_before_it_decides(two: Path):
    with pytest.raises(GenreError, match=f"the files of {NAME} version 1 are gone"):
        promotions.roll_back(NAME)
    assert aliases()["champion"] == 2
    assert len(registry.read_history(NAME).entries) == 2


def test_who_decided_about_another_champion_is_told(two: Path):
    head = registry.read_history(NAME).head
    registry.roll_back(NAME)
    with pytest.raises(registry.OvertakenError, match="made version 1 the champion"):
        registry.promote(NAME, 3, verdict(), head=head)
    assert aliases() == {"champion": 1, "challenger": 3}
    # What came to nothing stays written, and counts no more.
    history = registry.read_history(NAME)
    assert len(history.written) == 4
    void = tracking.client().get_model_version(f"{NAME}-history", "4")
    assert void.description.startswith("Void, another came first. Version 3 promoted")
    assert len(history.entries) == 3
    promote(3)
    assert aliases() == {"champion": 3, "previous": 1}


@pytest.mark.parametrize("lost", [1, 2])
def test_a_history_that_lacks_an_entry_decides_nothing(two: Path, lost: int):
    client, before = tracking.client(), aliases()
    client.delete_model_version(f"{NAME}-history", str(lost))
    for act in (lambda: promote(3), lambda: registry.settle(NAME)):
        with pytest.raises(GenreError, match=f"lacks version {lost}: somebody has deleted"):
            act()
    assert aliases() == before
    # The way out that the message names.
    client.delete_registered_model(f"{NAME}-history")
    promote(3)
    assert aliases() == {"champion": 3, "previous": 2}
    client.create_model_version(f"{NAME}-history", "file:///nowhere")
    with pytest.raises(GenreError, match="was not written by genre-mlops"):
        registry.read_history(NAME)


def test_aliases_that_somebody_moved_by_hand_are_seen_and_mended(two: Path):
    tracking.set_alias(NAME, "champion", 3)
    history = registry.read_history(NAME)
    assert registry.differences(NAME, history) == {"champion": 2}
    registry.settle(NAME)
    assert registry.differences(NAME, history) == {}
    assert aliases()["champion"] == 2


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(database: Path):
    rounds = 20
    together, told = copied.CONTEXT.Barrier(3), copied.CONTEXT.Queue()
    processes = [
        copied.call(promote_at_once, database, version, rounds, together, told)
        for version in (1, 2)
    ]
    try:
        for number in range(rounds):
            together.wait(120)
            together.wait(60)
            answers = dict(told.get(timeout=60)[::2] for _ in processes)
            (winner,) = (version for version, answer in answers.items() if answer == "won")
            (other,) = (answer for answer in answers.values() if answer != "won")
            assert f"made version {winner} the champion" in other
            history = registry.read_history(NAME)
            assert len(history.entries) == number + 1
            assert len(history.written) == 2 * (number + 1)
            assert history.champions[-1] == aliases()["champion"] == winner
            assert registry.differences(NAME, history) == {}
    finally:
        for process in processes:
            process.kill()
            process.join()


def test_aliases_set_while_another_decides_end_where_the_last_decision_wants_them(
    two: Path, monkeypatch: pytest.MonkeyPatch
):
    set_alias = tracking.set_alias

    def overtaken(name: str, alias: str, version: int | None) -> None:
        # Between what this one has read and what it writes, another decides, and settles it.
        monkeypatch.setattr(tracking, "set_alias", set_alias)
        promote(3)
        set_alias(name, alias, version)

    monkeypatch.setattr(tracking, "set_alias", overtaken)
    assert promote(1).entries[-1].version == 3
    assert aliases() == {"champion": 3, "previous": 1}


@pytest.mark.parametrize("act", [promote_3, roll_back])
def test_killed_between_any_two_steps_history_and_aliases_agree_again(
    fresh: Path, tmp_path: Path, act
):
    """The next command, or the doctor, ends what was begun; what was not begun has not been."""
    found: list[tuple[int | None, bool, bool]] = []
    while True:
        database = open_copy(fresh, tmp_path / f"{len(found)}.db")
        promote(1)
        promote(2)
        tracking.set_alias(NAME, "challenger", 3)
        process = copied.call(die_at, len(found), database, act)
        process.join(60)
        history = registry.read_history(NAME)
        begun, behind = len(history.entries) == 3, bool(registry.differences(NAME, history))
        found.append((process.exitcode, begun, behind))
        registry.settle(NAME)
        assert registry.differences(NAME, registry.read_history(NAME)) == {}
        assert (aliases()["champion"] != 2) is begun
        if process.exitcode == 0:
            break
    # Before the entry nothing has happened; after it the aliases are behind, until the last.
    assert found[0] == (-signal.SIGKILL, False, False)
    assert found[1:-1] == [(-signal.SIGKILL, True, True)] * len(found[1:-1])
    assert len(found) >= 4
    assert found[-1] == (0, True, False)
