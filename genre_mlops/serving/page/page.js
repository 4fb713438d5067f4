// What the page does: a recording in, chosen, dropped or recorded; its genres out.

import { element } from "./elements.js";
import { load, showPicture, showTimeline, unload } from "./player.js";
import { startRecording } from "./recorder.js";
import { Trouble, about, keepKey, predict, tooLarge } from "./service.js";
import { SR, decode, picture } from "./spectrogram.js";
import { classOf, colour, showVerdict } from "./verdict.js";
import { clock, number, span } from "./words.js";

const LONGEST_RECORDING_S = 60;
const HUSH_S = 3; // after which a silent microphone is spoken of
const HUSH_PEAK = 0.003;
const FORM_BYTES = 1000; // around the file in a request, at most
// What is longer is neither drawn, which takes memory, nor taken by the service.
const LONGEST_DRAWN_S = 1200;
const PATIENCE_MS = 2000; // with the player

const $ = (id) => document.getElementById(id);
const hints = { hush: $("hush").textContent, formats: $("formats").textContent };

let limits = {};
let work = null; // AbortController of the last recording, also when it is answered and still drawn
let recording = null; // of the microphone
let last = null; // the recording to try again with

const tell = (text) => {
  $("status").textContent = text;
};

// --- one recording ---------------------------------------------------------------------------

async function classify(file) {
  work?.abort();
  const mine = (work = new AbortController());
  const { signal } = mine;
  last = file;
  settle();
  unload();
  $("result").hidden = true;
  $("verdict").hidden = true;
  show("busy");
  try {
    if (limits.max_body_mb && file.size + FORM_BYTES > limits.max_body_mb * 1e6)
      throw tooLarge(limits);
    sending(file, 0);
    lookAt(file, signal);
    const answer = await predict(file, { limits, signal, onSent: (share) => sending(file, share) });
    if (signal.aborted) return;
    show("ways");
    present(answer);
  } catch (error) {
    if (signal.aborted) return;
    mine.abort(); // ends the drawing
    unload();
    $("result").hidden = true;
    complain(error);
  } finally {
    if (work === mine) show("ways");
  }
}

/** Show the recording itself, as far as this browser can. */
async function lookAt(file, signal) {
  $("what").textContent = file.name;
  $("note").hidden = true;
  $("result").hidden = false;
  try {
    // Some browsers wait until somebody presses play.
    const patience = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
    const length_s = await Promise.race([load(file), patience]);
    signal.throwIfAborted();
    const y = length_s > LONGEST_DRAWN_S ? null : await decode(await file.arrayBuffer(), signal);
    signal.throwIfAborted();
    if (y?.length) {
      const made = await picture(y, signal);
      signal.throwIfAborted();
      showPicture(made, y.length / SR);
      return;
    }
    const what = length_s === null ? "play or draw this format" : "draw this recording";
    remark(`This browser cannot ${what}. The service reads it by itself.`);
  } catch {
    // Ended early, or a file that went away: then sending it fails too.
  }
}

function remark(text) {
  $("note").textContent = text;
  $("note").hidden = false;
}

function sending(file, share) {
  const text = share < 1 ? `Sending ${file.name}` : "Listening …";
  if ($("doing").textContent !== text) {
    $("doing").textContent = text;
    tell(text);
  }
  if (share < 1) $("progress").value = share;
  else $("progress").removeAttribute("value");
}

function present(answer) {
  $("what").textContent = `${last.name}, ${clock(answer.duration_s)}`;
  $("synthetic").hidden = !answer.synthetic;
  tell(showVerdict(answer));
  $("result").hidden = false;
  showTimeline(answer, classOf);
  if ($("verdict").getBoundingClientRect().bottom > innerHeight) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    $("result").scrollIntoView({ behavior: still ? "auto" : "smooth" });
  }
}

// --- what is shown ---------------------------------------------------------------------------

/** Show one of: the ways in, the recorder, what is under way. Keep the focus where there is one. */
function show(which) {
  const leaving = ["ways", "recorder", "busy"].some(
    (id) => id !== which && $(id).contains(document.activeElement),
  );
  for (const id of ["ways", "recorder", "busy"]) $(id).hidden = id !== which;
  if (leaving)
    $({ ways: "file", recorder: "stop", busy: "cancel" }[which]).focus({ preventScroll: true });
}

function settle() {
  $("trouble").replaceChildren();
  $("trouble").className = "";
  $("key-form").hidden = true;
  tell("");
}

