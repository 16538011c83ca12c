"""Several processes compute what one computes."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from aether_lite.codec import SpiCodec, preset
from aether_lite.codec.growth import start
from aether_lite.data.corpus import Corpus
from aether_lite.errors import AetherError
from aether_lite.losses.adversarial import discriminator_loss
from aether_lite.training.checkpoint import load_checkpoint
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.codec_pass import TrainingPass
from aether_lite.training.conditions import draw
from aether_lite.training.curriculum import position
from aether_lite.training.distributed import DistributedContext, distributed_context
from aether_lite.training.loop import Batch
from aether_lite.training.optimiser import descend
from aether_lite.vocoder import load_fargan
from aether_lite.vocoder.discriminators import SpectrogramDiscriminators

CONFIG = TrainConfig(
    preset="tiny", batch=4, audio_items=4, frames=64, audio_frames=28, use_stft_loss=True, lambda_adv=1.0, gan_ratio=0.1
)
STEP = 7


def gradients(data_root: Path, here: DistributedContext) -> dict[str, torch.Tensor]:
    """Gradients of one end_to_end step in float64, of codec, vocoder and discriminator."""
    torch.manual_seed(0)
    corpus = Corpus([data_root])
    codec = SpiCodec(preset("tiny"))
    start(codec, corpus.batch(1, 0, range(8), 64))
    if codec.latent_power is not None:
        codec.latent_power.total = here.total
    vocoder, discriminator = load_fargan().double().eval(), SpectrogramDiscriminators().double()
    for parameter in (*codec.parameters(), *discriminator.parameters()):
        if parameter.ndim > 1:  # leave no zero that would hide a gradient
            torch.nn.init.normal_(parameter, std=0.1)
    items = here.items(CONFIG.batch)
    features, audio = corpus.batch_with_audio(0, STEP, items, CONFIG.frames)
    batch = Batch(tuple(items), features.double(), audio.double())
    conditions = draw(TrainConfig(erasure_share=0.5), 0, STEP, items)
    module = TrainingPass(codec.double(), vocoder, discriminator, CONFIG, here)
    wrapped = DistributedDataParallel(module, find_unused_parameters=True) if here.size > 1 else module
    output = wrapped(batch, conditions, position(6000), STEP)
    assert 0 < float(output.parts["adv_scale"]) < 1  # the balance acts
    output.total.backward()
    found = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
    before = {name: p.detach().clone() for name, p in discriminator.named_parameters()}
    optimiser = torch.optim.SGD(discriminator.parameters(), lr=1.0)
    loss = discriminator_loss(discriminator(output.real), discriminator(output.made), reduce=here.total)
    descend(optimiser, loss, math.inf, here)
    return found | {f"discriminator.{name}": before[name] - p.detach() for name, p in discriminator.named_parameters()}


def member(rank: int, size: int, data_root: Path, folder: Path) -> None:
    """One of several gloo processes; the first writes its gradients."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=size)
    found = gradients(data_root, DistributedContext(rank, size, torch.device("cpu")))
    if rank == 0:
        torch.save(found, folder / "gradients.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.parametrize("size", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_give_the_gradients_of_the_joined_batch(data_root: Path, tmp_path: Path, size: int) -> None:
    mp.spawn(partial(member, size=size, data_root=data_root, folder=tmp_path), nprocs=size)
    theirs = torch.load(tmp_path / "gradients.pt", weights_only=True)
    ours = gradients(data_root, DistributedContext(0, 1, torch.device("cpu")))
    assert theirs.keys() == ours.keys()
    assert any(name.startswith("vocoder.") for name in ours)
    for name, value in ours.items():
        scale = max(float(value.abs().max()), 1e-6)
        assert float((theirs[name] - value).abs().max()) <= 1e-6 * scale, name


KILLED_ONCE = """
import os, signal, sys
from aether_lite.cli.main import main
from aether_lite.training.loop import Trainer

step = Trainer.train_step

def fragile(self):
    if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" and self.context.rank == 1 and self.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self)

Trainer.train_step = fragile
main(["train", *sys.argv[1:]])
"""


@pytest.mark.slow
def test_torchrun_continues_after_a_killed_worker(data_root: Path, tmp_path: Path) -> None:
    script = tmp_path / "fragile.py"
    script.write_text(KILLED_ONCE)
    out = tmp_path / "run"
    options = f"""--distributed --data_root {data_root} --out {out} --preset tiny --steps 5 --save_every 1 --keep 9
        --stage_borders 9 9 9 --batch 4 --frames 48 --audio_items 2 --audio_frames 24 --lambda_adv 0 --estoi_clips 0
        --no-tensorboard --device cpu"""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--max_restarts=1"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = subprocess.run(
        [*torchrun, f"--master_port={port}", str(script), *options.split()],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "another process of this job has stopped at step 3" in done.stderr
    assert f"continuing {out / 'step_00000003.pth'} at step 3" in done.stdout
    assert load_checkpoint(out / "step_00000005.pth")["step"] == 5


def test_processes_draw_different_noise_and_items() -> None:
    shares = [DistributedContext(rank, 2, torch.device("cpu")).items(8) for rank in range(2)]
    assert [list(share) for share in shares] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    seeds = [draw(TrainConfig(), 0, 0, share).seeds for share in shares]
    assert len(set(seeds[0]) | set(seeds[1])) == 8


def test_gradients_are_averaged_in_one_exchange_and_missing_ones_stay_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = ((2, 3), (4,), (1, 1), (5,))
    generator = torch.Generator().manual_seed(0)
    ours, theirs = ([torch.randn(shape, generator=generator) for shape in shapes] for _ in range(2))
    parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]
    for index in (0, 1, 3):
        parameters[index].grad = ours[index].clone()
    exchanges = []

    def partner(joined: torch.Tensor) -> None:
        exchanges.append(len(joined))
        joined += torch.cat([theirs[index].flatten() for index in (0, 1, 3)])

    monkeypatch.setattr(dist, "all_reduce", partner)
    cpu = torch.device("cpu")
    DistributedContext(0, 2, cpu).average_gradients(parameters)
    assert exchanges == [15]
    assert parameters[2].grad is None
    for index in (0, 1, 3):
        torch.testing.assert_close(parameters[index].grad, (ours[index] + theirs[index]) / 2)
    DistributedContext(0, 1, cpu).average_gradients(parameters)
    DistributedContext(0, 2, cpu).average_gradients([parameters[2]])
    assert exchanges == [15]


def test_the_distributed_flag_must_fit_how_the_process_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(AetherError, match="add --distributed"), distributed_context(False):
        pass
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(AetherError, match="torchrun"), distributed_context(True):
        pass
