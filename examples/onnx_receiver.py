"""A receiver without torch: symbols or bits in a file -> a wav, with the folder that ``aether-lite export DIR`` wrote.

    python examples/onnx_receiver.py DIR SENT OUT.wav [--rate 600] [--snr 10] [--precision int8]

SENT is what ``aether-lite stream --encode --no-header`` writes with the same codec: float32 I, Q, I, Q, ...
(little-endian), or the packed bits of a hash codec. A token with a value that is not finite counts as lost. --snr is
the receiver's own estimate of Es/N0 of symbols; without it none is known.
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
parser.add_argument("sent", type=Path)
parser.add_argument("wav")
parser.add_argument("--rate", type=int, help="uses/s, or bit/s of a hash codec")
parser.add_argument("--snr", type=float, default=float("nan"), help="Es/N0 [dB]")
parser.add_argument("--precision", default="float32")
given = parser.parse_args()

manifest = json.loads((given.folder / "manifest.json").read_text())
decoder, vocoder = (Step(given.folder, manifest["steps"][name], given.precision) for name in ("decoder", "vocoder"))
rate, ahead, bits = given.rate or manifest["default_rate"], manifest["lookahead_tokens"], manifest["unit"] == "bit/s"
n = manifest["bits_per_token" if bits else "uses_per_token"][str(rate)]
if bits:
    tokens = np.unpackbits(np.fromfile(given.sent, np.uint8)).reshape(-1, n) * 2.0 - 1
else:
    tokens = np.fromfile(given.sent, "<f4").reshape(-1, n, 2)
flat, rows = np.full(manifest["steps"]["decoder"]["inputs"][0]["shape"], np.nan), []  # gains are not known
known = {} if bits else {"gain": flat, "noise_variance": [10 ** (-given.snr / 10)]}
for token in [*tokens, *np.full((ahead, *tokens.shape[1:]), np.nan)]:  # looking ahead it gives the token before
    lost, received = not np.isfinite(token).all(), np.zeros_like(flat)
    received[:n] = 0 if lost else token
    rows.extend(decoder(received=received, rate=[rate], erased=[lost], **known))
rows, voice = rows[ahead * manifest["token_frames"] :], manifest["vocoder"]
vocoder(row=rows[0], audible=[0])
sound = np.concatenate([vocoder(row=row, audible=[1]) for row in rows[1:] + rows[-1:] * voice["flush_rows"]])
with wave.open(given.wav, "wb") as file:
    file.setparams((1, 2, manifest["sample_rate"], 0, "NONE", ""))
    file.writeframes((sound[voice["cut_samples"] : -voice["cut_samples"]] * 32767).round().astype("<i2").tobytes())
