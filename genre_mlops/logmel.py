"""Clip -> log-mel spectrogram: the one definition, for training and for serving.

Librosa makes the mel filters and is the reference in the tests; this module neither imports
librosa (but to make filters) nor TensorFlow, so that a service answers in little memory.
"""

import numpy as np
import scipy.fft
import scipy.sparse
from numpy.typing import NDArray

from genre_mlops.config import FeatureConfig
from genre_mlops.domain import Clip
from genre_mlops.errors import AudioError

# Part of a feature store's name: raise it where the same file would give other values. 2: mp3 is
# decoded in one go.
DEFINITION = 2
# Frames a block: its spectrum stays in the second-level cache, and memory does not grow with the
# length of the clip.
BLOCK_FRAMES = 64


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

    def __call__(self, clip: Clip) -> NDArray[np.float32]:
        """Compute the log-mel spectrogram of a clip.

        Parameters
        ----------
        clip : Clip
            At the config's sampling rate.

        Returns
        -------
        ndarray [shape=(n_frames, n_mels), dtype=float32, range=[floor_db, about 0]]
            dB; n_frames is 1 + n_samples // hop_length.

        Raises
        ------
        AudioError
            The clip is empty or at another sampling rate.
        """
        config = self.config
        if clip.sr != config.sr:
            raise AudioError(clip.track_id, f"is at {clip.sr} Hz, expected {config.sr} Hz")
        if clip.y.size == 0:
            raise AudioError(clip.track_id, "has no samples")
        padded = np.pad(clip.y, config.n_fft // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, config.n_fft)
        frames = frames[:: config.hop_length]
        S_db = np.empty((len(frames), config.n_mels), np.float32)
        for start in range(0, len(frames), BLOCK_FRAMES):
            block = frames[start : start + BLOCK_FRAMES] * self._window
            spectrum = scipy.fft.rfft(block, axis=1, overwrite_x=True)
            power = spectrum.real**2
            power += spectrum.imag**2
            S_db[start : start + BLOCK_FRAMES] = (self._sparse @ power.T).T
        np.maximum(S_db, np.float32(10 ** (config.floor_db / 10)), out=S_db)
        np.log10(S_db, out=S_db)
        S_db *= 10
        return S_db
