"""What a version is judged by: measured once, kept with its run, and put before the gate."""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel

from genre_mlops import tracking
from genre_mlops.config import Config
from genre_mlops.domain import Mapper
from genre_mlops.errors import GenreError
from genre_mlops.learning.bundle import Bundle, read_info, read_seen
from genre_mlops.learning.evaluation import judge_bundle
from genre_mlops.learning.gate import Entrant, Measures, Pairs, comparable, judge
from genre_mlops.learning.judged import Judged
from genre_mlops.learning.measures import (
    keras_answers,
    largest_difference,
    latency_ms,
    size_mb,
)
from genre_mlops.learning.resampling import resampling
from genre_mlops.learning.verdict import Verdict
from genre_mlops.registry import ModelVersion
from genre_mlops.splits import groups_of

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)
FILE = "gate/evidence.json"
# Raised where what is written can no longer be read as before.
FORM: Literal[1] = 1
# Test tracks that are answered in other ways too.
_N_PARITY = 4


@dataclass(frozen=True, eq=False)
class Evidence:
    """A version's answers to a test set, and what it costs.

    Attributes
    ----------
    entrant : Entrant
        The version.
    test_digest, split_digest : str
        Of the test tracks' content and genres; of all splits.
    tracks : DataFrame
        Indexed by `track_id`, with `sha256`, `genre`, `group` (numbered) and `right`.
    measures : Measures
        Whoever its rival is.
    """

    entrant: Entrant
    test_digest: str
    split_digest: str
    tracks: "pd.DataFrame"
    measures: Measures

    def as_json(self) -> str:
        """Return all of it as a text that `read_evidence` reads."""
        said = {
            "format_version": FORM,
            "entrant": asdict(self.entrant),
            "test_digest": self.test_digest,
            "split_digest": self.split_digest,
            "measures": asdict(self.measures),
            "tracks": self.tracks.reset_index().to_dict("list"),
        }
        return json.dumps(said, indent=1)


class _Kept(BaseModel):
    """What `Evidence.as_json` wrote."""

    format_version: Literal[1]
    entrant: Entrant
    test_digest: str
    split_digest: str
    measures: Measures
    tracks: dict[str, list[Any]]


class _Answered(BaseModel):
    """The tracks of evidence in any form."""

    sha256: list[str]
    right: list[bool]


class _Answers(BaseModel):
    """Of evidence in any form: what a champion's is asked for."""

    test_digest: str
    tracks: _Answered


def gather(version: ModelVersion, judged: Judged, *, split_digest: str) -> Evidence:
    """Measure what the gate asks of a version that has been judged.

    Parameters
    ----------
    version : ModelVersion
        The registered version.
    judged : Judged
        Its figures on the test tracks.
    split_digest : str
        Of the splits that these are from.
    """
    measures = Measures(
        calibration_error=judged.evaluation.calibration_error,
        changes={change.name: change.difference for change in judged.robustness},
        changes_asked=judged.robustness_asked,
        **_costs(version, judged.tracks["path"]),
    )
    tracks = judged.tracks
    table = tracks[["sha256", "genre"]].assign(group=groups_of(tracks), right=judged.right)
    entrant = Entrant(version.version, judged.info.genres, judged.info.synthetic)
    return Evidence(entrant, judged.digest, split_digest, table, measures)


def measure_again(version: ModelVersion, kept: Evidence, paths: Iterable[str]) -> Evidence:
    """Repeat what a busy machine, or a store that was away for a moment, may have spoilt.

    Parameters
    ----------
    version : ModelVersion
        The registered version.
    kept : Evidence
        What was measured when it was registered.
    paths : iterable of str
        Test tracks.
    """
    measures = replace(kept.measures, **_costs(version, paths))
    evidence = replace(kept, measures=measures)
    tracking.log_text(evidence.as_json(), FILE, run_id=version.run_id)
    return evidence


def _costs(version: ModelVersion, tracks: Iterable[str]) -> dict[str, Any]:
    """Measure what a version costs, and the other ways to its answers."""
    paths = [Path(path) for path in islice(tracks, _N_PARITY)]
    bundle = Bundle(version.bundle, threads=1)
    served = [bundle.predict(path).probabilities for path in paths]
    differences = {"Keras": largest_difference(served, keras_answers(bundle, paths))}
    cannot_load, model = "", f"models:/{version.name}/{version.version}"
    try:
        answers = tracking.predict_apart(model, paths)
    except GenreError as error:
        cannot_load = str(error)
    else:
        # A file that cannot be used has a row too, without probabilities: all of these can be.
        errors = [row["error"] for row in answers if row.get("error")]
        if errors:
            cannot_load = f"{model} does not answer in a clean process: {errors[0]}"
        else:
            genres = bundle.info.genres
            apart = [{g: float(row[f"p_{g}"]) for g in genres} for row in answers]
            differences["pyfunc"] = largest_difference(served, apart)
    return {
        "latency_ms": latency_ms(bundle),
        "size_mb": size_mb(version.bundle),
        "differences": differences,
        "cannot_load": cannot_load,
    }


