"""Every setting of the pipeline with its unit, range and default, by section."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from genre_mlops.config.space import SEARCH_SPACE, Choices, Range, Tried

Hz = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]
Samples = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Dbfs = Annotated[float, Field(le=0, ge=-200)]
Share = Annotated[float, Field(ge=0, lt=1)]
Pooling = Annotated[int, Field(ge=1, le=8)]
Filters = Annotated[int, Field(ge=2, le=1_024)]
Blocks = Annotated[int, Field(ge=1, le=8)]
KernelSize = Annotated[int, Field(ge=1, le=31)]


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def digest(self) -> str:
        """Return 12 hexadecimal digits that change when any setting of the section does."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class DataConfig(Section):
    """What goes in."""

    dataset: str = "demo"
    """A source's name (`genre-mlops data list`), the path of a folder or a table, or NAME:PATH for
    a copy of a source that is here already."""
    demo_tracks: Annotated[int, Field(ge=30, le=100_000)] = 160
    demo_duration_s: Annotated[float, Field(ge=10, le=600)] = 30.0
    demo_seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("dataset")
    @classmethod
    def _named(cls, value: str) -> str:
        # Not by a length in `Field`: that refuses names that are not UTF-8, which get words below.
        if not value.strip():
            raise ValueError("names no source")
        return value


class QualityConfig(Section):
    """What a usable file and a usable set are."""

    min_duration_s: Seconds = 3.0
    max_duration_s: Annotated[float, Field(gt=0, le=3_600)] = 3_600.0
    min_sr: Annotated[int, Field(ge=4_000)] = 8_000
    min_rms_dbfs: Dbfs = -60.0
    max_silence_share: Annotated[float, Field(ge=0, le=1)] = 0.8
    max_clipping_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    max_dc_offset: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Of the mean amplitude, full scale 1.0. A warning only."""
    min_bandwidth_hz: Hz = 5_000.0
    """A warning only."""
    label_conflicts: Literal["refuse", "set_aside"] = "refuse"
    """What becomes of the set when one recording is there under two genres."""
    min_tracks_per_genre: Annotated[int, Field(ge=3)] = 3
    max_quarantined_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    genres: tuple[str, ...] = ()
    """The genres accepted; with none named, any."""
    critical: tuple[str, ...] = ()
    """Checks by name that are warnings otherwise."""
    warn_only: tuple[str, ...] = ()
    """Checks by name that are critical otherwise."""

    @model_validator(mode="after")
    def _durations_ordered(self) -> Self:
        if self.max_duration_s <= self.min_duration_s:
            raise ValueError(
                f"max_duration_s {self.max_duration_s} is not above "
                f"min_duration_s {self.min_duration_s}"
            )
        return self


class SplitConfig(Section):
    """Which tracks train, validate and test."""

    scheme: str = "auto"
    """grouped, kfold, or the name of a split that the source brings; auto takes the source's first,
    and grouped where it has none."""
    test_share: Annotated[float, Field(ge=0.05, le=0.5)] = 0.25
    validation_share: Annotated[float, Field(ge=0.05, le=0.5)] = 0.2
    by_group: bool = True
    """Keep artists (or what else groups are) in one split. Without, scores say less: a network that
    has heard an artist knows the artist."""
    n_folds: Annotated[int, Field(ge=3, le=100)] = 5
    fold: Annotated[int, Field(ge=0)] = 0
    """Of kfold: the fold that tests; the next one validates."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _leaves_enough(self) -> Self:
        if self.test_share + self.validation_share > 0.8:
            raise ValueError(
                f"test_share {self.test_share} and validation_share {self.validation_share} leave "
                "less than 0.2 to train on"
            )
        if self.fold >= self.n_folds:
            raise ValueError(f"fold {self.fold} is not below n_folds {self.n_folds}")
        return self


class FeatureConfig(Section):
    """The log-mel spectrogram, in librosa's terms."""

    sr: Annotated[int, Field(ge=4_000, le=192_000)] = 22_050
    n_fft: Annotated[int, Field(ge=64, le=65_536)] = 2_048
    hop_length: Samples = 512
    n_mels: Annotated[int, Field(ge=8, le=512)] = 128
    fmin: Hz = 0.0
    fmax: Hz = 11_025.0
    floor_db: Dbfs = -100.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.fmax > self.sr / 2:
            raise ValueError(f"fmax {self.fmax} Hz is above Nyquist, {self.sr / 2} Hz")
        if self.fmin >= self.fmax:
            raise ValueError(f"fmin {self.fmin} Hz is not below fmax {self.fmax} Hz")
        if self.hop_length > self.n_fft:
            raise ValueError(f"hop_length {self.hop_length} is above n_fft {self.n_fft}")
        return self


