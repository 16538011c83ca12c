"""Speed of the chain by part on one core: real-time factors, memory, latency, parameters and multiply-accumulates."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from aether_lite.audio import SAMPLE_RATE, read_audio, write_audio
from aether_lite.bench.dataset import bundled
from aether_lite.bench.macs import count_macs, count_parameters
from aether_lite.bench.tables import ABSENT, markdown
from aether_lite.channels import awgn
from aether_lite.codec import Codec, load
from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME, NUM_FREE
from aether_lite.vocoder import FARGAN, default_vocoder_path, load_fargan, synthesize
from aether_lite.vocoder.fargan import CONTEXT_ROWS, periods_from_features

RATE = 1000  # uses/s
SNR_DB = 10.0
SECONDS = 20.0  # of speech
REPEATS = 3  # the shortest time counts
COUNTED_SECONDS = 2.0  # over which multiply-accumulates are counted
BYTES_PER_MB = 1e6


@dataclass(frozen=True)
class PartSpeed:
    """One part of the chain.

    Attributes:
        name: in words.
        real_time_factor: computing time over playing time, one core; below 1 is faster than real time.
        parameters: trainable numbers; None where nothing is trained.
        mmacs_per_s: million multiply-accumulates for each second of speech; None where they are not counted.
    """

    name: str
    real_time_factor: float
    parameters: int | None = None
    mmacs_per_s: float | None = None


@dataclass(frozen=True)
class Speed:
    """Speed figures.

    Attributes:
        parts: in the order of the chain.
        peak_memory_mb: largest resident set of ``aether-lite transmit`` [MB], interpreter and torch included.
        latency_ms: algorithmic, by part [ms].
        seconds: speech that was timed [s].
        load: of the machine when the timing began, and cores.
        processor: its name, if known.
    """

    parts: tuple[PartSpeed, ...]
    peak_memory_mb: float
    latency_ms: dict[str, float]
    seconds: float
    load: float
    processor: str


def measure_speed(model: str, seconds: float = SECONDS, repeats: int = REPEATS) -> Speed:
    """Time the chain on bundled speech at 1000 uses/s and Es/N0 10 dB, one thread.

    Args:
        model: released name or codec file.
        seconds: of speech [s].
        repeats: how often each part is timed; the vocoder only once.

    Raises:
        AetherError: the codec cannot be loaded, or the command failed.
    """
    codec, load_before = load(model), os.getloadavg()[0]
    speech = np.resize(read_audio(bundled().sources[0].paths[0]), round(seconds * SAMPLE_RATE))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        parts = _parts(codec, speech, seconds, repeats)
    finally:
        torch.set_num_threads(threads)
    latency = codec.latency
    milliseconds = 1000 / SAMPLE_RATE
    by_part = {
        "features": latency.features * milliseconds,
        "token": latency.token * milliseconds,
        "vocoder": latency.vocoder * milliseconds,
        "all": latency.milliseconds,
    }
    return Speed(parts, peak_memory_mb(model, speech), by_part, seconds, load_before, processor())


def _parts(codec: Codec, speech: np.ndarray, seconds: float, repeats: int) -> tuple[PartSpeed, ...]:
    features = codec.features(speech)
    symbols = codec.encode_features(features, RATE)
    received = awgn(symbols, SNR_DB, seed=0)
    decoded = codec.decode_features(received)
    fargan = load_fargan(default_vocoder_path())
    model, vocoder = codec.model, codec.vocoder
    some = features[:, : round(COUNTED_SECONDS * SAMPLE_RATE / FRAME)]
    part = awgn(codec.encode_features(some, RATE), SNR_DB, seed=0)
    return (
        PartSpeed("feature extraction", best_time(lambda: codec.features(speech), repeats) / seconds),
        PartSpeed(
            "encoder",
            best_time(lambda: codec.encode_features(features, RATE), repeats) / seconds,
            count_parameters(model.spi_encoder, model.jscc_encoder),
            count_macs(lambda: codec.encode_features(some, RATE)) / COUNTED_SECONDS / 1e6,
        ),
        PartSpeed("channel", best_time(lambda: awgn(symbols, SNR_DB, seed=0), repeats) / seconds),
        PartSpeed(
            "decoder",
            best_time(lambda: codec.decode_features(received), repeats) / seconds,
            count_parameters(model.jscc_decoder, model.spi_decoder),
            count_macs(lambda: codec.decode_features(part)) / COUNTED_SECONDS / 1e6,
        ),
        PartSpeed(
            "vocoder (FARGAN)",
            best_time(lambda: synthesize(decoded, vocoder), 1) / seconds,
            count_parameters(fargan),
            fargan_macs_per_s(fargan) / 1e6,
        ),
    )


def fargan_macs_per_s(vocoder: FARGAN) -> float:
    """Multiply-accumulates of FARGAN for one second of speech, its start not counted."""
    shorter, longer = 10, 20  # frames

    def made(frames: int) -> int:
        rows = torch.zeros(1, frames + CONTEXT_ROWS, NUM_FREE)
        return count_macs(lambda: vocoder(rows, periods_from_features(rows), frames))

    vocoder.eval()
    return (made(longer) - made(shorter)) / (longer - shorter) * SAMPLE_RATE / FRAME


def best_time(work: Callable[[], object], repeats: int) -> float:
    """Shortest time of ``work`` [s]."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def peak_memory_mb(model: str, speech: np.ndarray) -> float:
    """Largest resident set of ``aether-lite transmit`` on speech ``[N]`` in a process of its own [MB].

    Raises:
        AetherError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, heard = Path(folder) / "in.wav", Path(folder) / "out.wav"
        write_audio(source, speech)
        options = ["--snr", str(SNR_DB), "--rate", str(RATE), "--model", model, "--quiet"]
        command = [sys.executable, "-m", "aether_lite.cli.main", "transmit", str(source), str(heard), *options]
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise AetherError(f"aether-lite transmit failed with code {process.returncode} while memory was measured")
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB, macOS in bytes
    return usage.ru_maxrss * unit / BYTES_PER_MB


def processor() -> str:
    """Name of the processor and how many cores this process may use; as far as the system tells."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unnamed processor")
    return f"{name}, {cores} cores"


def speed_table(speed: Speed) -> str:
    """Markdown table and its notes."""
    lines = [
        [
            part.name,
            f"{part.real_time_factor:.4f}",
            ABSENT if part.parameters is None else f"{part.parameters:,}",
            ABSENT if part.mmacs_per_s is None else f"{part.mmacs_per_s:.1f}",
        ]
        for part in speed.parts
    ]
    table = markdown(["part", "real-time factor", "parameters", "MMAC/s"], lines)
    latency = ", ".join(f"{name} {value:.1f} ms" for name, value in speed.latency_ms.items() if name != "all")
    notes = (
        f"{speed.seconds:g} s of bundled speech, {RATE} uses/s, AWGN at Es/N0 {SNR_DB:g} dB "
        f"(SNR3k {SNR_DB + 10 * np.log10(RATE / 3000):.1f} dB), one core of {speed.processor}; machine load when the "
        f"timing began {speed.load:.1f}.",
        f"Peak memory of `aether-lite transmit`: {speed.peak_memory_mb:.0f} MB. Algorithmic latency "
        f"{speed.latency_ms['all']:.0f} ms: {latency}.",
        "MMAC/s: million multiply-accumulates for each second of speech, counted in matrix products and convolutions.",
    )
    return table + "\n\n" + "  \n".join(notes)
