"""Training one network on crops, judged by whole tracks after every epoch."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genre_mlops.config import Config
from genre_mlops.domain import RunLog
from genre_mlops.errors import GenreError
from genre_mlops.learning.backend import keras, tf
from genre_mlops.learning.batches import TrackSet
from genre_mlops.learning.checkpoints import Checkpoint, Line, State
from genre_mlops.learning.learner import Learner
from genre_mlops.learning.metrics import accuracy, log_loss, log_loss_error
from genre_mlops.learning.networks import describe
from genre_mlops.segments import cut_segments, pool_segments

_log = logging.getLogger(__name__)
# One shape for every call: TensorFlow traces the network once.
_EVALUATION_BATCH = 32

Report = Callable[[int, float], None]
"""Told (epoch from 1, validation loss); raises to end the training early, EnoughError to end it
with what it has."""
Listen = Callable[[int, NDArray[np.floating]], None]
"""Given each track that is predicted: its place from 0, and its spectrogram."""


class EnoughError(Exception):
    """Raised by who is told of an epoch: the training ends there, with its best epoch so far."""


class UntrainableError(GenreError):
    """A config that cannot be trained; others may."""


class TrainingDivergedError(UntrainableError):
    """Losses or weights are no numbers: the learning rate may be too high for this data."""


class TooLargeError(UntrainableError):
    """The memory does not hold the network and a batch."""


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
    validation_loss_error : float
        Standard error of that loss, over tracks.
    epochs : int
        How many were run.
    """

    best_epoch: int
    validation_loss: float
    validation_accuracy: float
    validation_loss_error: float
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
    training: TrackSet,
    validation: TrackSet | None,
    *,
    config: Config,
    n_genres: int,
    log: RunLog,
    report: Report,
    checkpoint: Checkpoint | None = None,
) -> tuple[keras.Model, TrainingResult]:
    """Train a network, and return it with the weights of its best epoch.

    AdamW with a linear warm-up and a cosine decay to zero; label smoothing; augmentation; the
    weights judged and kept are an exponential moving average over `ema_epochs`. Stops after
    `patience` epochs without a better track-level validation loss.

    Parameters
    ----------
    training : TrackSet
        Tracks to learn from.
    validation : TrackSet or None
        Tracks to choose the epoch by. With none the last epoch is taken; its figures are NaN.
    config : Config
        `network`, `augment`, `training`, `features` and `seed` say how.
    n_genres : int
        Outputs of the network.
    log : RunLog
        Told what was measured, after each epoch.
    report : Report
        Told the validation loss after each epoch.
    checkpoint : Checkpoint, optional
        Where the state is kept after each epoch. A training that was cut off goes on from there,
        tells once more what it told before, and ends as it would have.

    Returns
    -------
    tuple of keras.Model and TrainingResult
        The network, float32, and the figures of its best epoch.

    Raises
    ------
    TrainingDivergedError
        A loss is not finite.
    """
    learner = Learner(config, training, n_genres=n_genres)
    log.params(describe(learner.averaged))
    state = _take_up(learner, checkpoint)
    goes_on = True
    for epoch, line in enumerate(state.lines):
        goes_on = _tell(epoch, line, log, report)
    while goes_on and not _is_over(state.lines, config):
        epoch, began = len(state.lines), time.monotonic()
        line = learner.run_epoch(epoch) | _judge(learner.averaged, validation)
        before_s = state.lines[-1]["elapsed_s"] if state.lines else 0.0
        line["elapsed_s"] = before_s + time.monotonic() - began
        variables = learner.variables()
        # Pooling and rectifying hide what is not a number: the losses alone may look well.
        if not all(np.isfinite(array).all() for array in [np.array([*line.values()]), *variables]):
            raise TrainingDivergedError(
                f"training diverged in epoch {epoch + 1}: try a lower training.learning_rate"
            )
        lines = [*state.lines, line]
        is_best = _best(lines) == epoch
        weights = learner.averaged.get_weights() if is_best else state.best_weights
        state = State(variables, weights, lines)
        if checkpoint:
            # Before anybody is told: whoever is may end it here.
            checkpoint.save(state)
        goes_on = _tell(epoch, line, log, report)
    learner.averaged.set_weights(state.best_weights)
    return learner.averaged, _result(state.lines)


