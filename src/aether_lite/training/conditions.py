"""What a training step draws at random: rate, channel and its quality, losses, and the receiver's knowledge, by item.

Every draw is a function of (seed, step, item); the channel acts from the first step. The quality of a channel of
symbols is its Es/N0. Channels of bits are drawn by the error rate p of hard decisions, which is turned into the Es/N0
that has it::

    bpsk_awgn      p = Q(sqrt(2 g))                 g = Es/N0
    bpsk_rayleigh  p = (1 - sqrt(g / (1 + g))) / 2  g = mean Es/N0, gain constant over 40 ms

p = low + (high - low) u^2 with u uniform, so that good links are drawn most. Source of the formulas: J. G. Proakis, M.
Salehi, "Digital Communications" (5th ed. 2008), 4.3-13 and 13.3-7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from aether_lite.channels import Csi, apply_channel, awgn, bsc, erase, keyed, lose_bits, rayleigh
from aether_lite.payload import Bits, ChannelState, Received, ReceivedBits, Symbols, joined_items

if TYPE_CHECKING:
    from aether_lite.training.codec_config import TrainConfig

_SYMBOL_STREAM, _BIT_STREAM = 0xC4A2, 0xB175  # separate these random streams from others of the same seed
MOST_LOST = 0.3  # greatest probability drawn that a token or bit is lost
SNR_LIMITS_DB = (-20.0, 30.0)  # a link of bits without errors is drawn as one of 30 dB


@dataclass(frozen=True)
class Conditions:
    """One batch's draws; tuples hold one value an item."""

    rate: Tensor  # [B] int64 [uses/s or bit/s]
    quality: Tensor  # [B] Es/N0 [dB] float32, or error rates float64
    target_snr_db: Tensor | None  # [B], NaN where the encoder is blind; None for bits
    channel: tuple[str, ...]
    token_loss: tuple[float, ...]  # probabilities
    bit_loss: tuple[float, ...]
    csi_none: tuple[bool, ...]  # whether the receiver knows nothing of the channel
    seeds: tuple[int, ...]  # of the channel

    @property
    def expected_loss(self) -> Tensor:
        """Rough feature loss ``[B]`` to expect, which items are weighted by, see :func:`balance`."""
        if self.target_snr_db is None:
            return expected_bit_loss(self.rate, self.quality.float())
        return expected_loss(self.rate, self.quality)

    def to(self, device: torch.device) -> Conditions:
        """The same draws with the tensors on a device."""
        target = None if self.target_snr_db is None else self.target_snr_db.to(device)
        return replace(self, rate=self.rate.to(device), quality=self.quality.to(device), target_snr_db=target)

    def transmit(self, sent: Any) -> Any:
        """Send symbols or bits, every item through its own channel; items of one kind go together."""
        send = self._symbols_sent if isinstance(sent, Symbols) else self._bits_sent
        kinds = list(zip(self.channel, self.csi_none, self.token_loss, self.bit_loss, strict=True))
        groups = [torch.tensor([i for i, other in enumerate(kinds) if other == kind]) for kind in sorted(set(kinds))]
        parts = [send(sent.items(group), group, [self.seeds[int(i)] for i in group]) for group in groups]
        received: Any = joined_items(parts).items(torch.argsort(torch.cat(groups)))
        return replace(received, rate=sent.rate)

    def _symbols_sent(self, symbols: Symbols, group: Tensor, seeds: list[int]) -> Received:
        first = int(group[0])
        received = apply_channel(self.channel[first], symbols, self.quality[group], seed=seeds)
        if self.token_loss[first] > 0:
            received = erase(received, self.token_loss[first], seed=seeds)
        if not self.csi_none[first]:
            return received
        values = received.values.detach()
        unknown = torch.full(values.shape[:2], torch.nan, dtype=values.real.dtype, device=values.device)
        state = ChannelState(torch.ones_like(values), unknown, received.state.erased)
        return replace(received, state=state)

    def _bits_sent(self, bits: Bits, group: Tensor, seeds: list[int]) -> ReceivedBits:
        first = int(group[0])
        csi: Csi = "none" if self.csi_none[first] else "estimated"
        received = BIT_CHANNELS[self.channel[first]](bits, self.quality[group], csi, seeds)
        if self.bit_loss[first] > 0:
            received = lose_bits(received, self.bit_loss[first], seed=seeds)
        if self.token_loss[first] > 0:
            received = erase(received, self.token_loss[first], seed=seeds)
        return received


