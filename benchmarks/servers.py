"""Servers of one model, for benchmarks: our bento, MLflow's, and the app that tutorials have.

The network is of the default sizes for ten genres and untrained, which changes no time. The
recordings are half a minute of made sound: as GTZAN's are, and as people have them.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

from benchmarks.clients import Request, ask_once

GENRES = [
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
]
MODEL = "genre-classifier"
CLIP_S = 30
CLIPS = {
    "mono.wav": "wav, 22.05 kHz mono",
    "stereo.wav": "wav, 44.1 kHz stereo",
    "stereo.mp3": "mp3, 44.1 kHz stereo",
}
_START_UP_S = 120.0
_PROJECT = Path(__file__).parents[1]
_BOUNDARY = "----benchmark"


@dataclass(frozen=True)
class Kind:
    """A way to serve the model.

    Attributes
    ----------
    name : str
        In words.
    command : tuple of str
        What starts it, less its port.
    ready : str
        Address that answers 200 once it can be asked.
    path : str
        Address that is asked.
    by_path : bool
        Whether it is sent a path instead of the recording.
    """

    name: str
    command: tuple[str, ...]
    ready: str
    path: str
    by_path: bool = False


@dataclass(frozen=True)
class Usage:
    """What a server and its children hold: sums of resident and proportional sets, processes."""

    rss_mb: float
    pss_mb: float
    n_processes: int


class Server:
    """A server that runs.

    Attributes
    ----------
    pid : int
        Of the process that was started.
    ready_s, first_answer_s : float
        From its start to the first 200 of its ready address, and to its first prediction.
    """

    def __init__(self, kind: Kind, port: int, folder: Path, process: subprocess.Popen[bytes]):
        self._kind, self._port, self._folder, self._process = kind, port, folder, process
        self.pid = process.pid
        self.ready_s = self.first_answer_s = 0.0

    def request(self, clip: str) -> Request:
        """Return what asks it about one of the `CLIPS`."""
        content_type, suffix = f"multipart/form-data; boundary={_BOUNDARY}", "form"
        if self._kind.by_path:
            content_type, suffix = "application/json", "json"
        body = self._folder / f"{clip}.{suffix}"
        return Request(self._port, self._kind.path, content_type, str(body))

    def probabilities(self, clip: str) -> dict[str, float]:
        """Ask it about a clip once."""
        status, said = ask_once(self.request(clip))
        if status != "200":
            sys.exit(f"{self._kind.name}: {status} {said.decode(errors='replace')}")
        return _probabilities(json.loads(said))

    def processes(self) -> list[psutil.Process]:
        """Return its processes, the one that was started first."""
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]

    def worker(self) -> psutil.Process:
        """Return the process of our bento that answers; the one that was started watches it."""
        return next(p for p in self.processes() if "_bentoml_impl.worker.service" in p.cmdline())

    def cpu_s(self) -> float:
        """Return the CPU time of its processes, in seconds."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    def usage(self) -> Usage:
        """Return what its processes hold."""
        rss = pss = n_processes = 0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                full = process.memory_full_info()
                rss, pss = rss + full.rss, pss + getattr(full, "pss", full.rss)
                n_processes += 1
        return Usage(rss / 1e6, pss / 1e6, n_processes)

    def is_ready(self) -> bool:
        """Whether its ready address answers 200."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", self._kind.ready)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def prepare(folder: Path) -> dict[str, str]:
    """Make the bundle, a bento and a registered model of it, and clips, by another process.

    Returns
    -------
    dict of str to str
        The tag of the bento, as ``"bento"``, and the address of the registered model, ``"mlflow"``.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(folder)],
        env=_environment(folder),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    made: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return made


def bento(tag: str) -> Kind:
    """Return how our bento is served."""
    return Kind("our bento", ("bentoml", "serve", tag), "/readyz", "/predict")


def mlflow(model: str) -> Kind:
    """Return how MLflow serves a registered model; it is sent the path of a file."""
    command = ("mlflow", "models", "serve", "--env-manager", "local", "-m", model)
    return Kind("mlflow models serve", command, "/ping", "/invocations", by_path=True)


def tutorial() -> Kind:
    """Return how the app of tutorials is served."""
    command = ("uvicorn", "benchmarks.tutorial_app:app", "--app-dir", str(_PROJECT))
    return Kind("tutorial app", command, "/", "/predict")


def judge(what: str, is_met: bool, seen: str) -> bool:
    """Print whether something is as it has to be, and what was seen of it; return the first."""
    print(f"{'met' if is_met else 'MISSED'}: {what}: {seen}")
    return is_met


