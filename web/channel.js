// Channels of complex symbols, seeded, one token at a time. The models are those of aether_lite.channels:
//   y = h x + w,  w ~ CN(0, N0),  N0 = 10^(-Es/N0 / 10) for symbols of mean power 1.
// Draws differ from those of Python for the same seed.

const SINUSOIDS = 32; // of a fading gain

/** Names that a link may carry, and what each does: Doppler frequency [Hz], share of erased tokens, noise. */
export const CHANNELS = {
  clean: { noise: false },
  awgn: { noise: true },
  fading1: { noise: true, dopplerHz: 1 },
  fading10: { noise: true, dopplerHz: 10 },
  erasures10: { noise: true, erased: 0.1 },
  erasures30: { noise: true, erased: 0.3 },
};

/** Uniform numbers in [0, 1) from a seed (mulberry32). */
export function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296;
  };
}

/** A channel; the receiver knows its gains and N0. */
export class Channel {
  /** @param {number} seed - the same seed and settings give the same noise. */
  constructor(seed) {
    this.draw = uniform(seed);
    this.time = 0; // s, of the next token
    // Clarke's spectrum by a sum of sinusoids, one from each slice of equal probability; E|h|^2 = 1.
    this.waves = Array.from({ length: SINUSOIDS }, (_, m) => ({
      shift: Math.cos((Math.PI * (m + this.draw())) / SINUSOIDS), // of the Doppler frequency
      phase: 2 * Math.PI * this.draw(),
    }));
  }

  /**
   * @param {Float32Array} token - I and Q of its symbols.
   * @param {string} name - one of CHANNELS.
   * @param {number} snrDb - mean Es/N0.
   * @param {number} seconds - duration of a token; its symbols are sent one after another.
   * @returns {{values: ?Float32Array, gain: ?Float32Array, noiseVariance: number}} what the decoder takes.
   */
  send(token, name, snrDb, seconds) {
    const { noise, dopplerHz, erased = 0 } = CHANNELS[name];
    const start = this.time;
    this.time += seconds;
    if (!noise) return { values: token, gain: null, noiseVariance: NaN };
    const noiseVariance = 10 ** (-snrDb / 10);
    if (erased && this.draw() < erased) return { values: null, gain: null, noiseVariance };
    const values = token.slice();
    const gain = dopplerHz ? this.gains(token.length, dopplerHz, start, seconds) : null;
    const deviation = Math.sqrt(noiseVariance / 2);
    for (let i = 0; i < values.length; i += 2) {
      const [re, im] = gain ? [gain[i], gain[i + 1]] : [1, 0];
      const radius = deviation * Math.sqrt(-2 * Math.log(1 - this.draw())); // Box and Muller
      const angle = 2 * Math.PI * this.draw();
      values[i] = re * token[i] - im * token[i + 1] + radius * Math.cos(angle);
      values[i + 1] = re * token[i + 1] + im * token[i] + radius * Math.sin(angle);
    }
    return { values, gain, noiseVariance };
  }

  /** @private h for every symbol of a token that begins at `start` [s]. */
  gains(length, dopplerHz, start, seconds) {
    const gain = new Float32Array(length);
    for (let i = 0; i < length; i += 2) {
      const t = start + (seconds * i) / length;
      for (const { shift, phase } of this.waves) {
        const angle = 2 * Math.PI * dopplerHz * shift * t + phase;
        gain[i] += Math.cos(angle);
        gain[i + 1] += Math.sin(angle);
      }
      gain[i] /= Math.sqrt(SINUSOIDS);
      gain[i + 1] /= Math.sqrt(SINUSOIDS);
    }
    return gain;
  }
}
