"""What the main job says at its end."""

from rich.panel import Panel
from rich.table import Table

from genre_mlops.console import out
from genre_mlops.registry import CHALLENGER, CHAMPION, version_of
from genre_mlops.search import BestTrial
from pipelines.job import Validated
from pipelines.register import Registered


def summarise(data: Validated, best: BestTrial, registered: Registered, bento: str) -> None:
    """Print what came of the run, and what to type next."""
    synthetic = "synthetic " * data.source.synthetic
    found = registered.judged.evaluation
    alias = CHAMPION if registered.verdict.promote else CHALLENGER
    champion = version_of(registered.name, CHAMPION)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_row(
        "data",
        f"{data.source.name}: {len(data.catalog)} {synthetic}tracks of {len(data.genres)} genres, "
        f"{data.n_quarantined} set aside",
    )
    table.add_row(
        "best trial",
        f"{best.number} of {best.n_trials} ({best.n_pruned} pruned), validation loss "
        f"{best.validation_loss:.3f}",
    )
    table.add_row(
        f"{synthetic}test score",
        f"accuracy {found.accuracy.value:.3f}, 95 % interval {found.accuracy.low:.3f} to "
        f"{found.accuracy.high:.3f}, {len(registered.judged.tracks)} tracks",
    )
    table.add_row("version", f"{registered.name} {registered.version}, {alias}")
    table.add_row("why", registered.verdict.reason)
    table.add_row("bento", f"{bento} (version {champion})")
    out.print(Panel(table, title="genre-mlops", expand=False))
    out.print("next:  [bold]make serve[/bold]   answers on http://127.0.0.1:3000")
    out.print("       [bold]make ui[/bold]      shows the runs on http://127.0.0.1:5000")
