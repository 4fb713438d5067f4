// The player, and what is in step with it: waveform, log-mel picture, timeline, playhead.

import { drawSpectrogram, drawWave } from "./drawing.js";
import { element } from "./elements.js";
import { heightOf } from "./spectrogram.js";
import { clock, exactClock, percent } from "./words.js";

const MOST_LANES = 6;
const LEAST_LANES = 3;
const ROOM_PX = 60;
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);
const audio = $("audio");
const seek = $("seek");
const still = matchMedia("(prefers-reduced-motion: reduce)");

let picture = null; // as made by spectrogram.js
let rows = []; // of the timeline
let duration_s = 0;
let address = null;
let shown = -1; // the row that is marked

/** Load a recording into the player; return its length in seconds, or null if it cannot play it. */
export function load(file) {
  unload();
  address = URL.createObjectURL(file);
  audio.hidden = false;
  return new Promise((resolve) => {
    audio.onloadedmetadata = () => {
      audio.onerror = null; // A file that ends early is no reason to take the player away.
      resolve(audio.duration);
    };
    audio.onerror = () => {
      audio.hidden = seek.hidden = true;
      $("row-list").replaceChildren(...rows.map(tableRow));
      move();
      resolve(null);
    };
    audio.src = address;
  });
}

/** Forget the recording and what was drawn of it. */
export function unload() {
  audio.onerror = null;
  audio.pause();
  audio.removeAttribute("src");
  audio.load();
  if (address) URL.revokeObjectURL(address);
  [address, picture, rows, duration_s, shown] = [null, null, [], 0, -1];
  for (const id of ["strip", "lanes", "axis", "now", "row-list"]) $(id).replaceChildren();
  for (const id of ["stack", "pictures", "strip-row", "rows", "seek"]) $(id).hidden = true;
}

/** Show the waveform and the log-mel picture. */
export function showPicture(made, length_s) {
  picture = made;
  $("pictures").hidden = false;
  span(length_s);
  $("scale").replaceChildren(
    ...[
      ["8 kHz", 8000],
      ["2 kHz", 2000],
      ["500 Hz", 500],
    ].map(([text, hz]) => {
      const tick = element("span", { text });
      tick.style.top = `${100 * (1 - heightOf(hz))}%`;
      return tick;
    }),
  );
  draw();
}

/** Show what the network hears when: a lane a genre, and a table. */
export function showTimeline(answer, classOf) {
  rows = answer.timeline ?? [];
  if (!rows.length) return;
  span(answer.duration_s);
  $("strip").replaceChildren(...runs(classOf));
  $("strip-row").hidden = false;
  $("lanes").replaceChildren(...leading(answer).map((genre) => lane(genre, classOf(genre))));
  $("row-list").replaceChildren(...rows.map(tableRow));
  $("rows").hidden = false;
  fitRuns();
  shown = -1;
  move();
}

function span(length_s) {
  duration_s ||= length_s;
  $("stack").hidden = false;
  seek.hidden = audio.hidden;
  seek.ariaValueMax = duration_s.toFixed(1);
  axis();
  move();
}

/** The genres that get a lane: those that lead most often, then the most probable. */
function leading({ probabilities }) {
  const shares = new Map();
  rows.forEach(({ genre }, i) =>
    shares.set(genre, (shares.get(genre) ?? 0) + endOf(i) - rows[i].start_s),
  );
  const leaders = [...shares.keys()].sort((a, b) => shares.get(b) - shares.get(a));
  const others = probabilities.map(({ genre }) => genre).filter((genre) => !shares.has(genre));
  return [
    ...leaders.slice(0, MOST_LANES),
    ...others.slice(0, Math.max(0, LEAST_LANES - leaders.length)),
  ];
}

/** Where a row gives way to the next, which it may overlap. */
const endOf = (i) => rows[i + 1]?.start_s ?? duration_s;

/** Blocks of the strip: rows that follow each other with the same genre are one. */
function runs(classOf) {
  const begins = rows.map((_, i) => i).filter((i) => rows[i].genre !== rows[i - 1]?.genre);
  return begins.map((i, k) => {
    const { genre, start_s } = rows[i];
    const end_s = k + 1 < begins.length ? rows[begins[k + 1]].start_s : duration_s;
    const block = element("div", { text: genre, className: `run ${classOf(genre)}` });
    block.title = `${clock(start_s)} to ${clock(end_s)}: ${genre}`;
    block.style.left = `${(100 * start_s) / duration_s}%`;
    block.style.width = `${(100 * (end_s - start_s)) / duration_s}%`;
    return block;
  });
}

function lane(genre, className) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 1000 100");
  svg.setAttribute("preserveAspectRatio", "none");
  // Full where the genre is the most probable one, pale where it is not.
  for (const leads of [false, true]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", leads ? "leads" : "behind");
    path.setAttribute(
      "d",
      rows.map((row, i) => ((row.genre === genre) === leads ? step(row, i, genre) : "")).join(""),
    );
    svg.append(path);
  }
  const label = element("span", { text: genre, className: "label" });
  label.title = genre;
  return element("div", { className: `lane ${className}`, children: [label, svg] });
}

