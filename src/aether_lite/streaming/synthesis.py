"""Streaming synthesis: decoded features to samples by a vocoder, muted with short fades where little can be understood.

Muting is decided causally for every token.

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aether_lite.channels.channel import PILOT_SPACING
from aether_lite.features import FRAME, NUM_FREE
from aether_lite.features.layout import Float64
from aether_lite.payload import Received, ReceivedBits
from aether_lite.streaming.snapshot import LARGEST, Snapshot, entry, flattened, present, rebuilt
from aether_lite.vocoder import FrameVocoder, frames_behind

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
    """The state after one more token ``[1, 1, n]`` of ``token_s`` [s]; symbols with gain and noise variance (or NaN).
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
    """Evidence [nats] of a token of powers |y|^2 and |h|^2, each ``[n]``, and N0 for speech, against noise only."""
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


@dataclass(frozen=True)
class DecodedSpeech:
    """What a push makes known.

    Attributes:
        samples: ``[m] float32`` speech in [-1, 1] at 16 kHz.
        features: ``[F, 20] float32`` decoded features of K tokens (concealed ones included).
        muted: ``[K] bool``: tokens that are muted.
    """

    samples: Tensor
    features: Tensor
    muted: Tensor


_NO_SAMPLES = torch.zeros(0, dtype=torch.float32)
NOTHING = DecodedSpeech(_NO_SAMPLES, _NO_SAMPLES.reshape(0, NUM_FREE), _NO_SAMPLES.bool())


def joined(pieces: Sequence[DecodedSpeech]) -> DecodedSpeech:
    """Pieces in a row."""
    if not pieces:
        return NOTHING
    return DecodedSpeech(*(torch.cat([getattr(p, field.name) for p in pieces]) for field in fields(DecodedSpeech)))


class Synthesis:
    """The vocoder of one stream; ``muting`` is the decision of the newest token, and nothing is muted without ``mute``.
    """

    def __init__(self, vocoder: FrameVocoder, mute: bool) -> None:
        self._vocoder, self._mute = vocoder, mute
        self.reset()

    @property
    def muted(self) -> bool:
        """Whether the newest token is muted."""
        return self._mute and self.muting.muted

    def reset(self) -> None:
        """Forget everything."""
        self.muting = MuteState()
        self._last_row = torch.zeros(1, 0, NUM_FREE)
        self._state: Any = None
        self._cut = 0  # samples to come that lie before the speech

    def samples_of(self, rows: Tensor, muting: MuteState) -> DecodedSpeech:
        """What rows ``[1, n, 20]`` of one token make known, muted by ``muting``; n is 0 while the decoder waits."""
        if self._mute:
            self.muting = muting
        if not rows.shape[1]:
            return NOTHING
        return DecodedSpeech(self._rendered(rows), rows[0], torch.tensor([self.muted]))

    def flush(self) -> DecodedSpeech:
        """The last samples, as many as the vocoder's delay (none if no token came); then :meth:`reset`."""
        samples = NOTHING.samples
        if self._state is not None:
            samples = self._rendered(self._last_row.expand(-1, frames_behind(self._vocoder), -1))
            samples = samples[: len(samples) - -self._vocoder.delay % FRAME]
        self.reset()
        return DecodedSpeech(samples, NOTHING.features, NOTHING.muted)

    def state_dict(self) -> Snapshot:
        """Everything the next samples depend on."""
        return {
            **flattened("last_row", self._last_row),
            **flattened("vocoder", self._state),
            **flattened("muting", self.muting),
            **flattened("cut", self._cut),
        }

    def restored(self, state: Mapping[str, Tensor]) -> Synthesis:
        """One like this where the one stood that gave ``state``; AetherError if it is no such state."""
        made = Synthesis(self._vocoder, self._mute)
        made.muting = rebuilt("muting", MuteState(), state)
        made._cut = rebuilt("cut", 0, state)
        made._last_row = entry("last_row", state, (1, None, NUM_FREE), largest=LARGEST)
        if present("vocoder", state):
            made._state = rebuilt("vocoder", self._vocoder.prime(torch.zeros(1, NUM_FREE)), state)
        return made

    def _rendered(self, rows: Tensor) -> Tensor:
        """Samples ``[m]`` that new rows ``[1, n, 20]`` make known."""
        self._last_row = rows[:, -1:]
        if self._state is None:
            self._state = self._vocoder.prime(rows[:, 0])
            self._cut, rows = self._vocoder.delay - FRAME, rows[:, 1:]
        samples, self._state = self._vocoder.render(rows, self._state)
        cut = min(self._cut, samples.shape[1])
        self._cut -= cut
        shaped, self.muting = faded(samples[0, cut:].clamp(-1.0, 1.0).to(torch.float32), self.muting)
        return shaped
