"""Plain loop, compiled sub-frame and recorded step of the vocoder's training: the same losses, and steps per second.

    python benchmarks/captured_step.py [--batch 16] [--frames 15] [--steps 5]

Every variant starts from the same weights and sees the same batches. Without a GPU nothing can be recorded: plain and
compiled are compared then (compiling needs a C++ compiler). On a GPU the soft-YIN loss is timed too. The exit code is 1
if the losses of any variant differ from the plain loop's by more than 1e-3.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import torch

from aether_lite.cli.prepare import prepare
from aether_lite.data.corpus import Corpus
from aether_lite.losses.f0 import f0_audio_loss
from aether_lite.training.distributed import DistributedContext, pick_device
from aether_lite.training.loop import Trainer
from aether_lite.training.vocoder_config import VocoderConfig
from aether_lite.training.vocoder_task import VocoderTask

TOLERANCE = 1e-3  # relative; the order of sums differs between kernels


def losses(config: VocoderConfig, corpus: Corpus, steps: int, device: torch.device) -> tuple[list[float], float]:
    """Loss of every step, and seconds a step without the first of each kind."""
    torch._dynamo.reset()
    task = VocoderTask(config, corpus, DistributedContext(0, 1, device))
    trainer = Trainer(task)
    task.vocoder.eval()  # without activation noise: its random numbers are drawn in another order when recorded
    values, seconds = [], 0.0
    for step in range(steps + 1):
        began = time.perf_counter()
        values.append(float(trainer.train_step()["total"]))
        seconds += time.perf_counter() - began if step else 0.0
    return values, seconds / steps


def variants(device: torch.device) -> dict[str, dict[str, bool]]:
    """What this machine can run."""
    found = {"plain": {"compiled": False, "captured": False}}
    compiles = device.type == "cuda" or shutil.which("g++") is not None
    if compiles:
        found["compiled"] = {"compiled": True, "captured": False}
    if device.type == "cuda":
        found["recorded"] = {"compiled": False, "captured": True}
        found["compiled, recorded"] = {"compiled": True, "captured": True}
    return found


def soft_yin_ms(device: torch.device, items: int = 64, frames: int = 60) -> float:
    """Milliseconds of the soft-YIN loss and its gradient over a batch."""
    audio = torch.randn(items, frames * 160, device=device, requires_grad=True)
    pitch, voiced = (
        torch.zeros(items, frames, device=device),
        torch.ones(items, frames, dtype=torch.bool, device=device),
    )
    times = []
    for _ in range(5):
        _wait(device)
        began = time.perf_counter()
        torch.autograd.grad(f0_audio_loss(audio, pitch, voiced), audio)
        _wait(device)
        times.append(time.perf_counter() - began)
    return 1000 * min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Print the table; leave with 1 if a variant disagrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--frames", type=int, default=15)
    parser.add_argument("--steps", type=int, default=5)
    given = parser.parse_args()
    device = pick_device("auto", 0)
    samples = Path(str(files("aether_lite") / "assets" / "samples"))
    worst = 0.0
    with tempfile.TemporaryDirectory() as work:
        root = Path(work) / "data"
        prepare([samples, root], jobs=1)
        corpus = Corpus([root])
        print(f"device {device}; batch {given.batch} x {given.frames} frames; {given.steps} steps")
        for stage, (spectral, adversarial) in {"spectral": (10**6, 0), "adversarial": (0, 10**6)}.items():
            plain: list[float] = []
            for name, choice in variants(device).items():
                config = VocoderConfig(
                    data_root=[str(root)], out=work, batch=given.batch, frames=given.frames, discriminator_steps=0,
                    adversarial_batch=max(given.batch // 4, 1), adversarial_frames=given.frames, decoded_share=0.0,
                    warmup=given.steps,  # the rate moves at every step: a recording that froze it would show
                    spectral_steps=spectral, adversarial_steps=adversarial, init="", **choice,
                )  # fmt: skip
                values, seconds = losses(config, corpus, given.steps, device)
                plain = plain or values
                off = max(abs(a - b) / abs(b) for a, b in zip(values, plain, strict=True))
                worst = max(worst, off)
                print(f"{stage:12} {name:20} {1 / seconds:7.2f} steps/s   losses within {off:.1e} of the plain loop")
    print(f"soft YIN, 64 x 0.6 s, loss and gradient: {soft_yin_ms(device):.1f} ms")
    if worst > TOLERANCE:
        sys.exit(1)


if __name__ == "__main__":
    main()
