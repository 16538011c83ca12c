"""The critic of the GAN: all discriminators, and their training step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aether_lite.losses.adversarial import GanLoss, discriminator_loss
from aether_lite.training.distributed import Team
from aether_lite.vocoder.discriminators import PeriodDiscriminators, SpectrogramDiscriminators, Verdict


class Critic(nn.Module):
    """Multi-resolution spectrogram and multi-period discriminators of pre-emphasised audio.

    Args:
        kind: of GAN loss; the hinge needs scores without bounds.
    """

    def __init__(self, kind: GanLoss = GanLoss.LEAST_SQUARES) -> None:
        super().__init__()
        self.spectrograms = SpectrogramDiscriminators(bounded=kind is not GanLoss.HINGE)
        self.periods = PeriodDiscriminators()

    def forward(self, audio: Tensor) -> list[Verdict]:
        """Verdicts on audio ``[B, N]``, one for each discriminator."""
        return [*self.spectrograms(audio), *self.periods(audio)]


def critic_step(
    critic: Critic, optimiser: torch.optim.Optimizer, real: Tensor, made: Tensor, kind: GanLoss, team: Team
) -> Tensor:
    """One step of the critic on real and made audio ``[A, N]``; returns its loss.

    Gradients are averaged over the processes here: the critic is not wrapped, so that the codec's pass may use it.
    """
    optimiser.zero_grad()
    loss = discriminator_loss(critic(real), critic(made), kind, team.total)
    loss.backward()  # type: ignore[no-untyped-call]
    if team.size > 1:
        for parameter in critic.parameters():
            if parameter.grad is not None:
                parameter.grad.copy_(team.total(parameter.grad) / team.size)
    optimiser.step()
    optimiser.zero_grad()
    return loss.detach()
