// Streaming change of the sampling rate by a windowed sinc, for microphones that do not run at 16 kHz.

const ZEROS = 16; // of the sinc on each side, at the lower of both rates
const EDGE = 0.92; // cut-off, as a share of the lower Nyquist frequency

/** Samples at one rate to samples at another; the delay is ZEROS samples of the lower rate. */
export class Resampler {
  /** @param {number} from - Hz. @param {number} to - Hz. */
  constructor(from, to) {
    this.step = from / to; // input samples between two output samples
    this.cut = EDGE * Math.min(1, to / from);
    this.reach = Math.ceil(ZEROS * Math.max(1, this.step));
    this.held = new Float32Array(this.reach); // input that is still needed, silence at first
    this.next = 0; // place of the next output sample from this.held[reach] on
  }

  /** @param {Float32Array} samples - any number. @returns {Float32Array} those that they make known. */
  push(samples) {
    const input = new Float32Array(this.held.length + samples.length);
    input.set(this.held);
    input.set(samples, this.held.length);
    const made = [];
    let place = this.next;
    for (; place + 2 * this.reach < input.length; place += this.step) made.push(this.at(input, place + this.reach));
    const done = Math.floor(place);
    this.held = input.slice(done);
    this.next = place - done;
    return Float32Array.from(made);
  }

  /** @private The input at a place between its samples. */
  at(input, place) {
    let sum = 0;
    for (let i = Math.floor(place) - this.reach + 1; i <= Math.floor(place) + this.reach; i++) {
      const x = place - i;
      const window = Math.abs(x) < this.reach ? 0.5 + 0.5 * Math.cos((Math.PI * x) / this.reach) : 0;
      const angle = Math.PI * this.cut * x;
      sum += (input[i] ?? 0) * window * this.cut * (x === 0 ? 1 : Math.sin(angle) / angle);
    }
    return sum;
  }
}
