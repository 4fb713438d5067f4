"""What the service allows, and who may ask it: from the environment, with units."""

import hashlib
import hmac
import os
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from genre_mlops.errors import ConfigError

_MB = 1_000_000


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


class Limits(BaseSettings):
    """Settings of the service.

    Attributes
    ----------
    max_body_mb : float
        `GENRE_MAX_BODY_MB`: a larger request is answered 413, before it is read where it says how
        large it is. In 10^6 bytes; ten minutes of 16-bit stereo at 44.1 kHz are 106.
    max_duration_s : float
        `GENRE_MAX_DURATION_S`: a longer recording is answered 422 once that much was decoded; its
        spectrogram takes 0.33 MB for 30 s.
    max_files : int
        `GENRE_MAX_FILES`: of one request to `/predict_batch`.
    max_concurrency : int
        `GENRE_MAX_CONCURRENCY`: requests worked on or waiting; one more is answered 429.
    timeout_s : float
        `GENRE_TIMEOUT_S`: for a request, waiting included; then its work stops, and it is answered
        504.
    threads : int
        `GENRE_THREADS`: requests worked on at the same time, each on one thread; a core each, if
        not said.
    api_keys : SecretStr
        `GENRE_API_KEYS`: keys, separated by commas; with any, each request has to bring one.
    request_log : Path or None
        `GENRE_REQUEST_LOG`: a file to which each answer adds a line, without audio or names.
    follow_champion : bool
        `GENRE_FOLLOW_CHAMPION`: whether the champion of the registry that `MLFLOW_TRACKING_URI`
        names takes the place of the packaged model, whenever it is another.
    follow_every_s : float
        `GENRE_FOLLOW_EVERY_S`: pause between two looks for another champion.
    """

    model_config = SettingsConfigDict(
        env_prefix="GENRE_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    max_body_mb: Annotated[float, Field(gt=0, le=10_000)] = 128.0
    max_duration_s: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    max_files: Annotated[int, Field(ge=1, le=1_000)] = 16
    max_concurrency: Annotated[int, Field(ge=1, le=10_000)] = 16
    timeout_s: Annotated[float, Field(gt=0, le=3_600)] = 60.0
    threads: Annotated[int, Field(ge=1, le=1_024)] = Field(default_factory=_cores)
    api_keys: SecretStr = SecretStr("")
    request_log: Path | None = None
    follow_champion: bool = False
    follow_every_s: Annotated[float, Field(ge=0.1, le=86_400)] = 30.0

    @field_validator("request_log")
    @classmethod
    def _writable(cls, path: Path | None) -> Path | None:
        # Now, where it ends the start, and not at the first answer.
        if path is not None:
            try:
                path.open("a").close()
            except OSError as error:
                raise ValueError(f"{path} cannot be written: {error.strerror}") from error
        return path

    @field_validator("follow_champion")
    @classmethod
    def _can_follow(cls, wanted: bool) -> bool:
        # Now, where it ends the start, and not in a log that nobody reads.
        if wanted and not os.environ.get("MLFLOW_TRACKING_URI"):
            raise ValueError("name the registry to follow by MLFLOW_TRACKING_URI")
        if wanted and find_spec("mlflow") is None:
            raise ValueError("the registry is read by MLflow: install mlflow-skinny beside bentoml")
        return wanted

    @property
    def max_body_bytes(self) -> int:
        """The largest body, in bytes."""
        return int(self.max_body_mb * _MB)

    @cached_property
    def _key_digests(self) -> tuple[bytes, ...]:
        named = (key.strip() for key in self.api_keys.get_secret_value().split(","))
        return tuple(_digest(key.encode()) for key in named if key)

    @property
    def needs_key(self) -> bool:
        """Whether requests have to bring a key."""
        return bool(self._key_digests)

    def knows_key(self, key: bytes) -> bool:
        """Whether a key is one of those named, in a time that does not tell how near it was."""
        digest = _digest(key)
        # All are compared: the place of the right one is not told either.
        found = [hmac.compare_digest(digest, known) for known in self._key_digests]
        return True in found


@lru_cache(maxsize=1)
def limits() -> Limits:
    """Return the settings of this process.

    Raises
    ------
    ConfigError
        One is out of its range.
    """
    try:
        return Limits()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = "GENRE_" + "_".join(map(str, first["loc"])).upper()
        raise ConfigError(f"{name}: {first['msg']}") from None


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
