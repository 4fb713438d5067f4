"""The settings a search tries, in Optuna's terms and as a table."""

from dataclasses import dataclass

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from genre_mlops.config import Choices, Config, Range

KIND = "network.kind"


@dataclass(frozen=True)
class Row:
    """One setting of `search.space`.

    Attributes
    ----------
    key : str
        Its name in the config.
    first : object
        Its value in the config, which the first trial has.
    tried : str
        Choices or range.
    left_out : str
        Why it is not searched; empty where it is.
    """

    key: str
    first: object
    tried: str
    left_out: str


def search_space(config: Config) -> dict[str, BaseDistribution]:
    """Return what is searched: `search.space` without what `space_rows` says is left out."""
    searched = {row.key for row in space_rows(config) if not row.left_out}
    flat = config.flat()
    return {
        key: _distribution(tried, whole=isinstance(flat[key], int))
        for key, tried in config.search.searched().items()
        if key in searched
    }


def space_rows(config: Config) -> list[Row]:
    """Lay out `search.space`, also what is not searched.

    Not searched are settings whose space is null, those that the config puts outside of it, for
    whoever does wants that value, and sizes of a network that is not used.
    """
    flat = config.flat()
    return [
        Row(key, flat[key], str(tried or ""), _left_out(config, key, tried, flat[key]))
        for key, tried in config.search.space.items()
    ]


def _left_out(config: Config, key: str, tried: Choices | Range | None, value: object) -> str:
    if tried is None:
        return "set, or null in the space"
    if not tried.holds(value):
        return "set outside of it"
    if {"cnn1d", "cnn2d"} & {*key.split(".")} - _kinds(config):
        return "of a network that is not used"
    return ""


def _kinds(config: Config) -> set[str]:
    """Return the kinds of network that a trial may have."""
    tried = config.search.space.get(KIND)
    names: list[str] = [config.network.kind]
    if isinstance(tried, Choices) and tried.holds(config.network.kind):
        names = [str(name) for name in tried.choices]
    return {kind for name in names for kind in name.split("+")}


def _distribution(tried: Choices | Range, *, whole: bool) -> BaseDistribution:
    if isinstance(tried, Choices):
        return CategoricalDistribution(tried.choices)
    if whole:
        return IntDistribution(int(tried.low), int(tried.high), log=tried.log)
    return FloatDistribution(tried.low, tried.high, log=tried.log)
