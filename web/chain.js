// Speech through the whole link, token by token: encoder, channel, decoder. Without a DOM: a worker and node run it.

import { Channel } from "./channel.js";
import { Decoder, Encoder, Features, SAMPLE_RATE } from "./core.js";

const BLOCK = 4000; // samples

/** A link that may change its settings between two tokens. */
export class Chain {
  /** @param {import("./core.js").Core} core */
  constructor(core) {
    this.core = core;
    this.seconds = core.tokenSamples / SAMPLE_RATE;
    this.encoder = new Encoder(core);
    this.features = new Features(core);
    this.decoder = new Decoder(core);
    this.reset({ seed: 1 });
  }

  /** A new stream and a new channel. */
  reset({ seed }) {
    for (const stream of [this.encoder, this.features, this.decoder]) stream.reset();
    this.channel = new Channel(seed);
    this.rows = []; // analysed since the last token
  }

  /**
   * Samples in, samples out; those that come out are in line with those that went in, about 105 ms behind.
   *
   * @param {Float32Array} samples - 16 kHz.
   * @param {{rate: number, channel: string, snr: number}} settings - uses/s, name, Es/N0 [dB].
   * @returns {object[]} for every token: `samples` and `rows` [n x 20] of the decoder, `sent` and `received`
   *   symbols (equalised, null if erased), `features`, the rows [20] analysed since the token before.
   */
  push(samples, settings) {
    this.rows.push(...this.features.push(samples));
    if (this.encoder.rate !== settings.rate) this.encoder.setRate(settings.rate);
    const tokens = this.delivered(this.encoder.push(samples), settings);
    return tokens.map((token) => ({ ...token, features: this.rows.splice(0) }));
  }

  /** The last tokens and samples; the link is then as new, but for its channel. */
  flush(settings) {
    const tokens = this.delivered(this.encoder.flush(), settings);
    return [...tokens, this.decoder.flush()].map((token) => ({ ...token, features: this.rows.splice(0) }));
  }

  /** @private */
  delivered(tokens, { rate, channel, snr }) {
    return tokens.map((sent) => {
      if (this.decoder.rate !== rate) this.decoder.setRate(rate);
      const arrived = this.channel.send(sent, channel, snr, this.seconds);
      return { ...this.decoder.push(arrived), sent, received: equalised(arrived) };
    });
  }

  /**
   * A whole clip, from a new stream on; other tasks of the thread get their turn between blocks.
   * @returns {Promise<{samples: Float32Array, symbols: Float32Array, rows: Float32Array, features: Float32Array}>} as
   *   many samples as were given; what was sent; feature rows [n x 20] as decoded and as analysed.
   */
  async run(clip, settings) {
    this.reset(settings);
    const tokens = [];
    for (let done = 0; done < clip.length; done += BLOCK) {
      tokens.push(...this.push(clip.subarray(done, done + BLOCK), settings));
      await new Promise((resume) => setTimeout(resume));
    }
    tokens.push(...this.flush(settings));
    const samples = joined(tokens.map((token) => token.samples));
    return {
      samples: samples.slice(0, clip.length),
      symbols: joined(tokens.flatMap((token) => token.sent ?? [])),
      rows: joined(tokens.map((token) => token.rows)),
      features: joined(tokens.flatMap((token) => token.features)),
    };
  }
}

/** Symbols y / h; null for an erased token. */
function equalised({ values, gain }) {
  if (!values || !gain) return values;
  const made = values.slice();
  for (let i = 0; i < made.length; i += 2) {
    const power = gain[i] ** 2 + gain[i + 1] ** 2;
    made[i] = (values[i] * gain[i] + values[i + 1] * gain[i + 1]) / power;
    made[i + 1] = (values[i + 1] * gain[i] - values[i] * gain[i + 1]) / power;
  }
  return made;
}

/** Arrays one after another. */
export function joined(arrays) {
  const made = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let done = 0;
  for (const array of arrays) {
    made.set(array, done);
    done += array.length;
  }
  return made;
}
