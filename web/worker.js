// The thread that computes: it loads the core, fills the player and renders clips to be saved.
//
// From the page: settings, clip, play, listen, stop, render. To the page: ready, failed, token, recorded, rendered.
// The player reports on a port of its own, so that nothing waits for the page.

import { Chain, joined } from "./chain.js";
import { Core, SAMPLE_RATE } from "./core.js";
import { Resampler } from "./resample.js";

const AHEAD = 2560; // samples that the player holds while a clip is played: how late a change is heard
const BEHIND = 6400; // samples of a microphone's stream that may wait; more are dropped
const PAUSE = 8000; // samples of silence before a clip begins again
const LONGEST = 60 * SAMPLE_RATE; // samples that are kept of a recording

let live, offline, settings, stream;
let clip = new Float32Array(0);

/** What is being played: its input so far that has not come out yet, and counts of samples. */
class Playing {
  constructor(player) {
    this.player = player;
    this.input = new Float32Array(0);
    this.sent = this.played = this.gaps = this.place = this.load = 0;
    this.frame = { sent: 0, received: 0 };
    live.reset(settings);
  }

  /** Send samples through the link and what comes out to the player. */
  push(samples) {
    this.input = joined([this.input, samples]);
    const start = performance.now();
    const tokens = live.push(samples, settings);
    const spent = (performance.now() - start) / 1000 / (samples.length / SAMPLE_RATE);
    this.load += 0.05 * (spent - this.load);
    for (const token of tokens) this.deliver(token);
  }

  /** @private */
  deliver({ samples, rows, features, sent, received }) {
    const original = this.input.slice(0, samples.length);
    this.input = this.input.slice(samples.length);
    if (samples.length && (this.place !== null || this.waiting < BEHIND)) {
      this.sent += samples.length;
      this.player.postMessage({ decoded: samples, original });
    }
    const picture = { features: joined(features), rows, received: received ?? null };
    const frames = { ...this.frame };
    this.frame.sent += features.length;
    this.frame.received += rows.length / 20;
    const waiting = (this.waiting + this.input.length) / SAMPLE_RATE;
    self.postMessage({ type: "token", ...picture, frames, load: this.load, gaps: this.gaps, delay: waiting,
                       erased: sent !== undefined && !received });
  }

  /** Samples at the player. */
  get waiting() {
    return this.sent - this.played;
  }

  /** Go on with the clip, again and again, until the player has enough. */
  fill() {
    while (this.place !== null && clip.length && this.waiting < AHEAD) {
      const part = clip.subarray(this.place, this.place + live.core.tokenSamples);
      this.place += live.core.tokenSamples;
      const missing = live.core.tokenSamples - part.length;
      this.push(missing ? joined([part, new Float32Array(missing)]) : part);
      if (this.place >= clip.length + PAUSE) this.place = 0;
    }
  }

  /** Take samples of a microphone at its own rate. */
  listen(port, rate) {
    this.place = null;
    const resampler = rate === SAMPLE_RATE ? null : new Resampler(rate, SAMPLE_RATE);
    this.recorded = [];
    this.length = 0;
    port.onmessage = ({ data }) => {
      if (stream !== this) return;
      const samples = resampler ? resampler.push(data) : data;
      this.push(samples);
      if (this.length < LONGEST) this.recorded.push(samples);
      this.length += samples.length;
    };
  }
}

/** CRC-32 of numbers as they lie in memory. */
function crc32(floats) {
  let crc = ~0;
  for (const byte of new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

async function bytes(name) {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error(`${name} cannot be loaded (HTTP ${response.status}).`);
  return response.arrayBuffer();
}

const tasks = {
  async load() {
    const [fast, weights] = await Promise.all([bytes("aether.wasm"), bytes("small.aether")]);
    const simd = WebAssembly.validate(fast);
    const core = await Core.load(simd ? fast : await bytes("aether-plain.wasm"), weights);
    [live, offline] = [new Chain(core), new Chain(core)];
    self.postMessage({ type: "ready", rates: core.rates, simd });
  },
  settings({ settings: given }) {
    settings = given;
  },
  clip({ samples }) {
    clip = samples;
    if (stream && stream.place !== null) stream.place = 0;
  },
  play({ player, microphone, rate }) {
    const playing = (stream = new Playing(player));
    if (microphone) playing.listen(microphone, rate);
    player.onmessage = ({ data }) => {
      if (stream !== playing) return;
      Object.assign(playing, data);
      playing.fill();
    };
  },
  stop() {
    const { recorded } = stream ?? {};
    stream = undefined;
    if (!recorded) return;
    const samples = joined(recorded).slice(0, LONGEST);
    self.postMessage({ type: "recorded", samples }, [samples.buffer]);
  },
  async render() {
    const made = await offline.run(clip, { ...settings });
    const { length } = made.symbols;
    self.postMessage({ type: "rendered", samples: made.samples, symbols: length / 2, crc: crc32(made.symbols) });
  },
};

self.onmessage = async ({ data }) => {
  try {
    await tasks[data.type](data);
  } catch (error) {
    self.postMessage({ type: "failed", text: error.message });
  }
};
