"""The default data set: music of ten genres, composed and rendered by the project.

It is synthetic. It is there so that everything can be tried without a download, and its scores
say nothing about real music.
"""

from genre_mlops.datasets.demo.dataset import COMPOSITION_VERSION, DemoDataset
from genre_mlops.datasets.demo.styles import GENRES

__all__ = ["COMPOSITION_VERSION", "GENRES", "DemoDataset"]
