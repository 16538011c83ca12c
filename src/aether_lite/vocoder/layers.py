"""Layers of FARGAN whose parameters are named as in its public checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NOISE_STEP = 1 / 127  # training noise is uniform over one step of an int8 activation


def with_activation_noise(x: Tensor, noisy: bool) -> Tensor:
    """Clip to +-1; when ``noisy`` first add uniform noise of +-1/254, which imitates int8 activations."""
    if noisy:
        x = x + NOISE_STEP * (torch.rand_like(x) - 0.5)
    return x.clamp(-1.0, 1.0)


class NormedLinear(nn.Module):
    """Weight-normalised linear layer without bias: weights ``g v / |v|``, one length ``g`` per output."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        direction = nn.init.orthogonal_(torch.empty(outputs, inputs))
        self.weight_g = nn.Parameter(torch.linalg.vector_norm(direction, dim=1, keepdim=True))
        self.weight_v = nn.Parameter(direction)

    def weight(self) -> Tensor:
        """The weights in effect, ``[outputs, inputs]``."""
        length: Tensor = torch.linalg.vector_norm(self.weight_v, dim=1, keepdim=True)
        weight: Tensor = self.weight_v * (self.weight_g / length)
        return weight


class GatedUnit(nn.Module):
    """Holds the gate of a gated linear unit; :func:`gated` applies it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gate = NormedLinear(size, size)


def gated(x: Tensor, gate_weight: Tensor) -> Tensor:
    """Gated linear unit ``x * sigmoid(G x)``; ``x [..., n]``, ``gate_weight [n, n]``."""
    return x * torch.sigmoid(F.linear(x, gate_weight))


class FramewiseConv(nn.Module):
    """Holds a convolution over the previous and the current sub-frame, and the gate behind it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = NormedLinear(2 * inputs, outputs)
        self.glu = GatedUnit(outputs)
