"""Several processes train the vocoder as one would, and a compiled sub-frame as a plain one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor
from vocoder_runs import options

from aether_lite.data.corpus import Corpus
from aether_lite.training.distributed import DistributedContext
from aether_lite.training.vocoder_task import MakeBatch, VocoderTask, stage_at, with_decoded
from aether_lite.vocoder import FARGAN, load_fargan, periods_from_features


def gradients(data_root: Path, out: Path, here: DistributedContext) -> dict[str, Tensor]:
    """Gradients of a spectral and of an adversarial step in float64 without noise: vocoder and discriminator."""
    config = options(
        data_root, out, batch=2, decoded_share=0.5, adversarial_frames=9, spectral_steps=1, discriminator_steps=0
    )
    task = VocoderTask(config, Corpus([data_root]), here)
    task.vocoder.double().eval()
    task.discriminator.double()
    found: dict[str, Tensor] = {}
    for number in range(2):
        stage = stage_at(config, number)
        batch = MakeBatch(task.corpus, config, here.rank, here.size, task.codec.config.token_frames)(number)
        features = with_decoded(batch, task.codec, config.seed, number)
        for optimiser in task.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = 0.0  # gradients are wanted, the weights stay
        task._step_of(stage)(features.double(), batch.audio.double())
        for name, network in (("vocoder", task.vocoder), ("discriminator", task.discriminator)):
            for key, parameter in network.named_parameters():
                if parameter.grad is not None:
                    found[f"{stage.name}.{name}.{key}"] = parameter.grad.clone()
                parameter.grad = None
    return found


def member(rank: int, size: int, data_root: Path, folder: Path) -> None:
    """One of several gloo processes; the first writes its gradients."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=size)
    found = gradients(data_root, folder, DistributedContext(rank, size, torch.device("cpu")))
    if rank == 0:
        torch.save(found, folder / "gradients.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_give_the_gradients_of_the_joined_batch(data_root: Path, tmp_path: Path) -> None:
    mp.spawn(partial(member, size=2, data_root=data_root, folder=tmp_path), nprocs=2)
    theirs = torch.load(tmp_path / "gradients.pt", weights_only=True)
    ours = gradients(data_root, tmp_path, DistributedContext(0, 1, torch.device("cpu")))
    assert theirs.keys() == ours.keys()
    assert {name.split(".")[0] + "." + name.split(".")[1] for name in ours} == {
        "spectral.vocoder", "adversarial.vocoder", "adversarial.discriminator",
    }  # fmt: skip
    for name, value in ours.items():
        scale = max(float(value.abs().max()), 1e-8)
        assert float((theirs[name] - value).abs().max()) <= 1e-6 * scale, name


@pytest.mark.slow
def test_a_compiled_sub_frame_is_the_plain_one(speech_features: Tensor) -> None:
    """Traced whole, forward and backward; code for the CPU or GPU is compared by benchmarks/captured_step.py."""
    features = speech_features[:, 100:108]
    target = 0.1 * torch.randn(2, 160 * 4, generator=torch.Generator().manual_seed(0))
    found = []
    for compiled in (False, True):
        vocoder: FARGAN = load_fargan()
        if compiled:
            vocoder.sig_net.compile(fullgraph=True, dynamic=False, backend="aot_eager")
        made = vocoder(features, periods_from_features(features), 2, target[:, :320])
        (made - target[:, 320:]).square().sum().backward()
        found.append((made.detach(), {name: p.grad for name, p in vocoder.named_parameters()}))
    (plain, slopes), (other, others) = found
    assert float((plain - other).abs().max()) <= 1e-6
    for name, slope in slopes.items():
        assert slope is not None
        assert others[name] is not None
        assert float((slope - others[name]).abs().max()) <= 1e-5 * max(float(slope.abs().max()), 0.1), name