function step(row, i, genre) {
  const x = (s) => ((1000 * Math.min(s, duration_s)) / duration_s).toFixed(2);
  const top = 100 - Math.max(2, 100 * (row.probabilities[genre] ?? 0));
  return `M${x(row.start_s)} 100V${top.toFixed(1)}H${x(endOf(i))}V100Z`;
}

function tableRow(row) {
  const from = element("td");
  const begin = exactClock(row.start_s);
  if (audio.hidden) from.textContent = begin;
  else {
    const button = element("button", { text: begin });
    button.type = "button";
    button.ariaLabel = `Play from ${begin}`;
    button.onclick = () => {
      go(row.start_s);
      audio.play().catch(() => {});
    };
    from.append(button);
  }
  const share = element("td", { text: percent(row.probabilities[row.genre]), className: "n" });
  const cells = [
    from,
    element("td", { text: exactClock(row.end_s) }),
    element("td", { text: row.genre }),
    share,
  ];
  return element("tr", { children: cells });
}

function axis() {
  const width = $("axis").clientWidth;
  const most = Math.max(2, Math.floor(width / 80));
  const step_s =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((s) => duration_s / s <= most) ?? 1800;
  const ticks = [];
  // The last label stays clear of the edge.
  for (let s = 0; s === 0 || (s / duration_s) * width < width - 14; s += step_s) {
    const tick = element("span", { text: clock(s) });
    tick.style.left = `${(100 * s) / duration_s}%`;
    ticks.push(tick);
  }
  $("axis").replaceChildren(...ticks);
}

// --- in step ---------------------------------------------------------------------------------

function rowAt(seconds) {
  return rows.findLastIndex(({ start_s }) => start_s <= seconds + 0.01);
}

function move() {
  const at_s = audio.hidden ? 0 : Math.min(audio.currentTime, duration_s);
  $("playhead").style.left = `${duration_s ? (100 * at_s) / duration_s : 0}%`;
  const i = rowAt(at_s);
  const said = i < 0 ? "" : saying(rows[i]);
  // Told at each move where it stands still, and once a row while it plays.
  if (audio.paused || i !== shown) {
    seek.ariaValueNow = at_s.toFixed(1);
    seek.ariaValueText = `${clock(at_s)} of ${clock(duration_s)}${said && `: ${said}`}`;
  }
  const silent = i < 0 || audio.hidden;
  $("now").textContent = silent
    ? ""
    : `${clock(rows[i].start_s)} to ${clock(rows[i].end_s)}: ${said}`;
  if (i !== shown) {
    [...$("row-list").children].forEach((tr, k) => {
      tr.ariaCurrent = k === i ? "true" : null;
    });
  }
  shown = i;
}

function saying(row) {
  return `${row.genre} ${percent(row.probabilities[row.genre])}`;
}

function go(seconds) {
  audio.currentTime = Math.min(Math.max(0, seconds), duration_s);
  move();
}

function follow() {
  move();
  // Where motion is unwelcome, the player's own few steps a second are enough.
  if (!audio.paused && !still.matches) requestAnimationFrame(follow);
}

audio.addEventListener("play", follow);
for (const event of ["timeupdate", "seeked", "pause", "ended"]) audio.addEventListener(event, move);

function neighbour(direction) {
  const at_s = audio.currentTime;
  if (!rows.length) return at_s + 5 * direction;
  const starts = rows.map((row) => row.start_s);
  const next =
    direction > 0 ? starts.find((s) => s > at_s + 0.05) : starts.findLast((s) => s < at_s - 0.05);
  return next ?? (direction > 0 ? duration_s : 0);
}

const KEYS = {
  ArrowRight: () => go(neighbour(1)),
  ArrowUp: () => go(neighbour(1)),
  ArrowLeft: () => go(neighbour(-1)),
  ArrowDown: () => go(neighbour(-1)),
  PageUp: () => go(audio.currentTime + duration_s / 10),
  PageDown: () => go(audio.currentTime - duration_s / 10),
  Home: () => go(0),
  End: () => go(duration_s),
  " ": () => (audio.paused ? audio.play().catch(() => {}) : audio.pause()),
};

seek.addEventListener("keydown", (event) => {
  if (!(event.key in KEYS) || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  KEYS[event.key]();
});

function point(event) {
  const { left, width } = seek.getBoundingClientRect();
  go(((event.clientX - left) / width) * duration_s);
}

seek.addEventListener("pointerdown", (event) => {
  seek.setPointerCapture(event.pointerId);
  point(event);
});
seek.addEventListener("pointermove", (event) => {
  if (seek.hasPointerCapture(event.pointerId)) point(event);
});

// --- fitted to the page ----------------------------------------------------------------------

function draw() {
  if (!picture) return;
  drawWave($("waveform"), picture);
  drawSpectrogram($("spectrogram"), picture);
}

/** Where a block has room for neither its text nor a few letters of it, it goes without. */
function fitRuns() {
  for (const run of $("strip").children) {
    run.classList.remove("slim");
    run.classList.toggle("slim", run.clientWidth < Math.min(run.scrollWidth, ROOM_PX));
  }
}

new ResizeObserver(() => {
  if (duration_s) axis();
  fitRuns();
  draw();
}).observe($("stack"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
