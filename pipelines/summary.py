"""What the main job says at its end."""

from dataclasses import dataclass
from functools import cached_property

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from genre_mlops.console import out
from genre_mlops.learning.baseline import BaselineReport
from genre_mlops.learning.metrics import Evaluation
from genre_mlops.learning.resampling import Estimate
from genre_mlops.models_commands import DEFAULT_MODEL
from genre_mlops.registration import Registered
from genre_mlops.registry import CHAMPION, version_of
from genre_mlops.search import BestTrial
from pipelines.job import Validated

_MORE = "it may need more tracks, epochs or trials"


@dataclass(frozen=True)
class Outcome:
    """What came of a run of the main job, step by step."""

    data: Validated
    best: BestTrial
    registered: Registered
    floor: BaselineReport
    bento: str | None

    @cached_property
    def lead(self) -> Estimate:
        """How far the test accuracy is above that of MFCC statistics + SVM on the same tracks."""
        return self.registered.judged.lead_over(self.floor.test.right)

    @property
    def doubt(self) -> str:
        """What the test score does not show, or nothing."""
        return in_doubt(self.registered.judged.evaluation, self.lead)


def summarise(outcome: Outcome) -> None:
    """Print what came of the run, and what to type next."""
    data, best, registered = outcome.data, outcome.best, outcome.registered
    synthetic = "synthetic " * data.source.synthetic
    accuracy = registered.judged.evaluation.accuracy
    # With two objectives it need not be that of the least loss.
    taken = "best trial" if best.config.search.objective == "accuracy" else "trial taken"
    champion, doubt = version_of(registered.name, CHAMPION), outcome.doubt
    rows = {
        "data": f"{data.source.name}: {len(data.catalog)} {synthetic}tracks of "
        f"{len(data.genres)} genres, {data.n_quarantined} set aside",
        taken: f"trial {best.choice.place}, of {best.n_trials} ({best.n_pruned} pruned), "
        f"{synthetic}validation loss {best.validation_loss:.3f}",
        f"{synthetic}test score": f"accuracy {accuracy.value:.3f}, 95 % interval "
        f"{accuracy.low:.3f} to {accuracy.high:.3f}, {len(registered.judged.tracks)} tracks",
        f"{synthetic}floor": f"{outcome.floor.test}: MFCC statistics + SVM on the same tracks",
        f"{synthetic}warning": f"no score: {outcome.floor.segments}",
        **({f"{synthetic}doubt": doubt} if doubt else {}),
        "version": f"{registered.name} {registered.version}, {registered.alias}",
        "why": registered.verdict.reason,
        "bento": f"{outcome.bento}, which answers by {registered.name} {champion}"
        if outcome.bento
        else "none: there is no champion to serve",
    }
    table = Table.grid(padding=(0, 2))
    for name, text in rows.items():
        # As text: a folder's name may hold what rich takes for markup.
        table.add_row(Text(name, style="bold"), Text(text))
    out.print(Panel(table, title="genre-mlops", expand=False))
    first = "[bold]make serve[/bold]   answers on http://127.0.0.1:3000"
    if not outcome.bento:
        of = "" if registered.name == DEFAULT_MODEL else f" --model {registered.name}"
        first = f"[bold]genre-mlops promote {registered.version}{of}[/bold]  asks the gate again"
    out.print(f"next:  {first}")
    out.print("       [bold]make ui[/bold]      shows the runs on http://127.0.0.1:5000")


def in_doubt(found: Evaluation, lead: Estimate) -> str:
    """Say what a score does not show, or nothing.

    Parameters
    ----------
    found : Evaluation
        The score, with what always answering one genre would reach.
    lead : Estimate
        How far its accuracy is above that of MFCC statistics + SVM on the same tracks.
    """
    doubts = []
    if found.few:
        doubts.append(f"the interval is over {found.resampled}")
    if found.accuracy.low <= found.chance:
        doubts.append(
            f"not shown to be better than always answering one genre ({found.chance:.3f}); {_MORE}"
        )
    elif lead.low <= 0:
        shown = "shown to be " if lead.value > 0 else ""
        doubts.append(
            f"not {shown}better than the floor: {lead.value:+.3f}, 95 % interval "
            f"{lead.low:+.3f} to {lead.high:+.3f}; {_MORE}"
        )
    return "; ".join(doubts)
