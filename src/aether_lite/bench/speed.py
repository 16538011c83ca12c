"""Speed of the chain by part on one core: real-time factors, memory, latency, parameters and multiply-accumulates.

Multiply-accumulates are those of the matrix products and convolutions that reach torch, with their real shapes.
Additions, activations and gathering are not counted, as is the custom.
"""

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
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from aether_lite.audio import SAMPLE_RATE, read_audio, write_audio
from aether_lite.bench.dataset import bundled
from aether_lite.bench.results import ABSENT
from aether_lite.bench.tables import markdown
from aether_lite.channels import awgn
from aether_lite.codec import Codec, load
from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME, NUM_FREE
from aether_lite.vocoder import FARGAN, default_vocoder_path, load_fargan, synthesize
from aether_lite.vocoder.fargan import CONTEXT_ROWS, periods_from_features

RATE, SNR_DB = 1000, 10.0  # uses/s, Es/N0 [dB]
SECONDS = 20.0  # of speech
REPEATS = 3  # the shortest time counts
COUNTED_SECONDS = 2.0  # over which multiply-accumulates are counted
FLOPS_PER_MAC = 2


@dataclass(frozen=True)
class PartSpeed:
    """One part of the chain: computing time over playing time, trainable numbers, million MAC for a second of speech.

    Parameters and MAC are None where nothing is trained.
    """

    name: str
    real_time_factor: float
    parameters: int | None = None
    mmacs_per_s: float | None = None


@dataclass(frozen=True)
class Speed:
    """Parts in the order of the chain, largest resident set of ``transmit`` [MB], latency by part [ms], machine load
    when the timing began."""

    parts: tuple[PartSpeed, ...]
    peak_memory_mb: float
    latency_ms: dict[str, float]
    seconds: float
    load: float


def measure_speed(model: str, seconds: float = SECONDS, repeats: int = REPEATS) -> Speed:
    """Time the chain on bundled speech at 1000 uses/s and Es/N0 10 dB, one thread.

    Args:
        model: released name or codec file.
        seconds: of speech [s].
        repeats: how often each part is timed; the vocoder only once.

    Raises:
        AetherError: the codec cannot be loaded, or the command failed.
    """
    codec, load_before = load(model, unit="uses/s"), os.getloadavg()[0]
    speech = np.resize(read_audio(bundled().sources[0].paths[0]), round(seconds * SAMPLE_RATE))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        parts = _parts(codec, speech, seconds, repeats)
    finally:
        torch.set_num_threads(threads)
    latency, milliseconds = codec.latency, 1000 / SAMPLE_RATE
    by_part = {name: getattr(latency, name) * milliseconds for name in ("features", "token", "vocoder")}
    by_part["all"] = latency.milliseconds
    return Speed(parts, peak_memory_mb(model, speech), by_part, seconds, load_before)


def _parts(codec: Codec, speech: np.ndarray, seconds: float, repeats: int) -> tuple[PartSpeed, ...]:
    features = codec.features(speech)
    symbols = codec.encode_features(features, RATE)
    received = awgn(symbols, SNR_DB, seed=0)
    decoded = codec.decode_features(received)
    fargan, model = load_fargan(default_vocoder_path()), codec.model
    some = features[:, : round(COUNTED_SECONDS * SAMPLE_RATE / FRAME)]
    part = awgn(codec.encode_features(some, RATE), SNR_DB, seed=0)

    def trained(name: str, work: Callable[[], object], counted: Callable[[], object], *modules: nn.Module) -> PartSpeed:
        macs = count_macs(counted) / COUNTED_SECONDS / 1e6
        return PartSpeed(name, best_time(work, repeats) / seconds, count_parameters(*modules), macs)

    return (
        PartSpeed("feature extraction", best_time(lambda: codec.features(speech), repeats) / seconds),
        trained(
            "encoder",
            lambda: codec.encode_features(features, RATE),
            lambda: codec.encode_features(some, RATE),
            model.spi_encoder,
            model.jscc_encoder,
        ),
        PartSpeed("channel", best_time(lambda: awgn(symbols, SNR_DB, seed=0), repeats) / seconds),
        trained(
            "decoder",
            lambda: codec.decode_features(received),
            lambda: codec.decode_features(part),
            model.jscc_decoder,
            model.spi_decoder,
        ),
        PartSpeed(
            "vocoder (FARGAN)",
            best_time(lambda: synthesize(decoded, codec.vocoder), 1) / seconds,
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


def count_macs(run: Callable[[], object]) -> int:
    """Multiply-accumulates of one call of ``run``."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops()) // FLOPS_PER_MAC


def count_parameters(*modules: nn.Module) -> int:
    """Trainable numbers of modules; shared ones count once."""
    return sum({id(p): p.numel() for module in modules for p in module.parameters()}.values())


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
        source, decoded = Path(folder) / "in.wav", Path(folder) / "out.wav"
        write_audio(source, speech)
        options = ["--snr", str(SNR_DB), "--rate", str(RATE), "--model", model, "--quiet"]
        command = [sys.executable, "-m", "aether_lite.cli.main", "transmit", str(source), str(decoded), *options]
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise AetherError(f"aether-lite transmit failed with code {process.returncode} while memory was measured")
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB, macOS in bytes
    return usage.ru_maxrss * unit / 1e6


def processor() -> str:
    """Name of the processor and how many cores this process may use; as far as the system says."""
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
    latency = ", ".join(f"{name} {value:.1f} ms" for name, value in speed.latency_ms.items() if name != "all")
    notes = (
        f"{speed.seconds:g} s of bundled speech, {RATE} uses/s, AWGN at Es/N0 {SNR_DB:g} dB "
        f"(SNR3k {SNR_DB + 10 * np.log10(RATE / 3000):.1f} dB), one core of {processor()}; machine load when the "
        f"timing began {speed.load:.1f}.",
        f"Peak memory of `aether-lite transmit`: {speed.peak_memory_mb:.0f} MB. Algorithmic latency "
        f"{speed.latency_ms['all']:.0f} ms: {latency}.",
        "MMAC/s: million multiply-accumulates for each second of speech, counted in matrix products and convolutions.",
    )
    return markdown(["part", "real-time factor", "parameters", "MMAC/s"], lines) + "\n\n" + "  \n".join(notes)
