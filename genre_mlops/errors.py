"""The errors raised on purpose, each with the exit code a door gives it."""


class GenreError(Exception):
    """Root of every error raised on purpose: the work failed."""

    exit_code = 1


class ConfigError(GenreError):
    """A setting that is unknown, malformed or out of range."""

    exit_code = 2


class DataError(GenreError):
    """A data set that cannot be used."""

    exit_code = 3


class AudioError(DataError):
    """A recording that cannot be used."""

    def __init__(self, track_id: str, reason: str) -> None:
        super().__init__(f"{track_id}: {reason}")
        self.track_id, self.reason = track_id, reason

    def __reduce__(self) -> tuple[type["AudioError"], tuple[str, str]]:
        # Exceptions cross process boundaries; the default would call __init__ with one argument.
        return type(self), (self.track_id, self.reason)


class TooSlowError(GenreError):
    """Work that was given up as its time was over."""


class GateError(GenreError):
    """The gate does not let a version become champion."""

    exit_code = 4
