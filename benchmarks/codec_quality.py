"""Feature-domain quality of a codec on a folder of feature files, as Markdown tables.

    python benchmarks/codec_quality.py FOLDER [--model small] [--seed 0]
    python benchmarks/codec_quality.py FOLDER --model A.safetensors --model B.safetensors --at 1000 6 --at 1000 5.6

The .f32 files below FOLDER (36 or 20 float32 a frame) are joined in name order and sent as 12 equally long streams.
N0 is 10^(-SNR/10) for the power of 1 that is held over a session; one table sets it from the power that was sent.
Definitions of the columns: aether_lite.metrics. The channel state is estimated unless the column says
otherwise. ``--at`` asks for the feature loss of several codecs at a few rates and SNRs instead, over AWGN, as a mean of
``--noises`` noises.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from aether_lite.channels import apply_channel
from aether_lite.codec import Codec, load
from aether_lite.errors import AetherError
from aether_lite.features import read_f32
from aether_lite.features.layout import NUM_FREE
from aether_lite.jscc import RATES
from aether_lite.metrics import FEATURE_METRICS

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


def table(head: list[str], rows: dict[str, list[float]], digits: int = 3) -> str:
    """Markdown table of figures."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {name} | {' | '.join(f'{value:.{digits}f}' for value in values)} |" for name, values in rows.items()]
    return "\n".join(lines)


def streams(folder: Path, token_frames: int) -> tuple[torch.Tensor, int]:
    """Features ``[12, F, 20]`` of whole tokens, and the number of files they came from."""
    paths = sorted(folder.rglob("*.f32"), key=lambda path: path.name)
    if not paths:
        raise AetherError(f"{folder}: holds no .f32 files; `aether-lite prepare` or `features` makes them")
    rows = np.concatenate([read_f32(path)[:, :NUM_FREE] for path in paths])
    frames = len(rows) // (STREAMS * token_frames) * token_frames
    if frames == 0:
        raise AetherError(f"{folder}: has {len(rows)} frames; at least {STREAMS * token_frames} are needed")
    return torch.from_numpy(rows[: STREAMS * frames]).reshape(STREAMS, frames, NUM_FREE), len(paths)


def print_quality(codec: Codec, folder: Path, seed: int) -> None:
    """All tables of one codec."""
    features, files = streams(folder, codec.token_frames)

    def at(rate: int, snr_db: float, channel: str = "awgn", **options: object) -> dict[str, float]:
        return measured(codec, features, rate, snr_db, channel, seed, **options)

    decibels = [f"{snr:g} dB" for snr in SNRS_DB]
    print(f"{files} files, {features[..., 0].numel() / 100:.0f} s\n\nAWGN, feature loss\n")
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


def print_at(
    models: Sequence[str], conditions: Sequence[tuple[int, float]], folder: Path, noises: Sequence[int]
) -> None:
    """Feature loss of several codecs at a few conditions over AWGN, mean over noises."""
    rows = {}
    for model in models:
        codec = load(model)
        features, _ = streams(folder, codec.token_frames)
        rows[model] = [
            sum(measured(codec, features, rate, snr, "awgn", noise)["feature_loss"] for noise in noises) / len(noises)
            for rate, snr in conditions
        ]
    print(table(["codec", *(f"{rate} uses/s, {snr:g} dB" for rate, snr in conditions)], rows, digits=4))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", action="append", help="released codec or file; more than one with --at")
    parser.add_argument("--at", nargs=2, action="append", metavar=("USES_PER_S", "ES_N0_DB"), default=[])
    parser.add_argument("--noises", type=int, default=1, help="noises that --at takes the mean of")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    models = chosen.model or ["small"]
    try:
        conditions = [(int(rate), float(snr)) for rate, snr in chosen.at]
    except ValueError:
        parser.error("--at takes a rate [uses/s] and Es/N0 [dB], such as --at 1000 6")
    if {rate for rate, _ in conditions} - set(RATES) or chosen.noises < 1:
        parser.error(f"--at takes a rate of {', '.join(map(str, RATES))} uses/s, --noises at least 1")
    if conditions:
        print_at(models, conditions, chosen.folder, range(chosen.seed, chosen.seed + chosen.noises))
    elif len(models) == 1 and chosen.noises == 1:
        print_quality(load(models[0]), chosen.folder, chosen.seed)
    else:
        parser.error("several --model and --noises only with --at")


if __name__ == "__main__":
    try:
        main()
    except AetherError as error:
        sys.exit(f"codec_quality: {error}")
