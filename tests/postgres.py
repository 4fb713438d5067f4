"""A real PostgreSQL server on loopback, of its own, for as long as it is needed."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def find_programs() -> Path | None:
    """Return the folder of `initdb`; Debian keeps it off the PATH."""
    found = [Path(path) for path in [shutil.which("initdb")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def server(programs: Path) -> Iterator[str]:
    """Start a server with an empty database, and give its address."""
    # It refuses to run as root.
    user = "postgres" if os.getuid() == 0 else None
    # Not where pytest keeps its folders: these are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="genre-postgres-"))
    if user:
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(*command: str) -> None:
        done = subprocess.run(
            [programs / command[0], *command[1:]],
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    run("initdb", "-D", "data", "-U", "genre", "-A", "trust", "--no-sync")
    options = f"-F -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    process = subprocess.Popen(
        [programs / "postgres", "-D", "data", *options.split()],
        user=user,
        group=pwd.getpwnam(user).pw_gid if user else None,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("w"),
    )
    try:
        _await(port, process)
        run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "genre", "genre")
        yield f"postgresql+psycopg://genre:unused@127.0.0.1:{port}/genre"
    finally:
        # At once: SIGTERM would wait until nobody is connected.
        process.send_signal(signal.SIGINT)
        process.wait(60)
        shutil.rmtree(folder)


def _await(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server did not start in time")
