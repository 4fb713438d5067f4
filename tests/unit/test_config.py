from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_mlops.config import Config, FeatureConfig, load_config
from genre_mlops.errors import ConfigError
from pipelines.job import PRESETS, find_config, read_config


def test_an_override_changes_its_key_and_no_other():
    config = load_config(None, ["network.dropout=0.25"])
    changed = {k for k, v in config.flat().items() if v != Config().flat()[k]}
    # What is set so is meant, and not searched.
    assert changed == {"network.dropout", "search.space"}
    assert config.network.dropout == 0.25
    assert config.search.space["network.dropout"] is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochz=3", "unknown setting training.epochz; did you mean training.epochs?"),
        ("training=3", "training is a section of settings, such as training.members"),
        ("network.cnn1d=3", "network.cnn1d is a section of settings, such as network.cnn1d."),
        ("network.cnn2d.filters.x=3", "unknown setting network.cnn2d.filters.x"),
        ("training.epochs=0", "training.epochs: .*greater than or equal to 1 .got 0"),
        ("network.kind=both", "Input should be 'cnn1d', 'cnn2d' or 'cnn1d.cnn2d'"),
        ("training.epochs=many", "training.epochs: .*got 'many'"),
        ("features.fmax=20000", "fmax 20000.0 Hz is above Nyquist, 11025.0 Hz"),
        ("features.hop_length=4096", "hop_length 4096 is above n_fft 2048"),
        ("split.test_share=0.5 split.validation_share=0.4", "leave less than 0.2 to train on"),
        ("quality.max_duration_s=2", "max_duration_s 2.0 is not above min_duration_s 3.0"),
        ("epochs", "'epochs': expected section.key=value"),
        ("a=[1", "is not YAML"),
        ("data.demo_tracks=29", "data.demo_tracks: .*greater than or equal to 30"),
        (
            "search.space.network.dropot=[1]",
            "search.space: unknown setting network.dropot; did",
        ),
        ("search.space.split.seed=[1]", "split.seed cannot be searched; that is for features, net"),
        ("search.space.network.dropout=[0.2,1]", "search.space: network.dropout: .*less than 1"),
        ("search.space.network.dropout=0.2", "neither a list of values, nor {low: 1, high: 2}"),
        ('search.space.network.kind={"low":1,"high":2}', "kind is no number: name its values"),
        ('search.space.network.dropout={"low":0.2,"high":0.2}', "low 0.2 is not below high 0.2"),
        ('search.space.network.dropout={"low":0,"high":0.2,"log":yes}', "0 has no logarithm"),
        ('search.space.training.epochs={"low":0,"high":9}', "epochs: .*greater than or equal to 1"),
    ],
)
def test_a_bad_override_is_one_clear_line(override: str, message: str):
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(None, override.split())
    assert "\n" not in str(caught.value)


def test_a_float_in_scientific_notation_is_a_float():
    # YAML reads 1e-3 as text; pydantic turns it back.
    assert load_config(None, ["training.learning_rate=1e-3"]).training.learning_rate == 0.001


def test_a_space_is_changed_key_by_key(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "search:\n  space:\n    network.dropout: null\n    network.cnn1d.filters: [2, 4]\n"
        "    training.patience: {low: 5, high: 9}\n"
    )
    config = load_config(path, ['search.space.augment.eq_db={"low":1,"high":2}'])
    told = {key: str(tried) for key, tried in config.search.searched().items()}
    others = {key: str(tried) for key, tried in Config().search.searched().items()}
    del others["network.dropout"]
    changed = {"network.cnn1d.filters": "2, 4", "training.patience": "5 to 9"}
    assert told == others | changed | {"augment.eq_db": "1 to 2"}
    # What a trial overrides leaves the space alone.
    assert config.override({"augment.eq_db": 1.5}).search == config.search
    # Unless it is named, what is set on the command line is not searched.
    both = ["network.dropout=0.2", "search.space.network.dropout=[0.1,0.2]"]
    assert load_config(None, both).search.searched()["network.dropout"].holds(0.2)


def test_a_file_and_its_unknown_keys(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("training: {epochs: 7}\n")
    assert load_config(path, ["training.epochs=9"]).training.epochs == 9
    path.write_text("training: {epochs: 7}\nnetwrk: {filters: 3}\n")
    with pytest.raises(ConfigError, match="unknown setting netwrk"):
        load_config(path)
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected sections"):
        load_config(path)
    path.write_text("a: [")
    with pytest.raises(ConfigError, match="not YAML"):
        load_config(path)


def test_named_parameters_win_over_the_preset_and_set_wins_over_both():
    shortcuts = {"dataset": "1", "trials": "7", "epochs": "", "workers": "", "seed": ""}
    config = read_config("quick", shortcuts, "training.epochs=5 network.cnn2d.filters=4")
    assert (config.data.dataset, config.search.trials) == ("1", 7)
    assert (config.training.epochs, config.network.cnn2d.filters) == (5, 4)
    assert read_config("", dict.fromkeys(shortcuts, ""), "") == Config()


def test_a_path_with_blanks_and_quotes_stays_a_path():
    path = '/my\u00a0music/it\'s: "50%" \\n [1'
    shortcuts = dict.fromkeys(("dataset", "trials", "epochs", "workers", "seed"), "")
    assert read_config("", shortcuts | {"dataset": path}, "").data.dataset == path


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.yaml")))
def test_every_preset_loads(preset: str):
    assert load_config(find_config(preset)) != Config() or preset == "default"


def test_the_default_preset_says_what_the_defaults_are():
    text = (PRESETS / "default.yaml").read_text()
    assert load_config(PRESETS / "default.yaml") == Config()
    missing = [key for key in Config().flat() if f"{key.rpartition('.')[2]}:" not in text]
    assert missing == []


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"config fast: neither a preset \(default, quick"):
        find_config("fast")


@given(st.integers(16, 200))
def test_a_digest_follows_the_settings(n_mels: int):
    one, two = FeatureConfig(n_mels=n_mels), FeatureConfig(n_mels=n_mels + 1)
    assert one.digest() == FeatureConfig(n_mels=n_mels).digest() != two.digest()
