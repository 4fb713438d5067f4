"""Addresses, from the environment."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from genre_mlops.errors import ConfigError, GenreError
from genre_mlops.files import make_writable

_DATABASE = re.compile(r"(postgresql\+psycopg://|sqlite:///).")
_SCHEDULER = re.compile(r"(tcp|tls)://[^/\s]+:\d{1,5}")


class Settings(BaseSettings):
    """What differs from machine to machine and decides no result.

    Attributes
    ----------
    workspace : Path
        `GENRE_WORKSPACE`: holds what the pipeline makes and may use again.
    dask_scheduler : str
        `GENRE_DASK_SCHEDULER`: where the workers of `engine=dask` are, `tcp://host:8786` or
        `tls://host:8786`.
    search_storage : SecretStr
        `GENRE_SEARCH_STORAGE`: the database of the searches' studies, such as
        `postgresql+psycopg://user:password@host/name`; empty: a SQLite file in the workspace.
    """

    model_config = SettingsConfigDict(env_prefix="GENRE_", env_ignore_empty=True, extra="ignore")

    workspace: Path = Path("workspace")
    dask_scheduler: str = ""
    search_storage: SecretStr = SecretStr("")

    @field_validator("workspace")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        try:
            return value.expanduser().absolute()
        except RuntimeError as error:
            raise ConfigError(f"GENRE_WORKSPACE {value}: there is no user of this name") from error

    @field_validator("dask_scheduler")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not _SCHEDULER.fullmatch(value):
            raise ConfigError(
                f"GENRE_DASK_SCHEDULER {value}: not the address of a Dask scheduler, such as "
                "tcp://10.0.0.5:8786 or tls://10.0.0.5:8786"
            )
        return value

    @field_validator("search_storage")
    @classmethod
    def _database(cls, value: SecretStr) -> SecretStr:
        address = value.get_secret_value()
        if address and not _is_database(address):
            raise ConfigError(
                "GENRE_SEARCH_STORAGE: not the address of a database, such as "
                "postgresql+psycopg://user:password@10.0.0.5/genre or sqlite:////path/search.db; "
                "an @ or / in a password is written %40 or %2F"
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


def _is_database(address: str) -> bool:
    if not _DATABASE.match(address):
        return False
    try:
        parts = urlsplit(address)
        # What follows a colon is a port, or a password whose host was forgotten.
        if parts.netloc.count("@") > 1:
            return False
        return parts.scheme == "sqlite" or bool(parts.hostname and parts.port != 0)
    except ValueError:
        return False
