"""Whether a challenger takes the champion's place: a pure decision on evidence, rule by rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from genre_mlops.config import GateConfig
from genre_mlops.learning.resampling import Estimate, Resampling, estimates
from genre_mlops.learning.robustness import LONGEST_CHANGED_S
from genre_mlops.learning.verdict import BETTER, GENRES, Ruling, Verdict


@dataclass(frozen=True)
class Entrant:
    """A version that stands before the gate.

    Attributes
    ----------
    version : int
        Of the registered model.
    genres : tuple of str
        Those it knows.
    synthetic : bool
        Whether it was trained on music made for testing.
    """

    version: int
    genres: tuple[str, ...]
    synthetic: bool

    @property
    def music(self) -> str:
        """What it was trained on, in a word."""
        return "synthetic" if self.synthetic else "real"


@dataclass(frozen=True, eq=False)
class Pairs:
    """Two versions on the same test tracks, of which neither has learnt from any file.

    Attributes
    ----------
    genres : sequence of str
        Each track's.
    challenger, champion : ndarray [shape=(n_tracks,), dtype=bool]
        Whether each was right. A genre that a version does not know it gets wrong.
    resampling : Resampling
        Of these tracks.
    """

    genres: Sequence[str]
    challenger: NDArray[np.bool_]
    champion: NDArray[np.bool_]
    resampling: Resampling


@dataclass(frozen=True)
class Measures:
    """What a challenger costs and keeps, whoever its rival is.

    Attributes
    ----------
    calibration_error : Estimate
        Expected calibration error on the test tracks.
    changes : dict of str to Estimate
        Change of the sound -> accuracy less that of the same tracks unchanged; empty where that was
        not asked, or no track could be changed.
    latency_ms : float
        Median time to answer 30 s of audio with one thread.
    size_mb : float
        What a service has to hold: network and mel filters.
    differences : dict of str to float
        Other way to the same answer (Keras, pyfunc) -> the largest difference of a probability.
    cannot_load : str
        Why a clean process that unpickles nothing could not load it, or get answers; empty where it
        could.
    changes_asked : bool
        Whether `changes` was asked for.
    """

    calibration_error: Estimate
    changes: Mapping[str, Estimate]
    latency_ms: float
    size_mb: float
    differences: Mapping[str, float]
    cannot_load: str = ""
    changes_asked: bool = False


def judge(
    challenger: Entrant,
    champion: Entrant | None,
    pairs: Pairs | None,
    measures: Measures,
    rules: GateConfig,
) -> Verdict:
    """Decide on promotion.

    Parameters
    ----------
    challenger : Entrant
        Who wants to be champion.
    champion : Entrant or None
        Who is; None where nobody is.
    pairs : Pairs or None
        Both on the same tracks; None where there is no champion, or no contest.
    measures : Measures
        Of the challenger.
    rules : GateConfig
        Levels, margins and budgets.

    Returns
    -------
    Verdict
        Promote: shown to be better, and nothing against it. Hold: not shown. Refuse: shown to be
        worse, as a whole or in a genre, or a budget is broken.
    """
    rulings = (*_against(challenger, champion, pairs, rules), *_alone(measures, rules))
    return Verdict(rulings, rules.model_dump())


def comparable(challenger: Entrant, champion: Entrant) -> Ruling | None:
    """Say why two versions are no contest, before anything is compared; None where they are."""
    who = f"champion version {champion.version}"
    if challenger.synthetic != champion.synthetic:
        text = f"trained on {challenger.music} music; {who} was trained on {champion.music} music"
        return Ruling("music", "not shown" if challenger.synthetic else "passed", text)
    forgotten = [genre for genre in champion.genres if genre not in challenger.genres]
    if forgotten:
        text = f"does not know {', '.join(forgotten)}, which {who} knows"
        return Ruling("genres known", "not shown", text)
    return None


def _against(
    challenger: Entrant, champion: Entrant | None, pairs: Pairs | None, rules: GateConfig
) -> list[Ruling]:
    if champion is None:
        return [Ruling(BETTER, "passed", "there was no champion")]
    if no_contest := comparable(challenger, champion):
        return [no_contest]
    who = f"champion version {champion.version}"
    if pairs is None or not len(pairs.genres):
        return [Ruling(BETTER, "not shown", f"{who} has learnt from every test track")]
    kind = "synthetic " * challenger.synthetic
    return [_better(pairs, f"{kind}test accuracy", who, rules), _no_genre_worse(pairs, rules)]


def _better(pairs: Pairs, accuracy: str, who: str, rules: GateConfig) -> Ruling:
    """Ask three tests for the same: by tracks, by groups of them, and by resamples of these."""
    ours, theirs = pairs.challenger, pairs.champion
    won, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    lead, drawn = _lead(pairs)
    exchanged = pairs.resampling.exchanged(ours.astype(np.float64) - theirs)
    n_ahead = won - lost
    p_better = max(mcnemar(won, lost), _share(exchanged >= n_ahead), _share(drawn <= 0))
    p_worse = max(mcnemar(lost, won), _share(exchanged <= n_ahead), _share(drawn >= 0))
    text = (
        f"{accuracy} {ours.mean():.3f} against {theirs.mean():.3f} of {who} on the same "
        f"{len(ours)} tracks, no file of which either has learnt from: {lead.value:+.3f}, 95 % "
        f"interval {lead.low:+.3f} to {lead.high:+.3f} over {pairs.resampling.units}; {won} tracks "
        f"right that were wrong, {lost} wrong that were right"
    )
    figures = {
        **{"challenger": float(ours.mean()), "champion": float(theirs.mean())},
        **lead.named("difference"),
        **{"won": won, "lost": lost, "p_better": p_better, "p_worse": p_worse},
    }
    if p_better <= rules.alpha:
        return Ruling(BETTER, "passed", f"better: {text}; p {p_better:.3g}", figures)
    if p_worse <= rules.alpha:
        return Ruling(BETTER, "failed", f"worse: {text}; p {p_worse:.3g}", figures)
    return Ruling(BETTER, "not shown", f"not shown to be better: {text}; p {p_better:.3g}", figures)


def _no_genre_worse(pairs: Pairs, rules: GateConfig) -> Ruling:
    genres = np.asarray(pairs.genres)
    names = sorted(set(pairs.genres))
    of = (genres[:, np.newaxis] == names).astype(np.float64)
    gained = pairs.challenger.astype(np.float64) - pairs.champion
    columns = np.hstack([of * gained[:, np.newaxis], of])
    drawn = np.concatenate(list(pairs.resampling.sums(columns)))
    part, whole = np.hsplit(drawn, 2)
    recalls = np.full(part.shape, np.nan)
    np.divide(part, whole, out=recalls, where=whole > 0)
    found = estimates((of.T @ gained) / of.sum(axis=0), recalls)
    p_worse = []
    for name in names:
        own = gained[genres == name]
        won, lost = int((own > 0).sum()), int((own < 0).sum())
        # The interval of a genre of one artist has no width: the tests know how few that is.
        exchanged = pairs.resampling.among(genres == name).exchanged(own)
        p_worse.append(max(mcnemar(lost, won), _share(exchanged <= won - lost)))
    margin = rules.genre_margin
    worse = [
        f"{name} {lead.value:+.2f} ({lead.low:+.2f} to {lead.high:+.2f})"
        for name, lead, p in zip(names, found, holm(p_worse), strict=True)
        if lead.high < -margin and p <= rules.alpha
    ]
    figures: dict[str, float] = {}
    for name, lead in zip(names, found, strict=True):
        figures |= lead.named(name)
    if worse:
        text = f"worse by more than {margin:g} in recall: {', '.join(worse)}"
        return Ruling(GENRES, "failed", text, figures)
    text = f"no genre is shown to be worse by more than {margin:g} in recall"
    return Ruling(GENRES, "passed", text, figures)


def _alone(measures: Measures, rules: GateConfig) -> list[Ruling]:
    error = measures.calibration_error
    found = [
        _within(
            "calibration",
            f"expected calibration error {error}",
            {"calibration_error": error.value},
            error.low,
            rules.max_calibration_error,
        )
    ]
    if not measures.changes and measures.changes_asked:
        text = (
            "robustness could not be measured: every test track is longer than "
            f"{LONGEST_CHANGED_S:g} s; evaluation.robustness_tracks=0 asks for none"
        )
        found.append(Ruling("robustness", "not shown", text))
    elif not measures.changes:
        text = "not measured: evaluation.robustness_tracks is 0"
        found.append(Ruling("robustness", "passed", text))
    else:
        name, lost = min(measures.changes.items(), key=lambda item: (item[1].high, item[1].value))
        found.append(
            _within(
                "robustness",
                f"{name} changes accuracy by {lost.value:+.3f} ({lost.low:+.3f} to "
                f"{lost.high:+.3f})",
                {f"{key}_difference": change.value for key, change in measures.changes.items()},
                -lost.high,
                rules.max_change_loss,
            )
        )
    ms, mb = measures.latency_ms, measures.size_mb
    found += [
        _within("latency", f"{ms:.3g} ms", {"latency_ms": ms}, ms, rules.max_latency_ms),
        _within("size", f"{mb:.3g} MB", {"size_mb": mb}, mb, rules.max_size_mb),
    ]
    for way, difference in measures.differences.items():
        found.append(
            _within(
                f"parity with {way}",
                f"the same to {difference:.1e}",
                {"difference": difference},
                difference,
                rules.max_difference,
            )
        )
    if measures.cannot_load:
        found.append(Ruling("loads", "failed", f"does not load: {measures.cannot_load}"))
    else:
        found.append(Ruling("loads", "passed", "loads in a clean process without pickle"))
    return found


def _within(rule: str, text: str, figures: dict[str, float], value: float, most: float) -> Ruling:
    # Also what is no number is not within.
    if not value <= most:
        return Ruling(rule, "failed", f"{rule}: {text}; at the most {most:g}", figures)
    return Ruling(rule, "passed", text, figures)


def _lead(pairs: Pairs) -> tuple[Estimate, NDArray[np.float64]]:
    """Return the difference of the accuracies, and what it is in each resample."""
    gained = pairs.challenger.astype(np.float64) - pairs.champion
    columns = np.column_stack([gained, np.ones(len(gained))])
    sums = np.concatenate(list(pairs.resampling.sums(columns)))
    drawn = sums[:, 0] / sums[:, 1]
    (lead,) = estimates(np.array([gained.mean()]), drawn[:, np.newaxis])
    return lead, drawn


def _share(there: NDArray[np.bool_]) -> float:
    """Return the share of resamples, with one more than there were: none of 200 is not never."""
    return float((there.sum() + 1) / (len(there) + 1))


def mcnemar(won: int, lost: int) -> float:
    """Return the p-value of McNemar's exact test against "not better", one-sided.

    Parameters
    ----------
    won, lost : int
        Tracks that only the challenger had right, and only the champion.

    Returns
    -------
    float
        The probability of at least `won` heads in `won + lost` throws of a fair coin; 1 where
        nothing differs.

    References
    ----------
    Q. McNemar, Note on the sampling error of the difference between correlated proportions or
    percentages, Psychometrika 12 (1947).
    """
    return float(binom.sf(won - 1, won + lost, 0.5))


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values of several tests, each as high as all of them together make it.

    Where none has anything to find, the least of them is at most `alpha` in no larger share of
    cases, however many there are.

    Parameters
    ----------
    p : sequence of float
        Of each test by itself.

    Returns
    -------
    list of float
        In the same order, in [0, 1].

    References
    ----------
    S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
    Statistics 6 (1979).
    """
    order = np.argsort(p, kind="stable")
    raised = np.asarray(p)[order] * np.arange(len(p), 0, -1)
    together = np.empty(len(p))
    together[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return [float(value) for value in together]
