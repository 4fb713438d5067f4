"""What is kept of a recording that was heard: figures of its spectrum, and a line of a log.

`genre-mlops monitor` compares those of requests with those of the validation tracks. The service
imports this module: nothing here is slow to import, and nothing says what was heard.
"""

from collections.abc import Mapping
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from genre_mlops.config import FeatureConfig

# Raise it where the same recording would be described by other figures: they are not compared.
DEFINITION = 1
LEVELS = ("level_db", "loud_db")
BANDWIDTH = "bandwidth_hz"
BANDS = tuple(f"band_{k}_db" for k in range(1, 9))
FIGURES = (*LEVELS, BANDWIDTH, *BANDS)

_LEAST_LEVEL_DB, _LEAST_BAND_DB = -120.0, -90.0
_LOUD_PERCENTILE = 95.0
# Above the floor: what a store's 16 bits make of the floor itself is nothing.
_HEARD_DB = 0.1
# A band is there where it is so far above the floor, in so many of the frames, and not so far below
# the strongest: the skirts of filters and windows.
_THERE_DB, _THERE_SHARE, _SKIRT_DB = 3.0, 0.1, 80.0
_BLOCK_FRAMES = 2_048
# Power of a Hann window's main lobe over that of its highest bin, and of full scale over a sine's.
_WINDOW, _SINE = 1.5, 2.0


def describe(S_db: NDArray[np.floating], features: FeatureConfig) -> dict[str, float]:
    """Describe how a recording sounds, by figures that say nothing of what is played.

    Parameters
    ----------
    S_db : ndarray [shape=(n_frames, n_mels)]
        Its log-mel as `LogMel` gives it, at least one frame; also rounded to float16.
    features : FeatureConfig
        What it was computed with.

    Returns
    -------
    dict of str to float
        By the names of `FIGURES`, finite also for silence, rounded to 0.01:

        - ``level_db``: mean power in dB relative to full scale (a full-scale square wave has 0, a
          sine -3), as `Levels.rms_dbfs` of the mono mix, -120 for silence;
        - ``loud_db``: that of a frame that is louder than 95 % of them;
        - ``bandwidth_hz``: the centre of the highest mel band that a tenth of the frames have more
          than 3 dB above the floor and more than 80 dB below the strongest; 0 for silence;
        - ``band_1_db`` to ``band_8_db``: the share of the power in eight groups of neighbouring mel
          bands, lowest first, in dB, not below -90.

    Notes
    -----
    Slaney's filters have the same area: a band's value times its width is power. What lies below
    the lowest centre or above the highest counts in part.
    """
    edges_hz = mel_edges_hz(features)
    centres_hz, widths_hz = edges_hz[1:-1], (edges_hz[2:] - edges_hz[:-2]) / 2
    by_frame, by_band = _powers(S_db, features.floor_db, widths_hz)
    total = by_band.sum()
    floor = 10 ** (_LEAST_BAND_DB / 10)
    shares = [part.sum() / max(total, np.finfo(float).tiny) for part in _groups(by_band)]
    found = [
        _level_db(by_frame.mean()),
        _level_db(np.percentile(by_frame, _LOUD_PERCENTILE)),
        _bandwidth_hz(S_db, by_band / widths_hz / len(S_db), centres_hz, features.floor_db),
        *(10 * np.log10(np.maximum(shares, floor))),
    ]
    return {name: round(float(x), 2) for name, x in zip(FIGURES, found, strict=True)}


def mel_edges_hz(features: FeatureConfig) -> NDArray[np.float64]:
    """Return where the triangles of the mel filters begin, peak and end.

    Parameters
    ----------
    features : FeatureConfig
        Names `n_mels`, `fmin` and `fmax`.

    Returns
    -------
    ndarray [shape=(n_mels + 2,), dtype=float64]
        Hz; filter i begins at i, peaks at i + 1 and ends at i + 2.

    References
    ----------
    M. Slaney, Auditory Toolbox, Interval Research Corporation, technical report 1998-010: linear up
    to 1 kHz, 15 mel there, then 27 mel for each factor of 6.4. As `librosa.mel_frequencies`.
    """
    ends = _mel(np.array([features.fmin, features.fmax]))
    mel = np.linspace(ends[0], ends[1], features.n_mels + 2)
    return np.where(mel < 15, mel * 200 / 3, 1_000 * 6.4 ** ((mel - 15) / 27))


