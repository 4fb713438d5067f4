// What spectrogram.js computes, drawn in the colours of page.css.

import { N_MELS } from "./spectrogram.js";

const RANGE_DB = 75; // below the loudest, drawn

const styleOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function fitted(canvas) {
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * devicePixelRatio));
  return canvas.getContext("2d");
}

/** Draw the outline of the wave, as high as the canvas. */
export function drawWave(canvas, { nColumns, low, high }) {
  const context = fitted(canvas);
  const { width, height } = canvas;
  const most = Math.max(...high, ...low.map((x) => -x), 1e-3);
  const y = (x) => (height / 2) * (1 - (0.96 * x) / most);
  context.fillStyle = styleOf("--wave");
  for (let x = 0; x < width; x++) {
    // A pixel shows every column that falls into it.
    const from = Math.min(nColumns - 1, Math.floor((x * nColumns) / width));
    const to = Math.max(from + 1, Math.ceil(((x + 1) * nColumns) / width));
    const top = y(Math.max(...high.subarray(from, to)));
    context.fillRect(
      x,
      top,
      1,
      Math.max(devicePixelRatio, y(Math.min(...low.subarray(from, to))) - top),
    );
  }
}

/** Draw the log-mel spectrogram, low bands below, in the colours of the page. */
export function drawSpectrogram(canvas, { nColumns, S_db }) {
  const colours = ramp([0, 1, 2, 3, 4].map((i) => styleOf(`--s${i}`)));
  const loudest = S_db.reduce((a, b) => Math.max(a, b));
  const image = new ImageData(nColumns, N_MELS);
  const pixels = new Uint32Array(image.data.buffer);
  for (let column = 0; column < nColumns; column++) {
    for (let band = 0; band < N_MELS; band++) {
      const level = 1 + (S_db[column * N_MELS + band] - loudest) / RANGE_DB;
      const shade = Math.round(255 * Math.min(1, Math.max(0, level)));
      pixels[(N_MELS - 1 - band) * nColumns + column] = colours[shade];
    }
  }
  const small = new OffscreenCanvas(nColumns, N_MELS);
  small.getContext("2d").putImageData(image, 0, 0);
  const context = fitted(canvas);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

/** 256 colours between the given ones ("#rrggbb"), as pixels of an image. */
function ramp(stops) {
  const rgb = stops.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  const pixels = new Uint8Array(4 * 256);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (rgb.length - 1);
    const k = Math.min(rgb.length - 2, Math.floor(place));
    for (let c = 0; c < 3; c++)
      pixels[4 * i + c] = rgb[k][c] + (place - k) * (rgb[k + 1][c] - rgb[k][c]);
    pixels[4 * i + 3] = 255;
  }
  return new Uint32Array(pixels.buffer);
}
