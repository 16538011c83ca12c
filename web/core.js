// The native core (core/include/aether.h) in WebAssembly: models and streams over typed arrays, without a DOM.
//
// The module imports nothing and exports the functions of the header, its memory and the end of its own data. Objects
// live in that memory from there on; none is ever freed, a stream is made anew in its own place.

const ALIGNMENT = 64; // bytes, of every object
const PAGE = 65536; // bytes of a page of memory
const FRAME = 160; // samples
export const FEATURES = 20; // values of a feature row that codec and vocoder read
const FEATURE_ROW = 36; // values that the analysis gives
export const SAMPLE_RATE = 16000; // Hz

/** A model: one WebAssembly instance with the weights of a file. */
export class Core {
  /**
   * @param {BufferSource} module - aether.wasm, or aether-plain.wasm where there is no simd128.
   * @param {ArrayBuffer} weights - a file of `aether-lite export --native`, of a codec of symbols.
   * @returns {Promise<Core>} rejects with one line for damaged weights.
   */
  static async load(module, weights) {
    const { instance } = await WebAssembly.instantiate(module, {});
    instance.exports._initialize();
    return new Core(instance.exports, weights);
  }

  /** @private */
  constructor(functions, weights) {
    this.f = functions;
    this.top = functions.__heap_base.value;
    const file = this.room(weights.byteLength);
    new Uint8Array(this.f.memory.buffer, file, weights.byteLength).set(new Uint8Array(weights));
    this.cell = this.room(128); // where functions leave sizes and pointers; an aether_info is 96 bytes
    this.check(this.f.aether_model_size(file, weights.byteLength, 0, this.cell));
    const bytes = this.word(this.cell);
    const place = this.room(bytes);
    this.check(this.f.aether_model_init(place, bytes, file, weights.byteLength, 0, this.cell));
    this.model = this.word(this.cell);
    this.check(this.f.aether_model_info(this.model, this.cell));
    const info = new Int32Array(this.f.memory.buffer, this.cell, 24);
    if (!info[0] || !info[2] || info[3]) throw new Error("These weights hold no codec of symbols with a vocoder.");
    /** What the model can do: samples of a token, rates [uses/s], samples that a flush still gives. */
    this.tokenSamples = FRAME * info[4];
    this.defaultRate = info[6];
    this.rates = [...info.subarray(7, 23)].filter((rate) => rate > 0);
    this.behind = info[1];
    this.kernels = this.text(this.f.aether_model_kernels(this.model));
  }

  /** Place of `bytes` new bytes, zeroed and aligned. */
  room(bytes) {
    const place = Math.ceil(this.top / ALIGNMENT) * ALIGNMENT;
    this.top = place + bytes;
    const missing = this.top - this.f.memory.buffer.byteLength;
    if (missing > 0) this.f.memory.grow(Math.ceil(missing / PAGE));
    return place;
  }

  /** A view of floats; it is good until memory grows. */
  floats(place, count) {
    return new Float32Array(this.f.memory.buffer, place, count);
  }

  /** An unsigned number of 32 bits. */
  word(place) {
    return new Uint32Array(this.f.memory.buffer, place, 1)[0];
  }

  /** A C string. */
  text(place) {
    const bytes = new Uint8Array(this.f.memory.buffer, place);
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  }

  /** Throw what a code of error means. */
  check(code) {
    if (code) throw new Error(this.text(this.f.aether_error_text(code)));
  }

  /** Floats of a token: I and Q of every symbol. */
  tokenFloats(rate) {
    return this.f.aether_token_floats(this.model, rate);
  }
}

/** What streams have in common: `kind` is the name of their functions, aether_KIND_init. */
class Stream {
  constructor(core, kind, flag, input) {
    this.core = core;
    this.kind = kind;
    this.flag = flag;
    this.bytes = core.f[`aether_${kind}_size`](core.model);
    this.place = core.room(this.bytes);
    this.input = core.room(4 * input);
    this.cells = core.room(ALIGNMENT);
    this.reset();
  }

  /** Begin a new stream, at the default rate. */
  reset() {
    this.call("init", this.place, this.bytes, this.core.model, this.flag, this.cells);
    this.stream = this.core.word(this.cells);
  }

  /** @private */
  call(name, ...given) {
    this.core.check(this.core.f[`aether_${this.kind}_${name}`](...given));
  }

