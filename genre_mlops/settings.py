"""Addresses, from the environment."""

import os
from pathlib import Path

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from genre_mlops.errors import ConfigError, GenreError


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

    def made_workspace(self) -> Path:
        """Return the workspace, made where it is missing.

        Raises
        ------
        GenreError
            It cannot be made or written to.
        """
        place = f"workspace {self.workspace}"
        advice = "name another place by GENRE_WORKSPACE"
        try:
            self.workspace.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GenreError(f"{place}: cannot be made: {error.strerror}; {advice}") from error
        if not os.access(self.workspace, os.W_OK | os.X_OK):
            raise GenreError(f"{place}: cannot be written to; {advice}")
        return self.workspace
