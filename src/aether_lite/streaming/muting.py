"""When a receiver says nothing: a causal decision for every token, and short fades.

**Gap.** A decoder bridges a few lost tokens; after :data:`GAP_S` of them there is nothing left to bridge with. The
token that passes this length is muted, and all after it, until one arrives. A token counts as lost as well if the
receiver's own estimate of its SNR, mean |h|^2 / N0, is below :data:`USELESS_SNR_DB`: then nothing of use came.

**Noise only.** The received power tells whether anybody sends. With the told gains h and noise variance N0 a symbol y
has the variance v1 = a + N0 if speech is sent and v0 = N0 if not, where a = min(|h|^2, 1), so that an overestimated
gain does not promise power that cannot come. A token's log-likelihood ratio (both complex Gaussian) is::

    L = sum_i |y_i|^2 (1 / N0 - 1 / (a_i + N0)) - ln(1 + a_i / N0)

Told N0 is itself an estimate from one pilot in ten over about a second. Over that second its relative variance is ten
times that of the symbols' mean power, so that evidence counts for L / (1 + 10). The evidence is added up as in Page's
test (E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954): the sum is kept from going above zero while
the stream is heard, and mutes it when it falls below -:data:`MUTE_EVIDENCE`; from there the sum is kept from going
below zero, and the stream is heard again above :data:`LISTEN_EVIDENCE`. The two bounds are the hysteresis. At high
SNR one or two tokens decide; at -6 dB, where noise is four times as strong as speech, it takes seconds. Where N0 is
withheld there is no such evidence.

Soft bits s have no power. A token of bits counts as lost too if the mean of s^2 is below :data:`USELESS_RELIABILITY`,
and there is no test for noise only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from aether_lite.channels.state import PILOT_SPACING
from aether_lite.features.layout import Float64

GAP_S = 0.4  # [s] of lost tokens that are concealed; a longer run is muted
USELESS_SNR_DB = -12.0  # mean |h|^2 / N0 [dB] of a token below which nothing of use came; 6 dB below the lowest stated
USELESS_RELIABILITY = 0.04  # mean s^2 of a token below which nothing of use came: that of hard bits, 0.4 of them wrong
MUTE_EVIDENCE = 8.0  # nats in favour of noise only; a false alarm in about e^8 s
LISTEN_EVIDENCE = 6.0  # nats in favour of speech
NOISE_FLOOR = 1e-3  # told noise variances below are taken as this; -30 dB
FADE_SAMPLES = 320  # 20 ms, raised cosine


@dataclass(frozen=True)
class MuteState:
    """All that passes from one token to the next.

    Attributes:
        lost_s: length of the run of lost tokens that ends here [s].
        evidence: sum of the test [nats].
        noise_only: whether the test says that nobody sends.
        faded: samples of the fade done; 0 is fully heard, :data:`FADE_SAMPLES` is silent.
    """

    lost_s: float = 0.0
    evidence: float = 0.0
    noise_only: bool = False
    faded: int = 0

    @property
    def muted(self) -> bool:
        """Whether the newest token is muted."""
        return self.noise_only or self.lost_s > GAP_S + 1e-9


def judged(
    state: MuteState, values: Tensor, gain: Tensor, noise_variance: float, erased: bool, token_s: float
) -> MuteState:
    """The state after one more token.

    Args:
        state: before it.
        values: ``[n] complex``, the symbols received.
        gain: ``[n] complex``, as told; ones where it is withheld.
        noise_variance: as told; NaN where it is withheld.
        erased: whether the token is marked as lost.
        token_s: length of a token [s].
    """
    power = _power(gain)
    useless = not math.isnan(noise_variance) and float(power.mean()) < noise_variance * 10 ** (USELESS_SNR_DB / 10)
    lost_s = _lost_s(state, erased or useless, token_s)
    evidence, noise_only = state.evidence, state.noise_only
    if not erased and not math.isnan(noise_variance):
        evidence += speech_evidence(_power(values), power, noise_variance)
        evidence = max(evidence, 0.0) if noise_only else min(evidence, 0.0)
        turns = evidence > LISTEN_EVIDENCE if noise_only else evidence < -MUTE_EVIDENCE
        if turns:
            evidence, noise_only = 0.0, not noise_only
    return MuteState(lost_s, evidence, noise_only, state.faded)


def judged_bits(state: MuteState, soft: Tensor, erased: bool, token_s: float) -> MuteState:
    """The state after one more token of soft bits.

    Args:
        state: before it.
        soft: ``[n]`` in [-1, 1].
        erased: whether the token is marked as lost.
        token_s: length of a token [s].
    """
    useless = float(soft.square().mean()) < USELESS_RELIABILITY
    return replace(state, lost_s=_lost_s(state, erased or useless, token_s))


def _lost_s(state: MuteState, lost: bool, token_s: float) -> float:
    """Length of the run of lost tokens that ends with this one [s]."""
    return state.lost_s + token_s if lost else 0.0


def speech_evidence(received: Float64, power: Float64, noise_variance: float) -> float:
    """Evidence [nats] of one token that speech is sent, against noise only; see the module's text.

    Args:
        received: ``[n]``, |y|^2.
        power: ``[n]``, |h|^2 as told.
        noise_variance: N0 as told.
    """
    noise = max(noise_variance, NOISE_FLOOR)
    sent = np.minimum(power, 1.0)
    ratio = received * (1 / noise - 1 / (sent + noise)) - np.log1p(sent / noise)
    return float(ratio.sum()) / (1 + PILOT_SPACING)


def faded(samples: Tensor, state: MuteState) -> tuple[Tensor, MuteState]:
    """``samples [m]`` with the fade ``state`` asks for, and the state after them; heard samples keep their bits."""
    step = 1 if state.muted else -1
    if step < 0 and state.faded == 0:
        return samples, state
    place = (state.faded + step * torch.arange(1, len(samples) + 1)).clamp(0, FADE_SAMPLES)
    gain = 0.5 + 0.5 * torch.cos(torch.pi * place / FADE_SAMPLES)
    end = int(place[-1]) if len(samples) else state.faded
    silent = torch.zeros((), dtype=samples.dtype)
    shaped = torch.where(place < FADE_SAMPLES, samples * gain, silent)
    return shaped, MuteState(state.lost_s, state.evidence, state.noise_only, end)


def _power(values: Tensor) -> Float64:
    """``[n]``: squared magnitude of ``[n] complex``."""
    parts = torch.view_as_real(values.resolve_conj()).numpy(force=True).astype(np.float64)
    return np.asarray(np.square(parts).sum(axis=-1))
