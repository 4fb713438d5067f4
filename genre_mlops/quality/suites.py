"""Runs rules as Great Expectations suites: the only import of great_expectations."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from genre_mlops.quality.rule import Row, Rule

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Check:
    """What became of one rule.

    Attributes
    ----------
    rule : Rule
        What was asked.
    n_checked : int
        Rows looked at.
    n_failed : int
        Rows that fail; 1 for a set that fails as a whole.
    passed : bool
        Whether the expectation was met.
    offenders : dict of str to str
        Track -> what is wrong with it.
    """

    rule: Rule
    n_checked: int
    n_failed: int
    passed: bool
    offenders: dict[str, str] = field(default_factory=dict)

    @property
    def refuses(self) -> bool:
        """Whether the whole set is refused for it."""
        return self.rule.scope == "set" and self.rule.severity == "critical" and not self.passed


def run_suite(name: str, frame: "pd.DataFrame", rules: Sequence[Rule]) -> tuple[list[Check], Any]:
    """Check a frame against rules.

    Parameters
    ----------
    name : str
        The suite's.
    frame : DataFrame
        Indexed by `track_id`.
    rules : sequence of Rule
        Their columns are in the frame.

    Returns
    -------
    checks : list of Check
        In the order of `rules`.
    outcome : ExpectationSuiteValidationResult
        Great Expectations' own account.

    Raises
    ------
    RuntimeError
        An expectation could not be evaluated: a mistake in a rule, not in the data.
    """
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("catalog").add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch(
        {"dataframe": frame.reset_index()}
    )
    expectations = [
        getattr(gx.expectations, rule.expectation)(
            column=rule.column, severity=rule.severity, meta={"rule": rule.name}, **rule.arguments
        )
        for rule in rules
    ]
    outcome = batch.validate(
        gx.ExpectationSuite(name=name, expectations=expectations),
        # Rows by their number: asked for a column's value, it takes ten times as long.
        result_format="COMPLETE",
    )
    # Results come in another order than the suite's.
    results = {result.expectation_config.meta["rule"]: result for result in outcome.results}
    return [_check(rule, results[rule.name], frame) for rule in rules], outcome


def _check(rule: Rule, outcome: Any, frame: "pd.DataFrame") -> Check:
    if outcome.exception_info.get("raised_exception"):
        raise RuntimeError(
            f"rule {rule.name}: {outcome.exception_info.get('exception_message', outcome)}"
        )
    found = outcome.result
    failed = frame.iloc[found.get("unexpected_index_list") or []]
    rows = cast("dict[str, Row]", failed.to_dict("index"))
    return Check(
        rule,
        n_checked=found.get("element_count", len(frame)),
        n_failed=found.get("unexpected_count", 0 if outcome.success else 1),
        passed=bool(outcome.success),
        offenders={str(track_id): rule.sentence(row) for track_id, row in rows.items()},
    )


def _great_expectations() -> Any:
    # Importing costs seconds, and the library would report its use.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    return gx
