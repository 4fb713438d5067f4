// Samples to what is drawn: the outline of the wave, and the log-mel spectrogram.

export const SR = 22050; // Hz
export const N_FFT = 2048;
export const N_MELS = 96;
export const FLOOR_DB = -100;
const MOST_COLUMNS = 1200;
const LEAST_HOP = 256; // samples
const FRAMES_A_COLUMN = 4; // at most, spread over a column of a long recording
const WORK_MS = 12; // at a stretch, before the page may do something else

/** Lets the page do something else now and then, and ends what nobody waits for any more. */
class Breather {
  constructor(signal) {
    this.signal = signal;
    this.since = performance.now();
  }

  async pause() {
    if (performance.now() - this.since < WORK_MS) return;
    await new Promise((resolve) => setTimeout(resolve));
    this.signal.throwIfAborted();
    this.since = performance.now();
  }
}

/** Decode a file, mixed to mono at `SR`; null where the browser knows no way to. */
export async function decode(bytes, signal) {
  let decoded;
  try {
    decoded = await new OfflineAudioContext(1, 1, SR).decodeAudioData(bytes);
  } catch {
    return null;
  }
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, c) =>
    decoded.getChannelData(c),
  );
  if (channels.length === 1) return channels[0];
  const breather = new Breather(signal);
  const y = new Float32Array(decoded.length);
  for (let begin = 0; begin < y.length; begin += SR) {
    const end = Math.min(begin + SR, y.length);
    for (const channel of channels) {
      for (let i = begin; i < end; i++) y[i] += channel[i] / channels.length;
    }
    await breather.pause();
  }
  return y;
}

/** Compute what is drawn of `y`, a stretch at a time. `signal` ends it early. */
export async function picture(y, signal) {
  const nColumns = Math.max(1, Math.min(MOST_COLUMNS, Math.floor(y.length / LEAST_HOP)));
  const width = y.length / nColumns; // samples a column
  const nFrames = Math.min(FRAMES_A_COLUMN, Math.max(1, Math.round(width / N_FFT)));
  const mel = new LogMel();
  const made = {
    nColumns,
    low: new Float32Array(nColumns),
    high: new Float32Array(nColumns),
    S_db: new Float32Array(nColumns * N_MELS), // column by column, low bands first
  };
  const breather = new Breather(signal);
  for (let c = 0; c < nColumns; c++) {
    const [begin, end] = [Math.floor(c * width), Math.floor((c + 1) * width)];
    for (let i = begin; i < end; i++) {
      made.low[c] = Math.min(made.low[c], y[i]);
      made.high[c] = Math.max(made.high[c], y[i]);
    }
    const centres = Array.from({ length: nFrames }, (_, f) => (c + (f + 0.5) / nFrames) * width);
    made.S_db.set(mel.of(y, centres), c * N_MELS);
    await breather.pause();
  }
  return made;
}

// Slaney's mel scale, as in librosa: linear below 1 kHz, logarithmic above.
const HZ_A_MEL = 200 / 3;
const BREAK_HZ = 1000;
const LOG_STEP = Math.log(6.4) / 27;
const melOf = (hz) =>
  hz < BREAK_HZ ? hz / HZ_A_MEL : BREAK_HZ / HZ_A_MEL + Math.log(hz / BREAK_HZ) / LOG_STEP;
const hzOf = (mel) =>
  mel < BREAK_HZ / HZ_A_MEL
    ? mel * HZ_A_MEL
    : BREAK_HZ * Math.exp(LOG_STEP * (mel - BREAK_HZ / HZ_A_MEL));

/** How far up the picture a frequency is, from 0 to 1. */
export const heightOf = (hz) => melOf(hz) / melOf(SR / 2);

/** One column of the log-mel spectrogram, as the service computes it. */
class LogMel {
  window = Float64Array.from(
    { length: N_FFT },
    // Periodic Hann; a sine of full scale has the power 1 in its bin.
    (_, i) => (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / N_FFT)) / (N_FFT / 4),
  );
  filters = melFilters();
  fourier = new Fourier(N_FFT);
  re = new Float64Array(N_FFT);
  im = new Float64Array(N_FFT);
  power = new Float64Array(1 + N_FFT / 2);

  /** Return the mean over frames around these samples, in dB relative to full scale. */
  of(y, centres) {
    this.power.fill(0);
    for (const centre of centres) {
      const begin = Math.floor(centre) - N_FFT / 2;
      for (let i = 0; i < N_FFT; i++) this.re[i] = this.window[i] * (y[begin + i] ?? 0);
      this.im.fill(0);
      this.fourier.transform(this.re, this.im);
      for (let k = 0; k < this.power.length; k++) {
        this.power[k] += (this.re[k] ** 2 + this.im[k] ** 2) / centres.length;
      }
    }
    return Float32Array.from(this.filters, ({ first, weights }) => {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * this.power[first + k];
      return Math.max(FLOOR_DB, 10 * Math.log10(sum));
    });
  }
}

/** Slaney-normalised triangles: for each band, its first bin and the weights from there on. */
function melFilters() {
  const top = melOf(SR / 2);
  const corners = Array.from({ length: N_MELS + 2 }, (_, i) => hzOf((top * i) / (N_MELS + 1)));
  return Array.from({ length: N_MELS }, (_, band) => {
    const [left, centre, right] = corners.slice(band, band + 3);
    const weights = [];
    const first = Math.ceil((left * N_FFT) / SR);
    for (let hz = (first * SR) / N_FFT; hz < right; hz += SR / N_FFT) {
      const slope = Math.min((hz - left) / (centre - left), (right - hz) / (right - centre));
      weights.push((slope * 2) / (right - left));
    }
    return { first, weights };
  });
}

/** The fast Fourier transform of a power of two, in place. */
class Fourier {
  constructor(size) {
    const turn = (i) => (2 * Math.PI * i) / size;
    this.cos = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos(turn(i)));
    this.sin = Float64Array.from({ length: size / 2 }, (_, i) => Math.sin(turn(i)));
    this.mirrored = new Uint32Array(size);
    for (let i = 1; i < size; i++) {
      this.mirrored[i] = (this.mirrored[i >> 1] >> 1) | (i & 1 ? size >> 1 : 0);
    }
  }

  transform(re, im) {
    const size = re.length;
    for (let i = 0; i < size; i++) {
      const j = this.mirrored[i];
      if (i < j) [re[i], re[j], im[i], im[j]] = [re[j], re[i], im[j], im[i]];
    }
    for (let half = 1; half < size; half *= 2) {
      const step = size / (2 * half);
      for (let begin = 0; begin < size; begin += 2 * half) {
        for (let k = 0; k < half; k++) {
          const [cos, sin] = [this.cos[k * step], this.sin[k * step]];
          const [a, b] = [begin + k, begin + k + half];
          const real = re[b] * cos + im[b] * sin;
          const imaginary = im[b] * cos - re[b] * sin;
          re[b] = re[a] - real;
          im[b] = im[a] - imaginary;
          re[a] += real;
          im[a] += imaginary;
        }
      }
    }
  }
}
