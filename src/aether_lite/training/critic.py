"""The critic of the GAN: all discriminators, and their training step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aether_lite.losses.adversarial import GanLoss, discriminator_loss
from aether_lite.training.distributed import Team
from aether_lite.vocoder.discriminators import (
    PERIODS,
    SPECTROGRAM_SIZES,
    DiscriminatorOutput,
    PeriodDiscriminators,
    SpectrogramDiscriminators,
)


class Critic(nn.Module):
    """Multi-resolution spectrogram and multi-period discriminators of pre-emphasised audio.

    Args:
        kind: of GAN loss; the hinge needs scores without bounds.
        sizes: FFT sizes of the spectrogram discriminators [samples].
        periods: of the period discriminators [samples].
    """

    def __init__(
        self,
        kind: GanLoss = GanLoss.LEAST_SQUARES,
        sizes: Sequence[int] = SPECTROGRAM_SIZES,
        periods: Sequence[int] = PERIODS,
    ) -> None:
        super().__init__()
        self.spectrograms = SpectrogramDiscriminators(sizes, bounded=kind is not GanLoss.HINGE)
        self.periods = PeriodDiscriminators(periods)

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
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
    team.average_gradients(critic.parameters())
    optimiser.step()
    return loss.detach()
