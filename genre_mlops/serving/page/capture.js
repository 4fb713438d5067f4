// Runs beside the page, in the audio thread: hands the microphone's samples over, some at a time.

const SAMPLES = 2048;

class Capture extends AudioWorkletProcessor {
  held = new Float32Array(SAMPLES);
  nHeld = 0;

  process([[channel]]) {
    if (channel) {
      this.held.set(channel, this.nHeld);
      this.nHeld += channel.length;
    }
    if (this.nHeld + 128 > SAMPLES) {
      this.port.postMessage(this.held.slice(0, this.nHeld));
      this.nHeld = 0;
    }
    return true;
  }
}

registerProcessor("capture", Capture);
