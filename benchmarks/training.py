"""Steps per second of each training stage, share of time spent waiting for data, and scaling from 1 to 2 processes.

    python benchmarks/training.py [--preset small] [--steps 6] [--data_root FOLDER]

Without a data root, pairs are made from the bundled samples. Every stage runs alone (its border at 0) after one
uncounted step. Scaling runs feature_focus through torchrun with one thread a process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import torch

from aether_lite.cli.prepare import prepare
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.codec_task import CodecTask
from aether_lite.training.curriculum import STAGES
from aether_lite.training.distributed import DistributedContext, pick_device
from aether_lite.training.loop import Trainer, corpora

FAR = 10**9  # a border that is never reached


def options(root: Path, out: Path, preset: str, steps: int, stage: int) -> TrainConfig:
    """A run that stays in one stage."""
    borders = [0 if stage > i else FAR for i in range(3)]
    return TrainConfig(
        data_root=[str(root)],
        out=str(out),
        preset=preset,
        steps=steps,
        stage_borders=borders,
        use_stft_loss=True,
        tensorboard=False,
        estoi_clips=0,
    )


def stage_speed(root: Path, preset: str, steps: int, stage: int) -> tuple[float, float]:
    """Steps per second, and share of time spent waiting for data."""
    with tempfile.TemporaryDirectory() as out:
        config = options(root, Path(out), preset, steps + 1, stage)
        trainer = Trainer(CodecTask(config, corpora(config)[0], DistributedContext(0, 1, pick_device("auto", 0))))
        trainer.train_step()
        assert trainer.loader is not None
        waited, began = trainer.loader.waited, time.perf_counter()
        for _ in range(steps):
            trainer.train_step()
        if trainer.context.device.type == "cuda":
            torch.cuda.synchronize()
        elapsed = time.perf_counter() - began
        return steps / elapsed, (trainer.loader.waited - waited) / elapsed


def process_speed(root: Path, preset: str, steps: int, processes: int) -> float:
    """Steps per second of the same batch on a number of gloo processes with one thread each."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        script = Path(__file__).parents[1] / "training" / "spi_jscc_train.py"
        rest = f"""--distributed --data_root {root} --out {out} --preset {preset} --steps {steps} --device cpu
            --stage_borders {FAR} {FAR} {FAR} --estoi_clips 0 --no-tensorboard --save_every {FAR}"""
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([*command, str(script), *rest.split()], env=environment, capture_output=True, check=True)
        rows = [json.loads(line) for line in (Path(out) / "log.jsonl").read_text().splitlines()]
        return float([row for row in rows if "valid" not in row][-1]["steps_per_second"])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--data_root", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = chosen.data_root or Path(folder) / "pairs"
        if chosen.data_root is None:
            prepare([Path(str(files("aether_lite") / "assets" / "samples")), root])
        base = TrainConfig()
        shape = f"batch {base.batch} x {base.frames} frames, {base.audio_items} x {base.audio_frames} vocoded"
        print(f"{chosen.preset}, {shape}, {torch.get_num_threads()} threads, {pick_device('auto', 0)}")
        for number, stage in enumerate(STAGES):
            speed, waiting = stage_speed(root, chosen.preset, chosen.steps, number)
            print(f"{stage.name:18} {speed:6.2f} steps/s, {waiting:5.1%} waiting for data")
        speeds = [process_speed(root, chosen.preset, 10 * chosen.steps, processes) for processes in (1, 2)]
        gain = speeds[1] / speeds[0]
        print(f"feature_focus on 1 and 2 processes: {speeds[0]:.2f} and {speeds[1]:.2f} steps/s, x {gain:.2f}")


if __name__ == "__main__":
    main()
