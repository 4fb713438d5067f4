"""What a search tries."""

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from genre_mlops.config import Config

SEARCH_SPACE: dict[str, BaseDistribution] = {
    "network.cnn1d.filters": CategoricalDistribution((48, 64, 96)),
    "network.cnn2d.filters": CategoricalDistribution((12, 16, 24)),
    "network.dropout": FloatDistribution(0.1, 0.5),
    "training.learning_rate": FloatDistribution(1e-3, 1e-2, log=True),
    "training.weight_decay": FloatDistribution(1e-2, 1.0, log=True),
    "training.label_smoothing": FloatDistribution(0.0, 0.2),
}
"""Config key -> the values tried. The first trial is the config as it is."""


def search_space(config: Config) -> dict[str, BaseDistribution]:
    """Return what is searched: `SEARCH_SPACE`, but for keys the config sets outside of it.

    Whoever sets `network.cnn2d.filters=64` wants 64. Sizes of a network that is not used are left
    out.
    """
    flat, unused = config.flat(), {"cnn1d", "cnn2d"} - {*config.network.kinds()}
    return {
        key: space
        for key, space in SEARCH_SPACE.items()
        if _within(flat[key], space) and not unused & {*key.split(".")}
    }


def _within(value: object, space: BaseDistribution) -> bool:
    if isinstance(space, CategoricalDistribution):
        return value in space.choices
    assert isinstance(space, FloatDistribution)  # noqa: S101  the space holds no other kind
    return isinstance(value, int | float) and space.low <= value <= space.high
