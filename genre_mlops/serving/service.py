"""The HTTP service: a recording in, its genres out.

Runs the bundle's ONNX network; imports neither TensorFlow, librosa nor MLflow. BentoML imports
this module in its supervisor too, which predicts nothing: numpy, scipy and ONNX Runtime are
imported where they are used, for 0.9 s of start-up and 57 MB.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Self

import bentoml
from bentoml._internal.utils.analytics import usage_stats
from bentoml.exceptions import InvalidArgument, UnprocessableEntity
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from genre_mlops.errors import AudioError

if TYPE_CHECKING:
    from starlette.requests import Request

    from genre_mlops.learning.bundle import Prediction

# BentoML reports its use to its makers unless told otherwise. Its command line has asked for this
# variable, and kept the answer, before it imports a service.
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
usage_stats.do_not_track.cache_clear()

# bentofile.yaml gives the model this alias. A bento records which version the alias stood for when
# it was built, and BentoML resolves the alias to that version when the bento is served: a tag such
# as genre_classifier:latest would be looked up in the store anew.
MODEL_ALIAS = "champion"
# Its spectrogram takes 13 MB, beside the upload itself: 106 MB as 16-bit stereo.
MAX_DURATION_S = 600.0
# Requests worked on at once, each on one thread of its own.
THREADS = 2
# Requests worked on or waiting; more are answered 429. The longest take about 2 s each.
MAX_CONCURRENCY = 16
TIMEOUT_S = 60

TopK = Annotated[int, Field(ge=1)] | None
_TOP_K: TypeAdapter[TopK] = TypeAdapter(TopK)


class GenreProbability(BaseModel):
    """How probable one genre is."""

    genre: str
    probability: Annotated[float, Field(ge=0, le=1)]


class ModelName(BaseModel):
    """Which model answers: its BentoML name and tag, and its version in the registry."""

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
    probabilities: list[GenreProbability] = Field(description="most probable first")
    duration_s: float = Field(description="length of the recording in seconds")
    model: ModelName
    synthetic: bool = Field(description="trained on generated demo music, not on recordings")
    warnings: list[str] = Field(description="why the answer may be worth less than it seems")


class About(BaseModel):
    """What the model is."""

    model: ModelName
    genres: list[str]
    synthetic: bool
    segment_s: float = Field(description="length of what the network sees at once, in seconds")
    max_duration_s: float = Field(description="longer recordings are refused")
    provenance: dict[str, str | int | float | bool]


class Upload(bentoml.IODescriptor):  # type: ignore[misc]
    """The form of a request: a file `audio` and, if fewer genres will do, `top_k`.

    Read here and not by BentoML, which answers 500 to a malformed form, fetches a text that is an
    URL, and copies the file to disk under a name the client chose.
    """

    audio: Path
    top_k: TopK = None

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> Self:
        """Read the form.

        Raises
        ------
        InvalidArgument
            It is malformed, `audio` is no file, or `top_k` no positive integer.
        """
        del serde
        try:
            form = await request.form()
        except HTTPException as error:
            raise InvalidArgument(f"malformed form: {error.detail}") from error
        audio = form.get("audio")
        if not isinstance(audio, UploadFile):
            raise InvalidArgument("expected multipart/form-data with a file in the field audio")
        try:
            top_k = _TOP_K.validate_json(str(form.get("top_k", "null")))
        except ValidationError as error:
            raise InvalidArgument("top_k: expected an integer of at least 1") from error
        # Read when its turn comes: what waits in the queue stays out of memory.
        upload: Self = cls.model_construct(audio=audio.file, top_k=top_k)
        return upload


@bentoml.service(
    name="genre_classifier",
    workers=1,
    threads=THREADS,
    traffic={"timeout": TIMEOUT_S, "max_concurrency": MAX_CONCURRENCY},
)
class GenreClassifier:
    """Says which genres a recording has."""

    def __init__(self) -> None:
        from genre_mlops.learning.bundle import Bundle

        model = bentoml.models.get(MODEL_ALIAS)
        labels = model.info.labels
        self._model = ModelName(
            name=model.tag.name,
            version=int(labels["registry_version"]),
            tag=str(model.tag),
        )
        self._bundle = Bundle(Path(model.path), threads=1, seal=labels["bundle_sha256"])
        features = self._bundle.info.features
        self._segment_s = self._bundle.info.segment_frames * features.hop_length / features.sr
        # The first prediction pays for what libraries load when they are first used.
        self._answer(_silence(sr=2 * features.sr))

    @bentoml.api(input_spec=Upload)  # type: ignore[untyped-decorator]
    def predict(self, audio: BinaryIO, top_k: int | None = None) -> Answer:
        """Say which genres a recording has: wav, flac, mp3, ogg, au or aiff."""
        try:
            answer = self._answer(audio.read())
        except AudioError as error:
            raise UnprocessableEntity(f"audio {error.reason}") from None
        return answer.model_copy(update={"probabilities": answer.probabilities[:top_k]})

    @bentoml.api(route="/model")  # type: ignore[untyped-decorator]
    def about(self) -> About:
        """Say which model answers and where it comes from."""
        info = self._bundle.info
        return About(
            model=self._model,
            genres=list(info.genres),
            synthetic=info.synthetic,
            segment_s=self._segment_s,
            max_duration_s=MAX_DURATION_S,
            provenance=info.provenance,
        )

    def _answer(self, audio: bytes) -> Answer:
        prediction = self._bundle.predict(audio, max_duration_s=MAX_DURATION_S)
        return Answer(
            genre=prediction.genre,
            sure=prediction.sure,
            probabilities=[
                GenreProbability(genre=genre, probability=probability)
                for genre, probability in prediction.probabilities.items()
            ],
            duration_s=prediction.duration_s,
            model=self._model,
            synthetic=self._bundle.info.synthetic,
            warnings=self._warnings(prediction),
        )

    def _warnings(self, prediction: Prediction) -> list[str]:
        warnings = []
        if prediction.truncated:
            warnings.append("the file is cut short: its end is missing")
        if prediction.duration_s < self._segment_s:
            warnings.append(
                f"shorter than the {self._segment_s:.1f} s the network listens to at once: repeated"
            )
        if not prediction.sure:
            warnings.append(
                f"not sure: {prediction.genre} is the best guess, but it may be none of the genres"
            )
        return warnings


def _silence(*, sr: int) -> bytes:
    """Make a second of stereo silence as a wav file."""
    import numpy as np
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.zeros((sr, 2), np.float32), sr, format="WAV")
    return file.getvalue()
