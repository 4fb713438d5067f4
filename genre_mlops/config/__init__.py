"""The pipeline's settings as one object, and how a file and overrides are read into it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from genre_mlops.config.sections import (
    AugmentConfig,
    BaselineConfig,
    ConvolutionConfig,
    DataConfig,
    EvaluationConfig,
    FeatureConfig,
    GateConfig,
    MonitorConfig,
    NetworkConfig,
    QualityConfig,
    RegistryConfig,
    SearchConfig,
    Section,
    SplitConfig,
    TrainingConfig,
)
from genre_mlops.config.space import SEARCH_SPACE, SEARCHED_SECTIONS, Choices, Range
from genre_mlops.errors import ConfigError
from genre_mlops.wording import did_you_mean

__all__ = [
    "AugmentConfig",
    "BaselineConfig",
    "Choices",
    "Config",
    "ConvolutionConfig",
    "DataConfig",
    "EvaluationConfig",
    "FeatureConfig",
    "GateConfig",
    "MonitorConfig",
    "NetworkConfig",
    "QualityConfig",
    "Range",
    "RegistryConfig",
    "SearchConfig",
    "Section",
    "SplitConfig",
    "TrainingConfig",
    "load_config",
]


class Config(Section):
    """The whole pipeline's settings."""

    # An ensemble's members take the seeds that follow, and all are to fit 32 bits.
    seed: Annotated[int, Field(ge=0, lt=2**31 - 32)] = 0
    data: DataConfig = DataConfig()
    quality: QualityConfig = QualityConfig()
    split: SplitConfig = SplitConfig()
    features: FeatureConfig = FeatureConfig()
    network: NetworkConfig = NetworkConfig()
    augment: AugmentConfig = AugmentConfig()
    training: TrainingConfig = TrainingConfig()
    search: SearchConfig = SearchConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    baseline: BaselineConfig = BaselineConfig()
    gate: GateConfig = GateConfig()
    registry: RegistryConfig = RegistryConfig()
    monitor: MonitorConfig = MonitorConfig()

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        flat = self.flat()
        for key, tried in self.search.searched().items():
            if key.partition(".")[0] not in SEARCHED_SECTIONS:
                known = ", ".join(SEARCHED_SECTIONS)
                raise ValueError(f"search.space: {key} cannot be searched; that is for {known}")
            if key not in flat:
                raise ValueError(f"search.space: {_unknown(key)}")
            if isinstance(tried, Range) and type(flat[key]) not in {int, float}:
                raise ValueError(f"search.space: {key} is no number: name its values in a list")
        return self

    def flat(self) -> dict[str, object]:
        """Return the settings as one level of dotted keys."""
        return dict(_flatten(self.model_dump(mode="json")))

    def override(self, values: Mapping[str, object]) -> "Config":
        """Return a copy with dotted keys replaced.

        Raises
        ------
        ConfigError
            A key is unknown or a value is out of range.
        """
        tree = self.model_dump()
        for key, value in values.items():
            _put(tree, key, value)
        return _checked(tree)

    def override_texts(self, texts: Iterable[str]) -> "Config":
        """Return a copy with overrides `section.key=value` applied, the values read as YAML.

        Raises
        ------
        ConfigError
            One is malformed, its key is unknown or its value is out of range.

        Notes
        -----
        What is set so is meant: it is not searched, unless the space is set too.
        """
        values = dict(_parse(text) for text in texts)
        spaces = {f"{_SPACE}{key}": None for key in values if self.search.space.get(key)}
        config = self.override({**spaces, **values})
        for key, tried in config.search.searched().items():
            if tried != SEARCH_SPACE.get(key):
                config._try(key, tried)
        return config

    def _try(self, key: str, tried: Choices | Range) -> None:
        """Raise ConfigError where a setting cannot have what is tried, all else being as it is."""
        for value in tried.edges():
            try:
                self.override({key: value})
            except ConfigError as error:
                raise ConfigError(f"search.space: {error}") from error


_SPACE = "search.space."


def load_config(path: Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read a YAML file of settings and apply `a.b=c` overrides to it.

    Parameters
    ----------
    path : Path or None
        A YAML mapping with the sections of `Config`; None takes the defaults.
    overrides : iterable of str
        Each `section.key=value`; the value is read as YAML.

    Returns
    -------
    Config
        The settings, checked.

    Raises
    ------
    ConfigError
        The file cannot be read, a key is unknown, or a value is out of range.
    """
    config = _checked(_read_yaml(path)) if path else Config()
    return config.override_texts(overrides)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config {path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise ConfigError(f"config {path}: not YAML: {problem}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"config {path}: expected sections of settings, got {tree!r:.60}")
    return tree


def _parse(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"override {text!r}: expected section.key=value")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"override {text!r}: {value!r} is not YAML; a value has no blanks in it"
        ) from error


def _put(tree: dict[str, Any], dotted: str, value: object) -> None:
    if dotted.startswith(_SPACE):
        # The keys there have dots themselves.
        tree["search"]["space"][dotted.removeprefix(_SPACE)] = value
        return
    *sections, key = dotted.split(".")
    node: Any = tree
    for section in sections:
        node = node.get(section) if isinstance(node, dict) else None
    if not isinstance(node, dict) or key not in node:
        raise ConfigError(_unknown(dotted))
    if isinstance(node[key], dict):
        raise ConfigError(
            f"{dotted} is a section of settings, such as {dotted}.{next(iter(node[key]))}"
        )
    node[key] = value


def _unknown(dotted: str) -> str:
    return f"unknown setting {dotted}{did_you_mean(dotted, Config().flat())}"


def _checked(tree: dict[str, Any]) -> Config:
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_problems(error)) from error


def _problems(error: ValidationError) -> str:
    return "; ".join(_problem(item) for item in error.errors())


def _problem(item: Any) -> str:
    # The forms of a search space's entries are no keys.
    where = ".".join(str(part) for part in item["loc"] if part not in {"list", "range"})
    if item["type"] == "extra_forbidden":
        return _unknown(where)
    message = item["msg"].removeprefix("Value error, ")
    return f"{where}: {message} (got {item['input']!r:.60})" if item["loc"] else message


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, object]]:
    for key, value in tree.items():
        if f"{prefix}{key}." == _SPACE:
            # As a whole: its own keys are settings.
            yield f"{prefix}{key}", value
        elif isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
