"""Addresses, from the environment."""

from pathlib import Path

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from genre_mlops.errors import ConfigError, GenreError
from genre_mlops.files import make_writable


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
        try:
            make_writable(self.workspace)
        except OSError as error:
            raise GenreError(
                f"workspace {self.workspace}: cannot be written to: {error.strerror}; name another "
                "place by GENRE_WORKSPACE"
            ) from error
        return self.workspace
