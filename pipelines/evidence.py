"""What a look at the test tracks leaves in the open run."""

from genre_mlops import tracking
from genre_mlops.learning.judged import Judged
from genre_mlops.pictures import pictures_of


def log_judged(judged: Judged) -> None:
    """Log figures, tables and pictures."""
    tracking.log_metrics(judged.metrics())
    for name, table in judged.tables().items():
        tracking.log_table(table, f"test/{name}.json")
    for name, picture in pictures_of(judged).items():
        tracking.log_figure(picture, f"test/{name}.png")
