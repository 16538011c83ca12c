"""One process or many: started by ``torchrun``, joined through NCCL (GPU) or gloo (CPU)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from aether_lite.errors import AetherError


@dataclass(frozen=True)
class DistributedContext:
    """This process among all that train together."""

    rank: int  # 0 .. size - 1; rank 0 writes
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def items(self, count: int) -> range:
        """This process's share of ``count`` items of a step; the shares are equal and in rank order."""
        share = count // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def total(self, value: Tensor) -> Tensor:
        """Sum of a tensor over all processes, without gradient."""
        result = value.detach().clone()
        if self.size > 1:
            dist.all_reduce(result)
        return result

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over all processes, in one exchange."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.size == 1 or not gradients:
            return
        joined = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(joined)
        for gradient, mean in zip(gradients, torch.split(joined, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient) / self.size)

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.size > 1:
            dist.barrier()

    def agree(self, flag: bool) -> bool:
        """True everywhere if ``flag`` is true anywhere."""
        return bool(self.total(torch.tensor(float(flag), device=self.device)) > 0)


def pick_device(name: str, local_rank: int) -> torch.device:
    """Device by option: ``cpu``, ``cuda`` or ``auto``."""
    if name not in ("auto", "cpu", "cuda"):
        raise AetherError(f"device must be auto, cpu or cuda, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise AetherError("device cuda was asked for, but torch finds no GPU: use --device cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        raise AetherError(f"process {local_rank} has no GPU: there are {torch.cuda.device_count()}")
    return torch.device("cuda", local_rank)


@contextmanager
def distributed_context(distributed: bool, device: str = "auto", threads: int = 1) -> Iterator[DistributedContext]:
    """Join the processes that torchrun started, or be alone; leaves the group at the end.

    Args:
        distributed: whether this is one of several processes.
        device: see :func:`pick_device`.
        threads: of this process on the CPU, until the end; small networks lose time with more than one.

    Raises:
        AetherError: several processes without ``--distributed``, or the reverse.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with _joined(distributed, device) as context:
            yield context
    finally:
        torch.set_num_threads(before)


@contextmanager
def _joined(distributed: bool, device: str) -> Iterator[DistributedContext]:
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and not distributed:
        raise AetherError(f"torchrun started {world} processes: add --distributed")
    if not distributed:
        yield DistributedContext(0, 1, pick_device(device, 0))
        return
    if "RANK" not in os.environ:
        raise AetherError("--distributed needs torchrun: torchrun --nproc_per_node=N training/spi_jscc_train.py ...")
    chosen = pick_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    store, rank, size = next(rendezvous("env://"))
    # After a restart torchrun's store still holds the addresses of the processes that have died.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    backend = "nccl" if chosen.type == "cuda" else "gloo"
    fresh = dist.PrefixStore(f"attempt {attempt}", store)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=fresh, rank=rank, world_size=size)
    try:
        yield DistributedContext(dist.get_rank(), dist.get_world_size(), chosen)
    finally:
        dist.destroy_process_group()


def check_share(context: DistributedContext, **counts: int) -> None:
    """Every process must get the same number of the items of each kind, at least one."""
    for name, count in counts.items():
        if count % context.size:
            raise AetherError(f"{name} {count} cannot be shared evenly by {context.size} processes: use a multiple")


def shared_items(context: DistributedContext, most: int, batch: int) -> int:
    """The greatest number of items, at most ``most``, that divides a batch and is shared evenly by all processes.

    Where there is none, it is one item a process.
    """
    fitting = [n for n in range(1, min(most, batch) + 1) if batch % n == 0 and n % context.size == 0]
    return max(fitting, default=context.size)