function complain(error) {
  const trouble =
    error instanceof Trouble
      ? error
      : new Trouble({
          title: "Something went wrong in this page.",
          advice: "Reload it and try again.",
        });
  const parts = [element("h2", { text: trouble.title })];
  for (const text of [trouble.detail, trouble.advice]) if (text) parts.push(element("p", { text }));
  if (trouble.again && last) {
    const again = element("button", { text: "Try again", className: "button" });
    again.type = "button";
    again.onclick = () => classify(last);
    parts.push(again);
  }
  $("trouble").className = "trouble";
  $("trouble").replaceChildren(...parts);
  $("key-form").hidden = !trouble.needsKey;
  $("trouble").scrollIntoView({ block: "nearest" });
}

// --- ways in ---------------------------------------------------------------------------------

$("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  target.value = ""; // The same file may be chosen again.
  if (file) classify(file);
});

$("cancel").addEventListener("click", () => {
  work?.abort();
  unload();
  $("result").hidden = true;
  show("ways");
  tell("Cancelled.");
});

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
const dragging = (is) => document.documentElement.classList.toggle("dragging", is);

addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault(); // or the browser opens the file
  dragging(true);
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) dragging(false);
});
addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  dragging(false);
  if (recording) return;
  const [item] = event.dataTransfer.items;
  if (item?.webkitGetAsEntry?.()?.isDirectory) {
    settle();
    complain(new Trouble({ title: "This is a folder.", advice: "Drop one recording." }));
    return;
  }
  classify(event.dataTransfer.files[0]);
});

$("record").addEventListener("click", async () => {
  settle();
  tell("Waiting for the microphone …");
  $("record").disabled = true;
  try {
    recording = await startRecording({ onLevel });
    work?.abort();
    unload();
    $("result").hidden = true;
    $("elapsed").textContent = clock(0);
    heard = false;
    show("recorder");
    $("stop").focus();
    tell("Recording.");
  } catch (error) {
    tell("");
    complain(error);
  } finally {
    $("record").disabled = false;
  }
});

let heard = false;
let level = 0;

function onLevel({ peak, elapsed_s }) {
  if (!recording) return;
  // From -60 dBFS to full scale; up at once, down slowly.
  level = Math.min(1, Math.max(0.9 * level, 1 + (20 * Math.log10(peak + 1e-9)) / 60));
  $("level-fill").style.transform = `scaleX(${level})`;
  $("level").ariaValueNow = String(Math.round(100 * level));
  $("elapsed").textContent = clock(elapsed_s);
  heard ||= peak > HUSH_PEAK;
  const hint =
    !heard && elapsed_s > HUSH_S
      ? "Hardly any sound comes in: is it the right microphone?"
      : hints.hush;
  if ($("hush").textContent !== hint) {
    $("hush").textContent = hint;
    tell(hint);
  }
  if (elapsed_s >= LONGEST_RECORDING_S) $("stop").click();
}

$("stop").addEventListener("click", () => {
  const file = recording.stop();
  recording = null;
  classify(file);
});

$("discard").addEventListener("click", () => {
  recording.discard();
  recording = null;
  show("ways");
  $("record").focus();
  tell("Discarded.");
});

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepKey($("key").value.trim());
  $("key").value = "";
  settle();
  introduce();
  if (last) classify(last);
});

// --- what it knows ---------------------------------------------------------------------------

async function introduce() {
  let model;
  try {
    model = await about();
  } catch (error) {
    if (error.needsKey) complain(error);
    return;
  }
  colour(model.genres);
  limits = model.limits ?? {};
  $("model-line").textContent = `Music genre classifier, version ${model.model.version}`;
  $("synthetic").hidden = !model.synthetic;
  $("genres").replaceChildren(
    ...model.genres.map((genre) => element("li", { text: genre, className: classOf(genre) })),
  );
  const most = [];
  if (limits.max_duration_s) most.push(`up to ${span(limits.max_duration_s)}`);
  if (limits.max_body_mb)
    most.push(`${most.length ? "" : "up to "}${number(limits.max_body_mb)} MB`);
  if (most.length) $("formats").textContent = `${hints.formats}, ${most.join(" and ")}`;
  $("facts").textContent =
    `The network hears ${number(model.segment_s)} s at a time. Model ${model.model.tag}.`;
  $("about").hidden = false;
}

$("longest").textContent = clock(LONGEST_RECORDING_S);
unload();
introduce();
