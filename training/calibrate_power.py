"""Set the constants of a codec's power constraint so that given speech has mean symbol power 1 at every rate.

    python training/calibrate_power.py CODEC.safetensors FOLDER OUT.safetensors [--data WORDS]

The .f32 files below FOLDER (36 or 20 float32 a frame) are joined in name order. Weights and provenance stay, with a
note of the folder's name and length in the provenance. --data says in words what the codec was trained on, as the
benchmark's tables show it, in place of the hours and folder names that the trainer wrote.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from aether_lite.codec import save_codec
from aether_lite.codec.loading import load_codec
from aether_lite.features import read_f32
from aether_lite.features.layout import NUM_FREE
from aether_lite.payload import RATES, papr_db


def main() -> None:
    """Measure, write, and print power and PAPR at every rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("codec", "folder", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--data", metavar="WORDS")
    chosen = parser.parse_args()
    model, provenance = load_codec(chosen.codec, unit="uses/s")
    paths = sorted(chosen.folder.rglob("*.f32"), key=lambda path: path.name)
    if not paths:
        parser.error(f"{chosen.folder}: holds no .f32 files")
    rows = np.concatenate([read_f32(path)[:, :NUM_FREE] for path in paths])
    frames = len(rows) - len(rows) % model.config.token_frames
    features = torch.from_numpy(rows[:frames])[None]
    model.measure_power(features)
    note = f"{chosen.folder.name}, {len(paths)} files, {frames / 100:.0f} s"
    words = {} if chosen.data is None else {"data": chosen.data}
    save_codec(model, chosen.out, {**provenance, "power": note, **words})
    written, _ = load_codec(chosen.out)
    print(f"{note}\n\n| uses/s | mean power | PAPR [dB] |\n|---|---|---|")
    for rate in RATES:
        values = written.encode(features, rate)[0].values
        print(f"| {rate} | {float(values.abs().square().mean()):.4f} | {papr_db(values):.1f} |")


if __name__ == "__main__":
    main()
