"""Feature-domain quality of a codec on a folder of feature files, as Markdown tables.

    python benchmarks/codec_quality.py FOLDER [--model small] [--seed 0]

The .f32 files below FOLDER (36 or 20 float32 a frame) are joined in name order and sent as 12 equally long streams.
N0 is 10^(-SNR/10) for the power of 1 that is held over a session; one table sets it from the power that was sent.
Definitions of the columns: aether_lite.evaluation.metrics. The channel state is estimated unless the column says
otherwise.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import torch

from aether_lite.channels import apply_channel
from aether_lite.codec import Codec, load
from aether_lite.errors import AetherError
from aether_lite.evaluation.metrics import FEATURE_METRICS
from aether_lite.features import read_f32
from aether_lite.features.layout import NUM_FREE
from aether_lite.jscc import RATES

STREAMS = 12
SNRS_DB = (-6.0, -3.0, 0.0, 3.0, 6.0, 10.0, 20.0)
COLUMNS = ("feature_loss", "ceps_rmse", "lsd_active_db", "pitch_median_cents", "gpe", "vuv_error")
FADING = (("rayleigh", "exact"), ("rayleigh", "estimated"), ("mpp", "exact"), ("mpp", "estimated"))


def measured(
    codec: Codec, features: torch.Tensor, rate: int, snr_db: float, channel: str, seed: int, **options: object
) -> dict[str, float]:
    """All metrics of one condition over streams ``[B, F, 20]``."""
    symbols = codec.encode_features(features, rate)
    received = apply_channel(channel, symbols, snr_db, seed=seed, **options)
    decoded = codec.decode_features(received)
    frames = [features.shape[1]] * len(features)
    return {
        name: FEATURE_METRICS[name].over_clips(FEATURE_METRICS[name](decoded, features, None).tolist(), frames)
        for name in COLUMNS
    }


def mean_power(codec: Codec, features: torch.Tensor, rate: int) -> float:
    """Mean of |x|^2 over all symbols of the streams: 1 on the speech that the constants were measured on."""
    symbols = codec.encode_features(features, rate)
    return float(symbols.values[symbols.used.expand(symbols.values.shape)].abs().square().mean())


def table(head: list[str], rows: dict[str, list[float]]) -> str:
    """Markdown table of figures with three digits."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} |" for name, values in rows.items()]
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="small")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    codec = load(chosen.model)
    paths = sorted(chosen.folder.rglob("*.f32"), key=lambda path: path.name)
    if not paths:
        raise AetherError(f"{chosen.folder}: holds no .f32 files; `aether-lite prepare` or `features` makes them")
    rows = np.concatenate([read_f32(path)[:, :NUM_FREE] for path in paths])
    token = codec.token_frames
    frames = len(rows) // (STREAMS * token) * token
    if frames == 0:
        raise AetherError(f"{chosen.folder}: has {len(rows)} frames; at least {STREAMS * token} are needed")
    features = torch.from_numpy(rows[: STREAMS * frames]).reshape(STREAMS, frames, NUM_FREE)

    def at(rate: int, snr_db: float, channel: str = "awgn", **options: object) -> dict[str, float]:
        return measured(codec, features, rate, snr_db, channel, chosen.seed, **options)

    decibels = [f"{snr:g} dB" for snr in SNRS_DB]
    print(f"{len(paths)} files, {STREAMS * frames / 100:.0f} s\n\nAWGN, feature loss\n")
    by_rate = {str(rate): [at(rate, snr)["feature_loss"] for snr in SNRS_DB] for rate in RATES}
    print(table(["uses/s", *decibels], by_rate), flush=True)
    print("\nAWGN, N0 set from the mean power that these streams were sent with, feature loss\n")
    scaled = {}
    for rate in (700, 1000):
        excess_db = 10 * math.log10(mean_power(codec, features, rate))
        scaled[f"{rate} ({excess_db:+.2f} dB)"] = [at(rate, snr - excess_db)["feature_loss"] for snr in SNRS_DB]
    print(table(["uses/s (power)", *decibels], scaled), flush=True)
    print("\nAWGN, 1000 uses/s\n")
    figures = {f"{snr:g} dB": list(at(1000, snr).values()) for snr in SNRS_DB}
    print(table(["Es/N0", *COLUMNS], figures), flush=True)
    print("\nFading, 1000 uses/s, feature loss\n")
    fading = {
        f"{channel}, {state}": [at(1000, snr, channel, state=state)["feature_loss"] for snr in SNRS_DB[2:]]
        for channel, state in FADING
    }
    print(table(["channel, state", *decibels[2:]], fading), flush=True)
    clean = at(1000, 6.0)["feature_loss"]
    lossy = at(1000, 6.0, "erasure", probability=0.1)["feature_loss"]
    print(f"\nA tenth of the tokens lost, 1000 uses/s, 6 dB: {lossy:.3f}, x {lossy / clean:.2f} of {clean:.3f} without")


if __name__ == "__main__":
    try:
        main()
    except AetherError as error:
        sys.exit(f"codec_quality: {error}")
