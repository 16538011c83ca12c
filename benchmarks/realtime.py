"""Speed, latency and memory of the chain as a stream: samples in blocks of 20 ms, encoder, channel, decoder, speech.

Run: ``python benchmarks/realtime.py [--minutes 10] [--rate 1000] [--model NAME|FILE]``; ``--minutes 60`` for an hour.

Real-time factor (RTF): processor time over playing time, so that other work on the machine does not count; the wall
time is shown beside it. Per-token times are wall times of one token through encoder, channel and decoder. Memory is
the resident set after the first minute and at the end: constant if both are alike. One process for each number of
threads.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from aether_lite.audio import SAMPLE_RATE, read_audio
from aether_lite.core.codec import CoreCodec
from aether_lite.link import LinkConfig
from aether_lite.streaming import Decoder, Encoder
from aether_lite.streaming.channel import StreamChannel

CLIP = "assets/samples/en_f_queue.flac"
SNR_DB = 10.0
BLOCK = 320  # samples: 20 ms
COLUMNS = (
    f"{'threads':>7} {'encode':>8} {'channel':>8} {'decode':>8} {'RTF':>8} {'wall':>8} "
    f"{'p50 [ms]':>9} {'p99 [ms]':>9} {'max [ms]':>9} {'1 min [MB]':>11} {'end [MB]':>9}"
)


def resident_mb() -> float:
    """Resident set of this process [MB = 10^6 bytes]; NaN where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(threads: int, minutes: float, rate: int, model: str) -> str:
    """One row of the table."""
    codec = CoreCodec(model)
    clip = read_audio(Path(str(files("aether_lite") / CLIP)))
    encoder, decoder = Encoder(codec, rate), Decoder(codec, rate)
    link = StreamChannel(LinkConfig("awgn", rate, SNR_DB), codec.token_frames)
    decoder.push(link.send(encoder.push(clip[: 4 * SAMPLE_RATE])))  # the first passes are slow
    spent = np.zeros(3)
    tokens: list[float] = []
    count = round(minutes * 60 * SAMPLE_RATE / BLOCK)
    early = resident_mb()
    begin = time.perf_counter()
    for k in range(count):
        block = clip.take(range(k * BLOCK, (k + 1) * BLOCK), mode="wrap")
        start, stages = time.perf_counter(), [time.process_time()]
        symbols = encoder.push(block)
        stages.append(time.process_time())
        received = link.send(symbols)
        stages.append(time.process_time())
        decoder.push(received)
        stages.append(time.process_time())
        spent += np.diff(stages)
        if symbols.values.shape[1]:
            tokens.append(1000 * (time.perf_counter() - start))
        if (k + 1) * BLOCK == 60 * SAMPLE_RATE:
            early = resident_mb()
    playing = count * BLOCK / SAMPLE_RATE
    factors = (*(spent / playing), spent.sum() / playing, (time.perf_counter() - begin) / playing)
    p50, p99 = np.percentile(tokens, (50, 99))
    return (
        f"{threads:>7} "
        + " ".join(f"{factor:8.4f}" for factor in factors)
        + f" {p50:9.1f} {p99:9.1f} {max(tokens):9.1f} {early:11.1f} {resident_mb():9.1f}"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="of speech")
    parser.add_argument("--rate", type=int, default=1000, help="uses/s")
    parser.add_argument("--model", default="small", help="released codec or file")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--row", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.row is not None:
        print(measure(options.row, options.minutes, options.rate, options.model))
        return
    latency = CoreCodec(options.model).latency
    print(
        f"{options.minutes:g} min of speech in blocks of 20 ms, {options.rate} uses/s, load {os.getloadavg()[0]:.1f}; "
        f"latency {latency.milliseconds:g} ms ({latency.samples} samples) and the computing time of a token"
    )
    print(COLUMNS)
    for threads in options.threads:
        same = ["--minutes", str(options.minutes), "--rate", str(options.rate), "--model", options.model]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, __file__, "--row", str(threads), *same]
        print(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout, end="")


if __name__ == "__main__":
    main()
