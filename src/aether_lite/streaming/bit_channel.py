"""The binary symmetric channel, token by token, simulated ahead as in :mod:`aether_lite.streaming.channel`."""

from __future__ import annotations

import torch

from aether_lite.channels.binary import bsc, lose_tokens
from aether_lite.channels.erasure import check_losses
from aether_lite.channels.state import StateKind
from aether_lite.hash import checked_bit_rate
from aether_lite.payload import Bits, ReceivedBits, elements_per_token
from aether_lite.streaming.channel import Stretches, check_fits


class StreamBitChannel:
    """One binary symmetric channel, with losses of whole tokens if asked for.

    Args:
        error_rate: share of bits turned, 0..0.5.
        rate: [bit/s].
        token_frames: frames of 10 ms in a token, those of the codec.
        seed: of errors and losses; the same seed gives the same link.
        state: what the receiver knows of the error rate, see :mod:`aether_lite.channels.binary`.
        erasure: share of tokens lost; None for none.
        burst_tokens: mean length of a burst of these losses [tokens]; None for independent losses.

    Raises:
        AetherError: an unknown rate or state, or a number out of range.
    """

    def __init__(
        self,
        error_rate: float,
        rate: int,
        *,
        token_frames: int,
        seed: int = 0,
        state: StateKind = "estimated",
        erasure: float | None = None,
        burst_tokens: float | None = None,
    ) -> None:
        check_losses(erasure, burst_tokens)
        self._error_rate, self._state = error_rate, state
        self._erasure, self._burst_tokens = erasure, burst_tokens
        self._rate, self._frames = checked_bit_rate(rate), token_frames
        self._stretches = Stretches(token_frames, seed, self._simulate)

    def send(self, bits: Bits) -> ReceivedBits:
        """What arrives of the next tokens ``[1, K, n]``, K >= 0.

        Raises:
            AetherError: bits of another rate or token length than the link's.
        """
        check_fits(bits, self._rate, self._frames)
        soft, lost = [bits.values[:, :0]], [torch.zeros(1, 0, dtype=torch.bool)]
        for run, part in self._stretches.parts(bits.values.shape[1]):
            soft.append(self._ones.values[:, part] * bits.values[:, run])
            lost.append(self._ones.erased[:, part])
        return ReceivedBits(torch.cat(soft, dim=1), self._rate, torch.cat(lost, dim=1), self._frames)

    def _simulate(self, tokens: int, seed: int) -> None:
        """What arrives of a stretch of ones: soft bits of the others have the other sign."""
        ones = Bits(torch.ones(1, tokens, elements_per_token(self._rate, self._frames)), self._rate, self._frames)
        self._ones = bsc(ones, self._error_rate, state=self._state, seed=seed)
        if self._erasure is not None:
            self._ones = lose_tokens(self._ones, self._erasure, self._burst_tokens, seed=seed)
