"""Training one network on crops, judged by whole tracks after every epoch."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre_mlops.config import TrainingConfig
from genre_mlops.domain import RunLog
from genre_mlops.errors import GenreError
from genre_mlops.learning.backend import keras, tf
from genre_mlops.learning.batches import CropBatches, TrackSet
from genre_mlops.learning.metrics import accuracy, log_loss
from genre_mlops.segments import cut_segments, pool_segments

# One shape for every call: TensorFlow traces the network once.
_EVALUATION_BATCH = 32

Report = Callable[[int, float], None]
"""Told (epoch from 1, validation loss); raises to end the training early."""


class TrainingDivergedError(GenreError):
    """The weights ran off to infinity: the learning rate is too high for this data."""


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training.

    Attributes
    ----------
    best_epoch : int
        From 1; the network holds its weights.
    validation_loss : float
        Track-level mean negative log-likelihood at that epoch, in nats.
    validation_accuracy : float
        Share of validation tracks right at that epoch.
    epochs : int
        How many were run.
    """

    best_epoch: int
    validation_loss: float
    validation_accuracy: float
    epochs: int


def be_deterministic(seed: int, threads: int = 0) -> None:
    """Make what TensorFlow, Keras and NumPy do from here on follow from `seed` alone.

    Parameters
    ----------
    seed : int
        Any.
    threads : int
        For TensorFlow; 0 leaves it the choice. It can be set once in a process.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    if threads and tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def train(
    network: keras.Model,
    training: TrackSet,
    validation: TrackSet,
    *,
    config: TrainingConfig,
    seed: int,
    log: RunLog,
    report: Report,
) -> TrainingResult:
    """Train a network and leave it with the weights of its best epoch.

    AdamW with a linear warm-up and a cosine decay to zero; label smoothing; the weights judged
    and kept are an exponential moving average over `ema_epochs`. Stops after `patience` epochs
    without a better track-level validation loss.

    Parameters
    ----------
    network : keras.Model
        From `build_network`.
    training, validation : TrackSet
        Tracks to learn from, and to choose the epoch by.
    config : TrainingConfig
        How.
    seed : int
        Of the crops.
    log : RunLog
        Told the losses after each epoch.
    report : Report
        Told the validation loss after each epoch.

    Returns
    -------
    TrainingResult
        Of the best epoch.

    Raises
    ------
    TrainingDivergedError
        A validation loss is not finite.
    """
    segment_frames, n_genres = network.input_shape[1], network.output_shape[-1]
    batches = CropBatches(
        training,
        segment_frames=segment_frames,
        batch_size=config.batch_size,
        crops_per_track=config.crops_per_track,
        n_genres=n_genres,
        seed=seed,
    )
    network.compile(
        optimizer=_optimizer(config, steps=len(batches) * config.epochs),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
        metrics=["accuracy"],
    )
    judge = _TrackValidation(validation, config, log, report)
    # The order matters: after an epoch the average is swapped in before the judge looks at it.
    callbacks = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), judge]
    network.fit(batches, epochs=config.epochs, callbacks=callbacks, shuffle=False, verbose=0)
    network.set_weights(judge.best_weights)
    return judge.result()


def predict_tracks(network: keras.Model, tracks: TrackSet) -> NDArray[np.float64]:
    """Judge whole tracks, as a bundle does.

    Parameters
    ----------
    network : keras.Model
        From `build_network`.
    tracks : TrackSet
        The tracks; the labels are not looked at.

    Returns
    -------
    ndarray [shape=(n_tracks, n_genres), dtype=float64, range=[0, 1]]
        Rows sum to 1.
    """
    segment_frames = network.input_shape[1]
    judged: list[NDArray[np.float64]] = []
    waiting: list[NDArray[np.float32]] = []
    lengths: list[int] = []

    def flush() -> None:
        segments = _predict_segments(network, np.concatenate(waiting))
        parts = np.split(segments, np.cumsum(lengths)[:-1])
        judged.extend(pool_segments(part) for part in parts)
        waiting.clear()
        lengths.clear()

    for S_db in tracks.spectrograms:
        waiting.append(cut_segments(S_db, segment_frames))
        lengths.append(len(waiting[-1]))
        if sum(lengths) >= 4 * _EVALUATION_BATCH:
            flush()
    if waiting:
        flush()
    return np.stack(judged)


def _predict_segments(network: keras.Model, segments: NDArray[np.float32]) -> NDArray[np.float32]:
    n = len(segments)
    padded = np.zeros((-(-n // _EVALUATION_BATCH) * _EVALUATION_BATCH, *segments.shape[1:]), "f4")
    padded[:n] = segments
    batches = np.split(padded, len(padded) // _EVALUATION_BATCH)
    return np.concatenate([network.predict_on_batch(batch) for batch in batches])[:n]


def _optimizer(config: TrainingConfig, *, steps: int) -> keras.optimizers.Optimizer:
    warmup = round(config.warmup_share * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else config.learning_rate,
        decay_steps=max(1, steps - warmup),
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    return keras.optimizers.AdamW(
        schedule,
        weight_decay=config.weight_decay,
        use_ema=True,
        ema_momentum=_ema_momentum(config, steps),
    )


def _ema_momentum(config: TrainingConfig, steps: int) -> float:
    """Return the momentum whose memory, 1 / (1 - momentum) steps, is `ema_epochs` long."""
    return 1 - 1 / max(1.0, config.ema_epochs * steps / config.epochs)


class _TrackValidation(keras.callbacks.Callback):  # type: ignore[misc]
    """Judges the validation tracks after each epoch, keeps the best weights, stops in time."""

    def __init__(
        self, validation: TrackSet, config: TrainingConfig, log: RunLog, report: Report
    ) -> None:
        super().__init__()
        self._validation, self._config, self._log, self._report = validation, config, log, report
        self._best = TrainingResult(0, math.inf, 0.0, 0)
        self._epoch = 0
        self._began = time.monotonic()
        self.best_weights: list[NDArray[np.float32]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Judge, log, keep, report, and stop."""
        self._epoch = epoch + 1
        probabilities = predict_tracks(self.model, self._validation)
        loss = log_loss(probabilities, self._validation.labels)
        right = accuracy(probabilities, self._validation.labels)
        measured = {
            "train_loss": float((logs or {})["loss"]),
            "train_accuracy": float((logs or {})["accuracy"]),
            "validation_loss": loss,
            "validation_accuracy": right,
            "elapsed_s": time.monotonic() - self._began,
        }
        if not math.isfinite(loss + measured["train_loss"]):
            raise TrainingDivergedError(f"training diverged in epoch {self._epoch}")
        self._log.metrics(measured, step=self._epoch)
        if loss < self._best.validation_loss:
            self._best = TrainingResult(self._epoch, loss, right, self._epoch)
            self.best_weights = self.model.get_weights()
        self._report(self._epoch, loss)
        if self._epoch - self._best.best_epoch >= self._config.patience:
            self.model.stop_training = True

    def result(self) -> TrainingResult:
        """Return the best epoch's figures."""
        best = self._best
        return TrainingResult(
            best.best_epoch, best.validation_loss, best.validation_accuracy, self._epoch
        )
