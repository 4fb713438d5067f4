"""`python -m genre_mlops` is `genre-mlops`."""

from genre_mlops.cli import app

app()
