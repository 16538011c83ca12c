"""What crosses a binary channel: bits sent, and what the receiver believes of each of them.

Parallel to :mod:`~aether_lite.channels.signal`: an encoder returns :class:`Bits`, a binary channel turns them into
:class:`ReceivedBits`, and a decoder takes nothing else.

A bit is b = +1 or -1. The receiver's *soft bit* is its expectation after the channel, given what was received and what
the receiver knows of the channel::

    s = E[b | received] = P(b = +1) - P(b = -1) = tanh(L / 2),    L = ln p(+1) - ln p(-1)

so s is in [-1, 1], 0 where nothing is known (a lost or unsent bit), and the probability of error is (1 - |s|) / 2.

A *token* covers ``token_frames`` feature frames of 10 ms and carries ``rate * token_frames / 100`` bits at ``rate``
bit/s, in order of importance: the bits of a lower rate are the first of a higher one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from aether_lite.channels.signal import uses_per_token
from aether_lite.errors import AetherError


def bits_per_token(rate: int | Tensor, token_frames: int) -> int | Tensor:
    """Bits in one token at ``rate`` bit/s."""
    return uses_per_token(rate, token_frames)


def _sent(values: Tensor, rate: int | Tensor, token_frames: int) -> Tensor:
    """``[B, 1, n] bool``: positions that items of these rates send."""
    batch, _, n = values.shape
    counts = torch.as_tensor(bits_per_token(rate, token_frames), device=values.device).expand(batch)
    return torch.arange(n, device=values.device) < counts[:, None, None]


def _check_shape(name: str, values: Tensor, rate: int | Tensor, token_frames: int) -> None:
    if values.ndim != 3 or not values.is_floating_point():
        raise ValueError(f"{name} must be real [B, K, n], not {values.dtype} {tuple(values.shape)}")
    widest = int(torch.as_tensor(bits_per_token(rate, token_frames)).max()) if values.shape[0] else values.shape[2]
    if widest != values.shape[2]:
        raise ValueError(
            f"{values.shape[2]} bits a token do not fit rate {rate} bit/s: "
            f"that is {widest} bits in {token_frames} frames"
        )


@dataclass(frozen=True)
class Bits:
    """Bits as they leave the transmitter.

    Attributes:
        values: ``[B, K, n] float32``, K tokens of n bits in sending order, each +1 or -1, and 0 where an item of a
            mixed batch sends none (:attr:`used`). Only training may hold values between (a bottleneck that is still
            being annealed); :meth:`validate` refuses them.
        rate: bit/s; an int, or ``[B] int64`` when the items of a training batch differ.
        token_frames: feature frames of 10 ms in one token.
    """

    values: Tensor
    rate: int | Tensor
    token_frames: int

    def __post_init__(self) -> None:
        _check_shape("bits", self.values, self.rate, self.token_frames)

    @property
    def counts(self) -> Tensor:
        """``[B] int64``: bits per token of every item."""
        counts = torch.as_tensor(bits_per_token(self.rate, self.token_frames), device=self.values.device)
        return counts.expand(self.values.shape[0])

    @property
    def used(self) -> Tensor:
        """``[B, 1, n] bool``: positions that are sent."""
        return _sent(self.values, self.rate, self.token_frames)

    def prefix(self, rate: int) -> Bits:
        """The same tokens at a lower ``rate`` [bit/s]: their first bits.

        Raises:
            AetherError: the rate is higher than that of the bits.
        """
        n = int(bits_per_token(rate, self.token_frames))
        if not 0 < n <= int(self.counts.min()):
            raise AetherError(f"bits of {self.rate} bit/s hold no stream of {rate} bit/s")
        return Bits(self.values[..., :n], rate, self.token_frames)

    def validate(self) -> None:
        """Check what the shapes cannot tell (reads every value).

        Raises:
            AetherError: a bit that is sent is neither +1 nor -1, or one that is not sent is not 0.
        """
        if not bool((self.values.abs() == self.used.to(self.values.dtype)).all()):
            raise AetherError("bits must be +1 or -1, and 0 where none is sent")


@dataclass(frozen=True)
class ReceivedBits:
    """Soft bits as they reach the decoder.

    Attributes:
        values: ``[B, K, n] float32`` in [-1, 1], s = E[b | received]; 0 for a bit that is lost or was not sent.
        rate: as in :class:`Bits`.
        erased: ``[B, K] bool``, tokens that the link layer marks as lost (all of their soft bits are 0).
        token_frames: as in :class:`Bits`.
    """

    values: Tensor
    rate: int | Tensor
    erased: Tensor
    token_frames: int

    def __post_init__(self) -> None:
        _check_shape("soft bits", self.values, self.rate, self.token_frames)
        if self.erased.shape != self.values.shape[:2] or self.erased.dtype != torch.bool:
            shape, dtype = tuple(self.erased.shape), self.erased.dtype
            raise ValueError(f"erased must be bool {tuple(self.values.shape[:2])}, not {dtype} {shape}")

    @property
    def used(self) -> Tensor:
        """``[B, 1, n] bool``: positions that were sent."""
        return _sent(self.values, self.rate, self.token_frames)

    def tokens(self, part: slice) -> ReceivedBits:
        """Some of the tokens."""
        return ReceivedBits(self.values[:, part], self.rate, self.erased[:, part], self.token_frames)

    def with_lost_token(self) -> ReceivedBits:
        """The same with one more token behind, a lost one."""
        values, erased = pad(self.values, (0, 0, 0, 1)), pad(self.erased, (0, 1), value=True)
        return ReceivedBits(values, self.rate, erased, self.token_frames)

    def validate(self) -> None:
        """Check what the shapes cannot tell (reads every value).

        Raises:
            AetherError: a soft bit is not in [-1, 1], or one that is lost or was not sent is not 0.
        """
        if not bool((self.values.abs() <= 1).all()):
            raise AetherError("soft bits must be in -1..1")
        silent = self.erased[:, :, None] | ~self.used
        if bool((self.values != 0).logical_and(silent).any()):
            raise AetherError("soft bits that are lost or not sent must be 0")


def delivered(bits: Bits, soft: Tensor, reliability: Tensor, erased: Tensor | None = None) -> ReceivedBits:
    """Soft bits of a channel with the gradient that training takes through it.

    A symmetric channel is s = b m with m independent of b. Its derivative by b, averaged over what the receiver cannot
    see, is E[m | received] = E[b s | received] = s^2: a bit that came through clearly passes its gradient, a lost one
    passes none, and a saturated tanh hides nothing.

    Args:
        bits: what was sent.
        soft: ``[B, K, n]`` s, used without its own gradient.
        reliability: ``[B, K, n]`` or broadcastable, the derivative: s^2.
        erased: ``[B, K] bool``; None for no token lost.
    """
    silent = ~bits.used
    if erased is None:
        erased = torch.zeros(bits.values.shape[:2], dtype=torch.bool, device=bits.values.device)
    silent = silent | erased[:, :, None]
    path = reliability.detach() * (bits.values - bits.values.detach())
    return ReceivedBits((soft.detach() + path).masked_fill(silent, 0), bits.rate, erased, bits.token_frames)
