"""All discriminators of the GAN as one network, and their training step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aether_lite.losses.adversarial import discriminator_loss
from aether_lite.training.distributed import DistributedContext
from aether_lite.vocoder.discriminators import (
    MOST_CHANNELS,
    PERIODS,
    SPECTROGRAM_SIZES,
    DiscriminatorOutput,
    PeriodDiscriminators,
    SpectrogramDiscriminators,
)

BETAS = (0.8, 0.99)  # of AdamW; Opus, FARGAN stage 2


class Discriminator(nn.Module):
    """Multi-resolution spectrogram and multi-period discriminators of pre-emphasised audio.

    Args:
        sizes: FFT sizes of the spectrogram discriminators [samples].
        periods: of the period discriminators [samples].
        most: channels of the widest layer of the spectrogram discriminators.
    """

    def __init__(
        self,
        sizes: Sequence[int] = SPECTROGRAM_SIZES,
        periods: Sequence[int] = PERIODS,
        most: int = MOST_CHANNELS,
    ) -> None:
        super().__init__()
        self.spectrograms = SpectrogramDiscriminators(sizes, most)
        self.periods = PeriodDiscriminators(periods)

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """Scores and feature maps on audio ``[B, N]``, one of each discriminator."""
        return [*self.spectrograms(audio), *self.periods(audio)]


def discriminator_step(
    discriminator: Discriminator,
    optimiser: torch.optim.Optimizer,
    real: Tensor,
    made: Tensor,
    context: DistributedContext,
) -> Tensor:
    """One step of the discriminators on real and made audio ``[A, N]``; returns their loss.

    Gradients are averaged over the processes here: the network is not wrapped, so that the codec's pass may use it.
    """
    optimiser.zero_grad()
    return discriminator_update(discriminator(real), discriminator(made), discriminator, optimiser, context)


def discriminator_update(
    real: Sequence[DiscriminatorOutput],
    made: Sequence[DiscriminatorOutput],
    discriminator: Discriminator,
    optimiser: torch.optim.Optimizer,
    context: DistributedContext,
) -> Tensor:
    """The step of :func:`discriminator_step` from what the discriminators gave, after ``zero_grad``."""
    loss = discriminator_loss(real, made, reduce=context.total)
    loss.backward()  # type: ignore[no-untyped-call]
    context.average_gradients(discriminator.parameters())
    optimiser.step()
    return loss.detach()
