"""Python commands in processes of their own that find the big libraries imported already.

To import MLflow, Great Expectations and TensorFlow takes longer than most of what the commands do.
So each process is a copy of one that has done that and no more: what a command imports of this
project, it imports itself. That one is the server of `multiprocessing`, one for all tests of a
process.
"""

import atexit
import gc
import multiprocessing
import os
import runpy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

import pytest

LIBRARIES = (
    *("mlflow", "great_expectations", "optuna", "librosa", "pyarrow.parquet"),
    *("matplotlib.figure", "scipy.stats", "sklearn.svm", "tensorflow", "keras", "tf2onnx"),
)
# What the doors and `genre_mlops.tracking` set before they import them.
BEFORE = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([*LIBRARIES])


def call(function: Callable[..., object], *arguments: object) -> BaseProcess:
    """Call a function of a module in such a process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in BEFORE.items():
            patch.setenv(name, value)
        forkserver.ensure_running()
    process = CONTEXT.Process(target=function, args=arguments)
    process.start()
    return process


@contextmanager
def started(
    arguments: Sequence[str], *, folder: Path, env: Mapping[str, str], told: Path
) -> Iterator[BaseProcess]:
    """Do what `python` does with these arguments, -m or -c first; print into files in `told`.

    It is killed where the block ends before it does.
    """
    process = call(_become, [*arguments], folder, dict(env), told)
    try:
        yield process
    finally:
        process.kill()
        process.join()


def run(arguments: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> CompletedProcess[str]:
    """Do it, and wait for the end."""
    with TemporaryDirectory() as told:
        with started(arguments, folder=folder, env=env, told=Path(told)) as process:
            process.join()
        output, errors = (Path(told, name).read_text() for name in ("output", "errors"))
    return CompletedProcess([*arguments], process.exitcode, output, errors)


def _become(arguments: list[str], folder: Path, env: dict[str, str], told: Path) -> None:
    gc.freeze()
    # It starts one of its own then, which tidies up after it when it is killed.
    resource_tracker._resource_tracker._fd = None
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    for number, name in ((1, "output"), (2, "errors")):
        file = os.open(told / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    how, what, *rest = arguments
    sys.argv = [what, *rest]
    try:
        if how == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            assert how == "-c"
            exec(what, {"__name__": "__main__"})  # noqa: S102
    finally:
        # Left out by `multiprocessing`.
        atexit._run_exitfuncs()
