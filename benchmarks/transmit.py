"""Speed and memory of the main job on one core, against the project's limits.

Run: ``python benchmarks/transmit.py [--seconds 60] [--model NAME|FILE]``

Real-time factor: computing time over playing time; the best of ``--repeats`` runs counts. Peak memory is that of
``aether-lite transmit`` in a process of its own, interpreter included; so is the time of ``--help``.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

import aether_lite
from aether_lite.audio import SAMPLE_RATE, read_audio, write_audio
from aether_lite.bench.speed import best_time
from aether_lite.codec.loading import DEFAULT_CODEC
from aether_lite.core.codec import CoreCodec

CLIP = "assets/samples/en_f_queue.flac"
RATE = 1000  # uses/s
SNR_DB = 10.0
PROGRAM = (sys.executable, "-m", "aether_lite.cli.main")
LIMITS = {
    "encode, features included": 0.05,
    "decode without vocoder": 0.05,
    "peak memory of transmit [MB]": 900.0,
    "--help [s]": 1.0,
}


def speech(seconds: float) -> np.ndarray:
    """Bundled speech, repeated: ``[N] float32``."""
    return np.resize(read_audio(Path(str(files("aether_lite") / CLIP))), round(seconds * SAMPLE_RATE))


def computing(model: str, seconds: float, repeats: int) -> dict[str, float]:
    """Real-time factors of the parts."""
    codec = CoreCodec(model)
    clip = speech(seconds)
    symbols = codec.encode(clip, rate=RATE)
    received = aether_lite.channels.awgn(symbols, snr_db=SNR_DB, seed=0)
    features = codec.decode_features(received)
    work: dict[str, Callable[[], object]] = {
        "features": lambda: codec.features(clip),
        "encode, features included": lambda: codec.encode(clip, rate=RATE),
        "channel": lambda: aether_lite.channels.awgn(symbols, snr_db=SNR_DB, seed=0),
        "decode without vocoder": lambda: codec.decode_features(received),
    }
    factors = {name: best_time(run, repeats) / seconds for name, run in work.items()}
    factors["vocoder, one clip"] = best_time(lambda: codec.speak(features), 1) / seconds
    return factors


def peak_memory_mb(model: str, seconds: float) -> float:
    """Largest resident set of ``transmit`` [MB = 10^6 bytes]."""
    with tempfile.TemporaryDirectory() as folder:
        write_audio(Path(folder) / "in.wav", speech(seconds))
        options = ["--snr", str(SNR_DB), "--rate", str(RATE), "--model", model, "--quiet"]
        command = [*PROGRAM, "transmit", f"{folder}/in.wav", f"{folder}/out.wav", *options]
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"transmit failed with status {status}")
    return _bytes(usage) / 1e6


def help_time(repeats: int) -> float:
    """Time of ``aether-lite --help`` [s]."""
    return best_time(lambda: subprocess.run([*PROGRAM, "--help"], capture_output=True, check=True), repeats)


def _bytes(usage: resource.struct_rusage) -> int:
    """Linux counts in KiB, macOS in bytes."""
    return usage.ru_maxrss if sys.platform == "darwin" else 1024 * usage.ru_maxrss


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of speech")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default=DEFAULT_CODEC, help="released codec or file")
    options = parser.parse_args(argv)

    print(f"{options.seconds:g} s of speech, {RATE} uses/s, one core, load {os.getloadavg()[0]:.1f}")
    rows = computing(options.model, options.seconds, options.repeats)
    rows["peak memory of transmit [MB]"] = peak_memory_mb(options.model, options.seconds)
    rows["--help [s]"] = help_time(options.repeats)
    print(f"{'':<30} {'measured':>9} {'limit':>7}")
    for name, value in rows.items():
        limit = LIMITS.get(name)
        bound = "" if limit is None else f"{limit:7g} {'ok' if value <= limit else 'TOO MUCH'}"
        print(f"{name:<30} {value:9.4g} {bound}".rstrip())


if __name__ == "__main__":
    main()
