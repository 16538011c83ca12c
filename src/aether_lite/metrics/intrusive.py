"""Intrusive (full-reference) metrics of decoded audio: ESTOI (intelligibility) and PESQ (quality).

Each also in the band up to 4 kHz, to which both sides are limited, so that narrow-band coders are compared in their own
band. Decoded and original ``[..., N]`` must be aligned; the result is ``[...] float32`` on the CPU.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.metrics.clips import NAN, NARROW_RATE, Float32, check_audio, each_clip, narrow_band, silent
from aether_lite.metrics.registry import Needs, available, metric

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["available", "estoi", "estoi_4k", "pesq_nb", "pesq_wb"]
SHORTEST_SECONDS = (29 * 128 + 256) / 10_000  # of ESTOI: 30 of its frames, at its 10 kHz
LOWEST_PESQ = 1.0  # foot of the scale; inaudible noise for speech scores 1.02 to 1.25
LONGEST_SECONDS = 20  # of a part: pesq 0.0.4 crashes beyond 50 utterances, each of at least 0.4 s with its pause

_ESTOI = "Jensen and Taal, TASLP 2016; package pystoi"
_NARROW = "both sides limited to 4 kHz"
_audio = partial(metric, needs=Needs.AUDIO, higher_is_better=True)
_estoi = partial(_audio, low=-1.0, high=1.0, packages=("pystoi",))
_mos = partial(_audio, unit="MOS-LQO", low=1.0, packages=("pesq",))


@_estoi("estoi", "ESTOI", source=_ESTOI)
def estoi(decoded: Tensor, original: Tensor, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Extended short-time objective intelligibility, up to 1, at any scale and sample rate [Hz].

    J. Jensen and C. H. Taal, "An algorithm for predicting the intelligibility of speech masked by modulated noise
    maskers", IEEE/ACM TASLP 24(11), 2016; computed by ``pystoi`` at 10 kHz. About 0 where the decoded side is silent;
    NaN where the original holds less than about 0.4 s of sound, for which ESTOI is not defined.
    """
    check_audio(decoded, original)
    if decoded.shape[-1] < SHORTEST_SECONDS * sample_rate:  # pystoi fails on a clip of less than one frame
        return each_clip(lambda *_: NAN, decoded, original)
    from pystoi import stoi

    def score(processed: Float32, clean: Float32) -> float:
        if silent(clean):
            return NAN
        with warnings.catch_warnings(), _fixed_noise():
            warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
            try:
                return float(stoi(clean.astype(float), processed.astype(float), sample_rate, extended=True))
            except RuntimeWarning:
                return NAN

    return each_clip(score, decoded, original)


@_mos("pesq_wb", "PESQ-WB", high=4.65, source="ITU-T P.862.2 by the package pesq, without Corrigendum 2")
def pesq_wb(decoded: Tensor, original: Tensor) -> Tensor:
    """Wide-band PESQ (MOS-LQO), 1.0 to 4.64, of samples at 16 kHz.

    ITU-T P.862 with the mapping of P.862.2, computed by the package ``pesq``, which published numbers nearly always
    use. It is **not** P.862.2 Corrigendum 2 (package ``pesqc2``), whose scores are several tenths higher. PESQ aligns
    the two in time and sets the level of each. It was made for waveform codecs: a vocoder scores low at equal quality.
    A clip of more than 20 s is measured in equal parts of at most that, whose scores are averaged.

    1.0 where only the decoded side is digital silence (a link that fell silent does not drop out of a mean); NaN where
    ``pesq`` finds no utterance and for clips under 0.25 s.
    """
    return _pesq(decoded, original, SAMPLE_RATE, "wb")


@_estoi("estoi_4k", "ESTOI up to 4 kHz", source=f"{_NARROW}; {_ESTOI}")
def estoi_4k(decoded: Tensor, original: Tensor) -> Tensor:
    """:func:`estoi` of samples at 16 kHz, both sides limited to 4 kHz."""
    check_audio(decoded, original)
    return estoi(narrow_band(decoded), narrow_band(original), NARROW_RATE)


@_mos("pesq_nb", "PESQ-NB", high=4.55, source=f"{_NARROW}; ITU-T P.862 and P.862.1 by the package pesq")
def pesq_nb(decoded: Tensor, original: Tensor) -> Tensor:
    """Narrow-band PESQ (MOS-LQO), 1.0 to 4.55: ITU-T P.862 with the mapping of P.862.1, both sides limited to 4 kHz.

    Otherwise as :func:`pesq_wb`; the two scales must not be compared.
    """
    check_audio(decoded, original)
    return _pesq(narrow_band(decoded), narrow_band(original), NARROW_RATE, "nb")


def _pesq(decoded: Tensor, original: Tensor, rate: int, band: str) -> Tensor:
    from pesq import BufferTooShortError, NoUtterancesError, pesq

    def score(degraded: Float32, reference: Float32) -> float:
        if silent(reference):
            return NAN
        if silent(degraded):  # pesq fails on it
            return LOWEST_PESQ
        try:
            return float(pesq(rate, reference, degraded, band))
        except (BufferTooShortError, NoUtterancesError):
            return NAN

    def mean_score(degraded: Float32, reference: Float32) -> float:
        parts = max(1, math.ceil(len(reference) / (LONGEST_SECONDS * rate)))
        pairs = zip(np.array_split(degraded, parts), np.array_split(reference, parts), strict=True)
        scores = [value for value in itertools.starmap(score, pairs) if not math.isnan(value)]
        return math.fsum(scores) / len(scores) if scores else NAN

    return each_clip(mean_score, decoded, original)


@contextmanager
def _fixed_noise() -> Iterator[None]:
    """Fix the noise that ``pystoi`` draws from NumPy's global generator: it decides where decoded audio is silent."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
