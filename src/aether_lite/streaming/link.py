"""The symbol stream between two programs, and what a receiver can make of it.

A stream is interleaved float32, little-endian: I and Q of one symbol after another, ``rate * 0.08`` symbols a token,
no header. A stream with gains has four values a symbol: y as it arrived, then the receiver's estimate of its gain h.

* A lost token is written as NaN symbols.
* Without gains, fading is written phase-corrected with the receiver's estimate, ``y conj(h) / |h|``: amplitude and
  noise variance stay as they arrived, so that a told N0 remains true and fades remain small.
* N0 is told beside the stream, or taken from the power of the symbols over the last second, see
  :class:`PowerEstimate`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from aether_lite.channels import Received
from aether_lite.channels.state import NOISE_WINDOW_S
from aether_lite.features.layout import Float64
from aether_lite.streaming.pipe import whole_pieces

SYMBOL_BYTES = 8
LEAST_LEVEL = 0.1  # power of a second of speech, relative to the mean
LEVEL_SPREAD = 0.15  # standard deviation of that power, which is 1 in the mean
LOOKS = 1.0  # independent tokens in a second
FIT_ROUNDS = 4
LEAST_NOISE_VARIANCE = 0.01  # 20 dB; power cannot tell less noise than this from none


@dataclass(frozen=True)
class LinkToken:
    """One token of a stream.

    Attributes:
        values: symbols ``[n] complex64``, NaN where the token is lost.
        gain: the receiver's estimates of their gains ``[n] complex64``; None in a stream without gains.
    """

    values: Tensor
    gain: Tensor | None = None


def symbol_bytes(values: Tensor, gain: Tensor | None = None) -> bytes:
    """Complex symbols of any shape as a stream, with their gains where there are any."""
    columns = values if gain is None else torch.stack((values, gain), dim=-1)
    return columns.to(torch.complex64).contiguous().numpy().astype("<c8").tobytes()


def symbol_tokens(stream: BinaryIO, uses: int, rate: int, gains: bool = False) -> Iterator[LinkToken]:
    """Tokens of ``uses`` symbols of a stream, each as soon as it is there.

    Args:
        stream: open for reading; may be a pipe.
        uses: symbols in a token.
        rate: [uses/s], for the message.
        gains: whether the stream has gains.

    Raises:
        AetherError: the stream ends within a token (after all whole ones were given).
    """
    form = "float32 I, Q, gain I, gain Q: --gains" if gains else "interleaved float32 I, Q"
    for data in whole_pieces(stream, SYMBOL_BYTES * uses * (2 if gains else 1), f"--rate {rate} ({form})"):
        values = torch.from_numpy(np.frombuffer(data, "<c8").astype(np.complex64))
        if gains:
            for token in values.reshape(-1, uses, 2):
                yield LinkToken(token[:, 0].contiguous(), token[:, 1].contiguous())
        else:
            yield from map(LinkToken, values.reshape(-1, uses))


def phase_corrected(received: Received) -> Tensor:
    """``[1, K, n]``: received tokens as a stream without gains holds them; see the module's text."""
    values, gain = received.values, received.state.gain
    if gain is not None:
        magnitude = gain.abs()
        turned = gain.conj() / magnitude.clamp_min(torch.finfo(magnitude.dtype).tiny)
        values = values * torch.where(magnitude > 0, turned, torch.ones_like(turned))
    return _marked(values, received)


def with_gains(received: Received) -> tuple[Tensor, Tensor]:
    """Symbols and gains, each ``[1, K, n]``, of received tokens; gains that are withheld are ones."""
    values, gain = received.values, received.state.gain
    return _marked(values, received), torch.ones_like(values) if gain is None else gain


def _marked(values: Tensor, received: Received) -> Tensor:
    return values.masked_fill(received.state.erased[:, :, None], complex("nan+nanj"))


class PowerEstimate:
    """Noise variance from the power of the tokens of the last second.

    Where every token is sent with mean power 1, it is mean |y|^2 - 1. Where the power constraint holds for the session,
    a token's power s is unknown, but symbol j has s w_j of it, w_j being constants of the codec: s and N0 are those
    that fit the mean powers of the positions best, the squared misfits weighted with the variances that s and N0 imply;
    s is known to be about 1. Where gains h are told, s |h|^2 arrives of s.

    It cannot tell noise from speech: where only noise comes, nothing but a told N0 can mute.

    Args:
        token_s: length of a token [s].
        profile: mean power w_j of every symbol of a token ``[n]``; None where every token has mean power 1.
    """

    def __init__(self, token_s: float, profile: Tensor | None = None) -> None:
        tokens = max(1, round(NOISE_WINDOW_S / token_s))
        self._powers: deque[Float64] = deque(maxlen=tokens)
        self._gains: deque[Float64] = deque(maxlen=tokens)
        self._profile = None if profile is None else profile.numpy(force=True).astype(np.float64)

    def update(self, token: LinkToken) -> float:
        """The estimate after one more token; a lost one leaves it as it was."""
        power = _powers(token.values)
        if np.isfinite(power).all():
            self._powers.append(power)
            self._gains.append(np.ones_like(power) if token.gain is None else _powers(token.gain))
        if not self._powers:
            return LEAST_NOISE_VARIANCE
        mean = np.mean(self._powers, axis=0)
        carried = np.mean(self._gains, axis=0)
        if self._profile is None:
            noise = float(mean.mean() - carried.mean())
        else:
            noise = _fitted_noise(mean, self._profile * carried)
        return max(noise, LEAST_NOISE_VARIANCE)


def _powers(values: Tensor) -> Float64:
    return values.abs().square().numpy(force=True).astype(np.float64)


def _fitted_noise(mean: Float64, profile: Float64) -> float:
    """N0 of ``mean = s * profile + N0``, each ``[n]``, where mean powers scatter in proportion to themselves."""
    columns = np.stack((profile, np.ones_like(profile)), axis=1)
    expected = np.full_like(mean, mean.mean())
    noise = 0.0
    for _ in range(FIT_ROUNDS):
        weights = LOOKS**0.5 / np.maximum(expected, LEAST_NOISE_VARIANCE)
        rows = np.concatenate((columns * weights[:, None], [[1 / LEVEL_SPREAD, 0.0]]))
        level, noise = np.linalg.lstsq(rows, np.append(mean * weights, 1 / LEVEL_SPREAD), rcond=None)[0]
        level, noise = max(float(level), LEAST_LEVEL), max(float(noise), LEAST_NOISE_VARIANCE)
        expected = columns @ (level, noise)
    return noise
