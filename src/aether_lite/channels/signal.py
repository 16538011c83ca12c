"""What crosses the air interface: symbols sent, symbols received, and what a receiver may know.

The types enforce the project's first rule: an encoder returns :class:`Symbols`, a channel turns them into
:class:`Received`, and a decoder takes nothing else.

Timing. A *token* covers ``token_frames`` feature frames of 10 ms. At ``rate`` payload channel uses per second
a token carries ``rate * token_frames / 100`` complex symbols. For channels that vary in time or frequency the
symbols lie on a grid of OFDM-like slots of 20 ms with ``rate / 50`` subcarriers 50 Hz apart (an ideal cyclic
prefix, not counted): symbol ``j`` of a token is sent in slot ``j // (rate / 50)`` on subcarrier
``j % (rate / 50)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from aether_lite.errors import AetherError

FRAMES_PER_SECOND = 100
SLOT_SECONDS = 0.020
SUBCARRIER_HZ = 50.0
SUBCARRIERS_PER_RATE = 1 / 50  # subcarriers for each use/s


def uses_per_token(rate: int | Tensor, token_frames: int) -> int | Tensor:
    """Channel uses (complex symbols) in one token at ``rate`` uses/s."""
    return rate * token_frames // FRAMES_PER_SECOND


@dataclass(frozen=True)
class Symbols:
    """Complex symbols as they leave the transmitter.

    Attributes:
        values: ``[B, K, n] complex64``, K tokens of n channel uses, in sending order, nominal power 1.
        rate: payload channel uses per second [uses/s]; an int, or ``[B] int64`` when the items of a training
            batch differ (items with fewer uses than n are zero beyond their own, see :attr:`used`).
        token_frames: feature frames of 10 ms in one token.
    """

    values: Tensor
    rate: int | Tensor
    token_frames: int

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or not self.values.is_complex():
            raise ValueError(f"symbols must be complex [B, K, n], not {self.values.dtype} {tuple(self.values.shape)}")
        widest = int(torch.as_tensor(self.uses).max()) if self.values.shape[0] else self.values.shape[2]
        if widest != self.values.shape[2]:
            raise ValueError(
                f"{self.values.shape[2]} symbols a token do not fit rate {self.rate} uses/s: "
                f"that is {widest} symbols in {self.token_frames} frames"
            )

    @property
    def uses(self) -> int | Tensor:
        """Channel uses per token: an int, or ``[B] int64`` where rates differ."""
        return uses_per_token(self.rate, self.token_frames)

    @property
    def used(self) -> Tensor:
        """``[B, 1, n] bool``: positions that are sent."""
        batch, _, n = self.values.shape
        uses = torch.as_tensor(self.uses, device=self.values.device).expand(batch)
        return torch.arange(n, device=self.values.device) < uses[:, None, None]

    @property
    def seconds(self) -> float:
        """Length of the clip [s]: K tokens of ``token_frames`` frames."""
        return self.values.shape[1] * self.token_frames / FRAMES_PER_SECOND

    @property
    def rates(self) -> Tensor:
        """``[B] float32``: uses/s of every item."""
        return torch.as_tensor(self.rate, device=self.values.device, dtype=torch.float32).expand(self.values.shape[0])

    def time(self) -> Tensor:
        """``[B, K, n] float32``: the time [s] at which each symbol's slot begins, from the clip's start."""
        slot, _ = self._grid()
        _, tokens, _ = self.values.shape
        start = torch.arange(tokens, device=slot.device) * (self.token_frames / FRAMES_PER_SECOND)
        return start[None, :, None] + slot * SLOT_SECONDS

    def token_start(self) -> Tensor:
        """``[K] float64``: the time [s] at which each token begins, from the clip's start."""
        tokens = torch.arange(self.values.shape[1], device=self.values.device, dtype=torch.float64)
        return tokens * (self.token_frames / FRAMES_PER_SECOND)

    def slot_offset(self) -> Tensor:
        """``[B, n] float64``: the time [s] of each symbol's slot from its token's start (OFDM-like grid)."""
        slot, _ = self._grid()
        return slot[:, 0, :].double() * SLOT_SECONDS

    def serial_offset(self) -> Tensor:
        """``[B, n] float64``: j / rate, the time [s] of symbol j from its token's start when symbols are sent
        one after another."""
        index = torch.arange(self.values.shape[2], device=self.values.device, dtype=torch.float64)
        return index / self.rates.double()[:, None]

    def serial_time(self) -> Tensor:
        """``[B, K, n] float64``: each symbol's time [s] in serial transmission, from the clip's start."""
        return self.token_start()[None, :, None] + self.serial_offset()[:, None, :]

    def frequency(self) -> Tensor:
        """``[B, K, n] float32``: the subcarrier frequency [Hz] of each symbol, from 0."""
        _, carrier = self._grid()
        return (carrier * SUBCARRIER_HZ).expand(*self.values.shape)

    def _grid(self) -> tuple[Tensor, Tensor]:
        """Slot index and subcarrier index, each ``[B, 1, n] float32``."""
        carriers = (self.rates * SUBCARRIERS_PER_RATE)[:, None, None]
        index = torch.arange(self.values.shape[2], device=self.values.device, dtype=torch.float32)
        slot = torch.floor((index + 0.5) / carriers)
        return slot, index - slot * carriers


