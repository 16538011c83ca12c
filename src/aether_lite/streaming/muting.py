"""Muting: when a receiver is silent, decided causally for every token, with short fades.

**Gap.** The decoder bridges a few lost tokens. The token with which a run of them passes :data:`GAP_S` is muted, and
all after it until one arrives. A token whose own SNR estimate, mean |h|^2 / N0, is below :data:`USELESS_SNR_DB` counts
as lost too.

**Noise only.** The received power tells whether anybody sends. With the receiver's gains h and noise variance N0 a
symbol y has the variance v1 = a + N0 if speech is sent and v0 = N0 if not, where a = min(|h|^2, 1), so that an
overestimated gain does not promise power that cannot come. A token's log-likelihood ratio (both complex Gaussian) is::

    L = sum_i |y_i|^2 (1 / N0 - 1 / (a_i + N0)) - ln(1 + a_i / N0)

N0 is itself an estimate from one pilot in ten over about a second. Over that second its relative variance is ten times
that of the symbols' mean power, so the evidence counts as L / (1 + 10). It is accumulated as in Page's test (E. S.
Page, "Continuous inspection schemes", Biometrika 41, 1954): while the output is on, the sum is kept from going above
zero, and the output is muted when it falls below -:data:`MUTE_EVIDENCE`; from there the sum is kept from going below
zero, and the output is on again above :data:`LISTEN_EVIDENCE`. The two bounds are the hysteresis. At high SNR one or
two tokens decide; at -6 dB, where noise is four times as strong as speech, it takes seconds. Without N0 there is no
such evidence.

Soft bits s have no power. A token of bits counts as lost too if the mean of s^2 is below :data:`USELESS_RELIABILITY`,
and there is no test for noise only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from aether_lite.channels.channel import PILOT_SPACING
from aether_lite.features.layout import Float64
from aether_lite.payload import Received, ReceivedBits

GAP_S = 0.4  # [s] of lost tokens that are concealed; a longer run is muted
USELESS_SNR_DB = -12.0  # mean |h|^2 / N0 [dB] of a token below which nothing of use came; 6 dB below the lowest stated
USELESS_RELIABILITY = 0.04  # mean s^2 of a token below which nothing of use came: that of hard bits, 0.4 of them wrong
MUTE_EVIDENCE = 8.0  # nats in favour of noise only; a false alarm in about e^8 s
LISTEN_EVIDENCE = 6.0  # nats in favour of speech
NOISE_FLOOR = 1e-3  # noise variances below are taken as this; -30 dB
FADE_SAMPLES = 320  # 20 ms, raised cosine


@dataclass(frozen=True)
class MuteState:
    """What passes from one token to the next.

    Attributes:
        lost_s: length of the run of lost tokens that ends here [s].
        evidence: sum of the test [nats].
        noise_only: whether the test decides that nobody sends.
        faded: samples of the fade done; 0 is on, :data:`FADE_SAMPLES` is silent.
    """

    lost_s: float = 0.0
    evidence: float = 0.0
    noise_only: bool = False
    faded: int = 0

    @property
    def muted(self) -> bool:
        """Whether the newest token is muted."""
        return self.noise_only or self.lost_s > GAP_S + 1e-9


def judged(state: MuteState, received: Received | ReceivedBits, token_s: float) -> MuteState:
    """The state after one more token.

    Args:
        state: before it.
        received: the token, ``[1, 1, n]``; symbols with a gain and a noise variance, NaN where it is unknown.
        token_s: length of a token [s].
    """
    erased = bool(received.erased)
    if isinstance(received, ReceivedBits):
        useless = float(received.values.square().mean()) < USELESS_RELIABILITY
        return replace(state, lost_s=state.lost_s + token_s if erased or useless else 0.0)
    gain, noise = received.state.gain, received.state.noise_variance
    assert gain is not None
    assert noise is not None
    power, noise_variance = _power(gain[0, 0]), float(noise)
    known = not math.isnan(noise_variance)
    useless = known and float(power.mean()) < noise_variance * 10 ** (USELESS_SNR_DB / 10)
    evidence, noise_only = state.evidence, state.noise_only
    if known and not erased:
        evidence += speech_evidence(_power(received.values[0, 0]), power, noise_variance)
        evidence = max(evidence, 0.0) if noise_only else min(evidence, 0.0)
        turns = evidence > LISTEN_EVIDENCE if noise_only else evidence < -MUTE_EVIDENCE
        if turns:
            evidence, noise_only = 0.0, not noise_only
    return MuteState(state.lost_s + token_s if erased or useless else 0.0, evidence, noise_only, state.faded)


def speech_evidence(received: Float64, power: Float64, noise_variance: float) -> float:
    """Evidence [nats] of one token that speech is sent, against noise only; see the module's text.

    Args:
        received: ``[n]``, |y|^2.
        power: ``[n]``, |h|^2.
        noise_variance: N0.
    """
    noise = max(noise_variance, NOISE_FLOOR)
    sent = np.minimum(power, 1.0)
    ratio = received * (1 / noise - 1 / (sent + noise)) - np.log1p(sent / noise)
    return float(ratio.sum()) / (1 + PILOT_SPACING)


def faded(samples: Tensor, state: MuteState) -> tuple[Tensor, MuteState]:
    """``samples [m]`` with the fade of ``state``, and the state after them; without a fade they keep their bits."""
    step = 1 if state.muted else -1
    if step < 0 and state.faded == 0:
        return samples, state
    place = (state.faded + step * torch.arange(1, len(samples) + 1)).clamp(0, FADE_SAMPLES)
    gain = 0.5 + 0.5 * torch.cos(torch.pi * place / FADE_SAMPLES)
    end = int(place[-1]) if len(samples) else state.faded
    silent = torch.zeros((), dtype=samples.dtype)
    shaped = torch.where(place < FADE_SAMPLES, samples * gain, silent)
    return shaped, replace(state, faded=end)


def _power(values: Tensor) -> Float64:
    """``[n]``: squared magnitude of ``[n] complex``."""
    parts = torch.view_as_real(values.resolve_conj()).numpy(force=True).astype(np.float64)
    return np.asarray(np.square(parts).sum(axis=-1))
