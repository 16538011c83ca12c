// The sound card's end of the stream: plays what the worker sends, and says how far it is.

const START = 1280; // samples that wait before playing begins, and again after a gap
const REPORT = 256; // samples between two reports

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunks = []; // { decoded, original }, Float32Arrays of equal length, 16 kHz
    this.place = 0; // in the first chunk
    this.waiting = 0; // samples
    this.playing = false;
    this.original = false;
    this.played = 0;
    this.gaps = 0;
    this.port.onmessage = ({ data }) => {
      if (data.ended) this.ended = true;
      if ("original" in data) this.original = data.original;
      if (data.worker) {
        this.worker = data.worker;
        this.worker.onmessage = ({ data: chunk }) => {
          this.chunks.push(chunk);
          this.waiting += chunk.decoded.length;
        };
      }
    };
  }

  process(inputs, [[output]]) {
    if (this.waiting >= START) this.playing = true;
    for (let i = 0; i < output.length && this.playing; i++) {
      if (!this.waiting) {
        this.playing = false;
        this.gaps++;
        break;
      }
      const { decoded, original } = this.chunks[0];
      output[i] = (this.original ? original : decoded)[this.place++];
      this.waiting--;
      this.played++;
      if (this.place === decoded.length) {
        this.chunks.shift();
        this.place = 0;
      }
    }
    this.since = (this.since ?? REPORT) + output.length;
    if (this.worker && this.since >= REPORT) {
      this.since = 0;
      this.worker.postMessage({ played: this.played, gaps: this.gaps });
    }
    return !this.ended;
  }
}

registerProcessor("player", Player);
