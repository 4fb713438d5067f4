"""BentoML's supervisor: the process that starts the one that answers, and starts it again."""

import os
import shutil
from pathlib import Path
from typing import Any

import bentoml

from genre_mlops.serving.metrics import is_dead

_LOOK_S = 1.0


def set_up() -> None:
    """Give the supervisor, which imports a service before all else, what has no setting.

    It would look every ten seconds only whether the process that answers is gone. And it would
    keep figures for Prometheus in a folder of BentoML's home, which each server that starts wipes.
    """
    if bentoml.server_context.worker_index is not None:
        return  # the one that answers
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.utils import circus

    class Arbiter(circus.Arbiter):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "check_delay": _LOOK_S})

    circus.Arbiter = Arbiter  # type: ignore[misc]
    figures = Path(BentoMLContainer.bentoml_home.get(), "prometheus_multiproc_dir")
    for former in figures.glob("*/"):
        if former.name.isdecimal() and is_dead(int(former.name)):
            shutil.rmtree(former, ignore_errors=True)
    BentoMLContainer.prometheus_multiproc_dir.set(str(figures / str(os.getpid())))
