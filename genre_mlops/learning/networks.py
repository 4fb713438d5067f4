"""Convolutional networks over log-mel segments, sized by config."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from genre_mlops.config import ConvolutionConfig, FeatureConfig, NetworkConfig
from genre_mlops.files import replacing
from genre_mlops.learning.backend import keras, tf

layers = keras.layers
# Of each kind: convolution, then the ways to pool.
_CONVOLUTION = {"cnn1d": layers.Conv1D, "cnn2d": layers.Conv2D}
_AVERAGE = {"cnn1d": layers.AveragePooling1D, "cnn2d": layers.AveragePooling2D}
_MAXIMUM = {"cnn1d": layers.MaxPooling1D, "cnn2d": layers.MaxPooling2D}


def build_networks(
    config: NetworkConfig, features: FeatureConfig, *, n_genres: int, policy: str = "float32"
) -> list[keras.Model]:
    """Build the networks that `config.kind` names, one of each kind.

    Each is blocks of convolution, statistics of what they find, and a head. `cnn2d` convolves over
    time and frequency, `cnn1d` over time with the mel bands as channels. Each block is
    convolution, max pooling, batch normalisation and ReLU, with twice the filters of the block
    before; `cnn1d` normalises each band first. The mean and the maximum of the last block over time
    go through one dense layer to a softmax.

    Parameters
    ----------
    config : NetworkConfig
        Which networks, and their sizes.
    features : FeatureConfig
        Names `n_mels`.
    n_genres : int
        Outputs.
    policy : str
        Keras's dtype policy: float32, or mixed_bfloat16, where weights and output stay float32.

    Returns
    -------
    list of keras.Model
        Input `segments` (batch, segment_frames, n_mels) float32 in dB; output
        (batch, n_genres) float32 probabilities. Not compiled.
    """
    with _dtype_policy(policy):
        return [_build(kind, config, features.n_mels, n_genres) for kind in config.kinds()]


def average_networks(networks: Sequence[keras.Model]) -> keras.Model:
    """Make one network of several: its output is the mean of theirs.

    Parameters
    ----------
    networks : sequence of keras.Model
        Of the same input and genres; at least one.

    Returns
    -------
    keras.Model
        Shares their weights.
    """
    if len(networks) == 1:
        return networks[0]
    segments = keras.Input(networks[0].input_shape[1:], name="segments")
    if len({network.name for network in networks}) < len(networks):
        for number, network in enumerate(networks):
            network.name = f"member_{number}"
    mean = layers.Average(name="probabilities")([network(segments) for network in networks])
    return keras.Model(segments, mean, name="ensemble")


def describe(network: keras.Model) -> dict[str, int]:
    """Return `parameters` and `multiply_adds` (for one segment) of a network."""
    return {"parameters": network.count_params(), "multiply_adds": multiply_adds(network)}


def summary(network: keras.Model) -> str:
    """Return a table of a network's layers, those of an ensemble's members too."""
    lines: list[str] = []
    network.summary(print_fn=lines.append, line_length=80, expand_nested=True)
    return "\n".join(lines)


def multiply_adds(network: keras.Model) -> int:
    """Return how many multiplications with addition one segment costs in convolutions and layers.

    Parameters
    ----------
    network : keras.Model
        From `build_networks` or `average_networks`.

    Returns
    -------
    int
        Kernel weights times the places where they are used; the rest of the work is small beside.
    """
    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            total += multiply_adds(layer)
        elif isinstance(layer, layers.Dense):
            total += layer.kernel.shape[0] * layer.kernel.shape[1]
        elif isinstance(layer, layers.Conv1D | layers.Conv2D):
            places = 1
            for size in layer.output.shape[1:-1]:
                places *= size
            weights = 1
            for size in layer.kernel.shape:
                weights *= size
            total += places * weights
    return total


def gpu_names() -> tuple[str, ...]:
    """Return the GPUs as TensorFlow names them."""
    return tuple(gpu.name for gpu in tf.config.list_physical_devices("GPU"))


def weights_sha256(network: keras.Model) -> str:
    """Return the sha256 of all weights in their order, which the file's times do not enter."""
    digest = hashlib.sha256()
    for array in network.get_weights():
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def save_network(network: keras.Model, path: Path) -> None:
    """Write a network without its optimizer; a file half-written is never under the name."""
    bare = keras.Model(network.input, network.output, name=network.name)
    with replacing(path) as partial:
        bare.save(partial)


def load_network(path: Path) -> keras.Model:
    """Read a network; a file that would run code of its own is refused."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _build(kind: str, config: NetworkConfig, n_mels: int, n_genres: int) -> keras.Model:
    sizes: ConvolutionConfig = getattr(config, kind)
    segments = keras.Input((config.segment_frames, n_mels), name="segments")
    x = layers.Rescaling(1 / config.spread_db, -config.centre_db / config.spread_db)(segments)
    if kind == "cnn1d":
        # Channels of like spread to begin with: bands differ by 40 dB, and by how much they move.
        x = layers.BatchNormalization(momentum=config.norm_momentum)(x)
    else:
        x = layers.Reshape((config.segment_frames, n_mels, 1))(x)
    if sizes.input_pool > 1:
        # For cnn2d, half the resolution each way costs little accuracy and saves 3/4 of work.
        x = _AVERAGE[kind](sizes.input_pool, padding="same")(x)
    for i in range(sizes.n_blocks):
        filters = sizes.filters * 2**i
        x = _CONVOLUTION[kind](filters, sizes.kernel_size, padding="same", use_bias=False)(x)
        # Pooled first, normalising and rectifying cost a quarter; nearly half of a step is saved.
        x = _MAXIMUM[kind](sizes.pool_size, padding="same")(x)
        x = layers.BatchNormalization(momentum=config.norm_momentum)(x)
        x = layers.ReLU()(x)
    if kind == "cnn2d":
        # Where in frequency something was found matters; when, does not.
        n_frames, n_bands, n_filters = x.shape[1:]
        x = layers.Reshape((n_frames, n_bands * n_filters))(x)
    over_time = (layers.GlobalAveragePooling1D(), layers.GlobalMaxPooling1D())
    x = layers.Concatenate()([pool(x) for pool in over_time])
    x = layers.Dropout(config.dropout)(x)
    x = layers.Dense(config.dense_units, activation="relu")(x)
    x = layers.Dropout(config.dropout)(x)
    head = layers.Dense(n_genres, activation="softmax", dtype="float32", name="probabilities")
    return keras.Model(segments, head(x), name=kind)


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
