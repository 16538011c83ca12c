"""Blind estimate of the noise variance N0 from the power of received symbols."""

from __future__ import annotations

from collections import deque

import numpy as np
from torch import Tensor

from aether_lite.channels.channel import NOISE_WINDOW_S
from aether_lite.features.layout import Float64

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

    def __init__(self, token_s: float, profile: Tensor | None = None) -> None:
        tokens = max(1, round(NOISE_WINDOW_S / token_s))
        self._powers: deque[Float64] = deque(maxlen=tokens)
        self._gains: deque[Float64] = deque(maxlen=tokens)
        self._profile = None if profile is None else profile.numpy(force=True).astype(np.float64)

    def update(self, values: Tensor, gain: Tensor | None = None) -> float:
        """The estimate after one more token ``[n] complex`` and its gains; a lost one (NaN) leaves it as it was."""
        power = _powers(values)
        if np.isfinite(power).all():
            self._powers.append(power)
            self._gains.append(np.ones_like(power) if gain is None else _powers(gain))
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
