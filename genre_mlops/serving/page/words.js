// Numbers and times as the page says them.

/** Say a probability: never 0 or 100 where it is not. */
export const percent = (p) => {
  if (p > 0 && p < 0.005) return "<1 %";
  return p < 1 && p >= 0.995 ? ">99 %" : `${Math.round(100 * p)} %`;
};

/** Say a position: "1:05", "1:00:05". */
export function clock(seconds) {
  const s = Math.floor(seconds + 1e-6);
  const two = (n) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

/** Say it with tenths: "1:05.3". */
export function exactClock(seconds) {
  const tenths = Math.round(10 * seconds);
  return `${clock(Math.floor(tenths / 10))}.${tenths % 10}`;
}

export const number = (x) => String(Math.round(10 * x) / 10);

/** Say a time span: "45 s", "10 minutes". */
export function span(seconds) {
  const s = Math.ceil(seconds);
  if (s < 60) return `${s} s`;
  return s === 60 ? "1 minute" : `${number(s / 60)} minutes`;
}
