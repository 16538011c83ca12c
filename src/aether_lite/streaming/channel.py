"""Streaming channel: any channel, token by token.

The channels of :mod:`aether_lite.channels` act on a whole clip. Here the link is simulated ahead, a stretch of a minute
at a time: the channel gets tokens of ones, which makes its gains h and noise w known (y = h + w), and whatever is sent
then is received as y = h x + w, with the channel state of the ones. Soft bits are h x with the soft bits h of ones.
Fading, sliding noise estimates and bursts of losses go on smoothly within a stretch; the next one is independent of it
(seed + 1). Memory is constant. :class:`PowerEstimate` is a blind estimate of N0 from the power of received symbols.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from aether_lite.channels.channel import NOISE_WINDOW_S
from aether_lite.errors import AetherError
from aether_lite.features.layout import Float64
from aether_lite.link import LinkConfig
from aether_lite.payload import (
    FRAMES_PER_SECOND,
    LARGEST,
    Bits,
    Received,
    ReceivedBits,
    Symbols,
    elements_per_token,
    joined_tokens,
    zeroed,
)

STRETCH_S = 60.0  # [s] simulated at a time


class StreamChannel:
    """One link from a transmitter to a receiver.

    Args:
        config: channel, rate, noise and losses, of symbols or of bits over ``bsc``.
        token_frames: frames of 10 ms in a token, those of the codec.

    Raises:
        AetherError: an unknown channel, rate or option, a number out of range, or modulated bits.
    """

    def __init__(self, config: LinkConfig, token_frames: int) -> None:
        if config.modulation is not None:
            raise AetherError("a stream of bits goes over bsc; modulation is for whole clips")
        config.check(token_frames)
        self._config, self._frames = config, token_frames
        self._tokens = max(1, round(STRETCH_S * FRAMES_PER_SECOND / token_frames))  # of a stretch
        self._place = 0  # in the stretch
        self._simulate()

    @overload
    def send(self, payload: Symbols) -> Received: ...
    @overload
    def send(self, payload: Bits) -> ReceivedBits: ...
    def send(self, payload: Symbols | Bits) -> Received | ReceivedBits:
        """What is received of the next tokens ``[1, K, n]``, K >= 0, in tensors or arrays as they are.

        Raises:
            AetherError: tokens of another unit, rate or length than the link's.
        """
        link, sent = ((each.unit, each.rate) for each in (self._config, payload))
        if link != sent or payload.token_frames != self._frames:
            raise AetherError(
                f"the link carries tokens of {10 * self._frames} ms at {link[1]} {link[0]}, "
                f"not tokens of {10 * payload.token_frames} ms at {sent[1]} {sent[0]}"
            )
        values = payload.arrays().values
        pieces = [self._received(values[:, run], part) for run, part in self._parts(values.shape[1])]
        received = joined_tokens(pieces) if pieces else self._received(values, slice(0, 0))
        return received if values is payload.values else received.tensors()

    def _parts(self, count: int) -> Iterator[tuple[slice, slice]]:
        """Parts of the next ``count`` tokens: which of them, and where they lie in the present stretch."""
        start = 0
        while start < count:
            if self._place == self._tokens:
                self._place = 0
                self._config = replace(self._config, seed=(self._config.seed + 1) % 2**63)
                self._simulate()
            length = min(count - start, self._tokens - self._place)
            yield slice(start, start + length), slice(self._place, self._place + length)
            start, self._place = start + length, self._place + length

    def _simulate(self) -> None:
        """The next stretch of the link."""
        config = self._config
        ones: Any = np.ones((1, self._tokens, elements_per_token(config.rate, self._frames)), np.float32)
        if config.unit == Bits.unit:
            self._of_ones, _ = config.carry(Bits(ones, config.rate, self._frames))
            self._gain, self._noise = self._of_ones.values, np.zeros_like(ones)
            return
        symbols = Symbols(ones.astype(np.complex64), config.rate, self._frames)
        # The CSI asked for is drawn after gain and noise, so that both calls meet the same of these.
        self._of_ones = config.send(symbols)
        perfect = replace(config.without_losses(), options={**config.options, "csi": "perfect"}).send(symbols)
        assert perfect.state.gain is not None
        self._gain = perfect.state.gain
        self._noise = perfect.values - self._gain

    def _received(self, values: Any, part: slice) -> Received | ReceivedBits:
        """What is received of tokens sent in a part of the stretch."""
        known = self._of_ones.tokens(part)
        with np.errstate(all="ignore"):  # a pipe may bring any numbers
            arrived = self._gain[:, part] * values + self._noise[:, part]
        return replace(known, values=zeroed(arrived, known.erased[:, :, None]))


LEAST_LEVEL = 0.1  # power of a second of speech, relative to the mean
LEVEL_SPREAD = 0.15  # standard deviation of that power, which is 1 in the mean
LOOKS = 1.0  # independent tokens in a second
FIT_ROUNDS = 4
LEAST_NOISE_VARIANCE = 0.01  # 20 dB; power cannot tell less noise than this from none


class PowerEstimate:
    """Noise variance from the power of the tokens of the last second.

    With per-token average power it is mean |y|^2 - 1. With long-term average power a token's power s is unknown, but
    symbol j has s w_j of it, w_j being constants of the codec: s and N0 fit the mean powers of the positions in the
    least squares, weighted with the variances that s and N0 imply; s is known to be about 1. Where gains h are known,
    s |h|^2 arrives of s.

    It cannot tell noise from speech: where only noise comes, nothing but a given N0 can mute.

    Args:
        token_s: length of a token [s].
        profile: mean power w_j of every symbol of a token ``[n]``; None where every token has mean power 1.
    """

    def __init__(self, token_s: float, profile: ArrayLike | None = None) -> None:
        tokens = max(1, round(NOISE_WINDOW_S / token_s))
        self._powers: deque[Float64] = deque(maxlen=tokens)
        self._gains: deque[Float64] = deque(maxlen=tokens)
        self._profile = None if profile is None else np.asarray(profile, np.float64)

    def update(self, values: ArrayLike, gain: ArrayLike | None = None) -> float:
        """The estimate after one more token ``[n] complex`` and its gains; a lost one (NaN) leaves it as it was."""
        power = _powers(values)
        if (power <= LARGEST**2).all() and (gain is None or (_powers(gain) <= LARGEST**2).all()):  # false for NaN
            self._powers.append(power)
            self._gains.append(np.ones_like(power) if gain is None else _powers(gain))
        if not self._powers:
            return LEAST_NOISE_VARIANCE
        mean = np.mean(self._powers, axis=0)
        carried = np.mean(self._gains, axis=0)
        unit = max(float(carried.mean()), float(np.finfo(np.float32).tiny))  # known gains may come in any
        if self._profile is None:
            noise = float(mean.mean() - carried.mean()) / unit
        else:
            noise = _fitted_noise(mean / unit, self._profile * carried / unit)
        return max(noise, LEAST_NOISE_VARIANCE) * unit


def _powers(values: ArrayLike) -> Float64:
    with np.errstate(all="ignore"):  # a receiver may get any
        given = np.asarray(values, np.complex128)
        return given.real**2 + given.imag**2


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
