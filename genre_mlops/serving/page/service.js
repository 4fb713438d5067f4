// What the page asks of the service, and what it says where there is no answer.

import { number, span } from "./words.js";

const KEY = "genre-api-key";
const FORMATS = "wav, flac, mp3, ogg (Vorbis, Opus), au and aiff";

/** What went wrong, in words, and whether to try again or with a key. */
export class Trouble extends Error {
  constructor({ title, detail = "", advice = "", again = false, needsKey = false }) {
    super(title);
    Object.assign(this, { title, detail, advice, again, needsKey });
  }
}

export function keepKey(key) {
  sessionStorage.setItem(KEY, key);
}

function keyHeader() {
  const key = sessionStorage.getItem(KEY);
  return key ? { "X-API-Key": key } : {};
}

/** Ask what the model is. */
export async function about() {
  let response;
  try {
    response = await fetch("model", { headers: keyHeader() });
  } catch {
    throw troubleOf(0, {});
  }
  if (!response.ok) throw troubleOf(response.status, {});
  return response.json();
}

/** Send a recording; `onSent` is called with the share that is sent. */
export function predict(recording, { limits, signal, onSent }) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append("timeline", "true");
    // What the file is called here is nobody's business there.
    form.append("audio", recording, "recording");
    // `fetch` does not say how much is sent.
    const request = new XMLHttpRequest();
    request.open("POST", "predict");
    for (const [name, value] of Object.entries(keyHeader())) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => onSent(total ? loaded / total : 1);
    request.upload.onload = () => onSent(1);
    request.onload = () => {
      const said = parsed(request.responseText);
      const wait_s = Number(request.getResponseHeader("Retry-After"));
      if (request.status === 200 && said.probabilities) resolve(said);
      else reject(troubleOf(request.status, said, { limits, wait_s }));
    };
    request.onerror = () => reject(troubleOf(0, {}));
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

/** What is too large to be sent at all: a service that refuses it would only hang up. */
export function tooLarge(limits) {
  return troubleOf(413, {}, { limits });
}

const SOON = "Try again in a moment.";

function troubleOf(status, problem, { limits = {}, wait_s = 0 } = {}) {
  const detail = typeof problem.detail === "string" ? sentence(problem.detail) : "";
  switch (status) {
    case 0:
      return new Trouble({
        title: "The service cannot be reached.",
        advice: "Check the connection, then try again.",
        again: true,
      });
    case 400:
      return new Trouble({ title: "The service did not understand the request.", detail });
    case 401:
    case 403:
      return new Trouble({
        title: sessionStorage.getItem(KEY)
          ? "The service does not know this API key."
          : "This service asks for an API key.",
        advice: "Whoever runs the service gives them out.",
        needsKey: true,
      });
    case 408:
      return new Trouble({
        title: "Sending took too long.",
        detail,
        advice: "Try again, or give it a shorter excerpt.",
        again: true,
      });
    case 413: {
      const most = limits.max_body_mb
        ? `Files up to ${number(limits.max_body_mb)} MB are taken. `
        : "";
      return new Trouble({
        title: "The file is too large.",
        advice: `${most}A shorter excerpt will do, or the same recording as mp3 or ogg.`,
      });
    }
    case 415:
    case 422: {
      const most = limits.max_duration_s ? `, up to ${span(limits.max_duration_s)} long` : "";
      return new Trouble({
        title: "This file cannot be classified.",
        detail,
        advice: `What can be read is ${FORMATS}${most}.`,
      });
    }
    case 429:
      return new Trouble({
        title: "The service is busy.",
        advice: wait_s > 0 ? `Try again in ${span(wait_s)}.` : SOON,
        again: true,
      });
    case 502:
    case 503:
      return new Trouble({
        title: "The service is not ready.",
        detail,
        advice: wait_s > 0 ? `Try again in ${span(wait_s)}.` : SOON,
        again: true,
      });
    case 504:
      return new Trouble({
        title: "The answer took too long.",
        detail,
        advice: "Try again, or give it a shorter excerpt.",
        again: true,
      });
    default:
      return new Trouble({
        title: "Something went wrong in the service.",
        detail,
        advice: "Try again. If it happens again, tell whoever runs the service.",
        again: true,
      });
  }
}

function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
