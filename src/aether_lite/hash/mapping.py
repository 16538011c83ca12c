"""Tokens to ordered bits and soft bits to tokens.

The layers, and the names and shapes of their weights, are those of the analogue mapping
(:mod:`aether_lite.jscc.mapping`): a trained analogue codec can be the start of a hash codec. Its n_max complex latents
are 2 n_max real ones here, before any power constraint, one bit each. The encoder is blind: neither rate nor channel
changes a bit, so the bits of a lower rate are the first ones of a higher rate.

The decoder sees a pair of soft bits as it would a QPSK symbol of unit energy after the MMSE equaliser (the soft bit
*is* the MMSE estimate of the bit), with the mean s^2 of the pair as its reliability; it is told the rate and which
tokens are lost. The token's quality is the SNR at which an MMSE estimate has the same mean reliability rho, that is
rho / (1 - rho).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aether_lite.errors import AetherError
from aether_lite.hash.bottleneck import HashBottleneck, HashKind, on_sphere
from aether_lite.jscc.conditioning import SNR_RANGE_DB, rate_inputs, snr_inputs
from aether_lite.jscc.mapping import MappingDecoder, MappingEncoder
from aether_lite.payload import Bits, ReceivedBits, widest_token

BIT_RATES = (300, 600, 1200, 2400)
"""Bit rates [bit/s] that one set of weights serves: 24, 48, 96 and 192 bits of a token of 80 ms."""
BITS_PER_SYMBOL = 2  # real latents in a complex one

_LEAST_NOISE = 10 ** (-SNR_RANGE_DB[1] / 10)
_LEAST_SIGNAL = 10 ** (SNR_RANGE_DB[0] / 10)


def checked_bit_rate(rate: int) -> int:
    """``rate`` [bit/s] if a hash codec serves it; else a stated error."""
    if rate not in BIT_RATES:
        raise AetherError(f"bit rate {rate} bit/s is not one of {', '.join(map(str, BIT_RATES))}")
    return int(rate)


class HashEncoder(MappingEncoder):
    """Tokens ``[B, K, width]`` to bits: :meth:`real_latents`, thresholds (``bottleneck``), the prefix of a rate.

    Args:
        width: token width.
        token_frames: frames per token.
        kind: gradient through the threshold in training.
    """

    def __init__(self, width: int, token_frames: int, kind: HashKind) -> None:
        super().__init__(width, token_frames)
        self.bottleneck = HashBottleneck(kind)

    @property
    def max_bits(self) -> int:
        """Bits of a token at the highest rate."""
        return BITS_PER_SYMBOL * self.max_uses

    def all_bits(self, real_latents: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled latents (:func:`on_sphere`) and bits of latents, each ``[B, K, 2 n_max]``."""
        latents = on_sphere(real_latents.float())
        return latents, self.bottleneck(latents)

    def bits(self, real_latents: Tensor, rate: int | Tensor) -> Bits:
        """What is sent of latents ``[B, K, 2 n_max]`` at ``rate`` [bit/s]: an int, or ``[B] int64`` for mixed rates."""
        return self.prefix(self.bottleneck(real_latents.float()), rate)

    def prefix(self, bits: Tensor, rate: int | Tensor) -> Bits:
        """What is sent of bits ``[B, K, 2 n_max]`` at ``rate`` [bit/s]: an int, or ``[B] int64`` for mixed rates."""
        widest = widest_token(rate, self.token_frames)
        first = Bits(bits[..., :widest], rate, self.token_frames)
        return Bits(first.values * first.used, rate, self.token_frames)


class HashDecoder(MappingDecoder):
    """Soft bits to tokens ``[B, K, width]``."""

    def inputs(self, received: ReceivedBits) -> tuple[Tensor, Tensor]:
        """What :meth:`tokens` takes: planes ``[B, K, 3 n_max]`` and conditions ``[B, K, 4]`` of what was received."""
        batch = received.values.shape[0]
        alive = received.used & ~received.erased[:, :, None]
        soft = received.values.masked_fill(~alive, 0)
        pairs = soft.reshape(*soft.shape[:2], soft.shape[2] // BITS_PER_SYMBOL, BITS_PER_SYMBOL)
        first, second = (pairs / math.sqrt(BITS_PER_SYMBOL)).unbind(-1)
        planes = self.planes(first, second, pairs.detach().square().mean(-1))
        rates = torch.as_tensor(received.rate, device=soft.device).expand(batch)
        conditions = torch.cat(
            (
                snr_inputs(quality_db(soft.detach(), received.used), planes),
                rate_inputs(rates / BITS_PER_SYMBOL, planes),
                received.erased[..., None].to(planes.dtype),
            ),
            dim=-1,
        )
        return planes, conditions


def quality_db(soft: Tensor, used: Tensor) -> Tensor:
    """``[B, K]``: rho / (1 - rho) [dB] of the mean reliability rho = mean s^2 of every token's bits, -10..30 dB."""
    rho = soft.square().sum(-1) / used.sum(-1).clamp(min=1)
    ratio = rho / (1 - rho).clamp_min(_LEAST_NOISE)
    return 10 * torch.log10(ratio.clamp_min(_LEAST_SIGNAL))
