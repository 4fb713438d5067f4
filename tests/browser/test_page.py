"""The page at `/`: what it shows of a recording, and what it says where there is no answer."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from playwright.sync_api import Page, Route, expect

from genre_mlops.config import FeatureConfig
from genre_mlops.domain import Clip
from genre_mlops.logmel import LogMel, mel_filters
from tests.browser.conftest import KEY, OpenPage, Recording, ask, choose, drawn, until
from tests.served import Server
from tests.service.conftest import write_audio

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Told to a screen reader: each text of the live region.
LISTEN = """addEventListener("DOMContentLoaded", () => {
  window.told = [];
  const status = document.getElementById("status");
  const note = () => status.textContent && told.push(status.textContent);
  new MutationObserver(note).observe(status, {childList: true});
  window.shares = [];
  const progress = document.getElementById("progress");
  new MutationObserver(() => shares.push(progress.position)).observe(progress, {attributes: true});
})"""


def percent(probability: float) -> str:
    return f"{round(100 * probability)} %"


def clock(seconds: float) -> str:
    return f"0:{int(seconds):02d}"


def exact_clock(seconds: float) -> str:
    tenths = int(10 * seconds + 0.5)
    return f"0:{tenths // 10:02d}.{tenths % 10}"


def darkness(page: Page) -> NDArray[np.float64]:
    """Return how dark the log-mel picture is, 0 to 1, of shape (height, width)."""
    return 1 - drawn(page, "#spectrogram")[..., :3].mean(axis=-1) / 255


def test_a_chosen_recording_gets_its_genres(
    open_page: OpenPage, server: Server, recording: Recording
):
    path = recording()
    expected = ask(server.url, path)
    first, second, _ = expected["probabilities"]
    with open_page() as page:
        choose(page, path, says=expected["decision"])
        assert page.locator("#share").inner_text() == percent(first["probability"])
        says = f"followed by {second['genre']}, {percent(second['probability'])}"
        expect(page.locator("#guess")).to_have_text(says)
        expect(page.locator("#what")).to_have_text("clip.wav, 0:03")
        assert page.locator("#bars li").all_inner_texts() == [
            f"{item['genre']}\n{percent(item['probability'])}" for item in expected["probabilities"]
        ]
        widths = page.locator(".bar").evaluate_all(
            "bars => bars.map(b => b.getBoundingClientRect().width / b.parentNode.clientWidth)"
        )
        probabilities = [item["probability"] for item in expected["probabilities"]]
        assert widths == pytest.approx(probabilities, abs=0.01)
        assert page.locator("#audio").evaluate("audio => audio.duration") == pytest.approx(3.0)


def test_the_timeline_is_a_strip_lanes_and_a_table(
    open_page: OpenPage, server: Server, tmp_path: Path
):
    # The dense bundle takes these tones for two genres.
    hz = np.repeat([1_000, 3_000, 1_000], [3 * 8_000, 3 * 8_000, 2 * 8_000])
    y = 0.5 * np.sin(2 * np.pi * hz * np.arange(len(hz)) / 8_000)
    path = write_audio(tmp_path / "both.wav", y.astype(np.float32), 8_000)
    expected = ask(server.url, path)
    rows = expected["timeline"]
    assert len({row["genre"] for row in rows}) == 2
    with open_page() as page:
        choose(page, path, says=expected["decision"])
        runs = page.locator(".run")
        changes = [i for i in range(len(rows)) if not i or rows[i]["genre"] != rows[i - 1]["genre"]]
        assert runs.all_inner_texts() == [rows[i]["genre"] for i in changes]
        lefts = runs.evaluate_all("runs => runs.map(run => parseFloat(run.style.left))")
        assert lefts == pytest.approx([rows[i]["start_s"] / 8 * 100 for i in changes], abs=0.1)
        widths = runs.evaluate_all("runs => runs.map(run => parseFloat(run.style.width))")
        assert sum(widths) == pytest.approx(100, abs=0.1)
        assert (
            len(set(runs.evaluate_all("all => all.map(x => getComputedStyle(x).background)"))) > 1
        )
        lanes = page.locator(".lane")
        assert {*lanes.locator(".label").all_inner_texts()} == {"blues", "disco", "metal"}
        for lane in lanes.all():
            genre = lane.locator(".label").inner_text()
            full = lane.locator(".leads").get_attribute("d").count("M")
            assert full == sum(row["genre"] == genre for row in rows)
        page.get_by_text("The timeline in words").click()
        table = [
            "\t".join(
                [
                    exact_clock(row["start_s"]),
                    exact_clock(row["end_s"]),
                    row["genre"],
                    percent(row["probabilities"][row["genre"]]),
                ]
            )
            for row in rows
        ]
        assert page.locator("#row-list tr").all_inner_texts() == table


def test_the_pictures_show_the_recording(open_page: OpenPage, tmp_path: Path):
    sr = 16_000
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(2 * sr) / sr)
    y = np.concatenate([np.zeros(sr), tone]).astype(np.float32)
    path = write_audio(tmp_path / "tone.flac", y, sr)
    with open_page() as page:
        page.locator("#file").set_input_files(path)
        expect(page.locator("#verdict")).to_be_visible()
        expect(page.locator("#pictures")).to_be_visible()
        heights = (drawn(page, "#waveform")[..., 3] > 0).sum(axis=0)
        n = len(heights)
        assert heights[: n // 3 - 3].max() <= 2
        assert heights[n // 3 + 3 :].min() > 0.8 * drawn(page, "#waveform").shape[0]
        # A frame of 93 ms hears the tone before it begins.
        dark, margin = darkness(page), n // 30
        assert dark[:, : n // 3 - margin].max() < 0.1
        # 1 kHz is mel 15, and half the sampling rate of the picture mel 49.9, from below.
        loudest = 1 - dark[:, n // 3 + margin : -margin].mean(axis=1).argmax() / len(dark)
        assert loudest == pytest.approx(15 / 49.9, abs=0.02)


def test_the_picture_is_the_log_mel_spectrogram_of_the_service(open_page: OpenPage):
    features = FeatureConfig(sr=22_050, n_fft=2_048, hop_length=256, n_mels=96, fmax=11_025)
    n = 86 * 256
    rng = np.random.default_rng(5)
    y = (0.1 * rng.normal(size=n) * np.linspace(0, 1, n)).astype(np.float32)
    # A column of the page is around its middle.
    S_db = LogMel(features, mel_filters(features))(Clip("noise", y[128:], 22_050))
    with open_page() as page:
        made = page.evaluate(
            """async y => {
              const {picture} = await import("/static/spectrogram.js");
              const made = await picture(Float32Array.from(y), new AbortController().signal);
              return [made.nColumns, ...made.S_db];
            }""",
            y.tolist(),
        )
    n_columns = int(made[0])
    assert n_columns == 86
    got = np.reshape(made[1:], (n_columns, 96))
    np.testing.assert_allclose(got[5:], S_db[5:n_columns], atol=0.01)


def test_playhead_and_words_are_in_step_with_the_player(
    open_page: OpenPage, server: Server, recording: Recording
):
    path = recording(duration_s=8.0)
    rows = ask(server.url, path)["timeline"]
    with open_page() as page:
        choose(page, path)
        seek = page.get_by_role("slider", name="Position in the recording")
        box = seek.bounding_box()

        def place() -> float:
            head = page.locator("#playhead").bounding_box()
            return (head["x"] + head["width"] / 2 - box["x"]) / box["width"]

        seek.click(position={"x": 0.7 * box["width"], "y": 40})
        audio = page.locator("#audio")
        assert audio.evaluate("audio => audio.currentTime") == pytest.approx(5.6, abs=0.05)
        assert place() == pytest.approx(0.7, abs=0.005)
        row = max(i for i, row in enumerate(rows) if row["start_s"] <= 5.6)
        said = f"{rows[row]['genre']} {percent(max(rows[row]['probabilities'].values()))}"
        expect(page.locator("#now")).to_have_text(
            f"{clock(rows[row]['start_s'])} to {clock(rows[row]['end_s'])}: {said}"
        )
        expect(seek).to_have_attribute("aria-valuetext", f"0:05 of 0:08: {said}")
        expect(seek).to_have_attribute("aria-valuenow", "5.6")
        audio.evaluate("audio => {audio.currentTime = 2}")
        expect(seek).to_have_attribute("aria-valuenow", "2.0")
        assert place() == pytest.approx(0.25, abs=0.005)
        page.get_by_text("The timeline in words").click()
        page.get_by_role("button", name=f"Play from {exact_clock(rows[2]['start_s'])}").click()
        until(page, f"document.getElementById('audio').currentTime > {rows[3]['start_s']}")
        assert place() > rows[3]["start_s"] / 8
        current = page.locator("#row-list tr[aria-current]")
        expect(current).to_have_count(1)
        assert current.evaluate("row => row.rowIndex - 1") >= 3
        choose(page, recording("again.wav"))
        expect(current).to_have_text(re.compile("^0:00.0"))


def test_a_screen_reader_is_told_of_progress_and_result(open_page: OpenPage, recording: Recording):
    with open_page(script=LISTEN) as page:
        slow = page.context.new_cdp_session(page)
        slow.send("Network.enable")
        slow.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": 700,
                "downloadThroughput": -1,
                "uploadThroughput": 200_000,
            },
        )
        page.locator("#file").set_input_files(recording())
        expect(page.locator("#busy")).to_be_visible()
        expect(page.locator("#doing")).to_have_text("Listening …")
        expect(page.locator("#decision")).to_have_text("disco")
        share = page.locator("#share").inner_text()
        told = page.evaluate("told")
        assert told == ["Sending clip.wav", "Listening …", f"disco, {share}."]
        shares = page.evaluate("shares")
        # Some part of it was shown, and at last that nobody knows how long it takes.
        assert any(0 < x < 1 for x in shares)
        assert shares[-1] == -1


def test_a_dropped_file_is_taken_and_a_folder_is_not(open_page: OpenPage, recording: Recording):
    content = base64.b64encode(recording().read_bytes()).decode()
    with open_page() as page:
        files = page.evaluate_handle(
            """content => {
              const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0));
              const data = new DataTransfer();
              data.items.add(new File([bytes], "dropped.wav", {type: "audio/wav"}));
              return data;
            }""",
            content,
        )
        page.dispatch_event("footer", "dragover", {"dataTransfer": files})
        expect(page.locator("html")).to_have_class("dragging")
        page.dispatch_event("footer", "drop", {"dataTransfer": files})
        expect(page.locator("html")).not_to_have_class("dragging")
        expect(page.locator("#decision")).to_have_text("disco")
        expect(page.locator("#what")).to_have_text("dropped.wav, 0:03")
        page.evaluate(
            """() => {
              const folder = {webkitGetAsEntry: () => ({isDirectory: true})};
              const drop = new Event("drop", {bubbles: true, cancelable: true});
              drop.dataTransfer = {types: ["Files"], items: [folder], files: []};
              document.body.dispatchEvent(drop);
            }"""
        )
        expect(page.get_by_role("alert")).to_contain_text("This is a folder.")


# Keeps what is sent, and the microphone that is used.
TAP = """
const send = XMLHttpRequest.prototype.send;
XMLHttpRequest.prototype.send = function (form) {
  window.sent = form.get("audio");
  return send.call(this, form);
};
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async wish => window.microphone = await ask(wish);
"""


def sent(page: Page) -> tuple[NDArray[np.float64], int]:
    """Return what was sent, read by what the service reads it with."""
    text = page.evaluate(
        """async () => {
          const bytes = new Uint8Array(await window.sent.arrayBuffer());
          return btoa(Array.from(bytes, b => String.fromCharCode(b)).join(""));
        }"""
    )
    y, sr = soundfile.read(io.BytesIO(base64.b64decode(text)))
    return y, sr


def test_the_microphone_is_recorded_sent_and_let_go(open_page: OpenPage):
    with open_page(script=TAP, permissions=["microphone"]) as page:
        page.get_by_role("button", name="Record from the microphone").click()
        stop = page.get_by_role("button", name="Stop and classify")
        expect(stop).to_be_focused()
        expect(page.get_by_role("status")).to_have_text("Recording.")
        level = page.get_by_role("meter", name="Input level")
        until(page, "Number(document.getElementById('level').ariaValueNow) > 10")
        assert level.locator(".fill").bounding_box()["width"] > 10
        expect(page.locator("#elapsed")).to_have_text("0:02")
        stop.click()
        expect(page.locator("#verdict")).to_be_visible()
        expect(page.locator("#what")).to_have_text("Recording from the microphone, 0:02")
        y, _ = sent(page)
        duration_s = page.locator("#audio").evaluate("audio => audio.duration")
        assert 2 < duration_s < 4
        assert y.ndim == 1
        # It beeps, and is quiet in between.
        assert 0.05 < np.abs(y).max() < 1
        assert np.mean(np.abs(y) > 0.01) < 0.5
        expect(page.locator("#pictures")).to_be_visible()
        assert (drawn(page, "#waveform")[..., 3] > 0).sum(axis=0).max() > 30
        assert page.evaluate("microphone.getTracks().map(t => t.readyState)") == ["ended"]


def test_a_wav_file_of_the_page_holds_the_samples_to_16_bits(open_page: OpenPage):
    y = np.clip(np.random.default_rng(3).normal(0, 0.4, 3_000), -1.3, 1.3)
    with open_page() as page:
        text = page.evaluate(
            """async ([blocks, sr]) => {
              const {wavFile} = await import("/static/recorder.js");
              const n = blocks.reduce((sum, block) => sum + block.length, 0);
              const bytes = new Uint8Array(await wavFile(blocks, n, sr).arrayBuffer());
              return btoa(Array.from(bytes, b => String.fromCharCode(b)).join(""));
            }""",
            [[y[:1_000].tolist(), y[1_000:].tolist()], 44_100],
        )
    got, sr = soundfile.read(io.BytesIO(base64.b64decode(text)))
    assert sr == 44_100
    np.testing.assert_allclose(got, np.clip(y, -1, 1), atol=1.1 / 32_768 * 2)


def test_a_recording_ends_by_itself_and_can_be_discarded(open_page: OpenPage):
    with open_page(script=TAP, permissions=["microphone"]) as page:

        def short(route: Route) -> None:
            reply = route.fetch()
            script = reply.text()
            assert "LONGEST_RECORDING_S = 60;" in script
            changed = script.replace("LONGEST_RECORDING_S = 60;", "LONGEST_RECORDING_S = 1;")
            route.fulfill(response=reply, body=changed)

        page.route("**/static/page.js", short)
        page.reload()
        page.get_by_role("button", name="Record from the microphone").click()
        expect(page.locator("#recorder")).to_contain_text("of 0:01")
        page.get_by_role("button", name="Discard").click()
        expect(page.get_by_role("button", name="Record from the microphone")).to_be_focused()
        assert page.evaluate("microphone.getTracks().map(t => t.readyState)") == ["ended"]
        assert page.evaluate("window.sent === undefined")
        page.get_by_role("button", name="Record from the microphone").click()
        expect(page.locator("#verdict")).to_be_visible()
        y, sr = sent(page)
        assert 1 <= len(y) / sr < 1.2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("NotAllowedError", "The microphone is not allowed."),
        ("NotFoundError", "No microphone is found."),
        ("NotReadableError", "Another program may be using it"),
    ],
)
def test_without_a_microphone_it_says_why_and_what_to_do(open_page: OpenPage, name: str, says: str):
    script = f"""navigator.mediaDevices.getUserMedia = async () => {{
      throw new DOMException("", "{name}");
    }}"""
    with open_page(script=script) as page:
        page.get_by_role("button", name="Record from the microphone").click()
        expect(page.get_by_role("alert")).to_contain_text(says)
        expect(page.get_by_role("alert")).to_contain_text("choose a file instead")
        expect(page.get_by_label("Choose a recording")).to_be_enabled()


def test_a_text_is_refused_in_words_and_the_next_recording_is_answered(
    open_page: OpenPage, recording: Recording, tmp_path: Path
):
    text = tmp_path / "song.wav"
    text.write_text("no music")
    with open_page(may_be_refused=True) as page:
        choose(page, recording())
        page.locator("#file").set_input_files(text)
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("This file cannot be classified.")
        expect(alert).to_contain_text("Audio cannot be decoded")
        expect(alert).to_contain_text("wav, flac, mp3, ogg (Vorbis, Opus), au and aiff")
        expect(alert).to_contain_text("up to 10 minutes")
        # Nothing is left of the recording before it.
        expect(page.locator("#result")).to_be_hidden()
        choose(page, recording("next.wav"))
        expect(alert).to_be_empty()


def problem(status: int, detail: str = "", **headers: str) -> dict[str, object]:
    """Return what a route is fulfilled with."""
    body = {"type": "about:blank", "title": "T", "status": status, "detail": detail}
    return {
        "status": status,
        "headers": {"content-type": "application/problem+json", **headers},
        "body": json.dumps(body),
    }


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (problem(429, **{"retry-after": "7"}), ["The service is busy.", "Try again in 7 s."]),
        (problem(503, "the model is loading"), ["not ready", "The model is loading."]),
        (problem(504), ["The answer took too long.", "a shorter excerpt"]),
        (problem(500), ["Something went wrong in the service."]),
        ({"status": 502, "body": "<html>bad gateway</html>"}, ["not ready", "in a moment"]),
        ({"status": 200, "body": "no JSON"}, ["Something went wrong in the service."]),
        (None, ["The service cannot be reached.", "Check the connection"]),
    ],
    ids=["429", "503", "504", "500", "502", "garbled", "no network"],
)
def test_what_may_pass_is_said_in_words_and_can_be_tried_again(
    open_page: OpenPage, recording: Recording, reply: dict[str, object] | None, says: list[str]
):
    def fail(route: Route) -> None:
        if reply is None:
            route.abort("internetdisconnected")
        else:
            route.fulfill(**reply)

    with open_page(may_be_refused=True) as page:
        page.route("**/predict", fail, times=1)
        page.locator("#file").set_input_files(recording())
        alert = page.get_by_role("alert")
        for text in says:
            expect(alert).to_contain_text(text)
        expect(page.locator("#result")).to_be_hidden()
        alert.get_by_role("button", name="Try again").click()
        expect(page.locator("#decision")).to_have_text("disco")
        expect(alert).to_be_empty()


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (problem(413), ["The file is too large.", "Files up to 128 MB are taken."]),
        (problem(422, "audio is longer than 600 s"), ["Audio is longer than 600 s."]),
        (problem(400, "malformed form"), ["Malformed form."]),
    ],
)
def test_what_will_not_pass_is_said_without_a_way_to_try_again(
    open_page: OpenPage, recording: Recording, reply: dict[str, object], says: list[str]
):
    with open_page(may_be_refused=True) as page:
        page.route("**/predict", lambda route: route.fulfill(**reply))
        page.locator("#file").set_input_files(recording())
        alert = page.get_by_role("alert")
        for text in says:
            expect(alert).to_contain_text(text)
        expect(alert.get_by_role("button")).to_have_count(0)


def changed_model(page: Page, **changes: object) -> None:
    """Let the service say something else of its model, and open the page again."""

    def change(route: Route) -> None:
        reply = route.fetch()
        route.fulfill(response=reply, json={**reply.json(), **changes})

    page.route("**/model", change)
    page.reload()
    expect(page.locator("#about")).to_be_visible()


def test_what_is_too_large_is_not_sent(open_page: OpenPage, recording: Recording):
    path = recording()
    assert path.stat().st_size > 50_000
    with open_page() as page:
        changed_model(page, limits={"max_body_mb": 0.05, "max_duration_s": 90})
        expect(page.locator("#formats")).to_contain_text("up to 1.5 minutes and 0.1 MB")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.locator("#file").set_input_files(path)
        expect(page.get_by_role("alert")).to_contain_text("The file is too large.")
        assert [url for url in asked if "predict" in url] == []


def test_the_page_says_what_the_model_is(open_page: OpenPage):
    with open_page() as page:
        about = page.get_by_role("region", name="What it knows")
        assert about.get_by_role("listitem").all_inner_texts() == ["blues", "disco", "metal"]
        expect(about).to_contain_text("hears 1.3 s at a time")
        expect(page.locator("#model-line")).to_have_text("Music genre classifier, version 7")
        expect(page.locator("#formats")).to_contain_text("up to 10 minutes and 128 MB")
        expect(page.get_by_text("Trained on generated demo music.")).to_be_visible()
        changed_model(page, synthetic=False)
        expect(page.get_by_text("Trained on generated demo music.")).to_be_hidden()


def test_where_it_is_not_sure_it_says_none_of_these(open_page: OpenPage, recording: Recording):
    with open_page() as page:
        choose(page, recording(gain=3.0), says="none of these")
        expect(page.locator("#share")).to_be_empty()
        expect(page.locator("#guess")).to_have_text(
            f"best guess disco, {page.locator('#bars .n').first.inner_text()}"
        )
        warnings = page.get_by_role("list", name="Warnings").get_by_role("listitem")
        expect(warnings.first).to_contain_text("it may be none of the genres")
        expect(page.get_by_role("status")).to_contain_text("none of these: best guess disco")
        expect(page.get_by_role("status")).to_contain_text("1 warning.")
        choose(page, recording("sure.wav"))
        expect(page.get_by_role("list", name="Warnings")).to_be_hidden()


def test_a_format_that_the_browser_does_not_know_is_answered_without_pictures(
    open_page: OpenPage, recording: Recording
):
    with open_page() as page:
        choose(page, recording("clip.wav"))
        choose(page, recording("clip.au"))
        expect(page.get_by_text("This browser cannot play or draw this format.")).to_be_visible()
        for gone in ("#audio", "#pictures", "#seek"):
            expect(page.locator(gone)).to_be_hidden()
        expect(page.locator("#strip")).to_be_visible()
        page.get_by_text("The timeline in words").click()
        expect(page.locator("#row-list tr")).to_have_count(3)
        expect(page.locator("#row-list button")).to_have_count(0)
        choose(page, recording("again.wav"))
        expect(page.locator("#note")).to_be_hidden()
        expect(page.locator("#pictures")).to_be_visible()


def test_an_answer_waits_for_no_picture_and_a_late_picture_is_of_no_other_recording(
    open_page: OpenPage, recording: Recording
):
    slow = """
    const decode = OfflineAudioContext.prototype.decodeAudioData;
    window.decoded = 0;
    OfflineAudioContext.prototype.decodeAudioData = async function (bytes) {
      const made = await decode.call(this, bytes);
      await new Promise(resolve => setTimeout(resolve, 2500));
      window.decoded += 1;
      return made;
    };"""
    with open_page(script=slow) as page:
        choose(page, recording("clip.wav"))
        assert page.evaluate("decoded") == 0
        expect(page.locator("#pictures")).to_be_hidden()
        choose(page, recording("clip.au"))
        until(page, "decoded === 1")
        page.wait_for_timeout(300)
        expect(page.locator("#pictures")).to_be_hidden()
        choose(page, recording("clip.flac"))
        until(page, "decoded === 2")
        expect(page.locator("#pictures")).to_be_visible()


def test_cancel_ends_the_request_and_leaves_the_page_as_it_was(
    open_page: OpenPage, recording: Recording
):
    with open_page(may_be_refused=True) as page:
        page.route("**/predict", lambda route: None, times=1)
        page.locator("#file").set_input_files(recording())
        with page.expect_event("requestfailed", lambda request: "predict" in request.url):
            page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#result")).to_be_hidden()
        expect(page.get_by_role("status")).to_have_text("Cancelled.")
        expect(page.get_by_label("Choose a recording")).to_be_focused()
        expect(page.get_by_role("alert")).to_be_empty()
        choose(page, recording())


def test_the_last_recording_wins(open_page: OpenPage, server: Server, recording: Recording):
    first = recording("loud.wav", gain=3.0)
    answer = ask(server.url, first)
    assert answer["decision"] == "none of these"
    with open_page(may_be_refused=True) as page:
        held: list[Route] = []
        page.route("**/predict", lambda route: held.append(route), times=1)
        page.locator("#file").set_input_files(first)
        expect(page.locator("#busy")).to_be_visible()
        expect(page.locator("#scale span")).to_have_count(3)
        choose(page, recording("second.wav", duration_s=5.0))
        # The answer to the first comes late.
        held[0].fulfill(json=answer)
        page.wait_for_timeout(300)
        expect(page.locator("#decision")).to_have_text("disco")
        expect(page.locator("#what")).to_have_text("second.wav, 0:05")
        assert page.locator("#audio").evaluate("audio => audio.duration") == pytest.approx(5.0)
        expect(page.get_by_role("alert")).to_be_empty()


def test_a_service_that_asks_for_a_key_gets_it(
    open_page: OpenPage, locked_server: Server, recording: Recording
):
    with open_page(url=locked_server.url, may_be_refused=True) as page:
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("This service asks for an API key.")
        key = page.get_by_label("API key")
        page.locator("#file").set_input_files(recording())
        expect(alert).to_contain_text("This service asks for an API key.")
        expect(page.locator("#busy")).to_be_hidden()
        key.fill("a wrong one")
        key.press("Enter")
        expect(alert).to_contain_text("The service does not know this API key.")
        expect(page.locator("#busy")).to_be_hidden()
        key.fill(KEY)
        page.get_by_role("button", name="Use this key").click()
        # The recording that was refused is sent again.
        expect(page.locator("#decision")).to_have_text("disco")
        expect(page.locator("#about")).to_be_visible()
        expect(key).to_be_hidden()
        assert KEY not in page.content()
        page.reload()
        expect(page.locator("#about")).to_be_visible()
        expect(alert).to_be_empty()
