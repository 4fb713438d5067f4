"""Databases for runs that have MLflow's tables already: to make these takes seconds."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory


def make_store(database: Path) -> str:
    """Make a database without runs, and return its address."""
    database.write_bytes(_empty())
    return f"sqlite:///{database}"


@cache
def _empty() -> bytes:
    from click.testing import CliRunner
    from mlflow.db import commands

    with TemporaryDirectory() as folder:
        database = Path(folder, "mlflow.db")
        done = CliRunner().invoke(commands, ["upgrade", f"sqlite:///{database}"])
        assert done.exit_code == 0, done.output
        assert [*database.parent.iterdir()] == [database]
        return database.read_bytes()
