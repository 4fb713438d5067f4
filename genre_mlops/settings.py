"""Addresses, from the environment."""

from pathlib import Path

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


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
        return value.expanduser().absolute()
