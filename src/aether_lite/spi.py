"""SPI: speech as an image, its causal encoder and decoder, and the semantic read-out of tokens.

The speech image is the time-Bark plane of a clip. Rows 0..17 are the log10 energies of the 18 Bark bands (the inverse
orthonormal DCT-II of the cepstrum, with the 4 that the features subtract from c0 added back), row 18 is the pitch
feature [octaves], row 19 the frame correlation ("voicing"); columns are frames of 10 ms. The mapping is linear and
invertible. Rows are normalised with constants that are part of the model, never with statistics of the clip.

Encoder and decoder go from image to tokens and back through a causal 2-D convolutional pyramid::

    image [B, T, 20] -> 20 x T -> 10 x T/2 -> 5 x T/4 -> 3 x T/8 -> (+ linear patch) -> blocks -> tokens [B, T/8, d]
    tokens [B, K, d] -> blocks -> 3 x K -> 5 x 2K -> 10 x 4K -> 20 x 8K -> (+ linear patch) -> image [B, 8K, 20]

Each level halves or doubles time and Bark resolution; for shorter tokens the last levels keep the time resolution. The
blocks are a causal sequence model over tokens. Nothing looks past the end of its token.

Every stateful layer is called as ``y, new_state = layer(x, state)``; its state is one tensor. Feeding a signal in
pieces with the state carried over gives the same result as feeding it at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aether_lite.features.layout import C0_OFFSET, CORRELATION_MAX, DCT, NUM_BANDS, NUM_FREE, PITCH, PITCH_MAX, VOICING

NUM_ROWS = NUM_FREE


def patches(image: Tensor, token_frames: int) -> Tensor:
    """Tokens of an image ``[B, F, 20]`` as vectors ``[B, F / token_frames, 20 * token_frames]``, frame by frame."""
    batch, frames, _ = image.shape
    if frames % token_frames:
        raise ValueError(f"{frames} frames are not whole tokens of {token_frames}")
    return image.reshape(batch, frames // token_frames, -1)


def bounded_pitch(x: Tensor) -> Tensor:
    """Map any real number smoothly into the pitch feature's range (-1.5, 1.5) octaves."""
    return PITCH_MAX * torch.tanh(x / PITCH_MAX)


def bounded_voicing(x: Tensor) -> Tensor:
    """Map any real number smoothly into the correlation feature's range (-0.5, 0.5)."""
    return CORRELATION_MAX * torch.tanh(x / CORRELATION_MAX)


class SpeechImage(nn.Module):
    """Features to normalised speech image and back; holds the normalisation constants.

    Buffers ``mean`` and ``scale``, each ``[20] float32``, are set once from training data by :meth:`set_constants`
    and travel with the checkpoint.
    """

    mean: Tensor
    scale: Tensor
    dct: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(NUM_ROWS))
        self.register_buffer("scale", torch.ones(NUM_ROWS))
        self.register_buffer("dct", torch.from_numpy(DCT).float(), persistent=False)

    def set_constants(self, features: Tensor) -> None:
        """Take mean and standard deviation of every row from ``features [F, 20]`` (training data)."""
        rows = self.rows(features).double()
        self.mean.copy_(rows.mean(0))
        self.scale.copy_(rows.std(0))

    def rows(self, features: Tensor) -> Tensor:
        """Physical rows ``[..., F, 20]`` (log10 band energies, octaves, correlation) of features ``[..., F, 20]``."""
        if features.shape[-1] != NUM_ROWS:
            raise ValueError(f"features must have 20 values a frame, not {tuple(features.shape)}")
        cepstrum = torch.cat((features[..., :1] + C0_OFFSET, features[..., 1:NUM_BANDS]), dim=-1)
        return torch.cat((cepstrum @ self.dct, features[..., NUM_BANDS:]), dim=-1)

    def from_rows(self, rows: Tensor) -> Tensor:
        """Inverse of :meth:`rows`."""
        cepstrum = rows[..., :NUM_BANDS] @ self.dct.T
        return torch.cat((cepstrum[..., :1] - C0_OFFSET, cepstrum[..., 1:], rows[..., NUM_BANDS:]), dim=-1)

    def forward(self, features: Tensor) -> Tensor:
        """Normalised image ``[B, F, 20]`` of features ``[B, F, 20]``."""
        return (self.rows(features) - self.mean) / self.scale

    def to_features(self, image: Tensor, *, bounded: bool = True) -> Tensor:
        """Features ``[B, F, 20]`` of a normalised image ``[B, F, 20]``.

        With ``bounded`` (for a network's output) pitch and voicing go through a smooth bound to their ranges;
        without it the map is the exact inverse of :meth:`forward`.
        """
        rows = image * self.scale + self.mean
        if bounded:
            pitch, voicing = bounded_pitch(rows[..., PITCH : PITCH + 1]), bounded_voicing(rows[..., VOICING:])
            rows = torch.cat((rows[..., :NUM_BANDS], pitch, voicing), dim=-1)
        return self.from_rows(rows)


