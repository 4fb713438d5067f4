"""Which checks are critical and which only warn, where the config says otherwise than the rules."""

from collections.abc import Sequence
from dataclasses import replace

from genre_mlops.config import QualityConfig
from genre_mlops.errors import ConfigError
from genre_mlops.quality import rules
from genre_mlops.quality.rule import Rule
from genre_mlops.wording import did_you_mean

NEEDED = frozenset(
    {"decodable", "genres", "tracks_per_genre", "groups_per_genre", "genre_in_every_split"}
)
"""Nothing can be trained on a set that fails these."""


def with_severities(asked: Sequence[Rule], config: QualityConfig) -> list[Rule]:
    """Return the rules with the severities that the config gives them."""
    return [
        replace(rule, severity="critical")
        if rule.name in config.critical
        else replace(rule, severity="warning")
        if rule.name in config.warn_only
        else rule
        for rule in asked
    ]


def check_severities(config: QualityConfig) -> None:
    """Check the names in `quality.critical` and `quality.warn_only`.

    Raises
    ------
    ConfigError
        There is no such check, or it cannot be a warning.
    """
    known = {
        rule.name
        for asked in (
            rules.file_rules(config),
            rules.file_warnings(config),
            rules.copy_rules(config),
            rules.genre_rules(config),
            rules.group_rules(1),
            rules.set_rules(config),
            rules.source_rules(),
            rules.collection_rules(config),
        )
        for rule in asked
    }
    for key, names in (("critical", config.critical), ("warn_only", config.warn_only)):
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"quality.{key}: there is no check {name}{did_you_mean(name, known)}"
                )
    needed = sorted(NEEDED.intersection(config.warn_only))
    if needed:
        raise ConfigError(
            f"quality.warn_only: {needed[0]} is needed by what comes after the checks"
        )
