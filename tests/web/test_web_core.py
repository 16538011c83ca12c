"""The page's modules in node: the same bits as the native core of this machine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aether_lite.core.library import Decoder, Encoder, Model, default

SCRIPT = Path(__file__).with_name("run_chain.mjs")
MODULES = {"aether.wasm": "wasm", "aether-plain.wasm": "scalar"}
pytestmark = pytest.mark.slow  # compiles for WebAssembly


def run(node: str, page: Path, folder: Path, clip: np.ndarray, module: str, **settings: Any) -> tuple[Any, Any, str]:
    """Symbols, samples and name of the kernels of a clip ``[n] float32`` over the page's chain."""
    (folder / "in.f32").write_bytes(clip.astype("<f4").tobytes())
    given = json.dumps({"rate": 1000, "channel": "clean", "snr": 10, "seed": 1} | settings)
    words = [node, SCRIPT, page, page / module, page / "small.aether", folder / "in.f32", folder / "out", given]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    symbols, samples = (np.fromfile(folder / f"out.{part}", "<f4") for part in ("symbols", "samples"))
    return symbols, samples, done.stdout.strip()


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("rate", [150, 1000])
def test_symbols_and_speech_are_those_of_the_native_core(
    node: str, page: Path, tmp_path: Path, speech: np.ndarray, module: str, rate: int
) -> None:
    clip = speech[0][: 20_000 if module == "aether.wasm" else 9_000]
    symbols, samples, kernels = run(node, page, tmp_path, clip, module, rate=rate)
    assert kernels == MODULES[module]
    model = Model(default(), page / "small.aether")
    encoder, decoder = Encoder(model), Decoder(model)
    encoder.rate = decoder.rate = rate
    tokens = [*encoder.push(clip), *encoder.flush()]
    expected = np.concatenate([*(decoder.push(token)[0] for token in tokens), decoder.flush()[0]])[: len(clip)]
    assert np.array_equal(symbols, np.concatenate(tokens))
    assert np.array_equal(samples, expected)
    assert len(samples) == len(clip)
    analysed, decoded = (np.fromfile(tmp_path / f"out.{part}", "<f4").reshape(-1, 20) for part in ("features", "rows"))
    assert len(clip) // 160 - 1 <= len(analysed) <= len(decoded) == 4 * len(tokens)
    offsets = [np.abs(analysed[4:-4, 0] - decoded[4 + k : len(analysed) - 4 + k, 0]).mean() for k in (-3, -1, 0, 1, 3)]
    assert np.argmin(offsets) == 2  # frame t of both pictures is the same 10 ms
    assert np.abs(samples).max() > 0.05


def test_channels_have_the_stated_power_and_depend_on_the_seed(
    node: str, page: Path, tmp_path: Path, speech: np.ndarray
) -> None:
    clip = speech[0][:9_000]
    sounds = {}
    for channel, seed in (("awgn", 1), ("awgn", 1), ("awgn", 2), ("fading1", 1), ("erasures30", 1)):
        samples = run(node, page, tmp_path, clip, "aether.wasm", channel=channel, seed=seed)[1]
        assert np.isfinite(samples).all()
        if (channel, seed) in sounds:
            assert np.array_equal(samples, sounds[channel, seed])
        assert not any(np.array_equal(samples, other) for key, other in sounds.items() if key != (channel, seed))
        sounds[channel, seed] = samples


CHANNELS = """
const { Channel } = await import(process.argv[1]);
const sent = new Float32Array(200).fill(Math.SQRT1_2), made = {};
for (const name of ["awgn", "fading1", "fading10", "erasures10", "erasures30"]) {
  let noise = 0, gain = 0, erased = 0, count = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const channel = new Channel(seed);
    for (let k = 0; k < 50; k++) {
      const got = channel.send(sent, name, 6, 0.04);
      if (!got.values) { erased++; continue; }
      for (let i = 0; i < sent.length; i += 2, count++) {
        const [a, b] = got.gain ? [got.gain[i], got.gain[i + 1]] : [1, 0];
        gain += a * a + b * b;
        noise += (got.values[i] - a * sent[i] + b * sent[i + 1]) ** 2
               + (got.values[i + 1] - a * sent[i + 1] - b * sent[i]) ** 2;
      }
    }
  }
  made[name] = [noise / count, gain / count, erased / 2000];
}
console.log(JSON.stringify(made));
"""


def test_noise_gain_and_erasures_are_those_of_the_formulas(node: str) -> None:
    module = (Path(__file__).parents[2] / "web" / "channel.js").as_uri()
    command = [node, "--no-warnings", "--input-type=module", "-e", CHANNELS, module]
    made = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for name, (noise, gain, erased) in made.items():
        assert noise == pytest.approx(10**-0.6, rel=0.02), name
        assert gain == pytest.approx(1, rel=0.15), name
        assert erased == pytest.approx({"erasures10": 0.1, "erasures30": 0.3}.get(name, 0), abs=0.03), name
