"""What a training step of a hash codec draws at random: rate, binary channel, losses and the receiver's knowledge.

Every draw is a function of (seed, step, item). The channel acts from the first step. Whatever the channel, its strength
is drawn as an error rate p of hard decisions and turned into the SNR that has it::

    bpsk_awgn      p = Q(sqrt(2 g))                 g = Es/N0
    bpsk_rayleigh  p = (1 - sqrt(g / (1 + g))) / 2  g = mean Es/N0, gain constant over 40 ms

p = low + (high - low) u^2 with u uniform, so that good links are drawn most. Source of the formulas: J. G. Proakis, M.
Salehi, "Digital Communications" (5th ed. 2008), 4.3-13 and 13.3-7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from aether_lite.channels import StateKind, awgn, rayleigh
from aether_lite.channels.binary import bsc, lose_bits, lose_tokens
from aether_lite.channels.keying import keyed
from aether_lite.hash import BIT_RATES
from aether_lite.payload import Bits, ReceivedBits, joined_items
from aether_lite.training.balance import expected_bit_loss
from aether_lite.training.conditions import sendings

_CONDITION_STREAM = 0xB175
SNR_LIMITS_DB = (-20.0, 30.0)  # a link without errors is drawn as one of 30 dB


@dataclass(frozen=True)
class BitRanges:
    """Ranges the draws come from.

    Attributes:
        rates: bit rates [bit/s], uniform.
        error_rate: range of p.
        channels: share of each of :data:`BIT_CHANNELS`, drawn for every item.
        erasure_share: share of the items that lose tokens, and, independently, of those that lose single bits.
        erasure_probability: greatest probability drawn of losing a token, and a bit.
        withheld: probability that an item's receiver is told nothing of the channel.
    """

    rates: tuple[int, ...] = BIT_RATES
    error_rate: tuple[float, float] = (0.0, 0.1)
    channels: Mapping[str, float] = field(
        default_factory=lambda: {"bsc": 0.5, "bpsk_awgn": 0.25, "bpsk_rayleigh": 0.25}
    )
    erasure_share: float = 0.1
    erasure_probability: float = 0.3
    withheld: float = 0.03


@dataclass(frozen=True)
class BitConditions:
    """One batch's draws: ``rate [B] int64`` [bit/s], ``error_rate [B] float64``, channel, losses and seeds by item."""

    rate: Tensor
    error_rate: Tensor
    channel: tuple[str, ...]
    token_loss: tuple[float, ...]
    bit_loss: tuple[float, ...]
    withheld: tuple[bool, ...]
    seeds: tuple[int, ...]

    @property
    def expected_loss(self) -> Tensor:
        """Rough feature loss ``[B]`` to expect, which items are weighted by."""
        return expected_bit_loss(self.rate, self.error_rate.float())

    def to(self, device: torch.device) -> BitConditions:
        """The same draws with the tensors on a device."""
        return replace(self, rate=self.rate.to(device), error_rate=self.error_rate.to(device))

    def transmit(self, bits: Bits) -> ReceivedBits:
        """Send every item through its own channel; items of one kind go together."""
        kinds = list(zip(self.channel, self.withheld, self.token_loss, self.bit_loss, strict=True))
        groups = [torch.tensor([i for i, other in enumerate(kinds) if other == kind]) for kind in sorted(set(kinds))]
        parts = [self._transmit_group(bits.items(group), group) for group in groups]
        return replace(joined_items(parts).items(torch.argsort(torch.cat(groups))), rate=bits.rate)

    def _transmit_group(self, part: Bits, group: Tensor) -> ReceivedBits:
        """Items of one kind."""
        first = int(group[0])
        seeds = [self.seeds[int(i)] for i in group]
        state: StateKind = "withheld" if self.withheld[first] else "estimated"
        received = BIT_CHANNELS[self.channel[first]](part, self.error_rate[group], state, seeds)
        if self.bit_loss[first] > 0:
            received = lose_bits(received, self.bit_loss[first], seed=seeds)
        if self.token_loss[first] > 0:
            received = lose_tokens(received, self.token_loss[first], seed=seeds)
        return received


def draw_bits(ranges: BitRanges, seed: int, step: int, items: Sequence[int], sends: int = 1) -> BitConditions:
    """Conditions of the given items of a step, each sent ``sends`` times, one after the other."""
    names, shares = list(ranges.channels), np.array(list(ranges.channels.values()))
    low, high = ranges.error_rate
    rows = []
    for sending in sendings(items, sends):
        rng = np.random.default_rng((_CONDITION_STREAM, seed, step, *sending))
        losses = [
            rng.uniform(0, ranges.erasure_probability) if rng.random() < ranges.erasure_share else 0.0 for _ in range(2)
        ]
        rows.append(
            (
                int(rng.choice(ranges.rates)),
                low + (high - low) * rng.random() ** 2,
                str(rng.choice(names, p=shares / shares.sum())),
                *losses,
                bool(rng.random() < ranges.withheld),
                int(rng.integers(2**62)),
            )
        )
    rate, error_rate, *rest = zip(*rows, strict=True)
    return BitConditions(torch.tensor(rate), torch.tensor(error_rate, dtype=torch.float64), *rest)


def awgn_snr_db(error_rate: Tensor) -> Tensor:
    """Es/N0 [dB] at which BPSK over AWGN has this error rate."""
    argument = torch.special.ndtri(error_rate)  # -sqrt(2 g)
    return (10 * torch.log10(argument.square() / 2)).clamp(*SNR_LIMITS_DB)


def rayleigh_snr_db(error_rate: Tensor) -> Tensor:
    """Mean Es/N0 [dB] at which BPSK over Rayleigh fading has this error rate."""
    square = (1 - 2 * error_rate).square()
    return (10 * torch.log10(square / (1 - square))).clamp(*SNR_LIMITS_DB)


def _bsc(bits: Bits, error_rate: Tensor, state: StateKind, seeds: Sequence[int]) -> ReceivedBits:
    return bsc(bits, error_rate, state=state, seed=seeds)


def _bpsk_awgn(bits: Bits, error_rate: Tensor, state: StateKind, seeds: Sequence[int]) -> ReceivedBits:
    return keyed(bits, lambda symbols: awgn(symbols, awgn_snr_db(error_rate), state=state, seed=seeds))


def _bpsk_rayleigh(bits: Bits, error_rate: Tensor, state: StateKind, seeds: Sequence[int]) -> ReceivedBits:
    return keyed(bits, lambda symbols: rayleigh(symbols, rayleigh_snr_db(error_rate), state=state, seed=seeds))


BIT_CHANNELS: dict[str, Callable[[Bits, Tensor, StateKind, Sequence[int]], ReceivedBits]] = {
    "bsc": _bsc,
    "bpsk_awgn": _bpsk_awgn,
    "bpsk_rayleigh": _bpsk_rayleigh,
}
"""Binary channels of training by name: of bits, error rates ``[B]``, the receiver's knowledge and a seed per item."""
