"""The command `genre-mlops`: operates what the pipeline made."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

import genre_mlops
from genre_mlops import data_commands, models_commands, search_commands
from genre_mlops.console import ProgressBars, err, exit_codes, out, set_up_logging
from genre_mlops.errors import AudioError, ConfigError, GateError, GenreError
from genre_mlops.models_commands import DEFAULT_MODEL, AsJson, Model

app = typer.Typer(
    name="genre-mlops",
    help="Operate what `mlflow run .` made: predict with the champion, look after the set-up.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data_commands.app, name="data")
app.add_typer(search_commands.app, name="search")
app.add_typer(models_commands.app, name="models")


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Operate what `mlflow run .` made: predict with the champion, look after the set-up."""
    set_up_logging(err)
    if version:
        out.print(f"genre-mlops {genre_mlops.__version__}")
        raise typer.Exit


@app.command()
def predict(
    sources: Annotated[list[Path], typer.Argument(help="Audio files, or folders of them.")],
    as_json: AsJson = False,
    top: Annotated[int, typer.Option(min=1, help="Genres shown for each file.")] = 3,
    model: Model = DEFAULT_MODEL,
) -> None:
    """Say which genres a recording has, with the champion.

    Ends with exit code 3 if a file could not be used; the others are answered all the same.

    Example: genre-mlops predict song.mp3 album/ --json
    """
    from genre_mlops import predictions

    with exit_codes(), ProgressBars(err) as progress:
        champion = predictions.open_champion(model)
        answers = list(predictions.predict_files(champion, sources, progress))
    if as_json:
        typer.echo(json.dumps([answer.as_json() for answer in answers], indent=2))
    else:
        kind = ", trained on synthetic music" if champion.bundle.info.synthetic else ""
        err.print(f"by the champion, {champion.name} version {champion.version}{kind}")
        out.print(predictions.as_table(answers, top=top))
    bad = [answer for answer in answers if answer.error]
    if bad:
        raise typer.Exit(AudioError.exit_code)


@app.command()
def promote(
    version: Annotated[int | None, typer.Argument(help="Without it: the challenger.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Whatever the gate says.")] = False,
    reason: Annotated[str, typer.Option(help="Why; needed with --force.", metavar="TEXT")] = "",
    config: Annotated[Path | None, typer.Option(help="A YAML file with the gate's rules.")] = None,
    overrides: Annotated[str, typer.Option("--set", help="a.b=c, separated by spaces.")] = "",
    model: Model = DEFAULT_MODEL,
) -> None:
    """Make a version the champion, if the gate lets it; exit code 4 if it does not.

    Example: genre-mlops promote 7
    """
    from genre_mlops import promotions, tracking
    from genre_mlops.config import load_config
    from genre_mlops.engine import Engine
    from genre_mlops.settings import Settings

    with exit_codes(), ProgressBars(err) as progress:
        if force and not reason.strip():
            raise ConfigError("--force: say why, by --reason TEXT; it is kept in the history")
        tracking.need_store()
        number, verdict = promotions.promote(
            model,
            version,
            load_config(config, overrides.split()),
            splits=Settings().workspace / "splits",
            run=Engine(progress=progress).map,
            reason=reason.strip(),
            force=force,
        )
    said = verdict.decision if verdict else "nothing: it could not be asked"
    against = "" if verdict and verdict.promotes else f" (the gate says {said})"
    why = reason.strip() or (verdict.reason if verdict else "")
    out.print(f"{model} {number} is champion{against}: {why}", soft_wrap=True, markup=False)
    out.print(_packages(model))


@app.command()
def rollback(
    to: Annotated[int | None, typer.Option(help="A former champion; else the one before.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the history.", metavar="TEXT")] = "",
    model: Model = DEFAULT_MODEL,
) -> None:
    """Make a former champion the champion again.

    Example: genre-mlops rollback --reason "it hears tango everywhere"
    """
    from genre_mlops import promotions, registry, tracking

    with exit_codes():
        tracking.need_store()
        history = promotions.roll_back(model, to=to, reason=reason.strip())
    out.print(registry.in_words(history.entries[-1]), soft_wrap=True, markup=False)
    out.print(_packages(model))


