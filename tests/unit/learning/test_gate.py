from dataclasses import replace

import numpy as np
import pytest
from markdown_it import MarkdownIt

from benchmarks.gate import MEASURES, WORLDS, simulate
from genre_mlops.config import GateConfig
from genre_mlops.learning.gate import Entrant, Measures, Pairs, holm, judge, mcnemar
from genre_mlops.learning.measures import largest_difference
from genre_mlops.learning.resampling import Estimate, resampling
from genre_mlops.learning.verdict import Verdict

GENRES = ("blues", "disco", "tango")
NEW, OLD = Entrant(2, GENRES, synthetic=False), Entrant(1, GENRES, synthetic=False)


def pairs(*counts: tuple[str, int, int], per_group: int = 1) -> Pairs:
    """Tracks of genres: so many that only the challenger knows, so many that only the champion."""
    genres, ours, theirs = [], [], []
    for genre, won, lost in counts:
        genres += [genre] * (won + lost + 10)
        ours += [True] * won + [False] * lost + [True] * 10
        theirs += [False] * won + [True] * lost + [True] * 10
    groups = np.arange(len(genres)) // per_group
    drawn = resampling(len(genres), groups, n_bootstrap=500, seed=3)
    return Pairs(genres, np.array(ours), np.array(theirs), drawn)


def asked(found: Pairs | None, *, measures: Measures = MEASURES, **rules: float) -> Verdict:
    return judge(NEW, OLD if found else None, found, measures, GateConfig(**rules))


def outcome(verdict: Verdict, rule: str) -> str:
    (ruling,) = (ruling for ruling in verdict.rulings if ruling.rule == rule)
    return ruling.outcome


def test_mcnemar_is_the_tail_of_a_fair_coin():
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 0) == pytest.approx(1 / 32)
    assert mcnemar(4, 1) == pytest.approx(6 / 32)
    assert mcnemar(3, 7) + mcnemar(8, 2) == pytest.approx(1)


def test_several_tests_are_held_to_one_level_by_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2, 0.9, 0.5]) == pytest.approx([0.6, 1, 1])
    assert holm([0.04]) == [0.04]


def test_versions_that_change_places_are_mcnemar_where_each_track_is_a_group():
    found = pairs(("blues", 9, 2))
    gained = found.challenger.astype(float) - found.champion
    drawn = resampling(len(gained), None, n_bootstrap=20_000, seed=1)
    assert np.mean(drawn.exchanged(gained) >= 7) == pytest.approx(mcnemar(9, 2), abs=0.01)
    np.testing.assert_array_equal(drawn.exchanged(-gained), -drawn.exchanged(gained))


def test_the_first_version_is_promoted_if_nothing_is_against_it():
    verdict = asked(None)
    assert (verdict.decision, verdict.reason) == ("promote", "there was no champion")
    assert asked(None, max_latency_ms=99).decision == "refuse"


def test_better_is_promoted_worse_is_refused_and_what_is_not_shown_is_held():
    better = asked(pairs(("blues", 9, 1), ("disco", 8, 1)))
    assert better.decision == "promote"
    assert "better: test accuracy 0.949 against 0.564 of champion version 1" in better.reason
    assert "17 tracks right that were wrong, 2 wrong that were right" in better.reason
    worse = asked(pairs(("blues", 1, 9), ("disco", 1, 8)))
    assert worse.decision == "refuse"
    assert worse.reason.startswith("worse: ")
    for found in (pairs(("blues", 5, 4)), pairs(("blues", 0, 0)), pairs(("blues", 4, 0))):
        assert asked(found).decision == "hold"


def test_tracks_of_few_artists_show_little():
    counts = (("blues", 10, 0), ("disco", 10, 0))
    assert asked(pairs(*counts)).decision == "promote"
    # Two groups of ten won: one in four by chance alone.
    assert asked(pairs(*counts, per_group=10)).decision == "hold"


def test_a_genre_that_is_shown_to_be_worse_refuses_a_better_version():
    verdict = asked(pairs(("blues", 30, 0), ("disco", 0, 9)))
    assert outcome(verdict, "better") == "passed"
    assert verdict.decision == "refuse"
    assert "worse by more than 0.1 in recall: disco -0.47" in verdict.reason
    assert asked(pairs(("blues", 30, 0), ("disco", 0, 9)), genre_margin=0.9).decision == "promote"
    # All nine are of one artist.
    one_artist = pairs(("blues", 30, 0), ("disco", 0, 9))
    groups = np.where(np.array(one_artist.genres) == "disco", 1_000, np.arange(59))
    drawn = resampling(59, groups, n_bootstrap=500, seed=3)
    assert asked(replace(one_artist, resampling=drawn)).decision == "promote"
    # Shown of one genre alone; of two, bad luck in one of them may be as much.
    few = ("disco", 0, 5)
    assert asked(pairs(few), alpha=0.04).reason.count("worse by more than 0.1 in recall") == 1
    assert outcome(asked(pairs(("blues", 30, 0), few), alpha=0.04), "no genre worse") == "passed"
    # All of its few tracks: no more than bad luck may be.
    assert asked(pairs(("blues", 30, 0), ("disco", 0, 4))).decision == "promote"


