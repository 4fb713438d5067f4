"""The command `genre-mlops`: operates what the pipeline made."""

import json
from pathlib import Path
from typing import Annotated

import typer

import genre_mlops
from genre_mlops import data_commands, search_commands
from genre_mlops.config import RegistryConfig
from genre_mlops.console import ProgressBars, err, exit_codes, out, set_up_logging
from genre_mlops.errors import AudioError

app = typer.Typer(
    name="genre-mlops",
    help="Operate what `mlflow run .` made: predict with the champion, look after the set-up.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
DEFAULT_MODEL = RegistryConfig().model
Model = Annotated[str, typer.Option(help="The registered model.", metavar="NAME")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


app.add_typer(data_commands.app, name="data")
app.add_typer(search_commands.app, name="search")


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
def doctor(as_json: AsJson = False, model: Model = DEFAULT_MODEL) -> None:
    """Say what is installed, where runs, data and models live, and what is wrong.

    Ends with exit code 1 if something is.

    Example: genre-mlops doctor
    """
    from genre_mlops import health

    with exit_codes():
        findings = health.examine(model)
    if as_json:
        typer.echo(json.dumps([finding.as_json() for finding in findings], indent=2))
    else:
        out.print(health.as_table(findings))
    if any(finding.wrong for finding in findings):
        raise typer.Exit(1)
