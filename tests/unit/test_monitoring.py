"""`genre-mlops monitor`: a version, the log of what it answered, and a verdict."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner, Result

from genre_mlops import tracking
from genre_mlops.changes import low_pass
from genre_mlops.cli import app
from genre_mlops.config import MonitorConfig
from genre_mlops.domain import Clip
from genre_mlops.drift import BANDWIDTH, FIGURES, Answered, describe
from genre_mlops.drift_page import drift_page, pictures
from genre_mlops.drift_report import DriftReport
from genre_mlops.learning.bundle import ONNX, Bundle, read_info, save_filters, write_info
from genre_mlops.learning.reference import CONFIDENCE, FILE, Heard, Listener, heard
from genre_mlops.learning.shift import MIX, compare
from genre_mlops.logmel import mel_filters
from genre_mlops.quality.charts import BOTTOM
from genre_mlops.request_log import Requests
from tests.promotions import NAME
from tests.service.conftest import FEATURES, GENRES, make_bundle
from tests.stores import make_store

START = datetime(2026, 11, 30, 8, tzinfo=UTC)
N_VALIDATION, N_REQUESTS = 60, 70


def clip(seed: int) -> Clip:
    """Noise of some loudness and tone."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=6_000)
    y = y + rng.uniform(0.2, 0.9) * np.roll(y, 1)
    return Clip(str(seed), (10 ** rng.uniform(-2.5, -0.8) * y).astype(np.float32), FEATURES.sr)


def dull(bright: Clip) -> Clip:
    return Clip(bright.track_id, low_pass(bright.y, bright.sr, cutoff_hz=2_500), bright.sr)


def log_of(bundle: Bundle, clips: Iterable[Clip], version: int = 1) -> str:
    """What a service writes that answers these."""
    lines = []
    for i, asked in enumerate(clips):
        said = bundle.predict(asked)
        answered = Answered(
            at=START + timedelta(minutes=i),
            request_id=f"{version}-{i}",
            model="genre_classifier",
            version=version,
            network=bundle.info.sha256[ONNX],
            duration_s=said.duration_s,
            input=describe(bundle.log_mel(asked), FEATURES),
            genre=said.genre,
            confidence=said.probabilities[said.genre],
            sure=said.sure,
            warnings=0,
        )
        lines.append(answered.to_line())
    return "".join(lines)


