"""Features on disk: shards of log-mel spectrograms, found by the content of their source.

`<root>/<feature digest>-v<definition>/shard-<digest>.npy` holds the spectrograms of some files one
after the other, float16 of shape (n_frames_total, n_mels), for memory mapping;
`shard-<digest>.parquet` beside it says which: `sha256`, `first_frame`, `n_frames`. A shard counts
once its Parquet file is there, which is written last. A spectrogram is looked up by its source's
sha256: a file that is added, changed or moved costs itself, and no other is computed again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genre_mlops.audio import load_clip
from genre_mlops.config import FeatureConfig
from genre_mlops.domain import Mapper
from genre_mlops.errors import AudioError
from genre_mlops.files import replacing
from genre_mlops.logmel import DEFINITION, LogMel, mel_filters
from genre_mlops.processes import quiet_stderr

TRACKS_PER_SHARD = 32


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes
    ----------
    n_built, n_reused : int
        Spectrograms computed, and found as they were.
    failures : dict of str to str
        Path -> why it gave none.
    """

    n_built: int
    n_reused: int
    failures: dict[str, str] = field(default_factory=dict)


class FeatureStore:
    """The spectrograms of one feature config.

    Parameters
    ----------
    root : Path
        Holds the stores of all feature configs.
    config : FeatureConfig
        Its digest names the folder.
    """

    def __init__(self, root: Path, config: FeatureConfig) -> None:
        self.config = config
        self.folder = root / f"{config.digest()}-v{DEFINITION}"
        self._where: dict[str, tuple[str, int, int]] = {}
        self._shards: dict[str, NDArray[np.float16]] = {}
        self._read_index()

    def build(self, sources: Mapping[str, Path], run: Mapper) -> BuildReport:
        """Compute what is missing.

        Parameters
        ----------
        sources : mapping of str to Path
            sha256 of a file's bytes -> where it is.
        run : Mapper
            Where the work happens. Killed, a build goes on where it was: whole shards stay.

        Returns
        -------
        BuildReport
            What was built, reused, and failed.
        """
        missing = sorted(sha256 for sha256 in sources if sha256 not in self._where)
        tasks = [
            [(sha256, sources[sha256]) for sha256 in missing[i : i + TRACKS_PER_SHARD]]
            for i in range(0, len(missing), TRACKS_PER_SHARD)
        ]
        failures: dict[str, str] = {}
        if tasks:
            with replacing(self.folder / "features.json") as note:
                note.write_text(self.config.model_dump_json(indent=2) + "\n")
            build = partial(build_shard, self.folder, self.config, mel_filters(self.config))
            for failed in run(build, tasks, label="compute features"):
                failures |= failed
            self._read_index()
        n_built = len(missing) - len(failures)
        return BuildReport(n_built, len(sources) - len(missing), failures)

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._where

    def __getitem__(self, sha256: str) -> NDArray[np.float16]:
        """Return a source's spectrogram, memory-mapped.

        Parameters
        ----------
        sha256 : str
            Of the source file's bytes.

        Returns
        -------
        ndarray [shape=(n_frames, n_mels), dtype=float16]
            dB relative to full scale.
        """
        shard, first, n_frames = self._where[sha256]
        if shard not in self._shards:
            self._shards[shard] = np.load(self.folder / f"{shard}.npy", mmap_mode="r")
        return self._shards[shard][first : first + n_frames]

    def _read_index(self) -> None:
        import pandas as pd

        for piece in sorted(self.folder.glob("shard-*.parquet")):
            rows = pd.read_parquet(piece)
            for sha256, first, n in zip(
                rows["sha256"], rows["first_frame"], rows["n_frames"], strict=True
            ):
                self._where[str(sha256)] = (piece.stem, int(first), int(n))


def build_shard(
    folder: Path,
    config: FeatureConfig,
    filters: NDArray[np.float32],
    sources: Sequence[tuple[str, Path]],
) -> dict[str, str]:
    """Compute and write one shard; nothing half-written is ever under its name.

    Returns
    -------
    dict of str to str
        Path -> reason, for files that gave no spectrogram.
    """
    import pandas as pd

    log_mel = LogMel(config, filters)
    spectrograms: dict[str, NDArray[np.float16]] = {}
    failures: dict[str, str] = {}
    for sha256, path in sources:
        try:
            # The mp3 decoder writes its warnings past Python.
            with quiet_stderr():
                spectrograms[sha256] = _spectrogram(log_mel, path, sha256)
        except AudioError as error:
            failures[str(path)] = error.reason
    if not spectrograms:
        return failures
    n_frames = [len(S_db) for S_db in spectrograms.values()]
    first = np.concatenate([[0], np.cumsum(n_frames)[:-1]])
    name = f"shard-{hashlib.sha256(' '.join(spectrograms).encode()).hexdigest()[:16]}"
    with replacing(folder / f"{name}.npy") as partial_npy:
        np.save(partial_npy, np.concatenate(list(spectrograms.values())))
    rows = {"sha256": list(spectrograms), "first_frame": first, "n_frames": n_frames}
    with replacing(folder / f"{name}.parquet") as partial_index:
        pd.DataFrame(rows).to_parquet(partial_index)
    return failures


def _spectrogram(log_mel: LogMel, path: Path, sha256: str) -> NDArray[np.float16]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AudioError(str(path), f"cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise AudioError(str(path), "has changed since it was checked; run again")
    clip = load_clip(data, sr=log_mel.config.sr, track_id=str(path))
    return log_mel(clip).astype(np.float16)
