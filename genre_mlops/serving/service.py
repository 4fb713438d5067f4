"""The HTTP service: a recording in, its genres out.

Runs the bundle's ONNX network; imports neither TensorFlow, librosa nor MLflow. BentoML imports
this module in its supervisor too, which predicts nothing: numpy, scipy and ONNX Runtime are
imported where they are used, for 0.9 s of start-up and 57 MB.
"""

from __future__ import annotations

import io
import logging
import os
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO

import bentoml
from bentoml._internal.utils.analytics import usage_stats
from bentoml.exceptions import BentoMLException, UnprocessableEntity

from genre_mlops.errors import AudioError, ConfigError, TooSlowError
from genre_mlops.names import REGISTERED_MODEL, REGISTERED_SEAL
from genre_mlops.serving import metrics
from genre_mlops.serving.about import site
from genre_mlops.serving.answers import About, Answer, Batch, BatchItem, Problem, answer_of
from genre_mlops.serving.follow import Follower
from genre_mlops.serving.guard import ASKED, Guard, log_requests
from genre_mlops.serving.limits import limits
from genre_mlops.serving.problems import problem
from genre_mlops.serving.request_lines import RequestLog
from genre_mlops.serving.served import Served
from genre_mlops.serving.supervisor import set_up
from genre_mlops.serving.uploads import BatchUpload, Upload
from genre_mlops.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genre_mlops.learning.bundle import Prediction

# BentoML reports its use to its makers unless told otherwise. Its command line has asked for this
# variable, and kept the answer, before it imports a service.
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
usage_stats.do_not_track.cache_clear()
# It would trace each request, for nobody, and hold the trace for as long as a request may take.
os.environ.setdefault("OTEL_SDK_DISABLED", "true")

# bentofile.yaml gives the model this alias. A bento records which version the alias stood for when
# it was built, and BentoML resolves the alias to that version when the bento is served: a tag such
# as genre_classifier:latest would be looked up in the store anew.
MODEL_ALIAS = "champion"
LIMITS = limits()
_FAILURES = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE})
# What is larger stays on disk while it is decoded.
_SMALL_BYTES = 1 << 24


