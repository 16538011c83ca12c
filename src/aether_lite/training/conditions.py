"""What a training step draws at random: rate, SNR, channel and the receiver's knowledge, item by item.

Every draw is a function of (seed, step, item). Noise is on from the first step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from aether_lite.channels import apply_channel, erase
from aether_lite.jscc import RATES
from aether_lite.payload import ChannelState, Received, Symbols, joined_items
from aether_lite.training.balance import expected_loss

_CONDITION_STREAM = 0xC4A2


@dataclass(frozen=True)
class ConditionRanges:
    """Ranges the draws come from.

    Attributes:
        snr_db: Es/N0 [dB]: lowest and highest, drawn uniformly; or lowest, most frequent and highest (triangular).
        rates: payload rates [uses/s], uniform.
        channels: share of each channel, drawn for every item.
        erasure_share: share of the items that lose tokens too.
        erasure_probability: greatest token loss probability drawn.
        withheld: probability that an item's decoder is told nothing of the channel.
        targeted: probability that an item's encoder is told the SNR (otherwise it encodes blind).
    """

    snr_db: tuple[float, ...] = (-6.0, 22.0)
    rates: tuple[int, ...] = RATES
    channels: Mapping[str, float] = field(
        default_factory=lambda: {"awgn": 0.6, "rayleigh": 0.15, "rician": 0.05, "mpp": 0.15, "mpd": 0.05}
    )
    erasure_share: float = 0.1
    erasure_probability: float = 0.3
    withheld: float = 0.03
    targeted: float = 0.1


@dataclass(frozen=True)
class Conditions:
    """One batch's draws: ``rate [B] int64``, ``snr_db [B]``, ``target_snr_db [B]`` (NaN: blind) and the rest.

    Where items are sent several times, B counts sendings, one item's after the other.
    """

    rate: Tensor
    snr_db: Tensor
    target_snr_db: Tensor
    channel: tuple[str, ...]
    erasure: tuple[float, ...]
    withheld: Tensor
    seeds: tuple[int, ...]

    @property
    def expected_loss(self) -> Tensor:
        """Rough feature loss ``[B]`` to expect, which items are weighted by."""
        return expected_loss(self.rate, self.snr_db)

    def to(self, device: torch.device) -> Conditions:
        """The same draws with the tensors on a device."""
        moved = {name: getattr(self, name).to(device) for name in ("rate", "snr_db", "target_snr_db", "withheld")}
        return replace(self, **moved)

    def transmit(self, symbols: Symbols) -> Received:
        """Send every item through its own channel; items of one channel and loss probability go together."""
        kinds = list(zip(self.channel, self.erasure, strict=True))
        groups = [torch.tensor([i for i, other in enumerate(kinds) if other == kind]) for kind in sorted(set(kinds))]
        order = torch.argsort(torch.cat(groups))
        received = joined_items([self._transmit_group(symbols.items(group), group) for group in groups]).items(order)
        gain, noise = _known(received.state.gain), _known(received.state.noise_variance)
        state = ChannelState(
            gain=torch.where(self.withheld[:, None, None], torch.ones_like(gain), gain),
            noise_variance=torch.where(self.withheld[:, None], torch.full_like(noise, torch.nan), noise),
            erased=received.erased,
        )
        return replace(received, rate=symbols.rate, state=state)

    def _transmit_group(self, symbols: Symbols, group: Tensor) -> Received:
        """Items of one kind."""
        seeds = [self.seeds[int(i)] for i in group]
        first = int(group[0])
        received = apply_channel(self.channel[first], symbols, self.snr_db[group], seed=seeds)
        probability = self.erasure[first]
        return erase(received, probability, seed=seeds) if probability > 0 else received



def _known(value: Tensor | None) -> Tensor:
    if value is None:
        raise RuntimeError("a training channel must state what the receiver knows")
    return value


def sendings(items: Sequence[int], sends: int) -> list[tuple[int, ...]]:
    """What tells every sending of the given items apart, one item's after the other."""
    return [(item, again) if again else (item,) for item in items for again in range(sends)]


def draw(ranges: ConditionRanges, seed: int, step: int, items: Sequence[int], sends: int = 1) -> Conditions:
    """Conditions of the given items of a step, each sent ``sends`` times, one after the other."""
    names, shares = list(ranges.channels), np.array(list(ranges.channels.values()))
    low, *between, high = ranges.snr_db
    rows = []
    for sending in sendings(items, sends):
        rng = np.random.default_rng((_CONDITION_STREAM, seed, step, *sending))
        snr = rng.triangular(low, between[0], high) if between else rng.uniform(low, high)
        loss = rng.uniform(0, ranges.erasure_probability) if rng.random() < ranges.erasure_share else 0.0
        rows.append(
            (
                int(rng.choice(ranges.rates)),
                snr,
                snr if rng.random() < ranges.targeted else np.nan,
                str(rng.choice(names, p=shares / shares.sum())),
                loss,
                rng.random() < ranges.withheld,
                int(rng.integers(2**62)),
            )
        )
    rate, snr_db, target, channel, erasure, withheld, seeds = zip(*rows, strict=True)
    return Conditions(
        torch.tensor(rate),
        torch.tensor(snr_db, dtype=torch.float32),
        torch.tensor(target, dtype=torch.float32),
        tuple(channel),
        tuple(erasure),
        torch.tensor(withheld),
        tuple(seeds),
    )
