// The microphone's end of the stream: hands its samples to the worker, at whatever rate the device has.

const BLOCK = 512; // samples

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK);
    this.filled = 0;
    this.port.onmessage = ({ data }) => (this.worker = data.worker);
  }

  process([[input]]) {
    for (const value of input ?? []) {
      this.block[this.filled++] = value;
      if (this.filled === BLOCK) {
        this.worker?.postMessage(this.block);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
