"""Speed of the chain by part on one core: real-time factors, memory, latency, parameters and multiply-accumulates.

Multiply-accumulates are those of the matrix products and convolutions that reach torch, with their real shapes.
Additions, activations and gathering are not counted, as is the custom.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
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
from aether_lite.link import snr_3k_db
from aether_lite.vocoder import FARGAN, default_vocoder_path, load_fargan, synthesize
from aether_lite.vocoder.fargan import CONTEXT_ROWS, periods_from_features

RATE, SNR_DB = 1000, 10.0  # uses/s, Es/N0 [dB]
SECONDS = 20.0  # of speech
REPEATS = 3  # the shortest time counts
COUNTED_SECONDS = 2.0  # over which multiply-accumulates are counted
FLOPS_PER_MAC = 2


def speed_table(model: str) -> str:
    """Time a codec on bundled speech at 1000 uses/s and Es/N0 10 dB, one thread: a Markdown table and its notes.

    Raises:
        AetherError: the codec cannot be loaded, or the command failed.
    """
    codec, load_before, threads = load(model, unit="uses/s"), os.getloadavg()[0], torch.get_num_threads()
    speech = np.resize(read_audio(bundled().sources[0].paths[0]), round(SECONDS * SAMPLE_RATE))
    torch.set_num_threads(1)
    try:
        lines = _parts(codec, speech)
    finally:
        torch.set_num_threads(threads)
    latency, milliseconds = codec.latency, 1000 / SAMPLE_RATE
    parts = ((name, getattr(latency, name) * milliseconds) for name in ("features", "token", "vocoder"))
    notes = (
        f"{SECONDS:g} s of bundled speech, {RATE} uses/s, AWGN at Es/N0 {SNR_DB:g} dB (SNR3k "
        f"{snr_3k_db(SNR_DB, RATE):.1f} dB), one core of {processor()}; machine load when the timing began "
        f"{load_before:.1f}.",
        f"Peak memory of `aether-lite transmit`: {peak_memory_mb(model, speech):.0f} MB. Algorithmic latency "
        f"{latency.milliseconds:.0f} ms: {', '.join(f'{name} {value:.1f} ms' for name, value in parts)}.",
        "MMAC/s: million multiply-accumulates for each second of speech, counted in matrix products and convolutions.",
    )
    return markdown(["part", "real-time factor", "parameters", "MMAC/s"], lines) + "\n\n" + "  \n".join(notes)


def _parts(codec: Codec, speech: np.ndarray) -> list[list[str]]:
    """Lines of the table: each part, computing time over playing time, parameters, million MAC a second."""
    features = codec.features(speech)
    symbols = codec.encode_features(features, RATE)
    received = awgn(symbols, SNR_DB, seed=0)
    decoded = codec.decode_features(received)
    fargan, model = load_fargan(default_vocoder_path()), codec.model
    some = features[:, : round(COUNTED_SECONDS * SAMPLE_RATE / FRAME)]
    part = awgn(codec.encode_features(some, RATE), SNR_DB, seed=0)

    encoder = count_macs(lambda: codec.encode_features(some, RATE)) / COUNTED_SECONDS
    decoder = count_macs(lambda: codec.decode_features(part)) / COUNTED_SECONDS
    sender, receiver = (model.spi_encoder, model.jscc_encoder), (model.jscc_decoder, model.spi_decoder)
    parts: list[tuple[str, Callable[[], object], int, float, tuple[nn.Module, ...]]] = [
        ("feature extraction", lambda: codec.features(speech), REPEATS, 0.0, ()),
        ("encoder", lambda: codec.encode_features(features, RATE), REPEATS, encoder, sender),
        ("channel", lambda: awgn(symbols, SNR_DB, seed=0), REPEATS, 0.0, ()),
        ("decoder", lambda: codec.decode_features(received), REPEATS, decoder, receiver),
        ("vocoder (FARGAN)", lambda: synthesize(decoded, codec.vocoder), 1, fargan_macs_per_s(fargan), (fargan,)),
    ]
    return [
        [name, f"{best_time(work, repeats) / SECONDS:.4f}",
         *([f"{count_parameters(*modules):,}", f"{macs / 1e6:.1f}"] if modules else [ABSENT, ABSENT])]
        for name, work, repeats, macs, modules in parts
    ]  # fmt: skip


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
    return min(timeit.repeat(work, number=1, repeat=repeats))


def peak_memory_mb(model: str, speech: np.ndarray) -> float:
    """Largest resident set of ``aether-lite transmit`` on speech ``[N]`` in a process of its own [MB].

    Raises:
        AetherError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, decoded = Path(folder) / "in.wav", Path(folder) / "out.wav"
        write_audio(source, speech)
        options = ["--snr", str(SNR_DB), "--rate", str(RATE), "--model", model, "--quiet"]
        command = [sys.executable, "-P", "-m", "aether_lite.cli.main", "transmit", str(source), str(decoded), *options]
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