def predict_tracks(
    network: keras.Model, tracks: TrackSet, *, listen: Listen | None = None
) -> NDArray[np.float64]:
    """Judge whole tracks, as a bundle does before it is calibrated.

    Parameters
    ----------
    network : keras.Model
        From `train`.
    tracks : TrackSet
        The tracks; the labels are not looked at.
    listen : callable, optional
        Given each track as it is read.

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
        segments = predict_segments(network, np.concatenate(waiting))
        parts = np.split(segments, np.cumsum(lengths)[:-1])
        judged.extend(pool_segments(part) for part in parts)
        waiting.clear()
        lengths.clear()

    for track, S_db in enumerate(tracks.spectrograms):
        if listen:
            listen(track, S_db)
        waiting.append(cut_segments(S_db, segment_frames))
        lengths.append(len(waiting[-1]))
        if sum(lengths) >= 4 * _EVALUATION_BATCH:
            flush()
    if waiting:
        flush()
    return np.stack(judged)


def predict_segments(network: keras.Model, segments: NDArray[np.float32]) -> NDArray[np.float32]:
    """Judge segments [shape=(n, segment_frames, n_mels)]: probabilities [shape=(n, n_genres)]."""
    n = len(segments)
    padded = np.zeros((-(-n // _EVALUATION_BATCH) * _EVALUATION_BATCH, *segments.shape[1:]), "f4")
    padded[:n] = segments
    batches = np.split(padded, len(padded) // _EVALUATION_BATCH)
    return np.concatenate([network.predict_on_batch(batch) for batch in batches])[:n]


def _take_up(learner: Learner, checkpoint: Checkpoint | None) -> State:
    state = checkpoint.load() if checkpoint else None
    if state is None:
        return State([], learner.averaged.get_weights(), [])
    try:
        learner.put(state.variables)
    except ValueError as error:
        _log.warning("%s: is of another network, the training begins anew: %s", checkpoint, error)
        return State([], learner.averaged.get_weights(), [])
    return state


def _judge(network: keras.Model, validation: TrackSet | None) -> Line:
    if validation is None:
        return {}
    probabilities = predict_tracks(network, validation)
    return {
        "validation_loss": log_loss(probabilities, validation.labels),
        "validation_loss_error": log_loss_error(probabilities, validation.labels),
        "validation_accuracy": accuracy(probabilities, validation.labels),
    }


def _tell(epoch: int, line: Line, log: RunLog, report: Report) -> bool:
    """Tell what was measured, and return whether the training is to go on."""
    log.metrics(line, step=epoch + 1)
    try:
        report(epoch + 1, line.get("validation_loss", math.nan))
    except EnoughError:
        return False
    return True


def _best(lines: list[Line]) -> int:
    """Return the epoch of the least validation loss, the last one where nothing was judged."""
    losses = [line.get("validation_loss", -float(epoch)) for epoch, line in enumerate(lines)]
    return losses.index(min(losses))


def _is_over(lines: list[Line], config: Config) -> bool:
    if len(lines) >= config.training.epochs:
        return True
    return bool(lines) and len(lines) - 1 - _best(lines) >= config.training.patience


def _result(lines: list[Line]) -> TrainingResult:
    best = _best(lines)
    found = lines[best]
    return TrainingResult(
        best_epoch=best + 1,
        validation_loss=found.get("validation_loss", math.nan),
        validation_accuracy=found.get("validation_accuracy", math.nan),
        validation_loss_error=found.get("validation_loss_error", math.nan),
        epochs=len(lines),
    )
