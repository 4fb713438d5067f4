"""Convolutional networks over log-mel segments, sized by config."""

from pathlib import Path

from genre_mlops.config import FeatureConfig, NetworkConfig
from genre_mlops.files import replacing
from genre_mlops.learning.backend import keras

# Log-mel of music in dB relative to full scale lies around -60, give or take 20.
_CENTRE_DB, _SPREAD_DB = -60.0, 20.0
# Batches are few where data sets are small: statistics must follow within an epoch or two.
_NORM_MOMENTUM = 0.9


def build_network(config: NetworkConfig, features: FeatureConfig, *, n_genres: int) -> keras.Model:
    """Build a 2-D network: convolution and pooling over time and frequency, then dense layers.

    Each block is convolution 3x3, max pooling 2x2, batch normalisation, ReLU, with twice the
    filters of the block before. The last block's mean and maximum over time and frequency go
    through one dense layer to a softmax.

    Parameters
    ----------
    config : NetworkConfig
        Sizes.
    features : FeatureConfig
        Names `n_mels`.
    n_genres : int
        Outputs.

    Returns
    -------
    keras.Model
        Input `segments` (batch, segment_frames, n_mels) float32 in dB; output
        (batch, n_genres) float32 probabilities. Not compiled.
    """
    layers = keras.layers
    segments = keras.Input((config.segment_frames, features.n_mels), name="segments")
    x = layers.Rescaling(1 / _SPREAD_DB, -_CENTRE_DB / _SPREAD_DB)(segments)
    x = layers.Reshape((config.segment_frames, features.n_mels, 1))(x)
    # Half the resolution each way costs little accuracy and a quarter of the work.
    x = layers.AveragePooling2D(2, padding="same")(x)
    for i in range(config.n_blocks):
        x = layers.Conv2D(config.filters * 2**i, 3, padding="same", use_bias=False)(x)
        # Pooled first, normalising and rectifying cost a quarter; nearly half of a step is saved.
        x = layers.MaxPooling2D(2, padding="same")(x)
        x = layers.BatchNormalization(momentum=_NORM_MOMENTUM)(x)
        x = layers.ReLU()(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    x = layers.Dropout(config.dropout)(x)
    x = layers.Dense(config.dense_units, activation="relu")(x)
    x = layers.Dropout(config.dropout)(x)
    probabilities = layers.Dense(n_genres, activation="softmax", name="probabilities")(x)
    return keras.Model(segments, probabilities, name="genre_network")


def save_network(network: keras.Model, path: Path) -> None:
    """Write a network without its optimizer; a file half-written is never under the name."""
    bare = keras.Model(network.inputs, network.outputs, name=network.name)
    with replacing(path) as partial:
        bare.save(partial)


def load_network(path: Path) -> keras.Model:
    """Read a network; a file that would run code of its own is refused."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)
