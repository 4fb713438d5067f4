"""Forms of requests: read here and not by BentoML, within limits.

BentoML answers 500 to a malformed form, fetches a text that is an URL, and copies the file to disk
under a name the client chose. Starlette keeps a file of up to 1 MB in memory and a larger one in a
file without a name, which is gone when the request, or the process, ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Self

import bentoml
from bentoml.exceptions import InvalidArgument
from pydantic import Field, TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from genre_mlops.serving.limits import limits

if TYPE_CHECKING:
    from starlette.requests import Request

TopK = Annotated[int, Field(ge=1)] | None
_TOP_K: TypeAdapter[TopK] = TypeAdapter(TopK)
_FLAG = TypeAdapter(bool)
# Fields that are no files: few and short.
_MAX_FIELDS = 8
_MAX_FIELD_BYTES = 1_000


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


async def _form(request: Request, *, max_files: int) -> FormData:
    try:
        return await request.form(
            max_files=max_files, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES
        )
    except HTTPException as error:
        raise InvalidArgument(f"malformed form: {error.detail}") from error


def _files(form: FormData) -> list[BinaryIO]:
    """Return the files; they are read when their turn comes: what waits stays out of memory."""
    found = form.getlist("audio")
    if not found or not all(isinstance(file, UploadFile) for file in found):
        raise InvalidArgument("expected multipart/form-data with a file in the field audio")
    return [file.file for file in found if isinstance(file, UploadFile)]


def _options(form: FormData) -> dict[str, Any]:
    try:
        top_k = _TOP_K.validate_json(str(form.get("top_k", "null")))
    except ValidationError as error:
        raise InvalidArgument("top_k: expected an integer of at least 1") from error
    try:
        timeline = _FLAG.validate_python(str(form.get("timeline", "false")))
    except ValidationError as error:
        raise InvalidArgument("timeline: expected true or false") from error
    return {"top_k": top_k, "timeline": timeline}
