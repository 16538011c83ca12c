"""Augmentation of speech: level, polarity, colour and faint noise.

Only the audio is changed; features are computed anew from it, because the logarithm's floor and the limits between
bands make their change under a gain other than a shift of c0. Filter and gains are those of the Opus training tool
(``dump_data`` of 1.5.2), except that a gain stops where the speech would clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aether_lite.features.layout import Float32, Float64

_STREAM = 0x5E3D  # separates this random stream from others of the same seed
_RESPONSE = 160  # samples; the slowest pole, 0.828, has decayed to 1e-13


@dataclass(frozen=True)
class Augmentation:
    """How often and how far crops are changed. Shares are probabilities in [0, 1]."""

    share: float = 0.5  # of the crops that are changed at all
    gain_db: tuple[float, float] = (-30.0, 9.0)  # uniform; less where the peak would pass full scale
    faint: float = 0.05  # share with a further -40 dB
    silent: float = 0.01  # share with gain 0
    inverted: float = 0.5  # share with the sign turned
    filtered: float = 0.5  # share through a random filter of 2nd order
    coefficient: float = 0.375  # largest size of each of its four coefficients
    noisy: float = 0.25  # share with white noise added
    noise_dbfs: tuple[float, float] = (-85.0, -50.0)  # of its RMS, uniform

    def draw(self, seed: int, step: int, item: int) -> Change | None:
        """The change of one item, a function of the arguments; None if it stays as it is."""
        rng = np.random.default_rng((_STREAM, seed, step, item))
        if rng.random() >= self.share:
            return None
        gain = 10 ** (rng.uniform(*self.gain_db) / 20)
        chance = rng.random(5)
        coefficients = rng.uniform(-self.coefficient, self.coefficient, 4)
        noise: float = 10 ** (rng.uniform(*self.noise_dbfs) / 20)
        gain *= 0.01 if chance[0] < self.faint else 1.0
        gain *= 0.0 if chance[1] < self.silent else 1.0
        gain *= -1.0 if chance[2] < self.inverted else 1.0
        b1, b2, a1, a2 = (float(c) for c in coefficients) if chance[3] < self.filtered else (0.0,) * 4
        noise = noise if chance[4] < self.noisy else 0.0
        return Change(float(gain), (b1, b2), (a1, a2), noise, int(rng.integers(2**62)))


@dataclass(frozen=True)
class Change:
    """One augmentation, drawn. Its filter is ``H(z) = (1 + b1/z + b2/z^2) / (1 + a1/z + a2/z^2)``."""

    gain: float  # linear, negative if the sign turns
    numerator: tuple[float, float]  # b1, b2
    denominator: tuple[float, float]  # a1, a2
    noise: float  # RMS of the white noise [full scale]
    noise_seed: int

    def apply(self, speech: Float32) -> Float32:
        """Changed speech ``[N]``, at the same place in time; full scale 1."""
        changed: Float64 = speech.astype(np.float64)
        if any(self.numerator + self.denominator):
            changed = np.convolve(changed, self.response())[: len(speech)]
        peak = float(np.abs(changed).max(initial=0.0))
        changed *= np.copysign(min(abs(self.gain), 1.0 / max(peak, 1e-9)), self.gain)
        if self.noise:
            changed += self.noise * np.random.default_rng(self.noise_seed).standard_normal(len(changed))
        return changed.astype(np.float32)

    def response(self) -> Float64:
        """Impulse response of the filter ``[160]``."""
        (b1, b2), (a1, a2) = self.numerator, self.denominator
        response = np.zeros(_RESPONSE)
        last = before = 0.0
        for n, given in enumerate((1.0, b1, b2) + (0.0,) * (_RESPONSE - 3)):
            last, before = given - a1 * last - a2 * before, last
            response[n] = last
        return response