@dataclass(frozen=True)
class Place:
    """A folder with a registry in which version 1 of `tunes` is champion; and logs of it."""

    folder: Path
    bundle: Path

    def cli(self, *arguments: str, exit_code: int = 0) -> Result:
        done = CliRunner().invoke(app, ["monitor", *arguments, "--model", NAME])
        assert done.exit_code == exit_code, done.output
        return done

    def runs(self) -> list[Run]:
        return MlflowClient().search_runs(["0"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("monitor")
    # Where MLflow keeps a version's files.
    place = make_bundle(folder / "artifacts" / "bundle", seed=1)
    save_filters(place, mel_filters(FEATURES))
    write_info(place, read_info(place))
    bundle = Bundle(place)
    listener = Listener(N_VALIDATION, FEATURES, seed=0)
    said = []
    for track in range(N_VALIDATION):
        listener(track, bundle.log_mel(clip(track)))
        found = bundle.predict(clip(track)).probabilities
        said.append([found[genre] for genre in GENRES])
    reference = listener.reference(np.array(said), GENRES)
    (place / FILE).write_text(reference.model_dump_json())
    write_info(place, read_info(place))
    requests = [clip(1_000 + i) for i in range(N_REQUESTS)]
    (folder / "same.jsonl").write_text(log_of(bundle, requests))
    (folder / "dull.jsonl").write_text(log_of(bundle, map(dull, requests)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tracking.use_tracking_uri(make_store(folder / "mlflow.db"))
        client = tracking.client()
        client.create_registered_model(NAME)
        client.create_model_version(NAME, folder.as_uri())
        tracking.set_alias(NAME, "champion", 1)
    return Place(folder, place)


@pytest.fixture
def place(made: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """That registry, taken for the store."""
    monkeypatch.chdir(made.folder)
    tracking.use_tracking_uri(f"sqlite:///{made.folder / 'mlflow.db'}")
    return made


def test_requests_like_the_validation_tracks_end_well_and_are_logged(place: Place):
    n_before = len(place.runs())
    done = place.cli("same.jsonl")
    assert f"no drift: {N_REQUESTS} requests against {N_VALIDATION} validation" in done.output
    assert len(re.findall("share at .* Hz, dB", done.output)) == 8
    run, *before = place.runs()
    assert len(before) == n_before
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "monitor: tunes 1 (synthetic)"
    assert run.data.tags["genre.step"] == "monitor"
    assert run.data.tags["genre.drift"] == "no drift"
    assert run.data.metrics["requests"] == N_REQUESTS
    assert run.data.metrics["drifted_figures"] == 0
    assert run.data.metrics.keys() >= {f"psi_{name}" for name in (*FIGURES, MIX)}
    kept = {file.path for file in MlflowClient().list_artifacts(run.info.run_id, "drift")}
    assert kept == {"drift/report.html", "drift/report.json"}


def test_a_low_pass_ends_with_4_and_a_page_that_says_why(place: Place, tmp_path: Path):
    page = tmp_path / "new" / "drift.html"
    done = place.cli("dull.jsonl", "--report", str(page), "--json", exit_code=4)
    said = json.loads(done.stdout)
    assert said["verdict"] == "drift"
    assert BANDWIDTH in {figure["name"] for figure in said["figures"] if figure["drifted"]}
    run = place.runs()[0]
    assert said["run_id"] == run.info.run_id
    assert run.data.tags["genre.drift"] == "drift"
    # The job did what it was asked to.
    assert run.info.status == "FINISHED"
    assert (
        run.data.metrics["median_bandwidth_hz"] < run.data.metrics[f"reference_median_{BANDWIDTH}"]
    )
    assert page.read_text() == tracking.read_text(run.info.run_id, "drift/report.html")
    assert "▲ drift" in page.read_text()
    assert "A model of synthetic music" in page.read_text()


def test_too_few_requests_are_no_alarm(place: Place, tmp_path: Path):
    few = tmp_path / "few.jsonl"
    lines = (place.folder / "dull.jsonl").read_text().splitlines(keepends=True)
    few.write_text("".join(lines[:30]))
    done = place.cli(str(few), "--no-log")
    assert "not enough to say: 30 requests of the 50 it takes" in done.output
    place.cli(str(few), "--no-log", "--set", "monitor.min_requests=30", exit_code=4)
    # From the 31st minute on there are 40.
    late = place.cli("dull.jsonl", "--no-log", "--since", "2026-11-30T08:30")
    assert "40 requests of the 50" in late.output
    assert "30 lines from before that time" in late.output


def test_nothing_is_logged_where_that_is_not_wanted(place: Place):
    n_before = len(place.runs())
    assert json.loads(place.cli("same.jsonl", "--no-log", "--json").stdout)["run_id"] is None
    assert len(place.runs()) == n_before


def test_another_versions_requests_do_not_count(place: Place, tmp_path: Path):
    other = tmp_path / "other.jsonl"
    other.write_text(log_of(Bundle(place.bundle), [clip(2_000)], version=2))
    done = place.cli("same.jsonl", str(other), "--version", "1", "--no-log", "--json")
    said = json.loads(done.stdout)
    assert (said["requests"], said["passed_over"]) == (N_REQUESTS, {"of version 2": 1})


def test_what_cannot_be_done_has_its_exit_code_and_words(place: Place, tmp_path: Path):
    for arguments, exit_code, message in (
        (["same.jsonl", "--since", "yesterday"], 2, "--since yesterday: no date such as 2026-11"),
        (["same.jsonl", "--set", "monitor.psy=1"], 2, "did you mean monitor.psi?"),
        (["gone.jsonl"], 3, "gone.jsonl: there is no such file"),
        (["same.jsonl", "--version", "7"], 1, "tunes has no version 7"),
    ):
        done = place.cli(*arguments, exit_code=exit_code)
        assert message in " ".join(done.output.split())
    assert not (tmp_path / "mlruns").exists()


def test_a_bundle_of_before_says_what_to_do(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    old = make_bundle(tmp_path / "artifacts" / "bundle", seed=2)
    number = tracking.client().create_model_version(NAME, tmp_path.as_uri()).version
    done = place.cli("same.jsonl", "--version", str(number), exit_code=1)
    assert "train and promote a new version" in " ".join(done.output.split())
    assert not (old / FILE).exists()


def report(n: int, *, genres: tuple[str, ...] = GENRES, shift: float = 0.0) -> DriftReport:
    """A report of numbers that nobody heard."""
    rng, rules = np.random.default_rng(0), MonitorConfig()

    def some(n: int, shift: float = 0.0) -> Heard:
        values = {name: rng.normal(size=n) + shift for name in FIGURES}
        mix = Counter(genres[i] for i in rng.integers(len(genres), size=n))
        return heard({**values, CONFIDENCE: rng.uniform(size=n)}, mix)

    then, now = some(80), some(n, shift)
    at = START if n else None
    requests = Requests(now, at, at, n // 2, n + 3, Counter({"of version 2": 3}))
    return DriftReport(
        name="tunes",
        version=3,
        synthetic=False,
        features=FEATURES,
        reference=then,
        requests=requests,
        shifts=compare(then, now, rules),
        rules=rules,
    )


@pytest.mark.parametrize(
    ("n", "shift", "verdict"), [(0, 0, "not enough"), (60, 0, "no drift"), (60, 3, "drift")]
)
def test_the_page_says_the_verdict_first_and_loads_nothing(n: int, shift: float, verdict: str):
    found = report(n, shift=shift)
    page = drift_page(found)
    assert found.verdict.startswith(verdict)
    assert re.search(f'id="verdict"><span class="badge">. {verdict}', page)
    assert page.count("<figure>") == (len(FIGURES) + 1) * bool(n)
    # Columns are shares: they are all drawn, and end on the axis.
    for picture in pictures(found):
        heights = [column[3] for column in picture.columns]
        assert sum(heights) > 0
        assert all(
            y + height == pytest.approx(BOTTOM, abs=0.11) for _, y, _, height, _ in picture.columns
        )
    assert not re.search(r"https?://|<script|<link (?!rel=.icon)|\bon\w+=|@import", page)
    assert "synthetic" not in page


def test_what_shifted_comes_first_with_what_may_be_behind_it():
    found = report(60, shift=3)
    page = drift_page(found)
    assert [picture.drifted for picture in pictures(found)] == [True] * 11 + [False]
    assert "More above: better sources" in page
    assert "Less above" not in page
    assert "11 of 13 figures have shifted" in found.sentence


def test_a_genre_may_be_called_anything():
    spiteful = "<script>alert(1)</script>\n\u202e{{ 7 * 7 }}"
    page = drift_page(report(60, genres=(spiteful, "blues")))
    assert "<script" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\n\\u202e{{ 7 * 7 }}" in page


def test_one_value_for_all_can_be_drawn():
    found = report(60)
    for of in (found.reference, found.requests.heard):
        of.figures[BANDWIDTH][:] = 10_735.6
    (picture,) = (p for p in pictures(found) if p.name == BANDWIDTH)
    assert picture.most == "100%"
