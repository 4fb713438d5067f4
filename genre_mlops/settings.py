"""Addresses, from the environment."""

import re
from pathlib import Path

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from genre_mlops.errors import ConfigError, GenreError
from genre_mlops.files import make_writable

_SCHEDULER = re.compile(r"(tcp|tls)://[^/\s]+:\d{1,5}")


class Settings(BaseSettings):
    """What differs from machine to machine and decides no result.

    Attributes
    ----------
    workspace : Path
        `GENRE_WORKSPACE`: holds what the pipeline makes and may use again.
    dask : str
        `GENRE_DASK`: a Dask scheduler whose workers do the work, `tcp://host:8786`; empty: none,
        it is done here.
    """

    model_config = SettingsConfigDict(env_prefix="GENRE_", env_ignore_empty=True, extra="ignore")

    workspace: Path = Path("workspace")
    dask: str = ""

    @field_validator("workspace")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        try:
            return value.expanduser().absolute()
        except RuntimeError as error:
            raise ConfigError(f"GENRE_WORKSPACE {value}: there is no user of this name") from error

    @field_validator("dask")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not _SCHEDULER.fullmatch(value):
            raise ConfigError(
                f"GENRE_DASK {value}: not the address of a Dask scheduler, such as "
                "tcp://10.0.0.5:8786 or tls://10.0.0.5:8786"
            )
        return value

    def made_workspace(self) -> Path:
        """Return the workspace, made where it is missing.

        Raises
        ------
        GenreError
            It cannot be made or written to.
        """
        try:
            make_writable(self.workspace)
        except OSError as error:
            raise GenreError(
                f"workspace {self.workspace}: cannot be written to: {error.strerror}; name another "
                "place by GENRE_WORKSPACE"
            ) from error
        return self.workspace
