"""What keeps bits useful in training, as running statistics that change no bit.

With E the running mean over tokens (all d bits of a token, whatever the rate sends), z the scaled latents, b the bits::

    balance        mean_i E[b_i]^2                     a bit that is nearly always the same says nothing
    decorrelation  mean_{i != j} E[b_i b_j]^2          nor does one that repeats another
    confidence     mean_i E[(|z_i| - 1)^2]             scaled latents stay clear of the threshold

After n steps a batch of mean v makes m = c m + (1 - c) v with c = min(decay, (1 + n) / (10 + n)). A penalty's value is
that of the running means; its gradient is taken as if the batch alone had made the running mean (2 m dv for a square):
the decay sets the memory and not the size of the gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

PENALTIES = ("balance", "decorrelation", "confidence")
DECAY = 0.99  # a memory of 100 steps


def _alone(total: Tensor) -> Tensor:
    return total


class HashPenalties(nn.Module):
    """Running statistics of bits and latents; no weights, and no part of a codec.

    Args:
        count: d, bits of a token.
        decay: greatest decay c of the running means.
        reduce: sum of a tensor over the processes of a run, without gradient; the default is one process.
    """

    mean: Tensor
    product: Tensor
    spread: Tensor
    updates: Tensor

    def __init__(self, count: int, decay: float = DECAY, reduce: Callable[[Tensor], Tensor] = _alone) -> None:
        super().__init__()
        self.decay, self._reduce = decay, reduce
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("product", torch.zeros(count, count))
        self.register_buffer("spread", torch.zeros(count))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, latents: Tensor, bits: Tensor) -> dict[str, Tensor]:
        """Take a batch into the statistics; the penalties by name, a scalar each, at least 0.

        Args:
            latents: z, ``[B, K, d]``.
            bits: b, ``[B, K, d]``, with the gradient of the bottleneck.
        """
        z, b = latents.flatten(0, 1), bits.flatten(0, 1)
        mean = self._joined(b.mean(0), len(b))
        product = self._joined(b.T @ b / len(b), len(b))
        spread = self._joined((z.abs() - 1).square().mean(0), len(b))
        n = int(self.updates)
        keep = min(self.decay, (1 + n) / (10 + n))
        with torch.no_grad():
            for running, now in ((self.mean, mean), (self.product, product), (self.spread, spread)):
                running.lerp_(now, 1 - keep)
            self.updates += 1
        return {
            "balance": _running_square(self.mean, mean).mean(),
            "decorrelation": _off_diagonal_mean(_running_square(self.product, product)),
            "confidence": (self.spread.clone() + (spread - spread.detach())).mean(),
        }

    def _joined(self, own: Tensor, tokens: int) -> Tensor:
        """The mean over the tokens of all processes: its value everywhere, with this process's share of the gradient
        (which the data-parallel mean over processes completes)."""
        weight = own.new_tensor(float(tokens))
        joined = self._reduce(torch.cat((own.detach().reshape(-1) * weight, weight.reshape(1), own.new_ones(1))))
        total, processes = joined[-2], joined[-1]
        value = (joined[:-2] / total).reshape(own.shape)
        return value + (own - own.detach()) * (weight * processes / total)


def _running_square(running: Tensor, now: Tensor) -> Tensor:
    """The square of a running mean, with gradient 2 m at the batch's mean."""
    held = running.clone()
    return held.square() + 2 * held * (now - now.detach())


def _off_diagonal_mean(matrix: Tensor) -> Tensor:
    d = matrix.shape[0]
    return (matrix.sum() - matrix.diagonal().sum()) / max(d * (d - 1), 1)
