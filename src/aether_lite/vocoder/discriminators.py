"""GAN discriminators of the vocoder.

Two families, each a list of networks that see the same audio ``[B, N]``:

* :class:`SpectrogramDiscriminators`: six two-dimensional networks on decibel spectrograms of 64 to 2048 samples, those
  FARGAN was trained with (Opus, ``dnn/torch/osce``; parameters are named as there, so that the discriminators of a
  public checkpoint load unchanged). 1 210 056 parameters.
* :class:`PeriodDiscriminators`: networks on every 2nd, 3rd, 5th, 7th and 11th sample (J. Kong et al., "HiFi-GAN",
  NeurIPS 2020), with fewer channels than there.

Both return one :class:`DiscriminatorOutput` per network.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aether_lite.features.layout import SAMPLE_RATE

SPECTROGRAM_SIZES = (64, 128, 256, 512, 1024, 2048)  # samples: FFT and window; the hop is a quarter
HIGHEST_FREQUENCY = 7400.0  # Hz
AMPLITUDE_FLOOR = 1e-5
DYNAMIC_RANGE = 80.0  # dB below the loudest point of an item
SPECTROGRAM_LAYERS = 6
FIRST_CHANNELS, MOST_CHANNELS = 16, 256
PERIODS = (2, 3, 5, 7, 11)  # samples
PERIOD_CHANNELS = (16, 32, 64, 128, 128)
PERIOD_KERNEL, PERIOD_STRIDE = 5, 3
LEAK = 0.1  # slope of the leaky ReLU


@dataclass(frozen=True)
class DiscriminatorOutput:
    """Output of one network for a batch.

    Attributes:
        score: ``[B, ...]``, one value a patch; high for speech. In 0..1 where the network ends in a sigmoid.
        hidden: feature maps ``[B, C, ...]`` of the layers before.
    """

    score: Tensor
    hidden: tuple[Tensor, ...]


class NormedConv2d(nn.Module):
    """Weight-normalised 2-D convolution: weights ``g v / |v|``, one length ``g`` per output channel, and a bias."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        direction = nn.init.orthogonal_(torch.empty(outputs, inputs, *kernel))
        self.weight_g = nn.Parameter(torch.linalg.vector_norm(direction, dim=(1, 2, 3), keepdim=True))
        self.weight_v = nn.Parameter(direction)
        bound = (inputs * kernel[0] * kernel[1]) ** -0.5
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, H, W]`` to ``[B, outputs, H', W']``."""
        length = torch.linalg.vector_norm(self.weight_v, dim=(1, 2, 3), keepdim=True)
        return F.conv2d(x, self.weight_v * (self.weight_g / length), self.bias, self.stride, self.padding)


class FrequencyPosition(nn.Module):
    """Appends two channels, sin and cos of ``2 pi bin / bins``: ``[B, C, H, W]`` to ``[B, C + 2, H, W]``."""

    def forward(self, x: Tensor) -> Tensor:
        angle = torch.arange(x.shape[2], dtype=x.dtype, device=x.device) * (2 * math.pi / x.shape[2])
        position = torch.stack((angle.sin(), angle.cos()))[None, :, :, None]
        return torch.cat((x, position.expand(x.shape[0], -1, -1, x.shape[3])), dim=1)


class SpectrogramDiscriminator(nn.Module):
    """Six 3x3 convolutions on a decibel spectrogram; the first ones halve the frequency axis down to 30 positions.

    Args:
        size: FFT size [samples], one of :data:`SPECTROGRAM_SIZES`.
        most: channels of the widest layer.

    The score ends in a sigmoid, for least squares. The range of 80 dB is taken below the maximum of each item, where
    the public code takes that of the batch: so an item's score does not depend on its neighbours, nor on how a batch
    is spread over ranks.
    """

    window: Tensor

    def __init__(self, size: int, most: int = MOST_CHANNELS) -> None:
        super().__init__()
        if size not in SPECTROGRAM_SIZES:
            raise ValueError(f"the FFT size must be one of {SPECTROGRAM_SIZES}, not {size}")
        self.size = size
        self.bins = math.floor(HIGHEST_FREQUENCY * size / SAMPLE_RATE + 0.01) + 1
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        halvings = SPECTROGRAM_SIZES.index(size)
        layers: list[nn.Module] = []
        inputs, outputs = 1, FIRST_CHANNELS
        for layer in range(SPECTROGRAM_LAYERS):
            last = layer == SPECTROGRAM_LAYERS - 1
            stride = (2 if layer < halvings else 1, 1)
            conv = NormedConv2d(inputs + 2, 1 if last else outputs, (3, 3), stride, (1, 1))
            layers.append(nn.Sequential(FrequencyPosition(), conv))
            inputs, outputs = outputs, min(outputs * stride[0], most)
        self.layers = nn.ModuleList(layers)

    def spectrogram(self, audio: Tensor) -> Tensor:
        """Decibels ``[B, bins, frames]`` of 0 .. 7400 Hz, of ``audio [B, N]``."""
        spectrum = torch.stft(audio, self.size, self.size // 4, window=self.window, return_complex=True)
        level = 20 * torch.log10(spectrum[:, : self.bins].abs().clamp_min(AMPLITUDE_FLOOR))
        return torch.maximum(level, level.detach().amax((1, 2), keepdim=True) - DYNAMIC_RANGE)

    def forward(self, audio: Tensor) -> DiscriminatorOutput:
        """Score ``[B, 1, 30, frames]`` and five hidden maps of ``audio [B, N]``, pre-emphasised; N > half the FFT size.
        """
        x, hidden = self.spectrogram(audio)[:, None], []
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
            hidden.append(x)
        return DiscriminatorOutput(torch.sigmoid(self.layers[-1](x)), tuple(hidden))


class PeriodDiscriminator(nn.Module):
    """Convolutions over every ``period``-th sample, the phases side by side."""

    def __init__(self, period: int) -> None:
        super().__init__()
        self.period = period
        kernel, stride, padding = (PERIOD_KERNEL, 1), (PERIOD_STRIDE, 1), (PERIOD_KERNEL // 2, 0)
        channels = (1, *PERIOD_CHANNELS)
        self.layers = nn.ModuleList(
            NormedConv2d(inputs, outputs, kernel, stride, padding) for inputs, outputs in pairwise(channels)
        )
        self.score = NormedConv2d(channels[-1], 1, (3, 1), (1, 1), (1, 0))

    def forward(self, audio: Tensor) -> DiscriminatorOutput:
        """Score ``[B, 1, about N / period / 3^5, period]``, unbounded, and five hidden maps of ``audio [B, N]``.

        The end is mirrored up to a multiple of the period.
        """
        padded = F.pad(audio[:, None], (0, -audio.shape[1] % self.period), mode="reflect")
        x, hidden = torch.unflatten(padded, 2, (-1, self.period)), []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), LEAK)
            hidden.append(x)
        return DiscriminatorOutput(self.score(x), tuple(hidden))


class _Discriminators(nn.Module):
    """Several networks that see the same audio."""

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(networks)

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """Classify ``audio [B, N]``, scale +-1, pre-emphasised; for spectrograms N is more than 1024."""
        return [network(audio) for network in self.discriminators]


class SpectrogramDiscriminators(_Discriminators):
    """One :class:`SpectrogramDiscriminator` for each FFT size [samples]; ``most``: see there."""

    def __init__(self, sizes: Sequence[int] = SPECTROGRAM_SIZES, most: int = MOST_CHANNELS) -> None:
        super().__init__(SpectrogramDiscriminator(size, most) for size in sizes)


class PeriodDiscriminators(_Discriminators):
    """One :class:`PeriodDiscriminator` for each period [samples]."""

    def __init__(self, periods: Sequence[int] = PERIODS) -> None:
        super().__init__(PeriodDiscriminator(period) for period in periods)
