"""Forms of requests: read here and not by BentoML, within limits.

BentoML answers 500 to a malformed form, fetches a text that is an URL, and copies the file to disk
under a name the client chose. Starlette keeps a small file in memory and a larger one in a
file without a name, which is gone when the request, or the process, ends.
"""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Self

import bentoml
from bentoml.exceptions import InvalidArgument
from pydantic import Field, TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from genre_mlops.serving.limits import limits

if TYPE_CHECKING:
    from starlette.requests import Request

TopK = Annotated[int, Field(ge=1)] | None
_TOP_K: TypeAdapter[TopK] = TypeAdapter(TopK)
_FLAG = TypeAdapter(bool)
_OPTIONS = frozenset({"top_k", "timeline"})
# Fields that are no files: few and short.
_MAX_FIELDS = 8
_MAX_FIELD_BYTES = 1_024
# Of the files of a request; what is larger is written to disk. Half a minute of 16-bit stereo at
# 44.1 kHz is not, to which that would add a fifth of its CPU time.
IN_MEMORY_BYTES = 6_000_000
_EXPECTED = "expected multipart/form-data with a file in the field audio"


class Upload(bentoml.IODescriptor):  # type: ignore[misc]
    """The form of `/predict`: a file `audio` and, if wished, `top_k` and `timeline`."""

    audio: Path
    top_k: TopK = None
    timeline: bool = False

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> Self:
        """Read the form.

        Raises
        ------
        InvalidArgument
            It is malformed, `audio` is no file, or another field not of its type.
        """
        del serde
        form = await _form(request, max_files=1)
        (audio,) = _files(form)
        upload: Self = cls.model_construct(audio=audio, **_options(form))
        return upload


class BatchUpload(bentoml.IODescriptor):  # type: ignore[misc]
    """The form of `/predict_batch`: files `audio` and, if wished, `top_k` and `timeline`."""

    audio: list[Path]
    top_k: TopK = None
    timeline: bool = False

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> Self:
        """Read the form.

        Raises
        ------
        InvalidArgument
            As of `Upload`, or it has too many files.
        """
        del serde
        form = await _form(request, max_files=limits().max_files)
        upload: Self = cls.model_construct(audio=_files(form), **_options(form))
        return upload


class _Parser(MultiPartParser):
    """Notes whether the form came to its end, without which its last file may be half of one."""

    ended = False

    def on_end(self) -> None:
        self.ended = True


async def _form(request: Request, *, max_files: int) -> FormData:
    media_type = request.headers.get("content-type", "").partition(";")[0]
    # Another kind of form has no files, and is not worth the reading.
    if media_type.strip().lower() != "multipart/form-data":
        raise InvalidArgument(_EXPECTED)
    async with aclosing(request.stream()) as stream:
        parser = _Parser(
            request.headers,
            stream,
            max_files=max_files,
            max_fields=_MAX_FIELDS,
            max_part_size=_MAX_FIELD_BYTES,
        )
        parser.spool_max_size = IN_MEMORY_BYTES // max_files
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise InvalidArgument(f"malformed form: {error.message}") from error
        except UnicodeError as error:
            raise InvalidArgument("malformed form: it is not of the charset it names") from error
        except ClientDisconnect as error:
            raise InvalidArgument("the connection ended before the form did") from error
    # When the answer is sent, BentoML closes the request, and with it these files.
    request._form = form
    if not parser.ended:
        raise InvalidArgument("malformed form: its end is missing")
    return form


def _files(form: FormData) -> list[BinaryIO]:
    """Return the files; they are read when their turn comes: what waits stays out of memory."""
    found = form.getlist("audio")
    if not found or not all(isinstance(file, UploadFile) for file in found):
        raise InvalidArgument(_EXPECTED)
    return [file.file for file in found if isinstance(file, UploadFile)]


def _options(form: FormData) -> dict[str, Any]:
    names = [name for name, _ in form.multi_items() if name != "audio"]
    if not _OPTIONS.issuperset(names) or len({*names}) < len(names):
        raise InvalidArgument("expected the fields audio, top_k and timeline, the last two once")
    try:
        top_k = _TOP_K.validate_json(str(form.get("top_k", "null")), strict=True)
    except ValidationError as error:
        raise InvalidArgument("top_k: expected an integer of at least 1") from error
    try:
        # Python's True too.
        timeline = _FLAG.validate_json(str(form.get("timeline", "false")).lower(), strict=True)
    except ValidationError as error:
        raise InvalidArgument("timeline: expected true or false") from error
    return {"top_k": top_k, "timeline": timeline}