  /**
   * Give samples to a function that takes some and says when something is ready in `output`.
   * @private
   * @returns {Float32Array[]} copies of what became ready, `count()` floats each.
   */
  pushed(samples, output, count) {
    const made = [];
    for (let done = 0; done < samples.length; done += this.core.word(this.cells)) {
      const part = samples.subarray(done, done + FRAME);
      this.core.floats(this.input, part.length).set(part);
      this.call("push", this.stream, this.input, part.length, this.cells, output, this.cells + 4);
      if (this.core.word(this.cells + 4)) made.push(this.core.floats(output, count()).slice());
    }
    return made;
  }

  /** @private */
  flushed(output, count) {
    const made = [];
    for (;;) {
      this.call("flush", this.stream, output, this.cells + 4);
      if (!this.core.word(this.cells + 4)) return made;
      made.push(this.core.floats(output, count()).slice());
      if (this.kind === "features") return made; // it holds back one row at most
    }
  }
}

/** A stream of tokens, at first of the default rate. */
class TokenStream extends Stream {
  reset() {
    super.reset();
    this.rate = this.core.defaultRate;
  }

  /** Rate [uses/s] of the tokens from now on, one of `core.rates`. */
  setRate(rate) {
    this.call("set_rate", this.stream, rate);
    this.rate = rate;
  }
}

/** Speech to tokens of symbols of mean power 1. */
export class Encoder extends TokenStream {
  constructor(core) {
    super(core, "encoder", 1, FRAME);
    this.token = core.room(4 * core.tokenFloats(Math.max(...core.rates)));
  }

  /**
   * @param {Float32Array} samples - 16 kHz, full scale 1, any number of them.
   * @returns {Float32Array[]} the tokens that they make known, I and Q in turn.
   */
  push(samples) {
    return this.pushed(samples, this.token, () => this.core.tokenFloats(this.rate));
  }

  /** The last tokens, the speech filled up with silence; the stream is then as new. */
  flush() {
    return this.flushed(this.token, () => this.core.tokenFloats(this.rate));
  }
}

/** Speech to the feature rows that the encoder sees. */
export class Features extends Stream {
  constructor(core) {
    super(core, "features", 1, FRAME);
    this.row = core.room(4 * FEATURE_ROW);
  }

  /** @returns {Float32Array[]} the rows [20] that samples make known, row t centred on sample 160 t. */
  push(samples) {
    return this.pushed(samples, this.row, () => FEATURES);
  }
}

/** Received tokens to speech. */
export class Decoder extends TokenStream {
  constructor(core) {
    const most = core.tokenFloats(Math.max(...core.rates));
    super(core, "decoder", 1, 2 * most); // values, then gains
    this.gains = this.input + 4 * most;
    this.received = core.room(16); // aether_received of a machine of 32 bits
    this.samples = core.room(4 * (core.tokenSamples + core.behind));
    this.rows = core.room((4 * FEATURES * core.tokenSamples) / FRAME);
  }

  /**
   * @param {object} token
   * @param {?Float32Array} token.values - y = h x + w, I and Q in turn; null for an erased token.
   * @param {?Float32Array} token.gain - h for every symbol; null where it is unknown.
   * @param {number} token.noiseVariance - N0; NaN where it is unknown.
   * @returns {{samples: Float32Array, rows: Float32Array}} at most one token's samples and its rows [n x 20].
   */
  push({ values, gain, noiseVariance }) {
    const view = new DataView(this.core.f.memory.buffer, this.received, 16);
    for (const [place, floats] of [[this.input, values], [this.gains, gain]])
      if (floats) this.core.floats(place, floats.length).set(floats);
    view.setUint32(0, values ? this.input : 0, true);
    view.setUint32(4, gain ? this.gains : 0, true);
    view.setFloat32(8, noiseVariance, true);
    view.setInt32(12, values ? 0 : 1, true);
    return this.handed("push", this.received);
  }

  /** The last samples and rows; the stream is then as new. */
  flush() {
    return this.handed("flush");
  }

  /** @private */
  handed(name, ...given) {
    this.call(name, this.stream, ...given, this.samples, this.cells, this.rows, this.cells + 4);
    return {
      samples: this.core.floats(this.samples, this.core.word(this.cells)).slice(),
      rows: this.core.floats(this.rows, FEATURES * this.core.word(this.cells + 4)).slice(),
    };
  }
}
