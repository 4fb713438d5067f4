"""Addresses, from the environment."""

from pathlib import Path

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from genre_mlops.errors import ConfigError


class Settings(BaseSettings):
    """What differs from machine to machine and decides no result.

    Attributes
    ----------
    workspace : Path
        `GENRE_WORKSPACE`: holds what the pipeline makes and may use again.
    """

    model_config = SettingsConfigDict(env_prefix="GENRE_", extra="ignore")

    workspace: Path = Path("workspace")

    @field_validator("workspace")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        try:
            return value.expanduser().absolute()
        except RuntimeError as error:
            raise ConfigError(f"GENRE_WORKSPACE {value}: there is no user of this name") from error
