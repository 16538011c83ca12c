"""A receiver without torch: symbols in a file -> a wav, with the folder that ``aether-lite export DIR`` wrote.

    python examples/onnx_receiver.py DIR SYMBOLS.iq OUT.wav --rate 1000 [--snr 10] [--precision int8]

SYMBOLS.iq holds float32 I, Q, I, Q, ... (little-endian), as ``aether-lite stream --encode --no-header`` writes them. A
token with a value that is not finite counts as lost. --snr is the receiver's own estimate of Es/N0; without it none is
known.
"""

import argparse
import json
import os
import wave
from pathlib import Path

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import: else it leaves a device id and a database in ~/.cache
import onnxruntime


class Step:
    """One graph with its state."""

    def __init__(self, folder, step, precision):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(folder / step["files"][precision]["name"], options)
        self.dtypes = {port["name"]: port["dtype"] for port in step["inputs"]}
        self.state = {state["input"]: np.zeros(state["shape"], state["dtype"]) for state in step["states"]}

    def __call__(self, **inputs):
        fed = {name: np.asarray(value, self.dtypes[name]) for name, value in inputs.items()}
        output, *states = self.session.run(None, fed | self.state)
        self.state = dict(zip(self.state, states, strict=True))
        return output


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", type=Path)
parser.add_argument("symbols", type=Path)
parser.add_argument("wav")
parser.add_argument("--rate", type=int, default=1000, help="channel uses per second")
parser.add_argument("--snr", type=float, default=float("nan"), help="Es/N0 [dB]")
parser.add_argument("--precision", default="float32")
given = parser.parse_args()

manifest = json.loads((given.folder / "manifest.json").read_text())
decoder, vocoder = (Step(given.folder, manifest["steps"][name], given.precision) for name in ("decoder", "vocoder"))
uses = manifest["uses_per_token"][str(given.rate)]
tokens, ahead = np.fromfile(given.symbols, "<f4").reshape(-1, uses, 2), manifest["lookahead_tokens"]
flat, rows = np.full((manifest["max_uses"], 2), np.nan), []  # gains are not known
for token in [*tokens, *np.full((ahead, uses, 2), np.nan)]:  # the decoder gives the features of the token before
    lost, received = not np.isfinite(token).all(), np.zeros_like(flat)
    received[:uses] = 0 if lost else token
    known = {"rate": [given.rate], "gain": flat, "noise_variance": [10 ** (-given.snr / 10)], "erased": [lost]}
    rows.extend(decoder(received=received, **known))
rows, voice = rows[ahead * manifest["token_frames"] :], manifest["vocoder"]
vocoder(row=rows[0], audible=[0])
sound = np.concatenate([vocoder(row=row, audible=[1]) for row in rows[1:] + rows[-1:] * voice["flush_rows"]])
with wave.open(given.wav, "wb") as file:
    file.setparams((1, 2, manifest["sample_rate"], 0, "NONE", ""))
    file.writeframes((sound[voice["cut_samples"] : -voice["cut_samples"]] * 32767).round().astype("<i2").tobytes())