@dataclass(frozen=True)
class ChannelState:
    """What the receiver knows of the channel; every entry could be had by a real receiver.

    Attributes:
        gain: ``[B, K, n] complex64``, the receiver's estimate of each symbol's complex gain h, or None when
            it is withheld (the decoder then takes h = 1).
        noise_variance: ``[B, K] float32``, the receiver's estimate of N0, or None when withheld (NaN
            where it is withheld for some items of a batch only).
        erased: ``[B, K] bool``, tokens that the link layer marks as lost.
    """

    gain: Tensor | None
    noise_variance: Tensor | None
    erased: Tensor


@dataclass(frozen=True)
class Received:
    """Complex symbols as they reach the receiver, with the channel state known there.

    Attributes:
        values: ``[B, K, n] complex64``, y = h x + noise; zero where a token is erased.
        rate: as in :class:`Symbols`.
        state: the receiver's knowledge.
        token_frames: as in :class:`Symbols`.
    """

    values: Tensor
    rate: int | Tensor
    state: ChannelState
    token_frames: int

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or not self.values.is_complex():
            raise ValueError(
                f"received values must be complex [B, K, n], not {self.values.dtype} {tuple(self.values.shape)}"
            )
        for name, known, shape in (
            ("gain", self.state.gain, self.values.shape),
            ("noise_variance", self.state.noise_variance, self.values.shape[:2]),
            ("erased", self.state.erased, self.values.shape[:2]),
        ):
            if known is not None and known.shape != shape:
                raise ValueError(f"channel state {name} must be {tuple(shape)}, not {tuple(known.shape)}")

    def tokens(self, part: slice) -> Received:
        """Some of the tokens."""
        known = self.state
        return Received(
            self.values[:, part],
            self.rate,
            ChannelState(
                gain=None if known.gain is None else known.gain[:, part],
                noise_variance=None if known.noise_variance is None else known.noise_variance[:, part],
                erased=known.erased[:, part],
            ),
            self.token_frames,
        )

    def with_lost_token(self) -> Received:
        """The same with one more token behind, a lost one."""
        known = self.state
        return Received(
            pad(self.values, (0, 0, 0, 1)),
            self.rate,
            ChannelState(
                gain=None if known.gain is None else pad(known.gain, (0, 0, 0, 1), value=1.0),
                noise_variance=None if known.noise_variance is None else pad(known.noise_variance, (0, 1), value=nan),
                erased=pad(known.erased, (0, 1), value=True),
            ),
            self.token_frames,
        )

    def validate(self) -> None:
        """Check what the shapes cannot tell (reads every value).

        Raises:
            AetherError: a value is not finite, a noise variance is negative or infinite, or an erased token
                is not zero.
        """
        values = self.values.numpy(force=True)
        if not np.isfinite(values).all():
            raise AetherError("received values are not all finite")
        if self.state.noise_variance is not None:
            noise = self.state.noise_variance.numpy(force=True)
            if (noise < 0).any() or np.isinf(noise).any():
                raise AetherError("noise_variance must be finite and not negative")
        if values[self.state.erased.numpy(force=True)].any():
            raise AetherError("received values of erased tokens must be zero")
