"""BentoML's supervisor: the process that starts the one that answers, and starts it again."""

import sys
from typing import Any

_CIRCUS = "bentoml._internal.utils.circus"
_LOOK_S = 1.0


def look_often() -> None:
    """Have it look every second whether the process that answers is gone.

    It would every ten, and has no setting for it. In the other process there is nothing to do:
    only the supervisor has imported what it supervises by when it imports a service.
    """
    circus: Any = sys.modules.get(_CIRCUS)
    if circus is None:
        return

    class Arbiter(circus.Arbiter):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "check_delay": _LOOK_S})

    circus.Arbiter = Arbiter
