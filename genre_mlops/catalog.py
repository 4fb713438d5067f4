"""One row a file: what is in it, or why it cannot be used. An unchanged file is not read twice."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genre_mlops.audio import decode
from genre_mlops.datasets.base import Listing
from genre_mlops.domain import Mapper, Track
from genre_mlops.errors import AudioError
from genre_mlops.files import replacing
from genre_mlops.processes import quiet_stderr

if TYPE_CHECKING:
    import pandas as pd

# What is longer is not read to its end: a worker's memory is bounded by this.
LONGEST_S = 3_600.0
# Part of a cache's name: raise it where the same file would give another reading.
READING_VERSION = 1
FILES_PER_TASK = 16
SAVE_EVERY_TASKS = 64
SILENCE_DBFS = -60.0
# 1.0 is full scale; decoders of lossy formats rarely hit it to the last bit.
CLIPPED_AMPLITUDE = 0.999
_FRAME_S = 0.05


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in one file; numbers are None where it could not be decoded.

    Levels are of the mono mix in dB relative to full scale (a full-scale square wave has
    0 dBFS RMS); shares are of samples (clipping) or of 50 ms frames (silence).
    """

    path: str
    size_bytes: int
    mtime_ns: int
    sha256: str | None = None
    pcm_sha256: str | None = None
    format: str | None = None
    sr: int | None = None
    n_channels: int | None = None
    duration_s: float | None = None
    rms_dbfs: float | None = None
    peak_dbfs: float | None = None
    clipping_share: float | None = None
    silence_share: float | None = None
    truncated: bool | None = None
    error: str | None = None


def build_catalog(listing: Listing, *, cache: Path, run: Mapper) -> "pd.DataFrame":
    """Read every track of a listing, but for those read before and unchanged since.

    Parameters
    ----------
    listing : Listing
        The tracks of a source.
    cache : Path
        A Parquet file of readings, made where missing; killed half-way, most of the work done
        is in it.
    run : Mapper
        Where the reading happens.

    Returns
    -------
    DataFrame
        Indexed by `track_id`, in the listing's order: `genre`, `group` and the fields of
        `Reading`.
    """
    import pandas as pd

    known = _read_cache(cache)
    found = {str(t.path): known[key] for t in listing.tracks if (key := _key(t.path)) in known}
    unread = [track for track in listing.tracks if str(track.path) not in found]
    tasks = [unread[i : i + FILES_PER_TASK] for i in range(0, len(unread), FILES_PER_TASK)]
    try:
        for n_done, readings in enumerate(run(read_files, tasks, label="read audio"), start=1):
            found |= {r.path: r for r in readings}
            known |= {(r.path, r.size_bytes, r.mtime_ns): r for r in readings}
            if n_done % SAVE_EVERY_TASKS == 0:
                _write_cache(cache, known)
    finally:
        if tasks:
            _write_cache(cache, known)
    rows = [
        {"track_id": track.track_id, "genre": track.genre, "group": track.group}
        | asdict(found[str(track.path)])
        for track in listing.tracks
    ]
    columns = ["track_id", "genre", "group", *Reading.__dataclass_fields__]
    return pd.DataFrame(rows, columns=columns).set_index("track_id")


def read_files(tracks: Sequence[Track]) -> list[Reading]:
    """Read some files; what is wrong with one is in its row."""
    # The mp3 decoder writes its warnings past Python.
    with quiet_stderr():
        return [read_file(track) for track in tracks]


def read_file(track: Track) -> Reading:
    """Decode one file and measure it."""
    key = _key(track.path)
    try:
        with track.path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return Reading(*key, error=f"cannot be read: {error.strerror or error}")
    try:
        decoded = decode(track.path, track_id=track.track_id, max_duration_s=LONGEST_S)
    except AudioError as error:
        return Reading(*key, sha256=sha256, error=error.reason)
    y = decoded.clip.y
    return Reading(
        *key,
        sha256=sha256,
        pcm_sha256=hashlib.sha256(y.data).hexdigest(),
        format=decoded.format,
        sr=decoded.clip.sr,
        n_channels=decoded.n_channels,
        duration_s=decoded.clip.duration_s,
        rms_dbfs=_dbfs(float(np.sqrt(np.dot(y, y) / y.size))),
        peak_dbfs=_dbfs(max(float(y.max()), -float(y.min()))),
        clipping_share=_clipping_share(y),
        silence_share=_silence_share(y, decoded.clip.sr),
        truncated=decoded.truncated,
    )


def _clipping_share(y: NDArray[np.float32]) -> float:
    n_clipped = np.count_nonzero(y >= CLIPPED_AMPLITUDE) + np.count_nonzero(y <= -CLIPPED_AMPLITUDE)
    return float(n_clipped / y.size)


def _silence_share(y: NDArray[np.float32], sr: int) -> float:
    frame = min(y.size, max(1, round(_FRAME_S * sr)))
    frames = y[: y.size // frame * frame].reshape(-1, frame)
    # No copy of the samples: a recording may be an hour long.
    power = np.einsum("ij,ij->i", frames, frames) / frame
    return float(np.mean(power < 10 ** (SILENCE_DBFS / 10)))


def _dbfs(amplitude: float) -> float:
    return float(20 * np.log10(max(amplitude, 1e-10)))


def _key(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return str(path), -1, -1
    return str(path), stat.st_size, stat.st_mtime_ns


def _read_cache(cache: Path) -> dict[tuple[str, int, int], Reading]:
    import pandas as pd

    try:
        frame = pd.read_parquet(cache)
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        readings = [Reading(**{str(key): value for key, value in row.items()}) for row in rows]
    except (OSError, ValueError, TypeError):
        # No cache, or one of another version: reading again is the cure.
        return {}
    return {(r.path, r.size_bytes, r.mtime_ns): r for r in readings}


def _write_cache(cache: Path, known: dict[tuple[str, int, int], Reading]) -> None:
    import pandas as pd

    with replacing(cache) as partial:
        pd.DataFrame([asdict(reading) for reading in known.values()]).to_parquet(partial)
