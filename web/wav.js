// WAV files of 16 bits: written, and read exactly, which no two browsers do alike (Chromium divides by 32767).

/** @param {Float32Array} samples - mono, full scale 1. @param {number} rate - Hz. @returns {Blob} audio/wav. */
export function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (place, word) => [...word].forEach((letter, i) => view.setUint8(place + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // bytes of what describes the format
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true); // bytes/s
  view.setUint16(32, 2, true); // bytes of a sample
  view.setUint16(34, 16, true); // bits of a sample
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, i) =>
    view.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(32768 * value))), true));
  return new Blob([view.buffer], { type: "audio/wav" });
}

/**
 * Samples of a WAV file of 16 bits, mono, at a rate.
 * @param {ArrayBuffer} bytes @param {number} rate - Hz. @returns {?Float32Array} null for any other file.
 */
export function fromWav(bytes, rate) {
  const view = new DataView(bytes);
  const word = (place) => String.fromCharCode(...new Uint8Array(bytes, place, 4));
  if (bytes.byteLength < 44 || word(0) !== "RIFF" || word(8) !== "WAVE") return null;
  let fits = false;
  for (let place = 12; place + 8 <= bytes.byteLength; ) {
    const [name, size, begin] = [word(place), view.getUint32(place + 4, true), place + 8];
    if (name === "fmt " && begin + 16 <= bytes.byteLength) {
      const [kind, channels, bits] = [0, 2, 14].map((offset) => view.getUint16(begin + offset, true));
      fits = kind === 1 && channels === 1 && bits === 16 && view.getUint32(begin + 4, true) === rate;
    }
    if (name === "data") {
      const count = Math.floor(Math.min(size, bytes.byteLength - begin) / 2);
      return fits ? Float32Array.from({ length: count }, (_, i) => view.getInt16(begin + 2 * i, true) / 32768) : null;
    }
    place = begin + size + (size % 2);
  }
  return null;
}
