"""What people see of the main job in MLflow's own pages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pipelines.conftest import Ran, serving
from tests.pipelines.runs import MODEL, runs_of

pytestmark = [pytest.mark.slow, pytest.mark.browser]
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def address(main_job: Ran) -> Iterator[str]:
    """Where `mlflow ui` shows the main job's runs."""
    place = main_job.place
    with serving(place.env, place.root, ["mlflow", "ui", "--workers", "1"], "health") as url:
        yield url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def see(page: Page, *texts: str) -> None:
    for text in texts:
        expect(page.get_by_text(text).first).to_be_visible(timeout=PATIENCE_MS)


def unfold(page: Page, name: str) -> None:
    """Show the runs that are nested in the oldest run of a name: other tests have made more."""
    cell = page.locator(".ag-row [col-id*='Run Name']").filter(has_text=name).last
    cell.locator("button").first.click(timeout=PATIENCE_MS)


def test_the_runs_are_a_tree_of_steps_and_trials(address: str, page: Page, main_job: Ran):
    page.goto(f"{address}/#/experiments/0/runs")
    see(page, "main: demo (synthetic music)")
    unfold(page, "main: demo")
    see(page, "validate", "features", "baseline", "train", "register", "package")
    unfold(page, "train")
    see(page, "synthetic trial 000", "synthetic trial 001")


def test_a_trial_has_curves(address: str, page: Page, main_job: Ran):
    run = runs_of(main_job.place, "trial")[0].info.run_id
    page.goto(f"{address}/#/experiments/0/runs/{run}/model-metrics")
    see(page, "synthetic trial 000", "train_loss", "validation_loss", "input_wait_share")
    expect(page.locator(".js-plotly-plot path.js-line").first).to_be_attached(timeout=PATIENCE_MS)


def test_the_confusion_matrix_is_a_picture(address: str, page: Page, main_job: Ran):
    run = runs_of(main_job.place, "register")[0].info.run_id
    page.goto(f"{address}/#/experiments/0/runs/{run}/artifacts/test/confusion.png")
    picture = page.locator("img[src*='confusion'], img[src^='blob:']").first
    expect(picture).to_be_visible(timeout=PATIENCE_MS)
    assert picture.evaluate("picture => picture.naturalWidth") > 400


def test_a_version_shows_its_card(address: str, page: Page, main_job: Ran):
    page.goto(f"{address}/#/models/{MODEL}/versions/1")
    see(page, "For, and not for", "Scores", "accuracy", "macro-F1", "95 % interval", "Data")
    see(page, "Trained on synthetic music, made for testing")


def test_the_history_says_who_was_champion(address: str, page: Page, main_job: Ran):
    page.goto(f"{address}/#/models/{MODEL}-history")
    see(page, f"What was decided about {MODEL}", "there was no champion")
