"""Levels and bandwidth of a recording, measured as its blocks come; how it is cut changes nothing.

Levels are of the mono mix in dB relative to full scale: a full-scale square wave has 0 dBFS RMS.
Clipping and DC offset are of the channels: a mix may hide both.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

SILENCE_DBFS = -60.0
# 1.0 is full scale; decoders of lossy formats rarely hit it to the last bit.
CLIPPED_AMPLITUDE = 0.999
_FRAME_S = 0.05
_FLOOR_DBFS = -200.0

_N_FFT = 2_048
# One spectrum a chunk; more than this many are thinned out, so that an hour costs what a song does.
_FRAMES_PER_CHUNK = 5
_MAX_SPECTRA = 512
# What is louder than this in fewer than a tenth of the spectra is a click.
_HELD_PERCENTILE = 90.0
# Of one spectral line; rounding to 16 bits leaves about -128 dBFS in each.
_NOTHING_DBFS = -118.0
# Below the strongest line: the skirts of filters and windows.
_NOTHING_DB = 80.0


@dataclass(frozen=True, slots=True)
class Levels:
    """What was measured.

    Attributes
    ----------
    rms_dbfs, peak_dbfs : float
        Of all samples; -200 where all are zero.
    clipping_share : float
        Of all channels' samples, those at full scale, 0 to 1.
    silence_share : float
        Of 50 ms frames that are below -60 dBFS RMS, 0 to 1.
    dc_offset : float
        Mean amplitude of the channel where it is farthest from 0, full scale 1.0.
    bandwidth_hz : float
        The frequency above which there is practically nothing, 0 where there is nothing at all:
        the highest spectral line that, in a tenth of the spectra or more, is above -118 dBFS and
        above 80 dB below the strongest. The former is 10 dB above what 16-bit samples leave
        anywhere, so that weak highs count and rounding does not. Accurate to `sr` / 2,048.
    """

    rms_dbfs: float
    peak_dbfs: float
    clipping_share: float
    silence_share: float
    dc_offset: float
    bandwidth_hz: float


class LevelMeter:
    """Measures a recording given block by block.

    Parameters
    ----------
    sr : int
        Sampling rate in Hz.
    """

    def __init__(self, sr: int) -> None:
        self._sr = sr
        self._frame = max(1, round(_FRAME_S * sr))
        self._rest = np.empty(0, np.float32)
        self._n_samples = self._n_clipped = self._n_frames = self._n_silent = 0
        self._energy = self._peak = 0.0
        self._sums = np.zeros(1)
        self._spectra = _Spectra(min(_N_FFT, _FRAMES_PER_CHUNK * self._frame))

    def add(self, y: NDArray[np.float32], frames: NDArray[np.float32] | None = None) -> None:
        """Measure the next block.

        Parameters
        ----------
        y : ndarray [shape=(n,), dtype=float32]
            Finite amplitudes, full scale 1.0.
        frames : ndarray [shape=(n, n_channels), dtype=float32], optional
            The channels that `y` is the mix of; by default it is the only one.
        """
        if not y.size:
            return
        peak = max(float(y.max()), -float(y.min()))
        if frames is None or frames.shape[1] == 1:
            frames, loudest = y[:, None], peak
        else:
            loudest = max(float(frames.max()), -float(frames.min()))
        self._n_samples += y.size
        self._sums = self._sums + [float(channel.sum()) for channel in frames.T]
        self._energy += float(np.dot(y, y))
        self._peak = max(self._peak, peak)
        if loudest >= CLIPPED_AMPLITUDE:
            self._n_clipped += int(np.count_nonzero(np.abs(frames) >= CLIPPED_AMPLITUDE))
        y = np.concatenate([self._rest, y])
        n_chunk = _FRAMES_PER_CHUNK * self._frame
        chunks = y[: y.size // n_chunk * n_chunk].reshape(-1, n_chunk)
        self._add_frames(chunks.reshape(-1, self._frame))
        self._spectra.add(chunks)
        self._rest = y[chunks.size :].copy()

    def finish(self) -> Levels:
        """Return the levels of all blocks.

        Raises
        ------
        ValueError
            There were no samples.
        """
        if not self._n_samples:
            raise ValueError("expected at least one sample")
        # A recording shorter than a frame is one.
        n_frame = min(self._frame, self._n_samples)
        self._add_frames(self._rest[: self._rest.size // n_frame * n_frame].reshape(-1, n_frame))
        return Levels(
            rms_dbfs=_db(self._energy / self._n_samples),
            peak_dbfs=_db(self._peak**2),
            clipping_share=self._n_clipped / (self._n_samples * self._sums.size),
            silence_share=self._n_silent / self._n_frames,
            dc_offset=float(max(self._sums, key=abs)) / self._n_samples,
            bandwidth_hz=self._spectra.highest_line(self._rest) * self._sr,
        )

    def _add_frames(self, frames: NDArray[np.float32]) -> None:
        power = np.einsum("ij,ij->i", frames, frames) / max(1, frames.shape[1])
        self._n_frames += len(frames)
        self._n_silent += int(np.count_nonzero(power < 10 ** (SILENCE_DBFS / 10)))


class _Spectra:
    """Power spectra of chunks at even distances: all of a short recording's, fewer of a long one's.

    Which are kept follows from their numbers alone.
    """

    def __init__(self, n_fft: int) -> None:
        self._n_fft = n_fft
        self._kept: list[NDArray[np.float32]] = []
        self._n_chunks, self._every = 0, 1

    def add(self, chunks: NDArray[np.float32]) -> None:
        first = -self._n_chunks % self._every
        self._n_chunks += len(chunks)
        self._kept.extend(self._power(chunks[first :: self._every, : self._n_fft]))
        while len(self._kept) > _MAX_SPECTRA:
            self._kept = self._kept[::2]
            self._every *= 2

    def highest_line(self, rest: NDArray[np.float32]) -> float:
        """Return the frequency of the highest line that carries anything, in shares of `sr`.

        `rest` is measured where there was no whole chunk.
        """
        kept = np.stack(self._kept or list(self._power(rest[None, : self._n_fft])))
        held = np.percentile(kept, _HELD_PERCENTILE, axis=0, method="nearest")
        # Apart from the mean amplitude, which a window spreads over two lines.
        loudest = float(held[2:].max(initial=0.0))
        threshold = max(10 ** (_NOTHING_DBFS / 10), loudest * 10 ** (-_NOTHING_DB / 10))
        used = np.flatnonzero(held > threshold)
        return float(used[-1] / self._n_fft) if used.size else 0.0

    def _power(self, y: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return power [shape=(n, 1 + n_fft // 2)]; the lines of one add up to its mean square."""
        window = np.hanning(y.shape[1] + 2)[1:-1].astype(np.float32)
        amplitude = np.abs(scipy.fft.rfft(y * window, self._n_fft, axis=1))
        scale = 2 / (self._n_fft * float(np.dot(window, window)))
        power: NDArray[np.float32] = amplitude**2 * np.float32(scale)
        return power


def _db(power: float) -> float:
    return 10 * math.log10(power) if power > 10 ** (_FLOOR_DBFS / 10) else _FLOOR_DBFS
