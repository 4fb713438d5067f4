"""Music genre classification, from labelled audio to a served model with evidence."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("genre-mlops")
except PackageNotFoundError:  # the source alone, inside a bento or an MLflow model
    __version__ = "0+source"
