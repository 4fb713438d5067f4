"""Clip -> log-mel spectrogram: the one definition, for training and for serving.

Librosa makes the mel filters and is the reference in the tests; this module neither imports
librosa (but to make filters) nor TensorFlow, so that a service answers in little memory.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import scipy.fft
import scipy.sparse
from numpy.typing import NDArray

from genre_mlops.config import FeatureConfig
from genre_mlops.domain import Clip
from genre_mlops.errors import AudioError

# Part of a feature store's name: raise it where the same file would give other values, or where
# its files are of another form. 3: an index that knows failures and checksums.
DEFINITION = 3
# Frames a block: what is computed of them stays in the second-level cache, and memory does not grow
# with the length of the clip.
BLOCK_FRAMES = 32


def mel_filters(config: FeatureConfig) -> NDArray[np.float32]:
    """Make librosa's Slaney-normalised triangular mel filters.

    Parameters
    ----------
    config : FeatureConfig
        Names `sr`, `n_fft`, `n_mels`, `fmin` and `fmax`.

    Returns
    -------
    ndarray [shape=(n_mels, 1 + n_fft // 2), dtype=float32]
        As `librosa.filters.mel` returns it.
    """
    import librosa

    filters: NDArray[np.float32] = librosa.filters.mel(
        sr=config.sr, n_fft=config.n_fft, n_mels=config.n_mels, fmin=config.fmin, fmax=config.fmax
    )
    return filters


class LogMel:
    """Log-mel spectrogram in dB relative to full scale.

    The STFT has a periodic Hann window and is centred with zero padding, as in librosa. Its power
    is divided by (sum(window) / 2) ** 2, the power of a full-scale sine in the bin at its
    frequency, before the mel filters: silence is quiet whatever else the clip holds.

    Parameters
    ----------
    config : FeatureConfig
        Sizes and frequencies.
    filters : ndarray [shape=(n_mels, 1 + n_fft // 2), dtype=float32]
        What `mel_filters` made for the same config.
    """

    def __init__(self, config: FeatureConfig, filters: NDArray[np.float32]) -> None:
        expected = (config.n_mels, 1 + config.n_fft // 2)
        if filters.shape != expected:
            raise ValueError(f"filters have shape {filters.shape}, the config asks for {expected}")
        self.config = config
        self.filters = filters
        # Periodic Hann; scipy.signal has it too, and costs a second to import.
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.n_fft) / config.n_fft)
        # One multiplication instead of two: the window carries the full-scale reference.
        self._window = (window / (window.sum() / 2)).astype(np.float32)
        self._sparse = scipy.sparse.csr_array(filters)
        self._floor = np.float32(10 ** (config.floor_db / 10))
        self._db_per_neper = np.float32(10 / np.log(10))

    def __call__(self, clip: Clip) -> NDArray[np.float32]:
        """Compute the log-mel spectrogram of a clip.

        Parameters
        ----------
        clip : Clip
            At the config's sampling rate.

        Returns
        -------
        ndarray [shape=(n_frames, n_mels), dtype=float32, range=[floor_db, about 0]]
            dB; n_frames is 1 + (n_samples - n_fft % 2) // hop_length, as in librosa.

        Raises
        ------
        AudioError
            The clip is empty or at another sampling rate.
        """
        if clip.sr != self.config.sr:
            raise AudioError(clip.track_id, f"is at {clip.sr} Hz, expected {self.config.sr} Hz")
        if clip.y.size == 0:
            raise AudioError(clip.track_id, "has no samples")
        return np.concatenate(list(self.stream([clip.y])))

    def stream(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Compute the frames of samples that come block by block.

        How the samples are cut into blocks changes no bit of any frame.

        Parameters
        ----------
        blocks : iterable of ndarray [shape=(n,), dtype=float32]
            Amplitude at the config's sampling rate, at least one sample in all.

        Yields
        ------
        ndarray [shape=(n_frames, n_mels), dtype=float32, range=[floor_db, about 0]]
            dB; `BLOCK_FRAMES` frames, fewer at the end.
        """
        config = self.config
        padding = np.zeros(config.n_fft // 2, np.float32)
        n_step = BLOCK_FRAMES * config.hop_length
        held = np.empty(config.n_fft + n_step - config.hop_length, np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(held, config.n_fft)[:: config.hop_length]
        windowed = np.empty_like(frames)
        power = np.empty((BLOCK_FRAMES, 1 + config.n_fft // 2), np.float32)
        n_held = 0
        for block in chain([padding], blocks, [padding]):
            n_used = 0
            while n_used < len(block):
                n = min(len(block) - n_used, len(held) - n_held)
                held[n_held : n_held + n] = block[n_used : n_used + n]
                n_used, n_held = n_used + n, n_held + n
                if n_held == len(held):
                    yield self._log_mel(frames, windowed, power)
                    n_held -= n_step
                    held[:n_held] = held[n_step:]
        if n_held >= config.n_fft:
            n_left = 1 + (n_held - config.n_fft) // config.hop_length
            yield self._log_mel(frames[:n_left], windowed[:n_left], power[:n_left])

    def _log_mel(
        self,
        frames: NDArray[np.float32],
        windowed: NDArray[np.float32],
        power: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Return the log-mel of some frames; the other two arrays are room to work in."""
        np.multiply(frames, self._window, out=windowed)
        spectrum = scipy.fft.rfft(windowed, axis=1, overwrite_x=True)
        np.square(spectrum.real, out=power)
        power += np.square(spectrum.imag)
        S = np.ascontiguousarray((self._sparse @ power.T).T)
        np.maximum(S, self._floor, out=S)
        # NumPy has the natural logarithm of float32 in vector code on more machines than log10.
        np.log(S, out=S)
        S *= self._db_per_neper
        return S
