"""What is shipped: network, feature config, mel filters, genres and provenance, in one folder.

Reading a bundle needs neither TensorFlow, librosa nor MLflow, and unpickles nothing.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

# ONNX Runtime reports models and machine to its makers unless told otherwise before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from genre_mlops.audio import Source
from genre_mlops.config import FeatureConfig, Section
from genre_mlops.domain import Clip
from genre_mlops.errors import GenreError
from genre_mlops.files import replacing
from genre_mlops.logmel import LogMel
from genre_mlops.names import BUNDLE_INFO
from genre_mlops.segments import cut_segments, pool_segments, segment_starts
from genre_mlops.spectrograms import Spectrogram, read_spectrogram
from genre_mlops.watch import Watch

INFO = BUNDLE_INFO
KERAS = "network.keras"
ONNX = "network.onnx"
FILTERS = "mel_filters.npz"
SEEN = "seen_tracks.txt"
LINEAGE = "lineage.json"
# Segments a network call: bounds memory on long files; more cost the same time each.
BATCH_SEGMENTS = 8


class BundleInfo(Section):
    """What `bundle.json` says."""

    format_version: Literal[1] = 1
    genres: Annotated[tuple[str, ...], Field(min_length=2)]
    features: FeatureConfig
    segment_frames: Annotated[int, Field(gt=0)]
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Divides the mean log-probability of a track's segments."""
    sure_above: Annotated[float, Field(ge=0, le=1)] = 0.0
    """A track whose best guess is not more probable than this may be none of the genres."""
    synthetic: bool
    provenance: dict[str, str | int | float | bool]
    sha256: dict[str, str] = Field(default_factory=dict)

    @property
    def segment_s(self) -> float:
        """Length of what the network sees at once, in seconds."""
        return self.segment_frames * self.features.hop_length / self.features.sr


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a bundle says of one clip.

    Attributes
    ----------
    probabilities : dict of str to float
        Genre -> calibrated probability of the whole track, most probable first; sums to 1.
    sure : bool
        Whether the most probable genre is probable enough; if not, it may be none of them.
    segments : ndarray [shape=(n_segments, n_genres), dtype=float32, range=[0, 1]]
        The network's output for each segment, columns in the bundle's order of genres.
    segment_starts_s : ndarray [shape=(n_segments,), dtype=float64]
        Where each segment begins, in seconds.
    duration_s : float
        Length of the clip in seconds.
    truncated : bool
        Whether the end that the file declares is missing.
    sr : int
        Sampling rate of the recording itself, in Hz.
    """

    probabilities: dict[str, float]
    sure: bool
    segments: NDArray[np.float32]
    segment_starts_s: NDArray[np.float64]
    duration_s: float
    truncated: bool
    sr: int

    @property
    def genre(self) -> str:
        """The most probable genre."""
        return next(iter(self.probabilities))


class Bundle:
    """A loaded bundle: clip in, genres out.

    Parameters
    ----------
    folder : Path
        Holds `bundle.json`, `network.onnx` and `mel_filters.npz`; their sha256 are checked.
    threads : int
        Threads for one network call; 0 takes one for each core.
    seal : str
        sha256 of `bundle.json`, where it is known from elsewhere: the file cannot vouch for itself.

    Attributes
    ----------
    folder : Path
        Where it is.
    info : BundleInfo
        What `bundle.json` says.
    log_mel : LogMel
        What it hears.

    Raises
    ------
    GenreError
        A file is missing, changed, or not of this format.
    """

    def __init__(self, folder: Path, *, threads: int = 0, seal: str = "") -> None:
        self.folder = folder
        self.info = check_files(folder, seal=seal)
        with np.load(folder / FILTERS, allow_pickle=False) as arrays:
            self.log_mel = LogMel(self.info.features, arrays["filters"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._network = onnxruntime.InferenceSession(
            str(folder / ONNX), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._network.get_inputs()[0].name

    def predict(
        self,
        source: Clip | Source,
        *,
        max_duration_s: float = np.inf,
        watch: Watch | None = None,
        listen: Callable[[NDArray[np.floating]], None] | None = None,
    ) -> Prediction:
        """Say which genres a recording has.

        Parameters
        ----------
        source : Clip, Path, bytes or FileIO
            A clip at the bundle's sampling rate, an audio file, the contents of one, or an open
            one, which is closed in the end.
        max_duration_s : float
            Longer files are refused.
        watch : Watch, optional
            Measures the stages ``"decode"``, ``"features"`` and ``"network"``, and ends them at its
            deadline.
        listen : callable, optional
            Given the spectrogram, which is far larger than what is said of it, and not kept.

        Returns
        -------
        Prediction
            Over the whole recording.

        Raises
        ------
        AudioError
            The recording cannot be used.
        TooSlowError
            The deadline of the watch is over.
        """
        watch = watch or Watch()
        if isinstance(source, Clip):
            S_db = self.log_mel(source)
            heard = Spectrogram(S_db, source.duration_s, truncated=False, sr=source.sr)
        else:
            heard = read_spectrogram(
                source, self.log_mel, max_duration_s=max_duration_s, watch=watch
            )
        features, S_db = self.info.features, heard.S_db
        if listen:
            listen(S_db)
        segments = self.predict_segments(cut_segments(S_db, self.info.segment_frames), watch)
        pooled = pool_segments(segments, self.info.temperature)
        order = np.argsort(-pooled, kind="stable")
        starts = segment_starts(len(S_db), self.info.segment_frames)
        return Prediction(
            {self.info.genres[i]: float(pooled[i]) for i in order},
            bool(pooled.max() > self.info.sure_above),
            segments,
            starts * features.hop_length / features.sr,
            heard.duration_s,
            heard.truncated,
            heard.sr,
        )

    def predict_segments(
        self, segments: NDArray[np.float32], watch: Watch | None = None
    ) -> NDArray[np.float32]:
        """Run the ONNX network.

        Parameters
        ----------
        segments : ndarray [shape=(n_segments, segment_frames, n_mels), dtype=float32]
            Log-mel in dB.
        watch : Watch, optional
            Measures the stage ``"network"``, and ends it at its deadline.

        Returns
        -------
        ndarray [shape=(n_segments, n_genres), dtype=float32, range=[0, 1]]
            Rows sum to 1.
        """
        batches = (
            self._network.run(None, {self._input: segments[i : i + BATCH_SEGMENTS]})[0]
            for i in range(0, len(segments), BATCH_SEGMENTS)
        )
        return np.concatenate([*(watch or Watch()).timed("network", batches)])


def read_info(folder: Path) -> BundleInfo:
    """Read `bundle.json` alone.

    Raises
    ------
    GenreError
        It is missing or not of this format.
    """
    path = folder / INFO
    try:
        return BundleInfo.model_validate_json(path.read_bytes())
    except OSError as error:
        raise GenreError(f"{folder} is no bundle: {path.name} cannot be read") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise GenreError(f"{path} is not of this version: {where}: {first['msg']}") from error


def seal_of(folder: Path) -> str:
    """Return the sha256 of `bundle.json`, which holds those of the other files."""
    return hashlib.sha256((folder / INFO).read_bytes()).hexdigest()


def check_files(folder: Path, *, seal: str = "") -> BundleInfo:
    """Hold each file of a bundle to its sha256.

    Parameters
    ----------
    folder : Path
        The bundle's.
    seal : str
        sha256 of `bundle.json`, where it is known from elsewhere: the file cannot vouch for itself.

    Returns
    -------
    BundleInfo
        What `bundle.json` says.

    Raises
    ------
    GenreError
        A file is missing, changed, or not of this format; by name.
    """
    if seal and (folder / INFO).is_file() and seal_of(folder) != seal:
        raise GenreError(f"{folder / INFO} is not the file that was registered: its sha256 differs")
    info = read_info(folder)
    _verify(folder, info.sha256)
    return info


def write_info(folder: Path, info: BundleInfo) -> BundleInfo:
    """Seal a bundle: note the sha256 of each of its other files and write `bundle.json`."""
    sealed = info.model_copy(update={"sha256": _digests(folder)})
    text = json.dumps(sealed.model_dump(mode="json"), indent=2, sort_keys=True)
    with replacing(folder / INFO) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    return sealed


def save_seen(folder: Path, sha256: Iterable[str]) -> None:
    """Note the content of every track that the network was trained on or chosen by."""
    (folder / SEEN).write_text("".join(f"{digest}\n" for digest in sorted(sha256)))


def read_seen(folder: Path) -> frozenset[str]:
    """Return the sha256 of every track that the network was trained on or chosen by."""
    return frozenset((folder / SEEN).read_text().split())


def save_filters(folder: Path, filters: NDArray[np.float32]) -> None:
    """Write the mel filters so that reading them needs no librosa and no pickle."""
    np.savez_compressed(folder / FILTERS, filters=filters)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != INFO)
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if not path.name.startswith(".")
    }


def _verify(folder: Path, sha256: Mapping[str, str]) -> None:
    for name in (ONNX, FILTERS):
        if name not in sha256:
            raise GenreError(f"{folder / INFO} names no sha256 of {name}: the bundle is not sealed")
    for name, expected in sha256.items():
        path = folder / name
        if not path.is_file():
            raise GenreError(f"{folder}: {name} is missing from the bundle")
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise GenreError(f"{path} is not the file that was sealed: its sha256 differs")