@bentoml.asgi_app(site, path="/", name="site")
@bentoml.service(
    name="genre_classifier",
    workers=1,
    threads=LIMITS.threads,
    # The guard has the limits: BentoML's would neither stop the work nor say problems in words. It
    # holds a kilobyte or more of each request until this is over.
    traffic={"timeout": LIMITS.timeout_s + 5},
    logging={"access": {"enabled": False}},
    # Ours are at /metrics. BentoML's would keep figures of each address that anyone asked for.
    metrics={"enabled": False},
)
class GenreClassifier:
    """Says which genres a recording has."""

    def __init__(self) -> None:
        metrics.forget_the_dead()
        stored = bentoml.models.get(MODEL_ALIAS)
        self._served = Served.of(stored)
        metrics.show(self._served.model)
        self._request_log = RequestLog(LIMITS.request_log)
        self._follower = self._follow(stored.info.labels) if LIMITS.follow_champion else None

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def _stop(self) -> None:
        if self._follower:
            self._follower.stop()

    def _follow(self, labels: Mapping[str, str]) -> Follower:
        if REGISTERED_MODEL not in labels:
            raise ConfigError("GENRE_FOLLOW_CHAMPION: this bento names no registered model")
        follower = Follower(
            labels[REGISTERED_MODEL],
            every_s=LIMITS.follow_every_s,
            known=(self._served.model.version, labels.get(REGISTERED_SEAL, "")),
            take=self._take,
        )
        follower.start()
        return follower

    def _take(self, served: Served) -> None:
        """Let another model answer from now on; what is being answered keeps the one it has."""
        metrics.show(served.model, instead_of=self._served.model)
        self._served = served

    @bentoml.api(input_spec=Upload)  # type: ignore[untyped-decorator]
    def predict(self, audio: BinaryIO, top_k: int | None = None, timeline: bool = False) -> Answer:
        """Say which genres a recording has: wav, flac, mp3, ogg, au or aiff."""
        _note_wait()
        try:
            return self._answer(audio, top_k=top_k, timeline=timeline)
        except AudioError as error:
            raise UnprocessableEntity(f"audio {error.reason}") from None
        except TooSlowError:
            raise _late() from None

    @bentoml.api(route="/predict_batch", input_spec=BatchUpload)  # type: ignore[untyped-decorator]
    def predict_batch(
        self, audio: list[BinaryIO], top_k: int | None = None, timeline: bool = False
    ) -> dict[str, Any]:
        """Say which genres several recordings have; one that cannot be used stops no other."""
        _note_wait()
        items = [self._item(one, top_k=top_k, timeline=timeline) for one in audio]
        # Not as a `Batch`: BentoML's client takes what is nothing for what its type says.
        return Batch(items=items).model_dump()

    def about(self) -> About:
        """Say which model answers, where it comes from, and what is allowed."""
        return self._served.about(LIMITS)

    def _item(self, audio: BinaryIO, *, top_k: int | None, timeline: bool) -> BatchItem:
        try:
            answer = self._answer(audio, top_k=top_k, timeline=timeline)
        except AudioError as error:
            asked = ASKED.get()
            said = problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"audio {error.reason}",
                asked.request_id if asked else "",
            )
            return BatchItem(answer=None, problem=Problem(**said))
        except TooSlowError:
            raise _late() from None
        return BatchItem(answer=answer, problem=None)

    def _answer(self, audio: BinaryIO, *, top_k: int | None, timeline: bool) -> Answer:
        # Once: another may take its place meanwhile.
        served, asked = self._served, ASKED.get()
        watch = Watch(asked.deadline_s) if asked else Watch()
        sound: dict[str, float] = {}
        prediction = served.bundle.predict(
            _contents(audio),
            max_duration_s=LIMITS.max_duration_s,
            watch=watch,
            listen=lambda S: sound.update(self._request_log.describe(S, served.info.features)),
        )
        _count(prediction, watch)
        answer = answer_of(prediction, served.info, served.model, top_k=top_k, timeline=timeline)
        self._request_log.keep(
            prediction,
            served,
            sound,
            request_id=asked.request_id if asked else "",
            n_warnings=len(answer.warnings),
        )
        if asked:
            asked.notes |= _notes(answer, watch)
        return answer


GenreClassifier.add_asgi_middleware(Guard, limits=LIMITS)  # type: ignore[attr-defined]


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a failure is the service's: what a client did wrong is a line of the guard."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, BentoMLException) and error.error_code not in _FAILURES)


log_requests()
set_up()
# BentoML logs both with the stack.
logging.getLogger("bentoml._internal.server.http_app").addFilter(_is_ours)


def _contents(audio: BinaryIO) -> bytes | io.FileIO:
    """Return an upload to be decoded: what is large is not brought into memory."""
    size = audio.seek(0, os.SEEK_END)
    audio.seek(0)
    if size <= _SMALL_BYTES:
        return audio.read()
    # Of its own, to be closed when it is read; BentoML closes the upload's.
    return io.FileIO(os.dup(audio.fileno()))


def _note_wait() -> None:
    """Note how long a request waited for its upload, and for a thread."""
    if asked := ASKED.get():
        waited_s = time.monotonic() - asked.began_s
        metrics.STAGE_S.labels("wait").observe(waited_s)
        asked.notes["wait_ms"] = round(1e3 * waited_s, 1)


def _count(prediction: Prediction, watch: Watch) -> None:
    for stage, took_s in watch.took_s.items():
        metrics.STAGE_S.labels(stage).observe(took_s)
    metrics.PREDICTIONS.labels(prediction.genre, str(prediction.sure).lower()).inc()
    metrics.CONFIDENCE.observe(prediction.probabilities[prediction.genre])


def _notes(answer: Answer, watch: Watch) -> dict[str, object]:
    stages = {f"{stage}_ms": round(1e3 * took_s, 1) for stage, took_s in watch.took_s.items()}
    return {
        "version": answer.model.version,
        "genre": answer.genre,
        "sure": answer.sure,
        "duration_s": round(answer.duration_s, 2),
        **stages,
    }


def _late() -> BentoMLException:
    return BentoMLException("late", error_code=HTTPStatus.GATEWAY_TIMEOUT)
