"""Which way of running FARGAN on one CPU core is the fastest, and what it needs.

Run: ``OMP_NUM_THREADS=1 python benchmarks/vocoder_cpu.py [--seconds 10] [--parts products vocoders batches quality]``
Needs the extras ``realtime``, ``onnx`` and (for the quality) ``eval``.

Real-time factor (RTF): computing time over playing time of all streams. Each second of speech is timed alone, in
processor time (other programs on the machine then cost only what they take of caches and memory) and in wall time;
the best and the median second are printed. Batches on two threads are given in wall time.
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

import numba
import numpy as np
import torch
from torch import Tensor

from aether_lite.audio import read_audio
from aether_lite.export.runner import OnnxStep, session
from aether_lite.export.steps import VocoderFrame, quantise, to_onnx
from aether_lite.features import extract_features
from aether_lite.features.layout import NUM_FREE
from aether_lite.metrics import estoi, log_spectral_distance, pesq_wb
from aether_lite.native.fargan import SUBFRAMES
from aether_lite.native.fargan_weights import LAYERS, pack
from aether_lite.native.primitives import product
from aether_lite.vocoder import FARGAN, CompiledFargan, FrameVocoder, FusedFargan, load_fargan, synthesize

FRAMES_PER_SECOND = 100
CLIPS = ("en_f_intro", "en_f_queue", "es_f_intro", "fr_f_intro", "it_m_intro", "ru_f_intro")
EVERY_SUBFRAME = range(LAYERS.conv, len(LAYERS))


def bundled(name: str) -> np.ndarray:
    """``[N] float32`` speech."""
    return read_audio(Path(str(files("aether_lite") / "assets" / "samples" / f"{name}.flac")))


def speech_rows(seconds: float) -> Tensor:
    """``[1, F, 20]`` features of the bundled samples one after the other."""
    rows = np.concatenate([extract_features(bundled(name))[:, :NUM_FREE] for name in CLIPS])
    return torch.from_numpy(np.resize(rows, (round(seconds * FRAMES_PER_SECOND), NUM_FREE)))[None]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Processor and wall time [s]."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - processor, time.perf_counter() - wall


def line(name: str, times: Sequence[tuple[float, float]], note: str = "") -> None:
    """Print the best and the median of (processor, wall) times, already divided by the playing time."""
    (processor, wall), (best, best_wall) = np.median(times, axis=0), np.min(times, axis=0)
    print(f"{name:34} {best:8.4f} {processor:8.4f} {best_wall:8.4f} {wall:8.4f}  {note}", flush=True)


def head(title: str) -> None:
    print(f"\n{title:34} {'best':>8} {'median':>8} {'(wall)':>8} {'(wall)':>8}")


@numba.njit(fastmath=True)
def _row_products(matrices, x, y):  # type: ignore[no-untyped-def]
    for matrix in matrices:
        for row in range(matrix.shape[0]):
            total = np.float32(0)
            for i in range(matrix.shape[1]):
                total += matrix[row, i] * x[i]
            y[row] = total


@numba.njit(fastmath=True)
def _column_products(matrices, x, y):  # type: ignore[no-untyped-def]
    for matrix in matrices:
        outputs = y[: matrix.shape[1]]
        outputs[:] = 0
        for i in range(matrix.shape[0]):
            for column in range(matrix.shape[1]):
                outputs[column] += matrix[i, column] * x[i]


@numba.njit
def _panel_products(weights, places, first, x, y, streams):  # type: ignore[no-untyped-def]
    for layer in range(first, len(places)):
        product(weights, places, layer, x, 0, y, 0, streams)


def compare_products(model: FARGAN, repeats: int) -> None:
    """The matrix products of one second alone, without anything between them."""
    w = pack(model)
    shapes = w.places[EVERY_SUBFRAME, 2:]
    rng = np.random.default_rng(0)
    rows = tuple(rng.standard_normal((outputs, inputs)).astype(np.float32) for inputs, outputs in shapes)
    columns = tuple(np.ascontiguousarray(row.T) for row in rows)
    x, y = rng.uniform(-1, 1, 1024).astype(np.float32), np.zeros((2, 1024), np.float32)
    work: dict[str, tuple[int, Callable[[], object]]] = {
        "numba, dot product of each row": (1, lambda: _row_products(rows, x, y[0])),
        "numba, sum of columns": (1, lambda: _column_products(columns, x, y[0])),
        "torch, float32": (1, _torch_products(rows)),
    }
    for streams in (1, 2):
        operands = np.ones((streams, 1024), np.float32)
        arguments = (w.matrices, w.places, LAYERS.conv, operands, y[:streams], (0,) * streams)
        name = f"panels, {streams} stream{'s' * (streams > 1)}"
        work[name] = (streams, lambda arguments=arguments: _panel_products(*arguments))
    head("products of 1 s, per stream")
    per_second = FRAMES_PER_SECOND * SUBFRAMES
    for name, (streams, run) in work.items():
        run()
        times = [timed(lambda run=run: [run() for _ in range(per_second // 8)]) for _ in range(8 * repeats)]
        line(name, [(8 * p / streams, 8 * w / streams) for p, w in times])


def _torch_products(rows: Sequence[np.ndarray]) -> Callable[[], object]:
    matrices = [torch.from_numpy(row.T.copy()) for row in rows]
    inputs = [torch.ones(1, len(matrix)) for matrix in matrices]
    return lambda: [torch.mm(x, matrix) for x, matrix in zip(inputs, matrices, strict=True)]


def second_by_second(vocoder: FrameVocoder, rows: Tensor, block: int) -> list[tuple[float, float]]:
    """RTF of each second of ``rows [B, F, 20]``, rendered ``block`` frames at a time."""
    batch, state, times = len(rows), vocoder.prime(rows[:, 0]), []

    def second(part: Tensor) -> None:
        nonlocal state
        for piece in torch.split(part, block, dim=1):
            _, state = vocoder.render(piece, state)

    for part in torch.split(rows, FRAMES_PER_SECOND, dim=1):
        processor, wall = timed(lambda part=part: second(part))
        seconds = batch * part.shape[1] / FRAMES_PER_SECOND
        times.append((processor / seconds, wall / seconds))
    return times


def onnx_vocoder(step: OnnxStep, rows: Tensor) -> list[tuple[float, float]]:
    """RTF of each second with one frame a call; the graph makes no more at a time."""
    step.reset()
    step(row=rows[0, 0].numpy(), audible=[0.0])
    seconds = torch.split(rows[0], FRAMES_PER_SECOND)
    times = [timed(lambda part=part: [step(row=row.numpy(), audible=[1.0]) for row in part]) for part in seconds]
    return [
        (p * FRAMES_PER_SECOND / len(s), w * FRAMES_PER_SECOND / len(s))
        for (p, w), s in zip(times, seconds, strict=True)
    ]


def compare_vocoders(model: FARGAN, rows: Tensor) -> None:
    """One stream on one core."""
    head("one stream")
    vocoders: dict[str, FrameVocoder] = {"torch, fused": FusedFargan(model)}
    vocoders["compiled"] = CompiledFargan(model)
    step = VocoderFrame(model).eval().requires_grad_(False)
    inputs = {"row": rows[0, 0], "audible": torch.ones(1)}
    states = [torch.zeros(port.shape) for port in step.states]

    def eager(count: int) -> None:
        with torch.inference_mode():
            for _ in range(count):
                step(*inputs.values(), *states)

    line("torch, plain", [tuple(t * 10 for t in timed(lambda: eager(10))) for _ in range(3)], "frame by frame")
    with tempfile.TemporaryDirectory() as folder:
        exact, small = Path(folder) / "exact.onnx", Path(folder) / "small.onnx"
        exact.write_bytes(to_onnx(step).SerializeToString())
        quantise(exact, small)
        outputs = [port.name for port in step.outputs]
        for name, path in (("float32", exact), ("int8", small)):
            line(f"ONNX Runtime, {name}", onnx_vocoder(OnnxStep(session(path), outputs), rows), "frame by frame")
    for name, vocoder in vocoders.items():
        for block, note in (
            (1, "frame by frame"),
            (8, "a token (8 frames) at a time"),
            (FRAMES_PER_SECOND, "1 s at a time"),
        ):
            second_by_second(vocoder, rows[:, :20], block)
            line(name, second_by_second(vocoder, rows, block), note)


def compare_batches(model: FARGAN, rows: Tensor, threads: int) -> None:
    """Many streams; RTF per stream."""
    torch.set_num_threads(threads)
    head(f"batches, {threads} thread{'s' * (threads > 1)}")
    vocoders: dict[str, FrameVocoder] = {"compiled": CompiledFargan(model)}
    if threads == 1:  # torch's threads wait for each other at every small product: on a busy machine for ever
        vocoders["torch"] = FusedFargan(model)
    for batch in (1, 2, 8, 64):
        many = torch.cat([rows.roll(97 * shift, dims=1) for shift in range(batch)])
        many = many[:, : max(200, many.shape[1] // batch)]
        for name, vocoder in vocoders.items():
            second_by_second(vocoder, many[:, :3], 2)
            line(f"{name}, batch of {batch}", second_by_second(vocoder, many, FRAMES_PER_SECOND))
    torch.set_num_threads(1)


def compare_quality(model: FARGAN) -> None:
    """Distance from torch, and what listeners' stand-ins make of it, mean over the bundled samples."""
    vocoders: dict[str, FrameVocoder] = {"torch, float32": FusedFargan(model)}
    vocoders["compiled"] = CompiledFargan(model)
    print(
        f"\n{'vocoder':20} {'SNR [dB]':>9} {'ESTOI':>7} {'PESQ':>7} {'LSD [dB]':>9}   | against torch: ESTOI, PESQ, LSD"
    )
    references = [torch.from_numpy(synthesize(extract_features(bundled(c)), vocoders["torch, float32"])) for c in CLIPS]
    for name, vocoder in vocoders.items():
        scores = []
        for clip, reference in zip(CLIPS, references, strict=True):
            original = torch.from_numpy(bundled(clip))
            heard = torch.from_numpy(synthesize(extract_features(original.numpy()), vocoder))
            original = original[: len(heard)]
            error = float((heard.double() - reference.double()).square().sum())
            snr = 10 * np.log10(float(reference.double().square().sum()) / error) if error else np.inf
            against = [metric(heard, x) for x in (original, reference) for metric in METRICS]
            scores.append([snr, *map(float, against)])
        snr, *rest = np.mean(scores, axis=0)
        print(f"{name:20} {snr:9.1f} {rest[0]:7.4f} {rest[1]:7.3f} {rest[2]:9.3f}   | {np.round(rest[3:], 4)}")


