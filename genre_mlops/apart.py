"""A process of its own for work that may crash or never end.

It is not one of `multiprocessing`, nor of pebble, which is built on it: these would run the user's
script in it, and count its time by the clock, where a busy machine makes good files late.
"""

import atexit
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, TypeVar, cast

from genre_mlops.processes import quiet_stderr

ITEM = TypeVar("ITEM")
RESULT = TypeVar("RESULT")

# What ends the process when its computing time is up, whatever it is at.
LIMIT_SIGNAL = signal.SIGPROF
# Without work it frees its memory.
_IDLE_S = 30.0


class EndedError(Exception):
    """A process ended before it gave its answer.

    Attributes
    ----------
    signal : int or None
        What ended it, None where it ended by itself.
    """

    def __init__(self, status: int) -> None:
        self.signal = -status if status < 0 else None
        how = signal.Signals(-status).name if status < 0 else f"with status {status}"
        super().__init__(f"its process ended ({how})")


class Apart:
    """Runs functions in a process of its own, which may die of it.

    The process starts with the first call, or the first after it died, and stays for the next
    ones. Threads may share one.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        atexit.register(self._stop)

    def call(self, function: Callable[[ITEM], RESULT], item: ITEM, *, limit_s: float) -> RESULT:
        """Apply a function of a module to an item; both and the result can be pickled.

        Parameters
        ----------
        function : callable
            Its exceptions are raised here.
        item : object
            Its argument.
        limit_s : float
            Computing time in seconds after which the process is ended, unless the function comes
            to a `renew`. How busy the machine and its discs are is not the item's fault.

        Returns
        -------
        object
            What the function gives.

        Raises
        ------
        EndedError
            The process died, or its time was up.
        """
        with self._lock:
            try:
                result, error = self._ask((function, item, limit_s))
            except BaseException:
                # It may be at work on what nobody waits for.
                self._stop()
                raise
        if error is not None:
            raise error
        return cast(RESULT, result)

    def _ask(self, request: object) -> tuple[Any, Exception | None]:
        while True:
            if self._process is None:
                self._process, self._pipe = _start()
            try:
                self._pipe.send(request)
                answer: tuple[Any, Exception | None] = self._pipe.recv()
                return answer
            except (EOFError, OSError) as error:
                self._pipe.close()
                status = self._process.wait()
                self._process = None
                # It ends with 0 where it had nothing to do for long.
                if status:
                    raise EndedError(status) from error

    def _stop(self) -> None:
        if self._process is not None:
            self._pipe.close()
            self._process.kill()
            self._process.wait()
            self._process = None


def _start() -> tuple[subprocess.Popen[bytes], "Connection[Any, Any]"]:
    here, there = Pipe()
    with there:
        process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve({there.fileno()})"],
            pass_fds=[there.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # One thread: its computing time is that of the work, not times the cores.
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
            # Ctrl-C is for those who wait for it; it ends when they do.
            start_new_session=True,
        )
    return process, here


def renew(limit_s: float) -> None:
    """Give the function that a process was started for this much more computing time from now.

    Parameters
    ----------
    limit_s : float
        As of `Apart.call`. Where nothing limits the time, nothing comes of it.
    """
    if signal.getitimer(signal.ITIMER_PROF)[0]:
        signal.setitimer(signal.ITIMER_PROF, limit_s)


def serve(fd: int) -> None:
    """Answer the calls of an `Apart`, until it goes away or asks nothing for long.

    Parameters
    ----------
    fd : int
        File descriptor of the pipe to it.
    """
    with quiet_stderr(), Connection(fd) as pipe:
        while pipe.poll(_IDLE_S):
            try:
                function, item, limit_s = pipe.recv()
            except EOFError:
                return
            answer: tuple[Any, Exception | None]
            signal.setitimer(signal.ITIMER_PROF, limit_s)
            try:
                answer = function(item), None
            except Exception as error:
                answer = None, error
            signal.setitimer(signal.ITIMER_PROF, 0)
            pipe.send(answer)
