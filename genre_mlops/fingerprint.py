"""Clip -> words that stay nearly the same when a recording is encoded anew, louder or cut shorter.

The kind of J. Haitsma and T. Kalker, "A highly robust audio fingerprinting system" (ISMIR 2002):
each bit is the sign of how the difference of two neighbouring bands changed over time. Where they
compare consecutive frames, 12 ms apart, this compares frames a whole window apart: the changes
are larger, so fewer bits flip, and four times fewer words are enough.
"""

import numpy as np
import scipy.fft
import soxr
from numpy.typing import NDArray

from genre_mlops.domain import Clip

FINGERPRINT_VERSION = 2
"""Raised with every change that changes a word."""

FINGERPRINT_SR = 5_512.5
"""Hz; a whole fraction of 44.1 and 22.05 kHz, and enough for the highest band."""
N_FFT = 2_048
HOP_LENGTH = 256
HOP_S = HOP_LENGTH / FINGERPRINT_SR
"""Seconds between words, 46 ms: small against the 372 ms window, so that a recording cut between
two hops still gives nearly the same words."""
FRAMES_APART = N_FFT // HOP_LENGTH
"""Frames between the two that a word compares: they share no sample."""
WORD_S = (N_FFT + FRAMES_APART * HOP_LENGTH) / FINGERPRINT_SR
"""Seconds of audio that decide one word."""
FMIN, FMAX = 300.0, 2_000.0
"""Hz; what every codec and every telephone keeps."""
N_BITS = 32
NOTHING = 0
"""The word of audio that says nothing: it is neither indexed nor compared."""
SILENCE_DBFS = -80.0
"""RMS between FMIN and FMAX below which a frame says nothing, dB relative to full scale."""
MIN_CHANGE = 5e-2
"""Change of the band differences, relative to the energy, below which a word says nothing: the
signs of a steady tone, or of a loop that is met by its own next turn, are those of rounding and
coding errors. One word in 40,000 of real music changes less."""

_FRAMES_PER_BATCH = 64
# Of the source, before resampling: what one step holds is bounded, whatever block it is given.
_STEP_S = 5.0
_EDGES = np.rint(np.geomspace(FMIN, FMAX, N_BITS + 2) * N_FFT / FINGERPRINT_SR).astype(np.int64)
_WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)
# A mean square of 1 in the bands gives this energy: Parseval, one side of the spectrum.
_FULL_SCALE = N_FFT * float(np.sum(_WINDOW**2)) / 2
_SILENCE = _FULL_SCALE * 10 ** (SILENCE_DBFS / 10)


class Fingerprinter:
    """Takes a recording block by block; only the words grow with its length.

    The words do not depend on how the recording is cut into blocks.

    Parameters
    ----------
    sr : int
        Sampling rate of the blocks in Hz.
    """

    def __init__(self, sr: int) -> None:
        self._step = max(1, round(_STEP_S * sr))
        self._resampler = soxr.ResampleStream(sr, FINGERPRINT_SR, 1, dtype="float32", quality="LQ")
        self._y = np.empty(0, np.float32)
        # Of the last FRAMES_APART frames: differences of bands, and the energy.
        self._differences = np.empty((0, N_BITS), np.float32)
        self._energy = np.empty(0, np.float32)
        self._words: list[NDArray[np.uint32]] = []

    def add(self, y: NDArray[np.float32]) -> None:
        """Take the next block.

        Parameters
        ----------
        y : ndarray [shape=(n_samples,), dtype=float32]
            Mono, full scale is 1.0, finite, of any length.
        """
        for start in range(0, y.size, self._step):
            self._extend(self._resampler.resample_chunk(y[start : start + self._step]))

    def finish(self) -> NDArray[np.uint32]:
        """Return the words of all blocks; nothing can be added after.

        Returns
        -------
        ndarray [shape=(n_words,), dtype=uint32]
            Word `i` tells of the `WORD_S` seconds from ``i * HOP_S`` on; `NOTHING` where there is
            nothing to tell. Empty for less than `WORD_S` of audio.
        """
        self._extend(self._resampler.resample_chunk(np.empty(0, np.float32), last=True))
        n_frames = (self._y.size - N_FFT) // HOP_LENGTH + 1
        if n_frames > 0:
            self._take_frames(n_frames)
        return np.concatenate([np.empty(0, np.uint32), *self._words])

    def _extend(self, y: NDArray[np.float32]) -> None:
        self._y = np.concatenate([self._y, y])
        # Always as many frames at once: the FFT of one does not depend on its company's number.
        while self._y.size >= N_FFT + (_FRAMES_PER_BATCH - 1) * HOP_LENGTH:
            self._take_frames(_FRAMES_PER_BATCH)

    def _take_frames(self, n_frames: int) -> None:
        energies = _band_energies(self._y, n_frames)
        self._y = self._y[n_frames * HOP_LENGTH :]
        differences = np.concatenate([self._differences, -np.diff(energies, axis=1)])
        energy = np.concatenate([self._energy, energies.sum(axis=1)])
        if len(energy) > FRAMES_APART:
            self._words.append(_words(differences, energy))
        self._differences, self._energy = differences[-FRAMES_APART:], energy[-FRAMES_APART:]


def fingerprint(clip: Clip) -> NDArray[np.uint32]:
    """Return the words of a clip.

    Parameters
    ----------
    clip : Clip
        At any sampling rate.

    Returns
    -------
    ndarray [shape=(n_words,), dtype=uint32]
        As `Fingerprinter.finish`.
    """
    fingerprinter = Fingerprinter(clip.sr)
    fingerprinter.add(clip.y)
    return fingerprinter.finish()


def _band_energies(y: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
    """Return the energy of the first frames of `y` in each band, low to high."""
    frames = np.lib.stride_tricks.sliding_window_view(y, N_FFT)[::HOP_LENGTH][:n_frames]
    S = scipy.fft.rfft(frames * _WINDOW, axis=1)[:, _EDGES[0] : _EDGES[-1]]
    power = S.real**2 + S.imag**2
    energies: NDArray[np.float32] = np.add.reduceat(power, _EDGES[:-1] - _EDGES[0], axis=1)
    return energies


def _words(differences: NDArray[np.float32], energy: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return a word for each frame that has one `FRAMES_APART` before it."""
    change = differences[FRAMES_APART:] - differences[:-FRAMES_APART]
    bits = np.packbits(np.ascontiguousarray(change > 0), axis=1)
    words = np.ascontiguousarray(bits).view(">u4")[:, 0].astype(np.uint32)
    before, after = energy[:-FRAMES_APART], energy[FRAMES_APART:]
    steady = np.abs(change).sum(axis=1) <= MIN_CHANGE * (before + after)
    words[steady | (np.minimum(before, after) < _SILENCE)] = NOTHING
    return words
