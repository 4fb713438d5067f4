"""The network in training: its steps, its averaged twin, and how long it waits for its input."""

import time
from typing import Any

from numpy.typing import NDArray

from genre_mlops.config import Config, TrainingConfig
from genre_mlops.learning.augment import Augmenter
from genre_mlops.learning.backend import keras, tf
from genre_mlops.learning.batches import CropBatches, TrackSet
from genre_mlops.learning.networks import average_networks, build_networks

# From this compute capability on, GPUs multiply bfloat16 several times as fast as float32.
_BFLOAT16_GPU = (8, 0)


class Learner:
    """A network, its optimizer, and a twin whose weights are an average over time.

    Parameters
    ----------
    config : Config
        `network`, `augment`, `training`, `features` and `seed` say how.
    tracks : TrackSet
        What is learnt from.
    n_genres : int
        Outputs of the network.

    Attributes
    ----------
    averaged : keras.Model
        The twin, float32: what is judged and kept.
    """

    def __init__(self, config: Config, tracks: TrackSet, *, n_genres: int) -> None:
        sizes = (config.network, config.features)
        policy = "mixed_bfloat16" if _takes_bfloat16(config.training) else "float32"
        self._parts = build_networks(*sizes, n_genres=n_genres, policy=policy)
        self._network = average_networks(self._parts)
        self.averaged = average_networks(build_networks(*sizes, n_genres=n_genres))
        self.averaged.set_weights(self._network.get_weights())
        self._config, self._seed = config.training, config.seed
        frames = config.network.segment_frames
        self._augment = Augmenter(config.augment, config.features, segment_frames=frames)
        self._batches = CropBatches(
            tracks,
            config.training,
            n_frames=self._augment.source_frames,
            n_genres=n_genres,
            seed=config.seed,
        )
        self._next_epoch = -1
        n_steps = len(self._batches) * config.training.epochs
        self._schedule = _schedule(config.training, n_steps)
        # Given the schedule, it would work it out for each variable.
        self._optimizer = keras.optimizers.AdamW(weight_decay=config.training.weight_decay)
        self._optimizer.build(self._network.trainable_variables)
        self._momentum = _ema_momentum(config.training, len(self._batches))
        self._loss, self._accuracy = keras.metrics.Mean(), keras.metrics.Mean()
        # Of batches of any size: for a last one of its own, the graph would be made once more.
        crop = (None, self._augment.source_frames, config.features.n_mels)
        signature = [
            tf.TensorSpec(crop, tf.float16),
            tf.TensorSpec((None, n_genres), tf.float32),
            tf.TensorSpec((2,), tf.int32),
        ]
        self._step = tf.function(self._learn, input_signature=signature, autograph=False)

    def run_epoch(self, number: int) -> dict[str, float]:
        """Take one step for each batch.

        Parameters
        ----------
        number : int
            From 0.

        Returns
        -------
        dict of str to float
            `train_loss` and `train_accuracy` (on augmented examples), `input_wait_share` (of the
            epoch's time, in [0, 1]; on a GPU, which may be at work on earlier steps meanwhile, it
            waits no more than that) and `step_ms`, the mean time of a step.
        """
        self._loss.reset_state()
        self._accuracy.reset_state()
        if number != self._next_epoch:
            self._stream = iter(self._batches.stream(number))
        self._next_epoch = number + 1
        n_steps, waited_s, began = len(self._batches), 0.0, time.perf_counter()
        for step in range(number * n_steps, (number + 1) * n_steps):
            asked = time.perf_counter()
            crops, labels = next(self._stream)
            waited_s += time.perf_counter() - asked
            self._step(crops, labels, tf.constant((self._seed, step), tf.int32))
        # On a GPU, the steps have ended when their results are there.
        loss, right = float(self._loss.result()), float(self._accuracy.result())
        took_s = time.perf_counter() - began
        return {
            "train_loss": loss,
            "train_accuracy": right,
            "input_wait_share": waited_s / took_s,
            "step_ms": 1e3 * took_s / n_steps,
        }

    def variables(self) -> list[NDArray[Any]]:
        """Return all that changes in training."""
        return [variable.numpy() for variable in self._variables()]

    def put(self, values: list[NDArray[Any]]) -> None:
        """Take up what `variables` returned.

        Raises
        ------
        ValueError
            It is of another network; nothing is taken up then.
        """
        shapes = [tuple(variable.shape) for variable in self._variables()]
        if shapes != [value.shape for value in values]:
            raise ValueError("its arrays have other shapes")
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)

    def _variables(self) -> list[keras.Variable]:
        return [*self._network.variables, *self.averaged.weights, *self._optimizer.variables]

    def _learn(self, crops: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> None:
        segments, labels = self._augment(tf.cast(crops, tf.float32), labels, seed)
        with tf.GradientTape() as tape:
            # Each learns for itself: were it their average that learns, they would lean on
            # each other and grow alike.
            told = [part(segments, training=True) for part in self._parts]
            losses = tf.add_n([self._loss_of(labels, probabilities) for probabilities in told])
            loss = tf.reduce_mean(losses)
        learnt = self._network.trainable_variables
        self._optimizer.learning_rate.assign(self._schedule(self._optimizer.iterations))
        self._optimizer.apply(tape.gradient(loss, learnt), learnt)
        # What a young average remembers is mostly how the network began.
        age = tf.cast(self._optimizer.iterations, tf.float32)
        momentum = tf.minimum(self._momentum, age / (10 + age))
        for kept, now in zip(self.averaged.weights, self._network.weights, strict=True):
            kept.assign(momentum * kept + (1 - momentum) * now)
        self._loss.update_state(losses / len(told))
        right = tf.argmax(tf.add_n(told), axis=1) == tf.argmax(labels, axis=1)
        self._accuracy.update_state(tf.cast(right, tf.float32))

    def _loss_of(self, labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
        return keras.losses.categorical_crossentropy(
            labels, probabilities, label_smoothing=self._config.label_smoothing
        )


def _takes_bfloat16(config: TrainingConfig) -> bool:
    if config.precision != "auto":
        return config.precision == "bfloat16"
    gpus = tf.config.list_physical_devices("GPU")
    able = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return bool(gpus) and all(
        details.get("compute_capability", (0, 0)) >= _BFLOAT16_GPU for details in able
    )


def _schedule(
    config: TrainingConfig, n_steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    warmup = round(config.warmup_share * n_steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else config.learning_rate,
        decay_steps=max(1, n_steps - warmup),
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def _ema_momentum(config: TrainingConfig, steps_per_epoch: int) -> float:
    """Return the momentum whose memory, 1 / (1 - momentum) steps, is `ema_epochs` long."""
    return 1 - 1 / max(1.0, config.ema_epochs * steps_per_epoch)
