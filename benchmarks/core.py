"""Speed and memory of the native core: features, encoder, decoder and vocoders as streams, at every precision.

Run: ``OMP_NUM_THREADS=1 python benchmarks/core.py [--seconds 10] [--turns 5] [--model small] [--kernels NAME]``.

The encoder's time holds that of the features, the decoder's that of the vocoder. Real-time factor: processor time over
playing time, the least of the turns, so that other work on the machine counts little. A token's times are wall times
through encoder and decoder, of all turns. Memory is that of the process that streams, without torch, and that of the
library's model and streams in it. Below stand the streams of :mod:`aether_lite.streaming`, with a channel between.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from aether_lite.audio import SAMPLE_RATE, read_audio
from aether_lite.core.library import Decoder, Encoder, Features, Model, Vocoder, default

CLIP = "assets/samples/en_f_queue.flac"
PRECISIONS, VOCODERS = ("float32", "float16", "int8"), ("fargan", "hnsf")
COLUMNS = (
    f"{'weights':>8} {'vocoder':>7} {'features':>9} {'encode':>8} {'vocoder':>8} {'decode':>8} {'stream':>8} "
    f"{'p50 [ms]':>9} {'p99 [ms]':>9} {'max [ms]':>9} {'streams [kB]':>13} {'process [MB]':>13}"
)


def resident_mb() -> float:
    """Greatest resident set of this process so far [MB]; NaN where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def least(turns: int, function: Callable[[], object]) -> float:
    """Least processor time [s] of some turns."""
    times = []
    for _ in range(turns):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def measure(path: Path, kernels: str | None, seconds: float, turns: int) -> str:
    """The measured columns of a row."""
    model, clip = Model(default(), path, kernels), read_audio(Path(str(files("aether_lite") / CLIP)))
    speech = np.resize(clip, round(seconds * SAMPLE_RATE))
    encoder, decoder, tokens, walls = Encoder(model), Decoder(model), list[np.ndarray](), list[float]()
    block = 160 * model.info.token_frames
    features, rows = Features(model, condition=True), list[np.ndarray]()

    def extract() -> None:
        rows[:] = [features.push(speech[start : start + block])[:, :20] for start in range(0, len(speech), block)]

    def encode() -> None:
        pieces = [encoder.push(speech[start : start + block]) for start in range(0, len(speech), block)]
        tokens[:] = np.concatenate(pieces)

    def decode() -> None:
        for token in tokens:
            decoder.push(token, None, 0.1)

    def stream() -> None:
        for start in range(0, len(speech), block):
            begin = time.perf_counter()
            for token in encoder.push(speech[start : start + block]):
                decoder.push(token, None, 0.1)
            walls.append(1000 * (time.perf_counter() - begin))

    vocoder = Vocoder(model)
    parts = [
        least(turns, extract),
        least(turns, encode),
        least(turns, lambda: [vocoder.push(piece) for piece in rows]),
        least(turns, decode),
        least(turns, stream),
    ]
    memory = (model.memory_bytes + encoder.memory_bytes + decoder.memory_bytes) / 1000
    times = (*np.percentile(walls, (50, 99)), max(walls))
    return (
        f"{parts[0] / seconds:9.4f} "
        + " ".join(f"{part / seconds:8.4f}" for part in parts[1:])
        + " "
        + " ".join(f"{value:9.2f}" for value in times)
        + f" {memory:13.0f} {resident_mb():13.1f}"
    )


def measure_python(seconds: float, turns: int, name: str) -> str:
    """The stream of :mod:`aether_lite.streaming` over a channel: its columns."""
    from aether_lite.channels import awgn
    from aether_lite.core.codec import CoreCodec
    from aether_lite.streaming import Decoder as PythonDecoder
    from aether_lite.streaming import Encoder as PythonEncoder

    codec, clip = CoreCodec(name), read_audio(Path(str(files("aether_lite") / CLIP)))
    speech, walls = np.resize(clip, round(seconds * SAMPLE_RATE)), list[float]()
    encoder, decoder, block = PythonEncoder(codec), PythonDecoder(codec), 160 * codec.token_frames

    def stream() -> None:
        for start in range(0, len(speech), block):
            begin = time.perf_counter()
            sent = encoder.push(speech[start : start + block])
            if sent.values.shape[1]:
                decoder.push(awgn(sent, snr_db=10, seed=0))
            walls.append(1000 * (time.perf_counter() - begin))

    stream()
    walls.clear()
    spent, times = least(turns, stream) / seconds, (*np.percentile(walls, (50, 99)), max(walls))
    return f"{spent:8.4f} " + " ".join(f"{value:9.2f}" for value in times) + f" {'':13} {resident_mb():13.1f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of speech in a turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--model", default="small", help="released codec or file")
    parser.add_argument("--kernels", help="scalar, sse2, avx2, neon")
    parser.add_argument("--row", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.row is not None:
        print(measure(options.row, options.kernels, options.seconds, options.turns))
        return
    from aether_lite.codec.loading import codec_path, load_codec
    from aether_lite.core import weights
    from aether_lite.export.native import codec_sections, vocoder_sections
    from aether_lite.vocoder import vocoder_path

    codec = load_codec(codec_path(options.model))[0]
    print(f"{options.model}, {options.turns} turns of {options.seconds:g} s, load {os.getloadavg()[0]:.1f}")
    print(COLUMNS)
    same = ["--seconds", str(options.seconds), "--turns", str(options.turns)]
    same += ["--kernels", options.kernels] if options.kernels else []
    with tempfile.TemporaryDirectory() as folder:
        for precision in PRECISIONS:
            for vocoder in VOCODERS:
                path, kind = Path(folder) / "w.aether", weights.PRECISIONS[precision]
                weights.write(path, codec_sections(codec, kind) | vocoder_sections(vocoder_path(vocoder), kind))
                command = [sys.executable, __file__, "--row", str(path), *same]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                print(f"{precision:>8} {vocoder:>7} {done.stdout}", end="", flush=True)
    print(f"{'Python streams':>16} {'':36}{measure_python(options.seconds, options.turns, options.model)}")


if __name__ == "__main__":
    main()