@contextmanager
def serving(kind: Kind, folder: Path, *, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start a server, and end it when the block ends.

    Parameters
    ----------
    kind : Kind
        What to serve by.
    folder : Path
        What `prepare` filled; gets the server's log.
    env : mapping of str to str, optional
        More for its environment.
    """
    port, log = _free_port(), folder / "server.log"
    command = [sys.executable, "-m", *kind.command, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("ab") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**_environment(folder), **(env or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(kind, port, folder, process)
    try:
        while not server.is_ready():
            if process.poll() is not None or time.perf_counter() > began + _START_UP_S:
                sys.exit(f"{kind.name} does not serve: {log.read_text()[-2_000:]}")
            time.sleep(0.01)
        server.ready_s = time.perf_counter() - began
        server.probabilities("mono.wav")
        server.first_answer_s = time.perf_counter() - began
        yield server
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    # Started in a session of its own: the group is it and its children.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _environment(folder: Path) -> dict[str, str]:
    return {
        # Limits of the service are the defaults, and Python keeps what it has compiled.
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GENRE_", "MLFLOW_", "BENTOML_"))
            and name != "PYTHONDONTWRITEBYTECODE"
        },
        # MLflow starts uvicorn by its name.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GENRE_MODEL": str(folder / "bundle" / "network.keras"),
        "GENRE_NAMES": ",".join(GENRES),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _probabilities(said: object) -> dict[str, float]:
    """Return genre -> probability, of what any of the servers says."""
    match said:
        case {"predictions": [row]}:  # MLflow's
            return {genre: row[f"p_{genre}"] for genre in GENRES}
        case {"probabilities": list(rows)}:  # ours
            return {row["genre"]: row["probability"] for row in rows}
        case {"probabilities": dict(found)}:
            return found
    sys.exit(f"no answer: {said}")


def _write_clips(folder: Path) -> None:
    """Write half a minute of made sound in several forms, and what asks about each."""
    import numpy as np
    import soundfile

    rng, sr = np.random.default_rng(0), 44_100
    t = np.arange(CLIP_S * sr) / sr
    y = 0.01 * rng.standard_normal((len(t), 2))
    # A chord a second, and beats that die away.
    for second in range(CLIP_S):
        part = slice(second * sr, (second + 1) * sr)
        for hz in 110 * 2 ** (rng.integers(0, 36, 4) / 12):
            y[part] += 0.1 * np.sin(2 * np.pi * hz * t[part, None] + rng.uniform(0, 6, 2))
    y += 0.2 * np.exp(-20 * (t % 0.5))[:, None] * rng.standard_normal(y.shape)
    y /= np.abs(y).max()
    soundfile.write(folder / "stereo.wav", y, sr)
    soundfile.write(folder / "stereo.mp3", y, sr)
    soundfile.write(folder / "mono.wav", y[::2].mean(axis=1), sr // 2)
    for clip in CLIPS:
        path = folder / clip
        asked = {"dataframe_split": {"columns": ["path"], "data": [[str(path)]]}}
        (folder / f"{clip}.json").write_text(json.dumps(asked))
        head = (
            f"--{_BOUNDARY}\r\n"
            f'Content-Disposition: form-data; name="audio"; filename="{clip}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        form = head.encode() + path.read_bytes() + f"\r\n--{_BOUNDARY}--\r\n".encode()
        (folder / f"{clip}.form").write_bytes(form)


def _prepare(folder: Path) -> None:
    from genre_mlops import registry, tracking
    from genre_mlops.config import Config
    from genre_mlops.learning.backend import keras
    from genre_mlops.learning.bundle import BundleInfo
    from genre_mlops.learning.export import write_bundle
    from genre_mlops.learning.networks import average_networks, build_networks
    from genre_mlops.serving.packaging import package

    _write_clips(folder)
    config = Config()
    keras.utils.set_random_seed(0)
    networks = build_networks(config.network, config.features, n_genres=len(GENRES))
    info = BundleInfo(
        genres=tuple(GENRES),
        features=config.features,
        segment_frames=config.network.segment_frames,
        synthetic=True,
        provenance={},
    )
    bundle = folder / "bundle"
    info = write_bundle(bundle, average_networks(networks), info, seen=[])
    tag = package(bundle, version=1, labels={}, project=_PROJECT)
    with tracking.open_run("benchmark"):
        number = registry.register(bundle, info, name=MODEL, tags={})
    print(json.dumps({"bento": tag, "mlflow": f"models:/{MODEL}/{number}"}))


if __name__ == "__main__":
    os.chdir(sys.argv[1])  # where MLflow puts its files
    _prepare(Path(sys.argv[1]))
