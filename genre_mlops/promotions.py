"""`genre-mlops promote`: a version, its evidence, the champion, and the gate between them."""

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from genre_mlops import registry, tracking
from genre_mlops.config import Config
from genre_mlops.domain import Mapper
from genre_mlops.errors import GateError, GenreError
from genre_mlops.evidence import Evidence, decide, measure_again, read_evidence
from genre_mlops.learning.verdict import Verdict
from genre_mlops.registration import champion_of, keep_verdict
from genre_mlops.registry import CHALLENGER, History, version_of
from genre_mlops.splits import TEST

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger("genre_mlops.promotions")


def promote(
    name: str,
    number: int | None,
    config: Config,
    *,
    splits: Path,
    run: Mapper,
    reason: str = "",
    force: bool = False,
) -> tuple[int, Verdict | None]:
    """Ask the gate about a version, and make it the champion where it may.

    Parameters
    ----------
    name : str
        The registered model's.
    number : int or None
        The version; None for the challenger.
    config : Config
        The gate's rules.
    splits : Path
        Where the pipeline keeps splits, for a champion that was judged on other test tracks.
    run : Mapper
        Where tracks are judged then.
    reason : str
        Of who decides; empty: the gate's.
    force : bool
        Whether it is to be champion whatever the gate says.

    Returns
    -------
    tuple of int and Verdict or None
        The version, which is champion now, and what the gate said; None where it could not be
        asked.

    Raises
    ------
    GateError
        The gate does not let it.
    GenreError
        There is no such version, it is champion already, or the gate cannot be asked.
    """
    history = registry.settle(name)
    number = number if number is not None else version_of(name, CHALLENGER)
    if number is None:
        raise GenreError(f"{name} has no challenger: a run registers one, or name a version")
    if number == registry.champion_number(name, history):
        raise GenreError(f"{name} {number} is the champion already")
    version = registry.find_version(name, number)
    verdict = champion = None
    try:
        evidence = read_evidence(version)
        if evidence is None:
            raise GenreError(
                f"{name} {number} was registered without evidence: run the entry point register "
                "with its data and config, or promote it by --force --reason TEXT"
            )
        catalog = partial(_catalog, splits, evidence)
        measures, tracks = evidence.measures, None
        if measures.cannot_load or measures.latency_ms > config.gate.max_latency_ms:
            tracks = catalog()
        if tracks is not None:
            tests = tracks.loc[tracks["split"] == TEST, "path"]
            evidence = measure_again(version, evidence, tests)
        champion = champion_of(name, history)
        verdict = decide(version, evidence, champion, config, catalog=catalog, run=run)
    except (GenreError, OSError, tracking.StoreError):
        # Forced, it is what mends a champion that cannot be read.
        if not force:
            raise
    try:
        registry.promote(name, number, verdict, head=history.head, reason=reason, force=force)
    except GateError:
        if verdict:
            keep_verdict(version, verdict, champion)
        raise
    # Not before: overtaken, it was judged against one that is no champion any more.
    if verdict:
        try:
            keep_verdict(version, verdict, champion)
        except tracking.StoreError as error:
            _log.warning(
                "%s %d is champion; its verdict could not be kept: %s", name, number, error
            )
    return number, verdict


def roll_back(name: str, *, to: int | None = None, reason: str = "") -> History:
    """Make a former champion, whose files are there and whole, the champion again.

    Parameters
    ----------
    name : str
        The registered model's.
    to : int or None
        A former champion; None takes the one before.
    reason : str
        For the history.

    Raises
    ------
    GenreError
        There is none to go back to, or its files are gone or others.
    """
    number = registry.former_champion(name, registry.settle(name), to)
    registry.find_version(name, number)
    return registry.roll_back(name, to=number, reason=reason)


def _catalog(splits: Path, evidence: Evidence) -> "pd.DataFrame | None":
    """Return the tracks that evidence is from, where those that test are on this machine."""
    import pandas as pd

    file = splits / f"{evidence.split_digest}.parquet"
    if not file.is_file():
        return None
    catalog = pd.read_parquet(file)
    tests = catalog.loc[catalog["split"] == TEST, "path"]
    return catalog if all(Path(path).is_file() for path in tests) else None
