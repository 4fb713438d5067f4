"""What is searched: the config's space, in Optuna's terms."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from genre_mlops.config import Config
from genre_mlops.search.space import search_space, space_rows
from tests.searches import only


def test_each_form_is_optunas():
    config = Config().override(
        only(
            {
                "network.cnn1d.filters": [48, 64],
                "training.batch_size": {"low": 8, "high": 64, "log": True},
                "network.dropout": {"low": 0, "high": 0.5},
                "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
            }
        )
    )
    assert search_space(config) == {
        "network.cnn1d.filters": CategoricalDistribution((48, 64)),
        "training.batch_size": IntDistribution(8, 64, log=True),
        "network.dropout": FloatDistribution(0, 0.5),
        "training.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    }


@pytest.mark.parametrize(
    ("overrides", "left_out"),
    [
        ({}, set()),
        ({"search.space.network.kind": None}, {"network.kind"}),
        (
            {"search.space.network.kind": None, "network.kind": "cnn2d"},
            {"network.kind", "network.cnn1d.filters"},
        ),
        (
            {"search.space.network.kind": ["cnn1d", "cnn1d+cnn2d"], "network.kind": "cnn1d"},
            set(),
        ),
        ({"network.cnn2d.filters": 65}, {"network.cnn2d.filters"}),
        ({"training.weight_decay": 0}, {"training.weight_decay"}),
    ],
)
def test_what_is_set_outside_its_range_or_not_used_is_not_searched(
    overrides: dict[str, object], left_out: set[str]
):
    config = Config().override(overrides)
    assert search_space(config).keys() == Config().search.space.keys() - left_out
    told = {row.key: row.left_out for row in space_rows(config)}
    assert {key for key, why in told.items() if why} == left_out


def test_the_default_space_holds_the_default_config():
    assert all(not row.left_out for row in space_rows(Config()))
    parts = {key.partition(".")[0] for key in search_space(Config())}
    assert parts == {"features", "network", "augment", "training"}
