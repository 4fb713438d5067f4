"""What `genre-mlops monitor` found: verdict, figures and words, for table, page, script and run."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from genre_mlops.config import FeatureConfig, MonitorConfig
from genre_mlops.drift import BANDS, BANDWIDTH, LEVELS, band_ranges_hz
from genre_mlops.learning.reference import CONFIDENCE, Heard
from genre_mlops.learning.shift import MIX, Shift
from genre_mlops.request_log import Requests
from genre_mlops.wording import counted

Verdict = Literal["drift", "no drift", "not enough to say"]
_WORDS = {
    "level_db": ("level", "dBFS"),
    "loud_db": ("level of loud parts", "dBFS"),
    BANDWIDTH: ("bandwidth", "Hz"),
    CONFIDENCE: ("confidence", ""),
    MIX: ("mix of genres answered", ""),
}
_LEVEL = "Other loudness: phones and microphones, another mastering, a client that sets a gain."
_BAND = "Another tone: other microphones or encoders, an equaliser, other instruments than before."
# Where it matters: of a lower median, and of a higher one.
_CAUSES = {
    **dict.fromkeys(LEVELS, (_LEVEL, _LEVEL)),
    **dict.fromkeys(BANDS, (_BAND, _BAND)),
    BANDWIDTH: (
        "Less above: low bit rates, telephones, a client that resamples.",
        "More above: better sources than those it was judged by.",
    ),
    CONFIDENCE: (
        "Less certain: music, or sound, that it has not learnt.",
        "More certain: easier music, or sound that misleads it; listen to some.",
    ),
    MIX: ("Other music is asked about, or a genre answers for what none of them is.",) * 2,
}


@dataclass(frozen=True, eq=False)
class DriftReport:
    """How the requests of a log compare with the validation tracks of the version that answered.

    Attributes
    ----------
    name : str
        The registered model's.
    version : int
        Its number.
    synthetic : bool
        Whether it was trained on music made for testing.
    features : FeatureConfig
        What it hears.
    reference : Heard
        Its validation tracks.
    requests : Requests
        Those of the log that count.
    shifts : tuple of Shift
        A figure each; empty where there are too few requests.
    rules : MonitorConfig
        From where on a shift counts.
    """

    name: str
    version: int
    synthetic: bool
    features: FeatureConfig
    reference: Heard
    requests: Requests
    shifts: tuple[Shift, ...]
    rules: MonitorConfig

    @property
    def drifted(self) -> tuple[Shift, ...]:
        """What has drifted, the largest shift first."""
        return tuple(sorted((s for s in self.shifts if s.drifted), key=lambda s: -s.psi))

    @property
    def verdict(self) -> Verdict:
        """What came of it."""
        if not self.shifts:
            return "not enough to say"
        return "drift" if self.drifted else "no drift"

    @property
    def title(self) -> str:
        """Which model it is about; one of synthetic music says so."""
        return f"{self.name} {self.version}{' (synthetic)' * self.synthetic}"

    @property
    def sentence(self) -> str:
        """The verdict in a sentence."""
        requests, n = counted(len(self.requests), "request"), len(self.shifts)
        if self.verdict == "not enough to say":
            return f"not enough to say: {requests} of the {self.rules.min_requests} it takes"
        against = f"{requests} against {counted(len(self.reference), 'validation track')}"
        if self.verdict == "no drift":
            return f"no drift: {against}, none of {n} figures has shifted"
        first = ", ".join(self.words(shift.name)[0] for shift in self.drifted[:3])
        more = len(self.drifted) - 3
        named = f"{first} and {more} more" if more > 0 else first
        have = "has" if len(self.drifted) == 1 else "have"
        return f"drift: {against}, {len(self.drifted)} of {n} figures {have} shifted: {named}"

    def words(self, name: str) -> tuple[str, str]:
        """Return what a figure is called, and its unit."""
        if name not in BANDS:
            return _WORDS[name]
        low, high = band_ranges_hz(self.features)[BANDS.index(name)]
        return f"share at {low:,.0f} to {high:,.0f} Hz", "dB"

    def cause(self, shift: Shift) -> str:
        """Return what may be behind a shift."""
        lower, higher = _CAUSES[shift.name]
        is_higher = shift.then is not None and shift.now is not None and shift.now > shift.then
        return higher if is_higher else lower

    def in_numbers(self, shift: Shift) -> tuple[str, str]:
        """Return a figure then and now, as people write it."""
        if shift.then is None or shift.now is None:
            return self._likeliest(self.reference), self._likeliest(self.requests.heard)
        digits = {BANDWIDTH: 0, CONFIDENCE: 3}.get(shift.name, 1)
        return f"{shift.then:z,.{digits}f}", f"{shift.now:z,.{digits}f}"

    def metrics(self) -> dict[str, float]:
        """Return every figure, for the run."""
        n = len(self.requests)
        found = {
            "requests": float(n),
            "lines_passed_over": float(self.requests.passed_over.total()),
            "reference_tracks": float(len(self.reference)),
            "drifted_figures": float(len(self.drifted)),
        }
        if n:
            found["sure_share"] = self.requests.n_sure / n
        for shift in self.shifts:
            found[f"psi_{shift.name}"] = shift.psi
            found[f"psi_threshold_{shift.name}"] = shift.threshold
            found[f"p_{shift.name}"] = shift.p
            if shift.then is not None and shift.now is not None:
                found[f"median_{shift.name}"] = shift.now
                found[f"reference_median_{shift.name}"] = shift.then
        return found

    def as_json(self) -> dict[str, Any]:
        """Return all of it, for scripts."""
        found = self.requests
        return {
            "model": self.name,
            "version": self.version,
            "synthetic": self.synthetic,
            "verdict": self.verdict,
            "said": self.sentence,
            "requests": len(found),
            "reference_tracks": len(self.reference),
            "first": found.first.isoformat() if found.first else None,
            "last": found.last.isoformat() if found.last else None,
            "sure": found.n_sure,
            "lines": found.n_lines,
            "passed_over": dict(found.passed_over),
            "genres": dict(found.heard.genres),
            "rules": self.rules.model_dump(),
            "figures": [asdict(shift) for shift in self.shifts],
        }

    def _likeliest(self, heard: Heard) -> str:
        ((genre, n),) = heard.genres.most_common(1)
        return f"{genre} {n / len(heard):.0%}"
