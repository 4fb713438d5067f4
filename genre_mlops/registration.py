"""A bundle becomes a version: measured once on the test tracks, registered, put before the gate."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genre_mlops import registry, tracking
from genre_mlops.bom import bill_of_materials
from genre_mlops.card import Setting, as_page, in_short, model_card
from genre_mlops.config import Config
from genre_mlops.domain import Mapper
from genre_mlops.errors import GenreError
from genre_mlops.evidence import FILE, decide, gather, read_evidence
from genre_mlops.learning.judged import Judged
from genre_mlops.learning.verdict import Ruling, Verdict
from genre_mlops.lineage import Lineage
from genre_mlops.names import CARD
from genre_mlops.pictures import comparison_picture
from genre_mlops.registry import History, ModelVersion
from genre_mlops.splits import split_digest
from genre_mlops.wording import in_cell

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Registered:
    """A version, its figures on the test tracks, and the gate's decision."""

    name: str
    version: int
    judged: Judged
    verdict: Verdict

    @property
    def alias(self) -> str:
        """What it is now; it may have been rolled back since the gate spoke."""
        found = registry.version_of(self.name, registry.CHAMPION) == self.version
        return registry.CHAMPION if found else registry.CHALLENGER

    def markdown(self) -> str:
        """Return what the gate said, with a link to the version's page in the UI."""
        page = f"#/models/{self.name}/versions/{self.version}"
        decision, reason = self.verdict.decision, self.verdict.reason
        return f"[{self.name} {self.version}]({page}), {decision}: {in_cell(reason)}"


def enter(
    bundle: Path,
    judged: Judged,
    catalog: "pd.DataFrame",
    setting: Setting,
    *,
    config: Config,
    run: Mapper,
) -> Registered:
    """Register a bundle that was judged, and make it the champion where the gate lets it.

    Evidence, verdict, card and bill of materials are kept with the version's run. One that stood
    before the gate already is not asked again: `genre-mlops promote` does that.

    Parameters
    ----------
    bundle : Path
        What a search left. Registered already, it stays the version that it is.
    judged : Judged
        Its figures on the test tracks.
    catalog : DataFrame
        The tracks with their splits.
    setting : Setting
        For the card.
    config : Config
        The gate's rules, how to resample, and the registered model's name.
    run : Mapper
        Where a champion is judged that was judged on other tracks.
    """
    name = config.registry.model
    history = registry.settle(name)
    # Before anything is registered: a champion that cannot be read is to be mended first.
    champion = champion_of(name, history)
    lineage = registry.read_lineage(bundle)
    number = registry.register(bundle, judged.info, name=name, tags=judged.tags())
    version = registry.find_version(name, number)
    known = registry.read_verdict(version)
    if known and _has_evidence(version):
        return Registered(name, number, judged, known)
    _log_card(version, lineage, judged, setting)
    evidence = gather(version, judged, split_digest=split_digest(catalog))
    tracking.log_text(evidence.as_json(), FILE, run_id=version.run_id)
    measures = evidence.measures
    tracking.log_metrics({"latency_ms": measures.latency_ms, "size_mb": measures.size_mb})
    if known:
        return Registered(name, number, judged, known)
    registry.challenge(name, number)
    decided = history.entries[-1].verdict if history.entries else None
    if champion and champion.version == number and decided:
        # A job that was cut off between the promotion and its tags.
        keep_verdict(version, Verdict.from_json(decided), None)
        return Registered(name, number, judged, Verdict.from_json(decided))
    verdict = decide(version, evidence, champion, config, catalog=lambda: catalog, run=run)
    if verdict.promotes:
        try:
            registry.promote(name, number, verdict, head=history.head, force=False)
        except registry.OvertakenError as error:
            # It stays challenger: to compare it with the new champion is another decision.
            overtaken = Ruling("first", "not shown", str(error))
            verdict = Verdict((*verdict.rulings, overtaken), verdict.rules)
    keep_verdict(version, verdict, champion)
    return Registered(name, number, judged, verdict)


def champion_of(name: str, history: History) -> ModelVersion | None:
    """Bring the champion of a history to this machine; None where there is none."""
    number = registry.champion_number(name, history)
    return registry.find_version(name, number) if number is not None else None


def keep_verdict(version: ModelVersion, verdict: Verdict, champion: ModelVersion | None) -> None:
    """Keep what the gate said with a version: as tags, as a table and as a picture."""
    name, run_id = version.name, version.run_id
    tracking.log_text(f"{verdict.markdown()}\n", "gate/verdict.md", run_id=run_id)
    if champion and (differences := verdict.differences()):
        kind = " (synthetic)" if version.tags.get("synthetic") == "true" else ""
        title = f"{name} {version.version} against {champion.version}{kind}: {verdict.decision}"
        picture = comparison_picture(differences, title=title)
        tracking.log_figure(picture, "gate/comparison.png", run_id=run_id)
    # Last: a version with it is not asked about again.
    registry.note_verdict(version, verdict)


def _has_evidence(version: ModelVersion) -> bool:
    with suppress(GenreError):  # of another form: it is written anew
        return read_evidence(version) is not None
    return False


def _log_card(version: ModelVersion, lineage: Lineage, judged: Judged, setting: Setting) -> None:
    bill = bill_of_materials(version, lineage, judged)
    tracking.log_text(bill, "bom.cdx.json", run_id=version.run_id)
    card = model_card(version, lineage, judged, setting)
    tracking.log_text(card, CARD, run_id=version.run_id)
    tracking.log_text(as_page(card), "card.html", run_id=version.run_id)
    link = (
        f"[The run that registered it]({tracking.run_link(version.run_id)}) has pictures, tables, "
    )
    link += "the gate's verdict and this card as a page.\n"
    tracking.describe_version(version.name, version.version, in_short(card, end=link))
