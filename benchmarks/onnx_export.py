"""Exported ONNX graphs on one core: time of each part, and what the int8 variant costs in quality.

Run: ``python benchmarks/onnx_export.py [--model small] [--vocoder FILE] [--seconds 10] [--snr 6] [--seed 0]``

The speech is the bundled samples, joined and cut to ``--seconds``. Percentiles are of the time that one call takes (of
a token, in the vocoder of a frame); the real-time factor is processor time over playing time (below 1 is faster than
real time), which other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from aether_lite.audio import read_audio
from aether_lite.channels import Symbols, awgn
from aether_lite.codec import codec_path, is_hash_codec
from aether_lite.export import OnnxStep, decode_clip, encode_clip, export_folder, speak_clip
from aether_lite.export.runner import Array
from aether_lite.features import extract_features
from aether_lite.features.layout import NUM_FREE, SAMPLE_RATE
from aether_lite.metrics import clip_feature_loss, estoi

PRECISIONS = ("float32", "int8")
RATES = (150, 300, 600, 1200)
TIMED_RATE = 1000


class Timed:
    """A step that notes how long each call takes, on the clock and on the processor [s]."""

    def __init__(self, step: OnnxStep) -> None:
        self.step, self.shapes = step, step.shapes
        self.reset = step.reset
        self.seconds: list[float] = []
        self.processor_seconds = 0.0

    def __call__(self, **inputs: ArrayLike) -> list[Array]:
        start, processor_start = time.perf_counter(), time.process_time()
        outputs = self.step(**inputs)
        self.processor_seconds += time.process_time() - processor_start
        self.seconds.append(time.perf_counter() - start)
        return outputs


def bundled_speech(seconds: float, token_samples: int) -> np.ndarray:
    """The samples of the package, joined; a whole number of tokens."""
    paths = sorted(Path(str(files("aether_lite") / "assets" / "samples")).glob("*.flac"))
    speech = np.concatenate([read_audio(path) for path in paths])
    count = int(seconds * SAMPLE_RATE) // token_samples * token_samples
    return np.tile(speech, -(-count // len(speech)))[:count]


def send(
    manifest: dict[str, Any],
    encoder: Callable[..., Any],
    decoder: Callable[..., Any],
    features: np.ndarray,
    rate: int,
    snr_db: float,
    seed: int,
) -> np.ndarray:
    """Decoded features of ``features [F, 20]`` after white noise, whose level the receiver estimates."""
    symbols = encode_clip(encoder, features, rate, manifest["uses_per_token"][str(rate)])
    received = awgn(Symbols(torch.from_numpy(symbols)[None], rate, manifest["token_frames"]), snr_db, seed=seed)
    noise = received.state.noise_variance
    values, ahead = received.values[0].numpy(), manifest["lookahead_tokens"]
    return decode_clip(decoder, values, rate, noise_variance=noise[0].numpy(), lookahead=ahead)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def times(manifest: dict[str, Any], parts: dict[tuple[str, str], Timed], seconds: float) -> str:
    """Size, percentiles of one call and real-time factor of every part."""
    rows = []
    for (name, precision), step in parts.items():
        p50, p99 = np.percentile(np.array(step.seconds) * 1e6, (50, 99))
        size = manifest["steps"][name]["files"][precision]["bytes"] / 1e6
        factor = step.processor_seconds / seconds
        rows.append((name, precision, f"{size:.2f}", f"{p50:.0f}", f"{p99:.0f}", f"{factor:.4f}"))
    return table(("part", "precision", "MB", "p50 [us]", "p99 [us]", "real-time factor"), rows)


def quality(
    manifest: dict[str, Any], parts: dict[tuple[str, str], Timed], features: np.ndarray, snr_db: float, seed: int
) -> str:
    """Feature loss with the encoder and the decoder in either precision."""
    rows = []
    for sender, receiver in product(PRECISIONS, PRECISIONS):
        losses = []
        for rate in RATES:
            decoded = send(manifest, parts["encoder", sender], parts["decoder", receiver], features, rate, snr_db, seed)
            loss = clip_feature_loss(torch.from_numpy(decoded), torch.from_numpy(features), None)
            losses.append(f"{float(loss):.4f}")
        rows.append((sender, receiver, *losses))
    return table(("encoder", "decoder", *(f"{rate} uses/s" for rate in RATES)), rows)


def sound(parts: dict[tuple[str, str], Timed], features: np.ndarray, speech: np.ndarray) -> str:
    """The vocoder alone, from the features of the speech itself."""
    exact = speak_clip(parts["vocoder", "float32"], features)
    rows = []
    for precision in PRECISIONS:
        heard = speak_clip(parts["vocoder", precision], features)
        error = float(np.square(heard - exact).sum())
        snr = "-" if error == 0 else f"{10 * np.log10(float(np.square(exact).sum()) / error):.1f}"
        scores = [float(estoi(torch.from_numpy(heard), torch.from_numpy(other))) for other in (exact, speech)]
        rows.append((precision, snr, *(f"{score:.4f}" for score in scores)))
    return table(("vocoder", "SNR against float32 [dB]", "ESTOI against float32", "ESTOI against the speech"), rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="small")
    parser.add_argument("--vocoder", help="checkpoint; the bundled one without it")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--snr", type=float, default=6.0, help="Es/N0 [dB]")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    if is_hash_codec(codec_path(options.model)):
        parser.error(f"{options.model}: is a hash codec, which sends bits; give a codec of symbols")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "exported"
        manifest = export_folder(folder, options.model, options.vocoder, int8=True)
        names = ("encoder", "decoder", "vocoder")
        parts = {pair: Timed(OnnxStep.load(folder, *pair)) for pair in product(names, PRECISIONS)}
    speech = bundled_speech(options.seconds, manifest["token_samples"])
    features = extract_features(speech)[:, :NUM_FREE].astype(np.float32)
    seconds = len(speech) / SAMPLE_RATE
    for precision in PRECISIONS:
        graphs = (parts["encoder", precision], parts["decoder", precision])
        decoded = send(manifest, *graphs, features, TIMED_RATE, options.snr, options.seed)
        speak_clip(parts["vocoder", precision], decoded)
    print(f"{seconds:.1f} s of speech, one core\n\n{times(manifest, parts, seconds)}\n")
    print(f"Feature loss, AWGN {options.snr:g} dB\n\n{quality(manifest, parts, features, options.snr, options.seed)}\n")
    print(sound(parts, features, speech))


if __name__ == "__main__":
    main()
