// What the model says of the whole recording.

import { element } from "./elements.js";
import { percent } from "./words.js";

const MOST_BARS = 10;
const HUES = 10; // in page.css
const $ = (id) => document.getElementById(id);

let genres = []; // in the model's order, which gives them their colours

/** Give the genres of a model their colours. */
export function colour(named) {
  genres = [...named];
}

/** The class that has a genre's colour. */
export function classOf(genre) {
  if (!genres.includes(genre)) genres.push(genre);
  return `g${genres.indexOf(genre) % HUES}`;
}

/** Show it; return it as a sentence. */
export function showVerdict({ decision, sure, probabilities, warnings }) {
  const [first, second] = probabilities;
  const said = ({ genre, probability }) => `${genre}, ${percent(probability)}`;
  const guess = sure ? second && `followed by ${said(second)}` : `best guess ${said(first)}`;
  $("decision").textContent = decision;
  $("share").textContent = sure ? percent(first.probability) : "";
  $("guess").textContent = guess ?? "";
  $("warnings").replaceChildren(...warnings.map((text) => element("li", { text })));
  $("warnings").hidden = !warnings.length;
  $("bars").replaceChildren(...bars(probabilities));
  $("verdict").hidden = false;
  const n = warnings.length;
  const warned = n ? ` ${n} ${n === 1 ? "warning" : "warnings"}.` : "";
  return `${sure ? said(first) : `${decision}: ${guess}`}.${warned}`;
}

function bars(probabilities) {
  const items = probabilities.slice(0, MOST_BARS).map(({ genre, probability }) => {
    const bar = element("div", { className: "bar" });
    bar.style.width = `${100 * probability}%`;
    const track = element("div", { className: "track", children: [bar] });
    track.ariaHidden = "true";
    const parts = [
      element("span", { text: genre }),
      track,
      element("span", { text: percent(probability), className: "n" }),
    ];
    return element("li", { className: classOf(genre), children: parts });
  });
  const rest = probabilities.slice(MOST_BARS);
  if (rest.length) {
    const sum = rest.reduce((total, { probability }) => total + probability, 0);
    const said = `${rest.length} ${rest.length === 1 ? "other" : "others"}`;
    const parts = [
      element("span", { text: said }),
      element("span"),
      element("span", { text: percent(sum), className: "n" }),
    ];
    items.push(element("li", { children: parts }));
  }
  return items;
}