@app.command()
def package(
    version: Annotated[int | None, typer.Argument(help="Without it: the champion.")] = None,
    project: Annotated[
        Path | None, typer.Option(help="Where bentofile.yaml is, if not beside this code.")
    ] = None,
    as_json: AsJson = False,
    model: Model = DEFAULT_MODEL,
) -> None:
    """Make a version a bento, which `bentoml serve genre_classifier:latest` serves from then on.

    Example: genre-mlops package
    """
    from genre_mlops import bentos, tracking

    with exit_codes():
        if version is not None:
            tracking.need_store()
        packed = bentos.pack(model, version, project or bentos.find_project())
    if as_json:
        typer.echo(json.dumps(asdict(packed), indent=2))
        return
    which = "the champion" if packed.champion else "which is not the champion"
    out.print(Text(f"{packed.bento} answers by {model} {packed.version}, {which}"), soft_wrap=True)
    serve = f"bentoml serve {packed.bento} --host 127.0.0.1"
    out.print(f"next: [bold]{serve}[/bold]", soft_wrap=True)


@app.command()
def monitor(
    logs: Annotated[list[Path], typer.Argument(help="Request logs, also patterns and .gz.")],
    version: Annotated[int | None, typer.Option(help="Without it: the champion.")] = None,
    since: Annotated[str, typer.Option(help="From when on requests count.", metavar="DATE")] = "",
    report: Annotated[Path | None, typer.Option(help="Where to write a page of HTML.")] = None,
    log: Annotated[bool, typer.Option("--log/--no-log", help="Log a run to MLflow.")] = True,
    as_json: AsJson = False,
    config: Annotated[Path | None, typer.Option(help="A YAML file with monitor's rules.")] = None,
    overrides: Annotated[str, typer.Option("--set", help="a.b=c, separated by spaces.")] = "",
    model: Model = DEFAULT_MODEL,
) -> None:
    """Say whether requests are still like what their model was judged by; exit code 4 if not.

    Example: genre-mlops monitor requests.jsonl --since 2026-11-30 --report drift.html
    """
    from genre_mlops import monitoring
    from genre_mlops.config import load_config

    with exit_codes():
        rules = load_config(config, overrides.split()).monitor
        start = monitoring.moment(since) if since else None
        found = monitoring.monitor(model, version, logs, rules, since=start)
        if report:
            monitoring.write_page(found, report)
        run_id = monitoring.keep(found) if log else None
    if as_json:
        typer.echo(json.dumps({**found.as_json(), "run_id": run_id}, indent=2))
    else:
        if found.shifts:
            out.print(monitoring.as_table(found))
        out.print(f"{found.title}: {found.sentence}", soft_wrap=True, markup=False)
        if found.requests.left_out:
            err.print(f"passed over: {found.requests.left_out}", soft_wrap=True, markup=False)
    if found.drifted:
        raise typer.Exit(GateError.exit_code)


@app.command()
def doctor(
    mend: Annotated[bool, typer.Option("--mend", help="End a promotion cut off.")] = False,
    as_json: AsJson = False,
    model: Model = DEFAULT_MODEL,
) -> None:
    """Say what is installed, where runs, data and models live, and what is wrong.

    Ends with exit code 1 if something is. With --mend, aliases that are not as the history of the
    registered model has them are moved.

    Example: genre-mlops doctor
    """
    from genre_mlops import health, registry, tracking

    with exit_codes():
        if mend and tracking.has_store():
            # What cannot be mended is one of the findings.
            with suppress(GenreError, tracking.StoreError):
                registry.settle(model)
        findings = health.examine(model)
    if as_json:
        typer.echo(json.dumps([finding.as_json() for finding in findings], indent=2))
    else:
        out.print(health.as_table(findings))
    if any(finding.wrong for finding in findings):
        raise typer.Exit(1)


def _packages(model: str) -> Text:
    """Say how the champion comes to be served."""
    of = "" if model == DEFAULT_MODEL else f" --model {model}"
    return Text.assemble("next: ", (f"genre-mlops package{of}", "bold"), " makes its bento")