def test_synthetic_and_real_music_are_no_contest():
    real, made = replace(NEW, synthetic=False), replace(NEW, synthetic=True)
    found, rules = pairs(("blues", 0, 9)), GateConfig()
    assert judge(made, OLD, pairs(("blues", 30, 0)), MEASURES, rules).decision == "hold"
    assert judge(real, replace(OLD, synthetic=True), found, MEASURES, rules).decision == "promote"


def test_a_score_on_synthetic_music_says_so():
    made, old = (replace(entrant, synthetic=True) for entrant in (NEW, OLD))
    verdict = judge(made, old, pairs(("blues", 5, 4)), MEASURES, GateConfig())
    assert "synthetic test accuracy" in verdict.reason


def test_who_does_not_know_a_genre_of_the_champion_is_held():
    narrow = replace(NEW, genres=("blues", "disco"))
    verdict = judge(narrow, OLD, pairs(("blues", 30, 0)), MEASURES, GateConfig())
    assert verdict.decision == "hold"
    assert "does not know tango, which champion version 1 knows" in verdict.reason


def test_without_a_fair_track_nobody_is_promoted():
    empty = np.zeros(0, bool)
    found = Pairs([], empty, empty, resampling(0, None, n_bootstrap=500, seed=0))
    verdict = asked(found)
    assert verdict.decision == "hold"
    assert "has learnt from every test track" in verdict.reason


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("calibration", {"calibration_error": Estimate(0.4, 0.3, 0.5)}),
        (
            "robustness",
            {"changes": {"noise": Estimate(-0.7, -0.8, -0.6)}, "changes_asked": True},
        ),
        ("latency", {"latency_ms": 2_001.0}),
        ("size", {"size_mb": 101.0}),
        ("parity with Keras", {"differences": {"Keras": 2e-4}}),
        ("parity with Keras", {"differences": {"Keras": float("nan")}}),
        ("loads", {"cannot_load": "no module named tango"}),
    ],
)
def test_a_broken_budget_refuses_also_the_better_one(rule: str, change: dict[str, object]):
    found = pairs(("blues", 30, 0))
    assert asked(found).decision == "promote"
    verdict = asked(found, measures=replace(MEASURES, **change))
    assert verdict.decision == "refuse"
    failed = [ruling.rule for ruling in verdict.rulings if ruling.outcome == "failed"]
    assert failed == [rule]


def test_robustness_that_could_not_be_measured_is_not_passed():
    found = pairs(("blues", 30, 0))
    (told,) = (r for r in asked(found).rulings if r.rule == "robustness")
    assert (told.outcome, "robustness_tracks is 0" in told.text) == ("passed", True)
    verdict = asked(found, measures=replace(MEASURES, changes_asked=True))
    assert verdict.decision == "hold"
    assert verdict.reason.startswith(
        "robustness could not be measured: every test track is longer than 600 s"
    )


def test_what_is_no_number_differs():
    answers = [{"blues": 0.5}, {"blues": 0.5}]
    assert largest_difference(answers, [{"blues": 0.4}, {"blues": 0.5}]) == pytest.approx(0.1)
    assert np.isnan(largest_difference(answers, [{"blues": 0.5}, {"blues": float("nan")}]))


def test_what_may_be_chance_breaks_no_budget():
    measures = replace(
        MEASURES,
        calibration_error=Estimate(0.4, 0.2, 0.6),
        changes={"noise": Estimate(-0.7, -0.9, -0.4)},
    )
    assert asked(pairs(("blues", 30, 0)), measures=measures).decision == "promote"


def test_a_verdict_is_told_rule_by_rule():
    verdict = asked(pairs(("blues", 5, 4)))
    assert verdict.as_json()["decision"] == "hold"
    assert verdict.markdown().count("\n| ") == 1 + len(verdict.rulings)
    ahead = verdict.differences()
    assert [*ahead] == ["accuracy", "recall of blues"]
    assert ahead["accuracy"].value == ahead["recall of blues"].value == pytest.approx(1 / 19)
    assert asked(None).differences() == {}


def test_a_genre_of_any_name_leaves_the_table_whole():
    told = asked(pairs(("R&B|Soul *live*", 0, 9))).markdown()
    rows = [line for line in told.splitlines() if line.startswith("| no genre worse")]
    assert len(rows) == 1
    assert r"R&B\|Soul \*live\* -0.47" in rows[0]
    html = MarkdownIt("commonmark").enable("table").render(told)
    assert "R&amp;B|Soul *live* -0.47" in html


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_against_the_truth(world):
    """On 300 tracks; what a thousand times and 2,000 resamples say prints benchmarks.gate."""
    by_lead = {
        lead: simulate(world, lead, times=200, n_tracks=300, n_bootstrap=300)
        for lead in (0.1, 0.0, -0.1)
    }
    # Five tracks of each of 60 artists are fewer witnesses than 300 tracks of their own.
    assert by_lead[0.1]["promote"] >= (0.8 if world.tracks_per_artist == 1 else 0.7) * 200
    assert by_lead[0.0]["promote"] <= 0.05 * 200
    # Ten genres, of which none is worse: each at the level of all would refuse twice as many.
    assert by_lead[0.0]["genre worse"] <= 0.015 * 200
    assert by_lead[0.0]["refuse"] <= 0.06 * 200
    assert by_lead[-0.1]["promote"] == 0