class ConvolutionConfig(Section):
    """The sizes of one kind of network."""

    input_pool: Pooling
    """Frames (and for cnn2d, mel bands) averaged before the first block."""
    filters: Filters
    """Of the first block; each block has twice those of the one before."""
    n_blocks: Blocks
    kernel_size: KernelSize
    pool_size: Pooling = 2
    """Maximum over this many frames (and bands) in each block."""


class Cnn1dConfig(ConvolutionConfig):
    """Convolution over time, with the mel bands as channels."""

    input_pool: Pooling = 1
    filters: Filters = 64
    n_blocks: Blocks = 3
    kernel_size: KernelSize = 5


class Cnn2dConfig(ConvolutionConfig):
    """Convolution over time and frequency."""

    input_pool: Pooling = 2
    filters: Filters = 16
    n_blocks: Blocks = 4
    kernel_size: KernelSize = 3


class NetworkConfig(Section):
    """The convolutional network: which one, and its sizes."""

    kind: Literal["cnn1d", "cnn2d", "cnn1d+cnn2d"] = "cnn1d+cnn2d"
    """Which convolution; with +, one network of each, trained side by side and averaged."""
    segment_frames: Annotated[int, Field(ge=32, le=8_192)] = 256
    centre_db: Annotated[float, Field(ge=-200, le=0)] = -60.0
    """Log-mel of music lies around it, give or take `spread_db`: the network sees about -1 to 1."""
    spread_db: Annotated[float, Field(gt=0, le=200)] = 20.0
    cnn1d: Cnn1dConfig = Cnn1dConfig()
    cnn2d: Cnn2dConfig = Cnn2dConfig()
    norm_momentum: Share = 0.9
    """Memory of batch normalisation's statistics."""
    dense_units: Annotated[int, Field(ge=4, le=4_096)] = 64
    dropout: Share = 0.3

    def kinds(self) -> list[Literal["cnn1d", "cnn2d"]]:
        """Return the kinds of network that are averaged, or the one there is."""
        return [kind for kind in ("cnn1d", "cnn2d") if kind in self.kind]


class AugmentConfig(Section):
    """How far training examples are changed at random; 0 leaves a change out."""

    gain_db: Annotated[float, Field(ge=0, le=60)] = 6.0
    """Louder or quieter by up to this."""
    eq_db: Annotated[float, Field(ge=0, le=30)] = 4.0
    """A smooth curve over the mel bands, up to this much up or down."""
    eq_points: Annotated[int, Field(ge=2, le=64)] = 5
    """Where the curve is drawn; between them it is interpolated."""
    time_stretch: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Slower or faster by up to this share."""
    pitch_shift_semitones: Annotated[float, Field(ge=0, le=12)] = 1.0
    n_time_masks: Annotated[int, Field(ge=0, le=16)] = 2
    time_mask_share: Share = 0.1
    """Of the segment's frames, the longest mask."""
    n_mel_masks: Annotated[int, Field(ge=0, le=16)] = 2
    mel_mask_share: Share = 0.1
    """Of the mel bands, the widest mask."""
    noise_share: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Of the examples, those that get noise."""
    noise_snr_db: Annotated[float, Field(ge=-20, le=100)] = 15.0
    """The strongest noise; the weakest is 30 dB below it."""
    mixup_alpha: Annotated[float, Field(ge=0, le=10)] = 0.3
    """Of the beta distribution from which the share of a second example is drawn."""


class TrainingConfig(Section):
    """How one network is trained."""

    members: Annotated[int, Field(ge=1, le=32)] = 1
    """Networks of seeds that follow each other, averaged into the one that is shipped."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What is multiplied; auto takes bfloat16 on GPUs made for it (compute capability 8.0)."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 40
    batch_size: Annotated[int, Field(ge=1, le=4_096)] = 32
    crops_per_track: Count = 4
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 3e-3
    warmup_share: Share = 0.1
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.3
    label_smoothing: Share = 0.1
    ema_epochs: Annotated[float, Field(ge=0, le=1_000)] = 4.0
    """Memory of the averaged weights, which are judged and kept; 0: they are not averaged."""
    patience: Count = 15