@dataclass(frozen=True)
class Semantics:
    """Semantic features of every frame, each ``[B, F]``."""

    pitch: Tensor  # pitch feature [octaves], -1.5..1.5; F0 = 62.5 Hz * 2^(pitch + 1.5)
    voicing_logit: Tensor  # log-odds that the frame is voiced
    energy: Tensor  # mean log10 band energy, normalised like the image's rows


class SemanticHead(nn.Module):
    """Linear read-out of :class:`Semantics` from tokens ``[B, K, d]``, which the Anti-Buzz losses supervise."""

    def __init__(self, width: int, token_frames: int) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.read = nn.Linear(width, 3 * token_frames)

    def forward(self, tokens: Tensor) -> Semantics:
        values = self.read(tokens).reshape(tokens.shape[0], -1, 3)
        return Semantics(bounded_pitch(values[..., 0]), values[..., 1], values[..., 2])


State = tuple[Tensor, ...]
"""States of the stateful layers of a network, in the order in which the layers run."""


class CausalConv2d(nn.Module):
    """2-D convolution over (Bark row, frame) that sees no future frame; ``kernel`` and ``stride`` are (rows, frames).

    Along time output ``j`` sees input frames up to ``stride_t * (j + 1) - 1``, whose number must be a multiple of
    ``stride_t``; along Bark rows it is centred and zero-padded. The state is the last ``kernel_t - stride_t`` input
    frames.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=((kernel[0] - 1) // 2, 0))
        self.in_channels = in_channels
        self.context = kernel[1] - stride[1]

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """``x [B, C, rows, T]`` -> ``[B, C', rows', T / stride_t]`` and the new state."""
        if state is None:  # silence of the normalised image before the clip
            state = x.new_zeros(x.shape[0], self.in_channels, x.shape[2], self.context)
        padded = torch.cat((state, x), dim=3)
        return cast(Tensor, self.conv(padded)), padded[..., padded.shape[3] - self.context :]


class ResidualConv(nn.Module):
    """``x + conv1x1(SiLU(causal 3x3 conv(SiLU(x))))`` at constant resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = CausalConv2d(channels, channels, (3, 3))
        self.mix = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(cast(Tensor, self.mix.bias))

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        y, new_state = self.conv(F.silu(x), state)
        return x + self.mix(F.silu(y)), new_state


