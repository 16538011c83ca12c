"""Networks between tokens and ordered latents, the same for codecs of symbols and of bits.

The encoder maps every token to 2 n_max ordered real latents: pairs are the I and Q of complex symbols, or each is one
bit. A rate sends a prefix; the latents do not depend on the rate, so any prefix of a stream is the stream of a lower
rate (of symbols: up to one positive gain per token). The decoder is conditioned (FiLM: feature-wise scale and shift) on
the receiver's SNR estimate, the rate and which tokens are erased, and sees the reliability of every pair.

Beside the networks lies a linear path (:class:`LinearPath`). Its two matrices start as the Karhunen-Loeve transform of
tokens, the image's patches of 20 rows by ``token_frames`` frames, in the metric of the feature loss; the power of a
component is proportional to the root of its variance, as in the linear code that is best at high SNR (K.-H. Lee and D.
P. Petersen, "Optimal linear coding for vector channels", IEEE Trans. Commun. 24, 1976). Fine detail, which networks
learn last, then crosses the channel from the first step, and the networks beside the path learn what a linear code
cannot do: prediction, memory, protection.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aether_lite.features.layout import PITCH
from aether_lite.payload import elements_per_token
from aether_lite.spi import NUM_ROWS, SpeechImage, patches

RATES = (150, 300, 500, 600, 700, 1000, 1200)
"""Payload rates [uses/s] that one set of weights serves."""
SNR_RANGE_DB = (-10.0, 30.0)  # SNRs outside it are clamped before the networks see them
FILM_HIDDEN = 32  # units
REFERENCE_RATE = 600.0  # uses/s whose logarithm is the zero of the rate input


def snr_inputs(snr_db: Tensor | None, like: Tensor) -> Tensor:
    """``[B, K, 2]``: SNR ``[B, K]`` [dB] / 10 dB and a flag that it is known; zeros where it is not (None or NaN)."""
    if snr_db is None:
        return like.new_zeros(*like.shape[:2], 2)
    known = torch.isfinite(snr_db)
    value = torch.nan_to_num(snr_db.clamp(*SNR_RANGE_DB)) / 10
    value = torch.where(known, value, torch.zeros_like(value))
    return torch.stack((value, known.to(value.dtype)), dim=-1).to(like.dtype)


class FiLM(nn.Module):
    """``x * (1 + scale) + shift``, scale and shift from a small network of the conditions; starts as identity."""

    def __init__(self, conditions: int, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(conditions, FILM_HIDDEN)
        self.outer = nn.Linear(FILM_HIDDEN, 2 * width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor, conditions: Tensor) -> Tensor:
        """``x [B, K, width]``, ``conditions [B, K, C]``."""
        scale, shift = self.outer(F.silu(self.inner(conditions))).chunk(2, dim=-1)
        modulated: Tensor = x * (1 + scale) + shift
        return modulated


class MappingEncoder(nn.Module):
    """Tokens ``[B, K, width]`` to ordered latents."""

    def __init__(self, width: int, token_frames: int) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.max_uses = elements_per_token(RATES[-1], token_frames)
        self.film = FiLM(2, width)
        self.expand = nn.Linear(width, 2 * width)
        self.linear = nn.Linear(width, 2 * self.max_uses)
        self.contract = nn.Linear(2 * width, 2 * self.max_uses, bias=False)

    def forward(self, tokens: Tensor, target_snr_db: Tensor | None = None) -> Tensor:
        """All ordered latents ``[B, K, 2 n_max]``; ``target_snr_db [B, K]`` [dB] as :func:`snr_inputs` takes it."""
        conditioned = self.film(tokens, snr_inputs(target_snr_db, tokens))
        latents: Tensor = self.linear(conditioned) + self.contract(F.silu(self.expand(conditioned)))
        return latents


@dataclass(frozen=True)
class Estimates:
    """Received payload behind the receiver's front end, in pairs of latents.

    Attributes:
        first, second: ``[B, K, n]``, estimates of the two latents of every pair.
        reliability: ``[B, K, n]``, 0 (nothing known) .. 1 (noise-free).
        snr_db: ``[B, K]``, quality of the token as Es/N0 [dB]; None (or NaN) where unknown.
        rates: ``[B]`` [uses/s].
        erased: ``[B, K] bool``.
    """

    first: Tensor
    second: Tensor
    reliability: Tensor
    snr_db: Tensor | None
    rates: Tensor
    erased: Tensor


class MappingDecoder(nn.Module):
    """Decoder inputs, and the conditions of the channel, to tokens ``[B, K, width]``."""

    CONDITIONS = 4  # SNR and its flag, rate, erasure

    def __init__(self, width: int, token_frames: int) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.max_uses = elements_per_token(RATES[-1], token_frames)
        inputs = 3 * self.max_uses
        self.linear = nn.Linear(inputs, width)
        self.expand = nn.Linear(inputs, 2 * width)
        self.film_hidden = FiLM(self.CONDITIONS, 2 * width)
        self.contract = nn.Linear(2 * width, width, bias=False)
        self.film_token = FiLM(self.CONDITIONS, width)

    def decoder_inputs(self, estimates: Estimates) -> tuple[Tensor, Tensor]:
        """Inputs ``[B, K, 3 n_max]`` (two estimates and their reliability a pair) and conditions ``[B, K, 4]``."""
        batch, count, n = estimates.first.shape
        stacked = torch.stack((estimates.first, estimates.second, estimates.reliability), dim=-1)
        inputs = F.pad(stacked, (0, 0, 0, self.max_uses - n)).reshape(batch, count, -1).to(self.linear.weight.dtype)
        rates = torch.log2(estimates.rates.to(inputs) / REFERENCE_RATE)[:, None, None].expand(batch, count, 1)
        conditions = (snr_inputs(estimates.snr_db, inputs), rates, estimates.erased[..., None].to(inputs.dtype))
        return inputs, torch.cat(conditions, dim=-1)

    def forward(self, inputs: Tensor, conditions: Tensor) -> Tensor:
        """Tokens of inputs ``[B, K, 3 n_max]`` under ``conditions [B, K, 4]``."""
        hidden = self.film_hidden(self.expand(inputs), conditions)
        tokens: Tensor = self.film_token(self.linear(inputs) + self.contract(F.silu(hidden)), conditions)
        return tokens


PITCH_METRIC = 3.0  # an octave of pitch counts like so many log10 units of one band; the loss of pitch is no square
LEAST_VARIANCE = 1e-6  # of a component, relative to the greatest


class LinearPath(nn.Module):
    """One matrix each way, for tokens of ``token_frames`` frames and ``latents`` real latents (2 n_max) a token."""

    def __init__(self, token_frames: int, latents: int) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.down = nn.Linear(NUM_ROWS * token_frames, latents, bias=False)
        self.up = nn.Linear(latents, NUM_ROWS * token_frames, bias=False)

    def latents(self, image: Tensor) -> Tensor:
        """``[B, K, 2 n_max]`` of a normalised image ``[B, F, 20]``."""
        made: Tensor = self.down(patches(image, self.token_frames))
        return made

    def image(self, inputs: Tensor) -> Tensor:
        """Normalised image ``[B, F, 20]`` of the decoder's inputs ``[B, K, 3 n_max]``; reliabilities are not read."""
        made: Tensor = self.up(torch.unflatten(inputs, -1, (-1, 3))[..., :2].flatten(-2))
        return made.reshape(inputs.shape[0], -1, NUM_ROWS)

    @torch.no_grad()
    def fit(self, image: SpeechImage, features: Tensor) -> None:
        """Set both matrices from ``features [B, F, 20]`` of whole tokens (training data); ``up`` takes unit latents."""
        tokens = image(features).double().reshape(-1, self.down.in_features)
        metric = image.scale.double().clone()
        metric[PITCH] *= PITCH_METRIC
        metric = metric.repeat(self.token_frames)
        weighted = tokens * metric
        variance, basis = torch.linalg.eigh(weighted.T @ weighted / len(weighted))
        kept = min(self.up.in_features, len(variance))
        variance, basis = variance.flip(0)[:kept], basis.flip(1)[:, :kept]
        variance = variance.clamp_min(LEAST_VARIANCE * float(variance[0]))
        down, up = torch.zeros_like(self.down.weight), torch.zeros_like(self.up.weight)
        down[:kept] = (basis * metric[:, None] * variance**-0.25).T.to(down)
        up[:, :kept] = (basis / metric[:, None] * variance.sqrt()).to(up)
        self.down.weight.copy_(down)
        self.up.weight.copy_(up)
