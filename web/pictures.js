// Pictures that move: speech images with their F0 contour, and the constellation.

const BANDS = 18;
const ROW = 20; // values of a feature row: cepstrum 0..17, pitch [octaves], correlation
const PITCH = 18;
const VOICING = 19;
const VOICED_ABOVE = 0.1; // correlation of a voiced frame
const C0_OFFSET = 4; // of the cepstrum
const [LOW, HIGH] = [-1, 6.5]; // log10 energies of a band, on the scale of 16-bit samples
const GAP = 6; // columns kept empty ahead of the newest
const STOPS = [[13, 16, 38], [42, 42, 122], [32, 110, 160], [40, 176, 140], [170, 220, 80], [255, 246, 170]]; // RGB
const KEPT = 8; // tokens in the constellation
const EXTENT = 2.5; // of its axes, for symbols of mean power 1

/** The orthonormal DCT-II, `[coefficient][band]`. */
const DCT = Array.from({ length: BANDS }, (_, c) => Array.from({ length: BANDS }, (_, b) =>
  Math.sqrt((c ? 2 : 1) / BANDS) * Math.cos((Math.PI * c * (b + 0.5)) / BANDS)));

/** RGB of a level from 0 to 1. */
function colour(level) {
  const place = Math.max(0, Math.min(0.999, level)) * (STOPS.length - 1);
  const [low, high] = [STOPS[Math.floor(place)], STOPS[Math.floor(place) + 1]];
  return low.map((value, i) => value + (place % 1) * (high[i] - value));
}

/** Band energies over time, one column a frame of 10 ms; it begins again at the left when it is full. */
export class SpeechImage {
  /** @param {HTMLCanvasElement} canvas - its width is the number of frames, its height a multiple of 18. */
  constructor(canvas) {
    this.context = canvas.getContext("2d");
    [this.width, this.height] = [canvas.width, canvas.height];
    this.clear();
  }

  clear() {
    this.context.fillStyle = `rgb(${STOPS[0]})`;
    this.context.fillRect(0, 0, this.width, this.height);
  }

  /** Draw rows `[n x 20]`, the first of which is frame `first` of the stream. */
  add(rows, first) {
    const pixel = this.height / BANDS;
    for (let r = 0; r < rows.length / ROW; r++) {
      const row = rows.subarray(ROW * r, ROW * (r + 1));
      const x = (first + r) % this.width;
      for (let b = 0; b < BANDS; b++) {
        let level = C0_OFFSET * DCT[0][b];
        for (let c = 0; c < BANDS; c++) level += row[c] * DCT[c][b];
        this.context.fillStyle = `rgb(${colour((level - LOW) / (HIGH - LOW))})`;
        this.context.fillRect(x, this.height - pixel * (b + 1), 1, pixel);
      }
      if (row[VOICING] > VOICED_ABOVE) {
        this.context.fillStyle = "#fff";
        this.context.fillRect(x, this.height * (1 - (row[PITCH] + 1.5) / 3) - 1, 1, 2);
      }
      this.context.fillStyle = `rgb(${STOPS[0]})`;
      this.context.fillRect((x + 1) % this.width, 0, GAP, this.height);
    }
  }
}

/** The symbols of the newest tokens; older ones fade. */
export class Constellation {
  /** @param {HTMLCanvasElement} canvas - square. */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.clear();
  }

  clear() {
    this.tokens = [];
    this.draw();
  }

  /** @param {?Float32Array} token - I and Q in turn; null for an erased token. */
  add(token) {
    this.tokens = [...this.tokens, token ?? new Float32Array(0)].slice(-KEPT);
    this.draw();
  }

  /** @private */
  draw() {
    const { context, canvas } = this;
    const middle = canvas.width / 2;
    const style = getComputedStyle(canvas);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = style.getPropertyValue("--line");
    context.fillRect(0, middle - 0.5, canvas.width, 1);
    context.fillRect(middle - 0.5, 0, 1, canvas.height);
    context.fillStyle = style.getPropertyValue("--accent");
    this.tokens.forEach((token, age) => {
      context.globalAlpha = (age + 1) / this.tokens.length;
      for (let i = 0; i < token.length; i += 2)
        context.fillRect(middle * (1 + token[i] / EXTENT) - 1.5, middle * (1 - token[i + 1] / EXTENT) - 1.5, 3, 3);
    });
    context.globalAlpha = 1;
  }
}
