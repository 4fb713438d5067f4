"""The model that answers: from BentoML's store, or as the registry's champion was brought here."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genre_mlops.names import CARD, SEAL
from genre_mlops.serving.answers import About, ModelName

if TYPE_CHECKING:
    import bentoml

    from genre_mlops.learning.bundle import Bundle, BundleInfo
    from genre_mlops.serving.limits import Limits


@dataclass(frozen=True)
class Served:
    """A model that answers.

    Attributes
    ----------
    bundle : Bundle
        Loaded, each of its files held to its sha256, and warm.
    model : ModelName
        Its name and version.
    card : str or None
        Its model card, in Markdown.
    """

    bundle: Bundle
    model: ModelName
    card: str | None

    @classmethod
    def of(cls, stored: bentoml.Model) -> Served:
        """Load a model of BentoML's store.

        Raises
        ------
        GenreError
            A file of it is missing or changed.
        """
        labels = stored.info.labels
        model = ModelName(
            name=stored.tag.name, version=int(labels["registry_version"]), tag=str(stored.tag)
        )
        return cls.load(Path(stored.path), model, seal=labels.get(SEAL, ""))

    @classmethod
    def load(cls, folder: Path, model: ModelName, *, seal: str) -> Served:
        """Load a bundle, beside which its card may lie; its folder is not needed afterwards.

        Parameters
        ----------
        folder : Path
            The bundle's.
        model : ModelName
            What it is called.
        seal : str
            sha256 of its `bundle.json`; empty where it is not known.

        Raises
        ------
        GenreError
            A file of it is missing or changed.
        """
        # ONNX Runtime and NumPy, which the supervisor does without.
        from genre_mlops.learning.bundle import Bundle

        bundle, card = Bundle(folder, threads=1, seal=seal), folder / CARD
        # The first prediction pays for what libraries load when they are first used.
        bundle.predict(_silence(sr=2 * bundle.info.features.sr))
        return cls(bundle, model, card.read_text(encoding="utf-8") if card.is_file() else None)

    @property
    def info(self) -> BundleInfo:
        """What the bundle says of itself."""
        return self.bundle.info

    def about(self, limits: Limits) -> About:
        """Say what the model is, and what the service allows."""
        allowed = ("max_body_mb", "max_duration_s", "max_files", "max_concurrency", "timeout_s")
        return About(
            model=self.model,
            genres=list(self.info.genres),
            synthetic=self.info.synthetic,
            segment_s=self.info.segment_s,
            sure_above=self.info.sure_above,
            limits={name: getattr(limits, name) for name in allowed},
            features=self.info.features.model_dump(),
            provenance=self.info.provenance,
            sha256=self.info.sha256,
            card=self.card,
        )


def _silence(*, sr: int) -> bytes:
    """Make a second of stereo silence as a wav file."""
    import numpy as np
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.zeros((sr, 2), np.float32), sr, format="WAV")
    return file.getvalue()
