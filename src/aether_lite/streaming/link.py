"""The symbol stream between two programs, and what a receiver can make of it.

A stream is interleaved float32, little-endian: I and Q of one symbol after another, ``rate * 0.08`` symbols a token,
no header. It carries no channel state, so

* a lost token is written as NaN symbols;
* fading is written phase-corrected with the receiver's gain estimate, ``y conj(h) / |h|``: amplitude and noise variance
  stay as they arrived, so that a told N0 remains true and fades remain small;
* N0 is told beside the stream, or taken from the power of the symbols: a token is sent with mean power 1, so that
  N0 = mean |y|^2 - 1 over the last second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from aether_lite.channels import Received
from aether_lite.channels.state import NOISE_WINDOW_S
from aether_lite.streaming.pipe import whole_pieces

SYMBOL_BYTES = 8
LEAST_NOISE_VARIANCE = 0.01  # 20 dB; power cannot tell less noise than this from none


def symbol_bytes(values: Tensor) -> bytes:
    """Complex symbols of any shape as a stream."""
    return values.to(torch.complex64).contiguous().numpy().astype("<c8").tobytes()


def symbol_tokens(stream: BinaryIO, uses: int, rate: int) -> Iterator[Tensor]:
    """Tokens ``[uses] complex64`` of a stream, each as soon as it is there.

    Args:
        stream: open for reading; may be a pipe.
        uses: symbols in a token.
        rate: [uses/s], for the message.

    Raises:
        AetherError: the stream ends within a token (after all whole ones were given).
    """
    for data in whole_pieces(stream, SYMBOL_BYTES * uses, f"--rate {rate} (interleaved float32 I, Q)"):
        values = np.frombuffer(data, "<c8").astype(np.complex64)
        yield from torch.from_numpy(values).reshape(-1, uses)


def written(received: Received) -> Tensor:
    """``[1, K, n]``: what a filter writes of received tokens; see the module's text."""
    values, gain = received.values, received.state.gain
    if gain is not None:
        magnitude = gain.abs()
        turned = gain.conj() / magnitude.clamp_min(torch.finfo(magnitude.dtype).tiny)
        values = values * torch.where(magnitude > 0, turned, torch.ones_like(turned))
    lost = received.state.erased[:, :, None]
    return values.masked_fill(lost, complex("nan+nanj"))


class PowerEstimate:
    """Noise variance from the power of tokens that were sent with mean power 1, over the last second.

    It cannot tell noise from speech: where only noise comes, nothing but a told N0 can mute.

    Args:
        token_s: length of a token [s].
    """

    def __init__(self, token_s: float) -> None:
        self._powers: deque[float] = deque(maxlen=max(1, round(NOISE_WINDOW_S / token_s)))

    def update(self, values: Tensor) -> float:
        """The estimate after one more token ``[n] complex``; a lost one (NaN) leaves it as it was."""
        power = float(values.abs().square().mean())
        if np.isfinite(power):
            self._powers.append(power)
        mean = sum(self._powers) / len(self._powers) if self._powers else 1.0
        return max(mean - 1.0, LEAST_NOISE_VARIANCE)