class TokenBlock(nn.Module):
    """Causal sequence block over tokens: a GRU, then a gated MLP of ``expansion * width`` units, both residual.

    Both are pre-normalised. The GRU carries what does not change quickly (a voice, a room, a channel) over seconds at
    constant cost.
    """

    def __init__(self, width: int, expansion: int = 2) -> None:
        super().__init__()
        hidden = width * expansion
        self.norm_time = nn.RMSNorm(width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.norm_mlp = nn.RMSNorm(width)
        self.expand = nn.Linear(width, 2 * hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """``x [B, K, width]`` -> same shape, and the GRU state ``[1, B, width]``."""
        mixed, new_state = self.gru(self.norm_time(x), state)
        x = x + mixed
        value, gate = self.expand(self.norm_mlp(x)).chunk(2, dim=-1)
        return x + self.contract(value * F.silu(gate)), new_state


class Lookahead(nn.Module):
    """Delays tokens by one and adds to each what the token behind it says; starts as a pure delay.

    With it a decoder gives the features of token k once token k + 1 has arrived: noise is averaged over both, and a
    lost token is interpolated instead of extrapolated. The price is the time of a token.
    """

    KEPT = 2  # entries of the decoder's state that belong to this layer

    def __init__(self, width: int) -> None:
        super().__init__()
        self.next = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.next.weight)

    def forward(self, tokens: Tensor, inputs: Tensor, state: State | None) -> tuple[Tensor, Tensor, State]:
        """Tokens ``[B, K, width]`` and decoder inputs ``[B, K, 3 n_max]`` of the tokens before, and the new state.

        ``state`` begins with what waited, ``[B, 1, width]`` and ``[B, 1, 3 n_max]``; None at the beginning: zeros.
        """
        if state is None:
            state = (torch.zeros_like(tokens[:, :1]), torch.zeros_like(inputs[:, :1]))
        tokens_so_far, inputs_so_far = torch.cat((state[0], tokens), 1), torch.cat((state[1], inputs), 1)
        delayed = tokens_so_far[:, :-1] + self.next(tokens)
        return delayed, inputs_so_far[:, :-1], (tokens_so_far[:, -1:], inputs_so_far[:, -1:])


PYRAMID_ROWS = (20, 10, 5, 3)  # Bark rows after the stem and after each level


def time_strides(token_frames: int) -> tuple[int, int, int]:
    """Frame strides of the three pyramid levels so that their product is ``token_frames`` (2, 4 or 8)."""
    strides = {8: (2, 2, 2), 4: (2, 2, 1), 2: (2, 1, 1)}
    if token_frames not in strides:
        raise ValueError(f"a token covers 2, 4 or 8 frames, not {token_frames}")
    return strides[token_frames]


def _through(layers: Iterable[nn.Module], x: Tensor, old: Iterator[Tensor], new: list[Tensor]) -> Tensor:
    """``x`` through stateful layers, each of which takes the next old state (if any) and adds a new one."""
    for layer in layers:
        x, state = layer(x, next(old, None))
        new.append(state)
    return x


class SpiEncoder(nn.Module):
    """Normalised speech image to tokens of width d.

    Args:
        channels: feature maps of the stem and the three pyramid levels.
        blocks, expansion: sequence blocks over tokens, and gated units of each over the width.
    """

    def __init__(self, width: int, channels: Sequence[int], blocks: int, token_frames: int, expansion: int = 2) -> None:
        super().__init__()
        self.token_frames = token_frames
        stem, *levels = channels
        self.stem = CausalConv2d(1, stem, (3, 3))
        self.row_bias = nn.Parameter(torch.zeros(stem, NUM_ROWS, 1))
        down, residual, incoming = list[nn.Module](), list[nn.Module](), stem
        for level, (outgoing, stride) in enumerate(zip(levels, time_strides(token_frames), strict=True)):
            rows = 3 if level == 2 else 4  # 5 rows to 3 needs an odd kernel
            down.append(CausalConv2d(incoming, outgoing, (rows, 2 * stride), (2, stride)))
            residual.append(ResidualConv(outgoing))
            incoming = outgoing
        self.down = nn.ModuleList(down)
        self.residual = nn.ModuleList(residual)
        self.project = nn.Linear(incoming * PYRAMID_ROWS[-1], width)
        self.patch = nn.Linear(NUM_ROWS * token_frames, width)
        self.blocks = nn.ModuleList(TokenBlock(width, expansion) for _ in range(blocks))
        self.norm = nn.RMSNorm(width)

    def forward(self, image: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """``image [B, T, 20]``, T a multiple of the token -> tokens ``[B, T / token_frames, d]`` and new state."""
        flat = patches(image, self.token_frames)
        old, new = iter(state or ()), list[Tensor]()
        x = F.silu(_through([self.stem], image.transpose(1, 2)[:, None], old, new) + self.row_bias)
        for level in zip(self.down, self.residual, strict=True):
            x = _through(level, x, old, new)
        tokens = self.project(F.silu(x).permute(0, 3, 1, 2).flatten(2)) + self.patch(flat)
        return self.norm(_through(self.blocks, tokens, old, new)), tuple(new)


class SpiDecoder(nn.Module):
    """Tokens to normalised speech image; arguments as :class:`SpiEncoder`, the channels used in reverse."""

    def __init__(self, width: int, channels: Sequence[int], blocks: int, token_frames: int, expansion: int = 2) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.blocks = nn.ModuleList(TokenBlock(width, expansion) for _ in range(blocks))
        self.norm = nn.RMSNorm(width)
        reverse = tuple(reversed(channels))
        self.top = reverse[0]
        self.project = nn.Linear(width, self.top * PYRAMID_ROWS[-1])
        residual, up = list[nn.Module](), list[nn.Module]()
        for level, stride in enumerate(reversed(time_strides(token_frames))):
            incoming, outgoing = reverse[level], reverse[level + 1]
            rows = 3 if level == 0 else 4
            residual.append(ResidualConv(incoming))
            up.append(nn.ConvTranspose2d(incoming, outgoing, (rows, stride), (2, stride), padding=(1, 0)))
        self.residual = nn.ModuleList(residual)
        self.up = nn.ModuleList(up)
        self.out = CausalConv2d(reverse[-1], 1, (3, 3))
        self.patch = nn.Linear(width, NUM_ROWS * token_frames)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """``tokens [B, K, d]`` -> image ``[B, K * token_frames, 20]``, refined tokens ``[B, K, d]``, new state."""
        batch, count, _ = tokens.shape
        old, new = iter(state or ()), list[Tensor]()
        tokens = self.norm(_through(self.blocks, tokens, old, new))
        x = self.project(tokens).reshape(batch, count, self.top, PYRAMID_ROWS[-1]).permute(0, 2, 3, 1)
        for residual, up in zip(self.residual, self.up, strict=True):
            x = F.silu(up(_through([residual], x, old, new)))
        image = _through([self.out], x, old, new)[:, 0].transpose(1, 2)
        image = image + self.patch(tokens).reshape(batch, -1, NUM_ROWS)
        return image, tokens, tuple(new)
