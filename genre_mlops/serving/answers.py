"""What the service says, as JSON: of a recording, of a batch of them, and of its model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from genre_mlops.learning.bundle import BundleInfo, Prediction

NONE_OF_THESE = "none of these"
Probability = Annotated[float, Field(ge=0, le=1)]


class GenreProbability(BaseModel):
    """How probable one genre is."""

    genre: str
    probability: Probability


class Segment(BaseModel):
    """What the network says of a part of the recording."""

    start_s: float
    end_s: float
    genre: str = Field(description="the most probable of this part")
    probabilities: dict[str, Probability]


class ModelName(BaseModel):
    """Which model answers.

    The name and tag are BentoML's of a packaged model; of a champion that took its place the
    registered model's name and MLflow's address.
    """

    name: str
    version: int
    tag: str


class Answer(BaseModel):
    """What the model says of a recording."""

    genre: str = Field(description="the most probable genre")
    sure: bool = Field(
        description="whether it is probable enough to be believed; if not, the recording may be of "
        "none of the genres"
    )
    decision: str = Field(description=f"the genre where it is sure, otherwise: {NONE_OF_THESE}")
    probabilities: list[GenreProbability] = Field(
        description="calibrated, of the whole recording, most probable first"
    )
    timeline: list[Segment] = Field(
        description="part by part, where it was asked for, else empty; parts may overlap"
    )
    duration_s: float = Field(description="length of the recording in seconds")
    model: ModelName
    synthetic: bool = Field(description="trained on generated demo music, not on recordings")
    warnings: list[str] = Field(description="why the answer may be worth less than it seems")


class Problem(BaseModel):
    """Why there is no answer: problem details, RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = Field(description="the request's id, as in the service's log")


class BatchItem(BaseModel):
    """One recording of a batch: its answer, or why there is none."""

    answer: Answer | None
    problem: Problem | None


class Batch(BaseModel):
    """What the model says of several recordings, in the order in which they came."""

    items: list[BatchItem]


class About(BaseModel):
    """What the model is, and what the service allows."""

    model: ModelName
    genres: list[str]
    synthetic: bool
    segment_s: float = Field(description="length of what the network sees at once, in seconds")
    sure_above: Probability = Field(
        description="a best guess that is not above it is none of these"
    )
    limits: dict[str, float]
    features: dict[str, Any] = Field(description="what the model hears: sizes and frequencies")
    provenance: dict[str, str | int | float | bool]
    sha256: dict[str, str] = Field(description="of the model's files")
    card: str | None = Field(description="the model card, in Markdown")


def answer_of(
    prediction: Prediction, info: BundleInfo, model: ModelName, *, top_k: int | None, timeline: bool
) -> Answer:
    """Say a prediction.

    Parameters
    ----------
    prediction : Prediction
        Of a recording.
    info : BundleInfo
        Of the bundle that made it.
    model : ModelName
        The bundle's.
    top_k : int or None
        Genres to name; None names all.
    timeline : bool
        Whether to say it part by part too.
    """
    named = [GenreProbability(genre=g, probability=p) for g, p in prediction.probabilities.items()]
    return Answer(
        genre=prediction.genre,
        sure=prediction.sure,
        decision=prediction.genre if prediction.sure else NONE_OF_THESE,
        probabilities=named[:top_k],
        timeline=_timeline(prediction, info) if timeline else [],
        duration_s=prediction.duration_s,
        model=model,
        synthetic=info.synthetic,
        warnings=_warnings(prediction, info),
    )


def _timeline(prediction: Prediction, info: BundleInfo) -> list[Segment]:
    return [
        Segment(
            start_s=float(start_s),
            end_s=min(float(start_s) + info.segment_s, prediction.duration_s),
            genre=info.genres[int(row.argmax())],
            probabilities=dict(zip(info.genres, map(float, row), strict=True)),
        )
        for start_s, row in zip(prediction.segment_starts_s, prediction.segments, strict=True)
    ]


def _warnings(prediction: Prediction, info: BundleInfo) -> list[str]:
    warnings = []
    if prediction.truncated:
        warnings.append("the file is cut short: its end is missing")
    if prediction.duration_s < info.segment_s:
        warnings.append(
            f"shorter than the {info.segment_s:.1f} s the network listens to at once: repeated"
        )
    if prediction.sr < info.features.sr:
        warnings.append(
            f"recorded at {prediction.sr} Hz and resampled to {info.features.sr} Hz: above "
            f"{prediction.sr // 2} Hz there is nothing, where the network expects something"
        )
    if not prediction.sure:
        warnings.append(
            f"not sure: {prediction.genre} is the best guess, but it may be none of the genres"
        )
    return warnings