def draw(config: TrainConfig, seed: int, step: int, items: Sequence[int]) -> Conditions:
    """Conditions of the given items of a step, from the ranges and shares among the options; their seed is not read."""
    bits = config.enable_hash
    shares = config.bit_channels if bits else config.channels
    names, chances = list(shares), np.array(list(shares.values()))
    low, *between, high = config.bit_error_rate if bits else config.snr_db

    def lost(rng: np.random.Generator) -> float:
        return rng.uniform(0, MOST_LOST) if rng.random() < config.erasure_share else 0.0

    rows = []
    for item in items:
        rng = np.random.default_rng((_BIT_STREAM if bits else _SYMBOL_STREAM, seed, step, item))
        bit_loss, target = 0.0, np.nan
        if bits:
            token_loss, bit_loss = lost(rng), lost(rng)
            rate = int(rng.choice(config.bit_rates))
            quality = low + (high - low) * rng.random() ** 2
        else:
            quality = rng.triangular(low, between[0], high) if between else rng.uniform(low, high)
            token_loss = lost(rng)
            rate = int(rng.choice(config.rates))
            target = quality if rng.random() < config.targeted else np.nan
        name = str(rng.choice(names, p=chances / chances.sum()))
        csi_none = bool(rng.random() < config.csi_none_share)
        rows.append((rate, quality, target, name, token_loss, bit_loss, csi_none, int(rng.integers(2**62))))
    rates, qualities, targets, *rest = zip(*rows, strict=True)
    return Conditions(
        torch.tensor(rates),
        torch.tensor(qualities, dtype=torch.float64 if bits else torch.float32),
        None if bits else torch.tensor(targets, dtype=torch.float32),
        *rest,
    )


def awgn_snr_db(error_rate: Tensor) -> Tensor:
    """Es/N0 [dB] at which BPSK over AWGN has this error rate."""
    argument = torch.special.ndtri(error_rate)  # -sqrt(2 g)
    return (10 * torch.log10(argument.square() / 2)).clamp(*SNR_LIMITS_DB)


def rayleigh_snr_db(error_rate: Tensor) -> Tensor:
    """Mean Es/N0 [dB] at which BPSK over Rayleigh fading has this error rate."""
    square = (1 - 2 * error_rate).square()
    return (10 * torch.log10(square / (1 - square))).clamp(*SNR_LIMITS_DB)


BIT_CHANNELS: dict[str, Callable[[Bits, Tensor, Csi, Sequence[int]], ReceivedBits]] = {
    "bsc": lambda bits, p, csi, seeds: bsc(bits, p, csi=csi, seed=seeds),
    "bpsk_awgn": lambda bits, p, csi, seeds: keyed(
        bits, lambda symbols: awgn(symbols, awgn_snr_db(p), csi=csi, seed=seeds)
    ),
    "bpsk_rayleigh": lambda bits, p, csi, seeds: keyed(
        bits, lambda symbols: rayleigh(symbols, rayleigh_snr_db(p), csi=csi, seed=seeds)
    ),
}
"""Binary channels of training by name: of bits, error rates ``[B]``, the receiver's knowledge and a seed per item."""


def expected_loss(rate: Tensor, snr_db: Tensor) -> Tensor:
    """Rough feature loss ``[B]`` to expect at a rate [uses/s] and Es/N0 [dB]: a + b / C^0.7, C = capacity [bit/s].

    Fitted by eye to the loss of early models over rates 150..1200 and -6..20 dB. It only balances conditions.
    """
    return _loss_at_capacity(rate * torch.log2(1 + 10 ** (snr_db / 10)))


def expected_bit_loss(rate: Tensor, error_rate: Tensor) -> Tensor:
    """The same ``[B]`` of bit rates [bit/s] at the error rates ``[B]`` of hard decisions: capacity of the BSC."""
    p = error_rate.double().clamp(1e-12, 0.5)
    entropy = -(p * p.log2() + (1 - p) * (1 - p).log2())
    return _loss_at_capacity((rate * (1 - entropy)).to(error_rate.dtype))


def _loss_at_capacity(capacity: Tensor) -> Tensor:
    return 0.07 + 13.0 * capacity.clamp_min(1.0) ** -0.7


def balance(expected: Tensor, exponent: float = 0.5) -> Tensor:
    """Weights ``[B]`` proportional to expected^-exponent; 0 counts every error alike, 1 every relative one."""
    return (expected / 0.15) ** -exponent