def band_ranges_hz(features: FeatureConfig) -> list[tuple[float, float]]:
    """Return where the groups of `BANDS` begin and end, in Hz."""
    centres_hz = mel_edges_hz(features)[1:-1]
    starts = [float(part[0]) for part in _groups(centres_hz)]
    return list(zip(starts, [*starts[1:], float(centres_hz[-1])], strict=True))


class Answered(BaseModel):
    """A request that was answered: a line of the request log. No audio, no name of a file.

    Attributes
    ----------
    at : datetime
        When, with its time zone.
    request_id : str
        As the answer's header has it.
    model : str
        The model's name where it is served.
    version : int
        Of the registered model.
    network : str
        sha256 of `network.onnx`, as `BundleInfo.sha256` has it: registered models of several names
        have versions of one number.
    definition : int
        That of `input`.
    duration_s : float
        Of the recording.
    input : dict of str to float
        From `describe`.
    genre : str
        The most probable one.
    confidence : float
        Its probability.
    sure : bool
        Whether that counts as sure.
    warnings : int
        How many the answer had.
    """

    # Unknown keys are passed over: a later version may log more.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    at: AwareDatetime
    request_id: Annotated[str, Field(max_length=200)]
    model: Annotated[str, Field(max_length=200)]
    version: Annotated[int, Field(ge=0)]
    network: Annotated[str, Field(max_length=64)]
    definition: int = DEFINITION
    duration_s: Annotated[float, Field(ge=0)]
    input: Mapping[str, float]
    genre: Annotated[str, Field(max_length=1_000)]
    confidence: Annotated[float, Field(ge=0, le=1)]
    sure: bool
    warnings: Annotated[int, Field(ge=0)]

    def to_line(self) -> str:
        """Return the line, its end included: written by one call, lines do not mix."""
        return f"{self.model_dump_json()}\n"

    @classmethod
    def from_line(cls, line: str | bytes) -> Self | None:
        """Read a line; None where it is damaged, or none of this log."""
        try:
            return cls.model_validate_json(line)
        except ValidationError:
            return None


def _powers(
    S_db: NDArray[np.floating], floor_db: float, widths_hz: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the power in each frame, and in each band over all frames."""
    by_frame, by_band = np.empty(len(S_db)), np.zeros(len(widths_hz))
    for start in range(0, len(S_db), _BLOCK_FRAMES):
        block = S_db[start : start + _BLOCK_FRAMES].astype(np.float32)
        power = np.exp(block * np.float32(np.log(10) / 10))
        power[block <= floor_db + _HEARD_DB] = 0
        by_frame[start : start + len(block)] = power @ widths_hz
        by_band += power.sum(axis=0, dtype=np.float64) * widths_hz
    return by_frame, by_band


def _level_db(power: np.floating) -> float:
    least = 10 ** (_LEAST_LEVEL_DB / 10)
    return float(10 * np.log10(max(float(power) / _WINDOW / _SINE, least)))


def _bandwidth_hz(
    S_db: NDArray[np.floating],
    mean_power: NDArray[np.float64],
    centres_hz: NDArray[np.float64],
    floor_db: float,
) -> float:
    strongest_db = 10 * np.log10(max(mean_power.max(), 10 ** (floor_db / 10)))
    threshold_db = float(max(floor_db + _THERE_DB, strongest_db - _SKIRT_DB))
    n_there = np.count_nonzero(S_db > threshold_db, axis=0)
    there = np.flatnonzero(n_there >= _THERE_SHARE * len(S_db))
    return float(centres_hz[there[-1]]) if there.size else 0.0


def _groups(values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return np.array_split(values, len(BANDS))


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    above = np.maximum(hz, 1_000)
    return np.where(hz < 1_000, hz * 3 / 200, 15 + 27 * np.log(above / 1_000) / np.log(6.4))
