"""GAN discriminators of the vocoder: two-dimensional networks on decibel spectrograms of 64 to 2048 samples.

They are those FARGAN was trained with (Opus, ``dnn/torch/osce``); parameters are named as there, so that the
discriminators of a public checkpoint load unchanged. All six have 1 210 056 parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class DiscriminatorOutput:
    """Output of one network for a batch."""

    score: Tensor  # ``[B, ...]`` in 0..1, one value a patch; high for speech
    hidden: tuple[Tensor, ...]  # feature maps ``[B, C, ...]`` of the layers before


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


class SpectrogramDiscriminators(nn.Module):
    """One :class:`SpectrogramDiscriminator` for each FFT size [samples], of the same audio; ``most``: see there."""

    def __init__(self, sizes: Sequence[int] = SPECTROGRAM_SIZES, most: int = MOST_CHANNELS) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(SpectrogramDiscriminator(size, most) for size in sizes)

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """Judge ``audio [B, N]``, scale +-1, pre-emphasised; N is more than half of the largest FFT size."""
        return [network(audio) for network in self.discriminators]