def read_evidence(version: ModelVersion) -> Evidence | None:
    """Return the evidence that was kept with a version; None where none was.

    Raises
    ------
    GenreError
        It is of another form.
    """
    import pandas as pd

    text = tracking.read_text(version.run_id, FILE)
    if text is None:
        return None
    try:
        kept = _Kept.model_validate_json(text)
        tracks = pd.DataFrame(kept.tracks).set_index("track_id")
        tracks = tracks[["sha256", "genre", "group", "right"]]
    except (ValueError, KeyError) as error:
        raise GenreError(
            f"the evidence of {version.name} {version.version} is not of this version of "
            "genre-mlops, and the gate cannot be asked: train and register it anew, or "
            f"`genre-mlops promote {version.version} --force --reason ...`"
        ) from error
    return Evidence(kept.entrant, kept.test_digest, kept.split_digest, tracks, kept.measures)


def decide(
    challenger: ModelVersion,
    ours: Evidence,
    champion: ModelVersion | None,
    config: Config,
    *,
    catalog: "Callable[[], pd.DataFrame | None]",
    run: Mapper,
) -> Verdict:
    """Ask the gate.

    Parameters
    ----------
    challenger : ModelVersion
        Who wants to be champion.
    ours : Evidence
        The challenger's.
    champion : ModelVersion or None
        Who is.
    config : Config
        The rules, and how to resample.
    catalog : callable
        Gives the tracks and splits that the challenger's evidence is from, None where they are not
        on this machine. Asked where the champion's is from another test set, for it is judged on
        this one then.
    run : Mapper
        Where that happens.

    Raises
    ------
    GenreError
        The tracks are needed and not there.
    """
    if champion is None:
        return judge(ours.entrant, None, None, ours.measures, config.gate)
    info = read_info(champion.bundle)
    rival = Entrant(champion.version, info.genres, info.synthetic)
    pairs = None
    if comparable(ours.entrant, rival) is None:
        learnt = read_seen(challenger.bundle) | read_seen(champion.bundle)
        right = _answers(champion, ours, catalog, config, run)
        fair = ours.tracks[~ours.tracks["sha256"].isin(learnt)]
        how = config.evaluation
        drawn = resampling(
            len(fair),
            fair["group"].to_numpy() if len(fair) else None,
            n_bootstrap=how.n_bootstrap,
            seed=config.seed,
        )
        # Known by their content: tracks may have other names by now.
        theirs = np.array([right[sha256] for sha256 in fair["sha256"]], dtype=np.bool_)
        pairs = Pairs(list(fair["genre"]), fair["right"].to_numpy(np.bool_), theirs, drawn)
    return judge(ours.entrant, rival, pairs, ours.measures, config.gate)


def _answers(
    champion: ModelVersion,
    ours: Evidence,
    catalog: "Callable[[], pd.DataFrame | None]",
    config: Config,
    run: Mapper,
) -> dict[str, bool]:
    """Return whether the champion is right about the challenger's test tracks, by sha256."""
    kept = _kept_answers(champion, ours.test_digest)
    if kept is not None:
        return kept
    tracks = catalog()
    if tracks is None:
        raise GenreError(
            f"the champion, version {champion.version}, was judged on other test tracks than "
            f"version {ours.entrant.version}, and these are not on this machine: promote it where "
            "its data is (GENRE_WORKSPACE names the workspace)"
        )
    judged = judge_bundle(champion.bundle, tracks, config, run)
    return dict(zip(judged.tracks["sha256"], judged.right.tolist(), strict=True))


def _kept_answers(champion: ModelVersion, test_digest: str) -> dict[str, bool] | None:
    """Return what was kept of a version's answers to a test set; None where that is of no use.

    An older or newer genre-mlops may have written it: no more of it is read than is needed.
    """
    text = tracking.read_text(champion.run_id, FILE)
    if text is None:
        return None
    try:
        kept = _Answers.model_validate_json(text)
        answers = dict(zip(kept.tracks.sha256, kept.tracks.right, strict=True))
    except ValueError:
        _log.info("the evidence of %s %d is of another form", champion.name, champion.version)
        return None
    return answers if kept.test_digest == test_digest else None
