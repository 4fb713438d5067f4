"""What the gate says: a ruling for each rule, and the verdict that follows from them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from genre_mlops.learning.resampling import Estimate
from genre_mlops.wording import in_cell

Outcome = Literal["passed", "not shown", "failed"]
Decision = Literal["promote", "hold", "refuse"]
# The rules whose figures compare the two versions.
BETTER, GENRES = "better", "no genre worse"


@dataclass(frozen=True)
class Ruling:
    """What one rule says.

    Attributes
    ----------
    rule : str
        Its name.
    outcome : str
        ``"passed"``; ``"not shown"``, which holds a challenger back; ``"failed"``, which refuses.
    text : str
        With the numbers, in words.
    figures : dict of str to float
        The numbers. Of a figure with an interval, `<name>_low` and `<name>_high` are its ends.
    """

    rule: str
    outcome: Outcome
    text: str
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """All rulings, and what follows from them.

    Attributes
    ----------
    rulings : tuple of Ruling
        In the order of the rules.
    rules : mapping of str to float
        Levels, margins and budgets that they followed.
    """

    rulings: tuple[Ruling, ...]
    rules: Mapping[str, float] = field(default_factory=dict)

    @property
    def decision(self) -> Decision:
        """Refused where a rule failed, held where something is not shown, else promoted."""
        outcomes = {ruling.outcome for ruling in self.rulings}
        if "failed" in outcomes:
            return "refuse"
        return "hold" if "not shown" in outcomes else "promote"

    @property
    def promotes(self) -> bool:
        """Whether the challenger may become champion."""
        return self.decision == "promote"

    @property
    def reason(self) -> str:
        """The rulings that decided, in one line."""
        decisive = {"refuse": "failed", "hold": "not shown", "promote": "passed"}[self.decision]
        told = [ruling.text for ruling in self.rulings if ruling.outcome == decisive]
        # Of a promotion the first rule says why, the others only that nothing is against it.
        return "; ".join(told if self.decision != "promote" else told[:1])

    def differences(self) -> dict[str, Estimate]:
        """Return by how much the challenger is ahead: accuracy, then each genre's recall.

        Empty where the two were not compared.
        """
        told = {ruling.rule: ruling.figures for ruling in self.rulings}
        found = {"accuracy": _estimate(told.get(BETTER, {}), "difference")}
        recalls = told.get(GENRES, {})
        names = [name for name in recalls if f"{name}_low" in recalls]
        found |= {f"recall of {name}": _estimate(recalls, name) for name in names}
        return {name: estimate for name, estimate in found.items() if estimate}

    def as_json(self) -> dict[str, Any]:
        """Return the verdict for scripts and for the registry."""
        rulings = [asdict(ruling) for ruling in self.rulings]
        return {"decision": self.decision, "rulings": rulings, "rules": dict(self.rules)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Verdict":
        """Return the verdict that `as_json` told."""
        return cls(tuple(Ruling(**ruling) for ruling in said["rulings"]), said["rules"])

    def markdown(self) -> str:
        """Return the rulings as a table."""
        rows = [f"| {in_cell(r.rule)} | {r.outcome} | {in_cell(r.text)} |" for r in self.rulings]
        head = [f"**{self.decision}**", "", "| rule | | |", "|---|---|---|"]
        rules = ", ".join(f"{name} {value:g}" for name, value in self.rules.items())
        return "\n".join([*head, *rows, "", f"Rules: {rules}."])


def _estimate(figures: Mapping[str, float], name: str) -> Estimate | None:
    if name not in figures:
        return None
    return Estimate(figures[name], figures[f"{name}_low"], figures[f"{name}_high"])