class SearchConfig(Section):
    """How hyperparameters are searched."""

    trials: Annotated[int, Field(ge=1, le=100_000)] = 4
    minutes: Annotated[float, Field(ge=0)] = 0.0
    """When they are over no trial is begun, and those that run end with their best epoch; 0: there
    is time for all of them."""
    workers: Annotated[int, Field(ge=1, le=1_024)] = 1
    """Trials at the same time, each in a process of its own."""
    objective: Literal["accuracy", "accuracy+size"] = "accuracy"
    """What trials are ranked by: validation loss, or that and multiply-adds."""
    startup_trials: Annotated[int, Field(ge=1)] = 10
    """Drawn at random before the sampler models what it saw."""
    pruning: Annotated[int, Field(ge=0, le=100)] = 3
    """Hyperband's reduction factor: of so many trials that reach a rung, one goes on; 0: all."""
    pruning_warmup_share: Annotated[float, Field(gt=0, le=1)] = 0.35
    """Of a training's epochs, those before the first rung. The learning rate falls over all of
    them: how a trial will end shows about half-way."""
    space: Mapping[str, Tried | None] = SEARCH_SPACE
    """Setting -> what is tried. What a file names is added to the default; null: not searched."""

    @field_validator("space", mode="before")
    @classmethod
    def _added_to_default(cls, value: Any) -> Any:
        return {**SEARCH_SPACE, **value} if isinstance(value, Mapping) else value

    def searched(self) -> dict[str, Choices | Range]:
        """Return the settings that are searched."""
        return {key: tried for key, tried in self.space.items() if tried is not None}


class EvaluationConfig(Section):
    """How tracks are judged."""

    n_bootstrap: Annotated[int, Field(ge=100, le=1_000_000)] = 2_000
    top_k: Annotated[int, Field(ge=2, le=100)] = 3
    """A track counts as found where its genre is among this many."""
    calibration_bins: Annotated[int, Field(ge=2, le=100)] = 10
    sure_accuracy: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """What those validation tracks must reach that are not answered by "none of these"."""
    robustness_tracks: Annotated[int, Field(ge=0, le=100_000)] = 100
    """Test tracks judged again after each change of their sound; 0 leaves the table out."""


class BaselineConfig(Section):
    """The floor beside each score: MFCC statistics and a support vector machine."""

    n_mfcc: Annotated[int, Field(ge=4, le=128)] = 30
    svm_c: Annotated[float, Field(gt=0, le=1e6)] = 10.0
    segment_s: Annotated[float, Field(ge=0.5, le=60)] = 3.0
    """Length of the segments of the split that one should not make."""


class GateConfig(Section):
    """What a challenger must show to become champion, and what it may cost."""

    alpha: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """Of tests for better and worse: how often an equal challenger may pass."""
    genre_margin: Annotated[float, Field(ge=0, le=1)] = 0.1
    """What any genre's recall may lose; more must be shown, by its interval and two exact tests, at
    `alpha` for all genres together."""
    max_calibration_error: Annotated[float, Field(ge=0, le=1)] = 0.25
    max_change_loss: Annotated[float, Field(ge=0, le=1)] = 0.5
    """What any change of the sound may cost in accuracy."""
    max_latency_ms: Annotated[float, Field(gt=0)] = 2_000.0
    """To answer 30 s of audio with one thread, on the machine that registers."""
    max_size_mb: Annotated[float, Field(gt=0)] = 100.0
    """Of network and mel filters."""
    max_difference: Annotated[float, Field(ge=0, le=1)] = 1e-4
    """Between probabilities by ONNX, which is served, and by Keras or pyfunc."""


class RegistryConfig(Section):
    """Where the best trial goes."""

    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] = "genre-classifier"


class MonitorConfig(Section):
    """When requests are no longer like the tracks that their model was judged by."""

    alpha: Annotated[float, Field(ge=0.001, le=0.2)] = 0.01
    """Of all tests of a report together: how often requests that are alike may alarm."""
    psi: Annotated[float, Field(ge=0.01, le=10)] = 0.1
    """Population stability index up to which no shift counts, however many requests show it."""
    min_requests: Annotated[int, Field(ge=20, le=1_000_000)] = 50
    """Of fewer nothing is said."""
