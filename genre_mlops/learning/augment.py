"""Random changes of training examples: on a batch of log-mel spectrograms, in TensorFlow's graph.

What is drawn follows from a seed of two integers alone, so that a training that was interrupted
goes on as it would have; and what is drawn for one change is the same without the others.
"""

import math

import numpy as np
from numpy.typing import NDArray

from genre_mlops.config import AugmentConfig, FeatureConfig
from genre_mlops.learning.backend import tf

# Noise is drawn from this many dB, from the strongest that the config allows downwards.
_NOISE_RANGE_DB = 30.0
# Slaney's mel scale (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above.
_HZ_PER_MEL, _LOG_FROM_HZ, _LOG_STEP = 200 / 3, 1_000.0, math.log(6.4) / 27


class Augmenter:
    """Changes a batch at random, each example in its own way.

    In this order: time stretch, pitch shift, gain, equalizer, noise, masks, mixup. A change whose
    range is 0 is not in the graph.

    Parameters
    ----------
    config : AugmentConfig
        The ranges.
    features : FeatureConfig
        Of the spectrograms.
    segment_frames : int
        Frames of a segment, as the network sees it.

    Attributes
    ----------
    source_frames : int
        Frames of a crop, from which a segment is made: more where it may be played faster.
    """

    def __init__(
        self, config: AugmentConfig, features: FeatureConfig, *, segment_frames: int
    ) -> None:
        self._config, self._features = config, features
        self._segment_frames = segment_frames
        self.source_frames = math.ceil(segment_frames * (1 + config.time_stretch))
        self._curves = _interpolation(config.eq_points, features.n_mels)
        self._lowest, highest = _mel(features.fmin), _mel(features.fmax)
        self._mels_per_band = (highest - self._lowest) / (features.n_mels + 1)
        bands = 1 + np.arange(features.n_mels)
        self._band_hz = _hz(self._lowest + self._mels_per_band * bands)

    def __call__(
        self, S_db: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Change a batch.

        Parameters
        ----------
        S_db : tf.Tensor [shape=(n, source_frames, n_mels), dtype=float32]
            Crops in dB.
        labels : tf.Tensor [shape=(n, n_genres), dtype=float32]
            One-hot.
        seed : tf.Tensor [shape=(2,), dtype=int32]
            Of all that is random here.

        Returns
        -------
        tuple of tf.Tensor
            Segments [shape=(n, segment_frames, n_mels)], at the floor or above, and their labels,
            rows of which sum to 1.
        """
        config, n = self._config, tf.shape(S_db)[0]
        # Seeds by number: a change that is left out leaves the others what they draw.
        draws = [_Draws(tf.random.experimental.stateless_fold_in(seed, i), n) for i in range(8)]
        if config.time_stretch:
            S_db = self._stretch(S_db, draws[0])
        if config.pitch_shift_semitones:
            S_db = self._shift(S_db, draws[1])
        if config.gain_db:
            S_db += config.gain_db * draws[2].uniform(1, 1, low=-1)
        if config.eq_db:
            points = config.eq_db * draws[3].uniform(config.eq_points, low=-1)
            S_db += (points @ self._curves)[:, None, :]
        if config.noise_share:
            S_db = self._add_noise(S_db, draws[4])
        S_db = self._mask(S_db, draws[5], draws[6])
        if config.mixup_alpha:
            S_db, labels = self._mix(S_db, labels, draws[7])
        return tf.maximum(S_db, self._features.floor_db), labels

    def _stretch(self, S_db: tf.Tensor, draw: "_Draws") -> tf.Tensor:
        """Read frames at another speed, from anywhere in the crop where that fits."""
        last = tf.cast(tf.shape(S_db)[1] - 1, tf.float32)
        most = self._config.time_stretch
        span = tf.minimum(
            (self._segment_frames - 1) * draw.uniform(1, low=1 - most, high=1 + most), last
        )
        steps = np.linspace(0, 1, self._segment_frames, dtype=np.float32)
        place = draw.uniform(1) * (last - span) + span * steps
        before = tf.cast(tf.floor(place), tf.int32)
        after = tf.minimum(before + 1, tf.shape(S_db)[1] - 1)
        share = (place - tf.floor(place))[..., None]
        earlier, later = (tf.gather(S_db, i, axis=1, batch_dims=1) for i in (before, after))
        return earlier + share * (later - earlier)

    def _shift(self, S_db: tf.Tensor, draw: "_Draws") -> tf.Tensor:
        """Move what sounds at f / factor to f; at the upper end the last band is repeated."""
        n_mels, most = self._features.n_mels, self._config.pitch_shift_semitones
        factor = 2 ** (draw.uniform(1, low=-most, high=most) / 12)
        place = (_mels(self._band_hz / factor) - self._lowest) / self._mels_per_band - 1
        place = tf.clip_by_value(place, 0, n_mels - 1)
        bands = tf.range(n_mels, dtype=tf.float32)
        # (n, from, to): each band of the result is between two of the source.
        weights = tf.nn.relu(1 - tf.abs(place[:, None, :] - bands[None, :, None]))
        return S_db @ weights

    def _add_noise(self, S_db: tf.Tensor, draw: "_Draws") -> tf.Tensor:
        """Add noise, white over the bands, to the power of some examples."""
        config = self._config
        n_noisy = tf.cast(tf.round(config.noise_share * tf.cast(draw.n, tf.float32)), tf.int32)
        # The batch is in random order: the first ones are as good as any.
        draw, rest = draw.of(n_noisy), S_db[n_noisy:]
        snr_db = config.noise_snr_db + _NOISE_RANGE_DB * draw.uniform(1, 1)
        power = 10 ** (S_db[:n_noisy] / 10)
        level = tf.reduce_mean(power, axis=(1, 2), keepdims=True) / 10 ** (snr_db / 10)
        # The power of Gaussian noise in one bin is exponentially distributed; high bands hold many.
        noise = -tf.math.log(draw.uniform(*S_db.shape[1:], low=1e-6))
        noisy = (10 / math.log(10)) * tf.math.log(power + level * noise)
        return tf.concat([noisy, rest], axis=0)

    def _mask(self, S_db: tf.Tensor, frames: "_Draws", bands: "_Draws") -> tf.Tensor:
        """Set stretches of frames and of bands to the example's mean (SpecAugment)."""
        config = self._config
        mean = tf.reduce_mean(S_db, axis=(1, 2), keepdims=True)
        if config.n_time_masks and config.time_mask_share:
            inside = frames.stretches(
                config.n_time_masks, self._segment_frames, config.time_mask_share
            )
            S_db = tf.where(inside[:, :, None], mean, S_db)
        if config.n_mel_masks and config.mel_mask_share:
            inside = bands.stretches(
                config.n_mel_masks, self._features.n_mels, config.mel_mask_share
            )
            S_db = tf.where(inside[:, None, :], mean, S_db)
        return S_db

    def _mix(
        self, S_db: tf.Tensor, labels: tf.Tensor, draw: "_Draws"
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Blend each example with its mirror image in the batch, and their labels (mixup)."""
        share = draw.beta(self._config.mixup_alpha)
        other, others = S_db[::-1], labels[::-1]
        mixed = other + share[:, :, None] * (S_db - other)
        return mixed, others + share * (labels - others)


class _Draws:
    """Random numbers of one batch, each draw from a seed of its own."""

    def __init__(self, seed: tf.Tensor, n: tf.Tensor) -> None:
        self.n, self._seed, self._n_draws = n, seed, 0

    def of(self, n: tf.Tensor) -> "_Draws":
        """Return draws for another number of examples."""
        return _Draws(self._next(), n)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
        """Return numbers [shape=(n, *shape)] between `low` and `high`."""
        return tf.random.stateless_uniform((self.n, *shape), self._next(), low, high)

    def beta(self, alpha: float) -> tf.Tensor:
        """Return numbers [shape=(n, 1)] of the beta distribution of alpha and alpha."""

        def log_gamma() -> tf.Tensor:
            # For a small alpha, float32 has no room for the number itself: G. Marsaglia and
            # W. W. Tsang, "A simple method for generating gamma variables", 2000, section 6.
            drawn = tf.random.stateless_gamma((self.n, 1), self._next(), alpha + 1)
            return tf.math.log(drawn) + tf.math.log(self.uniform(1, low=1e-7)) / alpha

        return tf.sigmoid(log_gamma() - log_gamma())

    def stretches(self, n_masks: int, size: int, share: float) -> tf.Tensor:
        """Return booleans [shape=(n, size)]: inside one of `n_masks` random stretches."""
        width = tf.floor(self.uniform(n_masks, 1, high=share * size + 1))
        start = tf.floor(self.uniform(n_masks, 1) * (size - width + 1))
        place = tf.range(size, dtype=tf.float32)
        return tf.reduce_any((place >= start) & (place < start + width), axis=1)

    def _next(self) -> tf.Tensor:
        self._n_draws += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._n_draws)


def _interpolation(n_points: int, size: int) -> NDArray[np.float32]:
    """Return weights [shape=(n_points, size)] that draw a smooth curve through evenly set points.

    Between two points it goes by half a cosine: flat at each of them.
    """
    place = np.linspace(0, n_points - 1, size)
    distance = np.abs(place[None, :] - np.arange(n_points)[:, None])
    return np.where(distance < 1, 0.5 + 0.5 * np.cos(np.pi * distance), 0).astype(np.float32)


def _hz(mel: NDArray[np.floating]) -> NDArray[np.float32]:
    above = _LOG_FROM_HZ * np.exp(_LOG_STEP * (mel - _LOG_FROM_HZ / _HZ_PER_MEL))
    hz = np.where(mel * _HZ_PER_MEL < _LOG_FROM_HZ, mel * _HZ_PER_MEL, above)
    return hz.astype(np.float32)


def _mel(hz: float) -> float:
    if hz < _LOG_FROM_HZ:
        return hz / _HZ_PER_MEL
    return _LOG_FROM_HZ / _HZ_PER_MEL + math.log(hz / _LOG_FROM_HZ) / _LOG_STEP


def _mels(hz: tf.Tensor) -> tf.Tensor:
    above = tf.math.log(tf.maximum(hz, _LOG_FROM_HZ) / _LOG_FROM_HZ) / _LOG_STEP
    return tf.where(hz < _LOG_FROM_HZ, hz / _HZ_PER_MEL, _LOG_FROM_HZ / _HZ_PER_MEL + above)
