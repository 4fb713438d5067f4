"""What every door shares: logging, progress on the terminal, errors turned into exit codes."""

import errno
import io
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn, Self

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from genre_mlops.errors import GenreError
from genre_mlops.wording import printable, without_password

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
_log = logging.getLogger("genre_mlops")
# In a log a long job says how far it is this often.
_LOG_EVERY_S = 20.0
# What the machine refuses. That a file is missing is not among them: it may be our own mistake.
_REFUSED_BY_MACHINE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
    | {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}
)


def set_up_logging(console: Console = out) -> None:
    """Show our own messages, and of the libraries only warnings; call before importing them.

    Parameters
    ----------
    console : Console
        `err` where standard output is for an answer.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown in escapes.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if console.is_terminal:
        handler: logging.Handler = RichHandler(
            console=console, show_path=False, show_level=False, log_time_format="%X"
        )
        form = "%(message)s"
    else:
        handler, form = logging.StreamHandler(console.file), "%(asctime)s %(message)s"
    handler.addFilter(_ours_or_a_warning)
    logging.basicConfig(
        level=logging.WARNING, format=form, datefmt="%X", handlers=[handler], force=True
    )
    _log.setLevel(logging.INFO)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn errors raised on purpose into one message and their exit code; a request to stop too.

    So are places that cannot be written or read, whoever meets them. Inside, SIGTERM raises
    SystemExit, so that every `with` on the way out is honoured.
    """
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except GenreError as error:
        err.print(f"[red]error:[/red] {_escaped(error)}", soft_wrap=True)
        raise SystemExit(error.exit_code) from error
    except OSError as error:
        if error.errno not in _REFUSED_BY_MACHINE:
            raise
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        err.print(f"[red]error:[/red] {_escaped(f'{where}{error.strerror}')}", soft_wrap=True)
        raise SystemExit(1) from error
    except Exception as error:
        # Where it is not imported, nothing can have come of it.
        tracking = sys.modules.get("genre_mlops.tracking")
        if tracking is None or not isinstance(error, tracking.StoreError):
            raise
        uri = tracking.tracking_uri()
        told = without_password(f"{uri} (MLFLOW_TRACKING_URI): {error}", uri)
        err.print(f"[red]error:[/red] {_escaped(told)}", soft_wrap=True)
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        err.print("stopped; run the same command to go on")
        raise SystemExit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _ours_or_a_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.startswith(_log.name)


class ProgressBars:
    """Draws the progress of long jobs: bars on a terminal, now and then a line in a log.

    Use it with `with`; the instance itself is the engine's `Progress`.
    """

    def __init__(self, console: Console = out) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description:<18}", markup=False),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=console, transient=True)
        self._tasks: dict[str, TaskID] = {}
        self._last_line_s = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def __call__(self, label: str, n_done: int, n_total: int, *, told: bool = False) -> None:
        """Show that `n_done` of `n_total` are done."""
        if not self._console.is_terminal:
            if told:
                return
            now = time.monotonic()
            if n_done == 0:
                self._last_line_s = now
            elif now - self._last_line_s > _LOG_EVERY_S:
                self._last_line_s = now
                _log.info("%s: %d of %d", printable(label), n_done, n_total)
            return
        if label not in self._tasks:
            self._tasks[label] = self._bars.add_task(printable(label), total=n_total)
        self._bars.update(self._tasks[label], completed=n_done, total=n_total)
        if n_done >= n_total:
            self._bars.remove_task(self._tasks.pop(label))


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    sys.exit(128 + number)


def _escaped(message: object) -> str:
    """Return a message, which may have several lines and hold names, as it is to be seen."""
    from rich.markup import escape

    return escape("\n".join(printable(line) for line in str(message).split("\n")))
