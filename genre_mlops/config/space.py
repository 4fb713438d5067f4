"""What a search tries, as data: a setting's key, and the values or the range of it."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)


class Choices(BaseModel):
    """Values of which one is taken; in YAML, a list of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choices: Annotated[tuple[bool | int | float | str, ...], Field(min_length=1)]

    def __str__(self) -> str:
        return ", ".join(str(value) for value in self.choices)

    def holds(self, value: object) -> bool:
        """Whether a value is one of them."""
        return value in self.choices

    def edges(self) -> tuple[bool | int | float | str, ...]:
        """Return values that must be good ones where all of them are."""
        return self.choices


class Range(BaseModel):
    """All numbers between two, these among them; whole ones for a setting that counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    log: bool = False
    """Whether ratios are drawn evenly, not differences."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low:g} has no logarithm: it must be above 0")
        return self

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + ", logarithmic" * self.log

    def holds(self, value: object) -> bool:
        """Whether a value lies between."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def edges(self) -> tuple[float, float]:
        """Return values that must be good ones where all of them are."""
        return self.low, self.high


def _read(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return {"choices": value}
    if not isinstance(value, dict | Choices | Range):
        raise ValueError("neither a list of values, nor {low: 1, high: 2}, nor null")
    return value


def _form(value: Any) -> str:
    listed = isinstance(value, Choices) or (isinstance(value, dict) and "choices" in value)
    return "list" if listed else "range"


_Form = Annotated[
    Annotated[Choices, Tag("list")] | Annotated[Range, Tag("range")], Discriminator(_form)
]
Tried = Annotated[_Form, BeforeValidator(_read)]

SEARCH_SPACE: Mapping[str, Choices | Range] = {
    "network.kind": Choices(choices=("cnn1d", "cnn2d", "cnn1d+cnn2d")),
    "network.segment_frames": Choices(choices=(128, 256, 384)),
    "network.cnn1d.filters": Choices(choices=(32, 48, 64, 96)),
    "network.cnn2d.filters": Choices(choices=(8, 12, 16, 24)),
    "network.dropout": Range(low=0.1, high=0.5),
    "features.n_mels": Choices(choices=(64, 96, 128)),
    "augment.eq_db": Range(low=0.0, high=8.0),
    "augment.noise_share": Range(low=0.0, high=0.6),
    "training.learning_rate": Range(low=1e-3, high=1e-2, log=True),
    "training.weight_decay": Range(low=1e-2, high=1.0, log=True),
    "training.label_smoothing": Range(low=0.0, high=0.2),
}
"""The default of `search.space`."""

SEARCHED_SECTIONS = ("features", "network", "augment", "training")
