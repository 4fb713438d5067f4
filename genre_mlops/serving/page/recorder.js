// From the microphone to a wav file. What MediaRecorder would make (webm) the service cannot read.

import { Trouble } from "./service.js";

const REFUSED = {
  NotAllowedError: [
    "The microphone is not allowed.",
    "Allow it for this page in the browser's settings, or choose a file instead.",
  ],
  NotFoundError: ["No microphone is found.", "Connect one, or choose a file instead."],
  NotReadableError: [
    "The microphone cannot be used.",
    "Another program may be using it; close that one and try again, or choose a file instead.",
  ],
};

/** Ask for the microphone and record until `stop` or `discard` of what this returns. */
export async function startRecording({ onLevel }) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Trouble({
      title: "This browser gives no page from here a microphone.",
      advice:
        "Pages get one over https or from this machine itself (localhost). Choose a file instead.",
    });
  }
  let stream;
  try {
    // Made for speech, these would change music.
    const asItIs = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    stream = await navigator.mediaDevices.getUserMedia({ audio: asItIs });
  } catch (error) {
    const [title, advice] = REFUSED[error.name] ?? REFUSED.NotReadableError;
    throw new Trouble({ title, advice });
  }
  const context = new AudioContext();
  const blocks = [];
  let nSamples = 0;
  const close = () => {
    for (const track of stream.getTracks()) track.stop();
    context.close();
  };
  try {
    await context.resume();
    await context.audioWorklet.addModule(new URL("capture.js", import.meta.url));
    const mono = { channelCount: 1, channelCountMode: "explicit" };
    const node = new AudioWorkletNode(context, "capture", mono);
    node.port.onmessage = ({ data }) => {
      blocks.push(data);
      nSamples += data.length;
      onLevel({ peak: peakOf(data), elapsed_s: nSamples / context.sampleRate });
    };
    context.createMediaStreamSource(stream).connect(node);
    // It plays silence; what leads nowhere is not run by every browser.
    node.connect(context.destination);
  } catch {
    close();
    throw new Trouble({ title: "This browser cannot record.", advice: "Choose a file instead." });
  }
  return {
    discard: close,
    stop() {
      close();
      return wavFile(blocks, nSamples, context.sampleRate);
    },
  };
}

function peakOf(samples) {
  let peak = 0;
  for (const x of samples) peak = Math.max(peak, Math.abs(x));
  return peak;
}

/** Write mono samples as 16-bit PCM. */
export function wavFile(blocks, nSamples, sr) {
  const nHeader = 44;
  const view = new DataView(new ArrayBuffer(nHeader + 2 * nSamples));
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, nHeader - 8 + 2 * nSamples, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, sr, true);
  view.setUint32(28, 2 * sr, true); // bytes a second
  view.setUint16(32, 2, true); // bytes a frame
  view.setUint16(34, 16, true); // bits a sample
  text(36, "data");
  view.setUint32(40, 2 * nSamples, true);
  let at = nHeader;
  for (const block of blocks) {
    for (const x of block) {
      view.setInt16(at, Math.round(32767 * Math.min(1, Math.max(-1, x))), true);
      at += 2;
    }
  }
  return new File([view], "Recording from the microphone", { type: "audio/wav" });
}
