import numpy as np
import pytest

from genre_mlops.config import FeatureConfig, NetworkConfig
from genre_mlops.learning.networks import (
    average_networks,
    build_networks,
    describe,
    load_network,
    save_network,
    summary,
)

FEATURES = FeatureConfig(sr=8_000, n_fft=512, n_mels=24, fmax=4_000)


KINDS = ["cnn1d", "cnn2d"]


def sized(kind: str, **changes: object) -> NetworkConfig:
    sizes = {"filters": 3, "n_blocks": 2, "kernel_size": 3, "input_pool": 2}
    sizes |= {key: changes.pop(key) for key in {*sizes, "pool_size"} & changes.keys()}
    small = {"kind": kind, "segment_frames": 40, "dense_units": 7, "cnn1d": sizes, "cnn2d": sizes}
    return NetworkConfig(**(small | changes))


def build(kind: str, **changes: object):
    [network] = build_networks(sized(kind, **changes), FEATURES, n_genres=6)
    return network


def segments(n: int = 5) -> np.ndarray:
    return np.random.default_rng(0).uniform(-100, 0, (n, 40, 24)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_a_distribution_for_each_segment(kind: str):
    network = build(kind)
    found = network.predict(segments(), verbose=0)
    assert found.shape == (5, 6)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change",
    [
        {"filters": 4},
        {"n_blocks": 3},
        {"kernel_size": 5},
        {"dense_units": 8},
        {"input_pool": 1},
        {"pool_size": 3},
        {"segment_frames": 80},
    ],
)
def test_every_size_is_used(kind: str, change: dict[str, int]):
    plain = build(kind)
    changed = build(kind, **change)
    assert describe(changed) != describe(plain)


@pytest.mark.parametrize("change", [{"centre_db": -50.0}, {"spread_db": 10.0}])
def test_the_input_is_scaled_by_the_config(change: dict[str, float]):
    plain, changed = (build("cnn2d", **how) for how in ({}, change))
    changed.set_weights(plain.get_weights())
    assert not np.allclose(plain(segments()), changed(segments()))


def test_multiply_adds_are_those_of_the_kernels():
    network = build("cnn2d")
    # 40 x 24, halved once before the first block, and once in each block.
    first = 20 * 12 * 3 * 3 * 1 * 3
    second = 10 * 6 * 3 * 3 * 3 * 6
    # Mean and maximum over time, at each of the 3 bands that are left for cnn2d.
    head = 2 * 6 * 3 * 7 + 7 * 6
    assert describe(network)["multiply_adds"] == first + second + head
    assert describe(network)["parameters"] == network.count_params()
    one = build("cnn1d")
    assert describe(one)["multiply_adds"] == 20 * 3 * 24 * 3 + 10 * 3 * 3 * 6 + 2 * 6 * 7 + 7 * 6


def test_an_ensemble_is_the_mean_of_its_members_also_when_read_again(tmp_path):
    members = [build(kind) for kind in ("cnn1d", "cnn2d", "cnn2d")]
    means = np.mean([member(segments()) for member in members], axis=0)
    costs = [describe(member)["multiply_adds"] for member in members]
    for number, member in enumerate(members):
        save_network(member, tmp_path / f"{number}.keras")
    ensemble = average_networks([load_network(tmp_path / f"{i}.keras") for i in range(3)])
    np.testing.assert_allclose(ensemble(segments()), means, atol=1e-6)
    assert describe(ensemble)["multiply_adds"] == sum(costs)
    assert "member_2" in summary(ensemble)
    # Whole lines, also where the terminal's width is not known.
    assert "Connected to" in summary(ensemble)
    save_network(ensemble, tmp_path / "ensemble.keras")
    again = load_network(tmp_path / "ensemble.keras")
    np.testing.assert_allclose(again(segments()), means, atol=1e-6)


def test_one_network_is_its_own_ensemble():
    network = build("cnn1d")
    assert average_networks([network]) is network