METRICS = (estoi, pesq_wb, log_spectral_distance)


def need(kind: str) -> None:
    """In a process of its own: time of the first call and growth of the memory."""

    def resident_mb() -> float:
        """Linux only."""
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    model = load_fargan()
    before = resident_mb()
    vocoder = _vocoder(kind, model)
    first, _ = timed(lambda: synthesize(np.zeros((3, NUM_FREE), np.float32), vocoder))
    synthesize(np.zeros((1000, NUM_FREE), np.float32), vocoder)
    print(f"{kind:34} first call {first:5.2f} s of processor time, {resident_mb() - before:5.0f} MB")


def _vocoder(kind: str, model: FARGAN) -> FrameVocoder:
    return FusedFargan(model) if kind == "torch" else CompiledFargan(model)


def compare_needs() -> None:
    """First call, and memory it leaves taken; compiled first, then found in numba's cache."""
    print()
    with tempfile.TemporaryDirectory() as cache:
        for kind in ("torch", "compiled", "compiled"):
            environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
            subprocess.run([sys.executable, __file__, "--need", kind], env=environment, check=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--parts", nargs="+", default=["products", "vocoders", "batches", "quality", "needs"])
    parser.add_argument("--vocoder", help="checkpoint; the bundled one without it")
    parser.add_argument("--need", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    if options.need:
        return need(options.need)
    model, rows = load_fargan(options.vocoder).requires_grad_(False), speech_rows(options.seconds)
    if "products" in options.parts:
        compare_products(model, repeats=5)
    if "vocoders" in options.parts:
        compare_vocoders(model, rows)
    if "batches" in options.parts:
        for threads in (1, 2):
            compare_batches(model, rows, threads)
    if "quality" in options.parts:
        compare_quality(model)
    if "needs" in options.parts:
        compare_needs()


if __name__ == "__main__":
    main()
