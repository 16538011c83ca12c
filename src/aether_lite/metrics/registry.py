"""Every metric by name, and the audio metrics of one clip.

The names are the columns of results tables. A metric whose packages are absent is NaN there; :func:`missing_line` says
what to install.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from torch import Tensor

from aether_lite.errors import AetherError
from aether_lite.metrics import features, intelligibility, mos, perceptual, pitch, recognition, spectral
from aether_lite.metrics.metric import NAN, Metric, Needs, Pooling
from aether_lite.metrics.packages import absent, installed, listed
from aether_lite.metrics.speaker import SPEAKER_PACKAGES, speaker_similarity
from aether_lite.metrics.symbols import clip_papr_db, per_second, symbol_power

_LOSS = "public formula of the feature loss of RADE (radio autoencoder)"
_PITCH = "pitch of FARGAN features, 1200 cents an octave"
_DNSMOS = "Reddy, Gopal and Cutler, ICASSP 2022; package speechmos"
_WHISPER = "Whisper base (Radford et al., ICML 2023), int8, beam 5, by faster-whisper; package jiwer"

_feature = partial(Metric, needs=Needs.FEATURES, reference="the features that were sent")
_loss = partial(_feature, unit="", source=_LOSS, pooling=Pooling.FRAMES)
_audio = partial(Metric, needs=Needs.AUDIO, reference="the original audio")
_mos = partial(
    Metric, needs=Needs.AUDIO, unit="MOS", low=1.0, high=5.0, higher_is_better=True, packages=mos.DNSMOS_PACKAGES
)
_heard = partial(
    Metric,
    needs=Needs.AUDIO,
    unit="",
    high=1.0,
    reference="the recogniser's transcript of the original audio",
    source=_WHISPER,
    packages=recognition.RECOGNITION_PACKAGES,
    languages=("en",),
)
_symbol = partial(Metric, needs=Needs.SYMBOLS)
_rate = partial(Metric, needs=Needs.COUNTS, function=per_second, reference="the duration of the speech")


def _named(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


FEATURE_METRICS: dict[str, Metric] = _named(
    _loss(name="feature_loss", title="Feature loss", function=features.clip_feature_loss),
    _loss(name="loss_cepstrum", title="Feature loss, cepstrum", function=features.loss_of_cepstrum),
    _loss(name="loss_pitch", title="Feature loss, pitch", function=features.loss_of_pitch),
    _loss(name="loss_correlation", title="Feature loss, correlation", function=features.loss_of_correlation),
    _feature(name="ceps_rmse", title="RMSE of cepstra", unit="", function=features.cepstral_rmse),
    _feature(name="lsd_active_db", title="LSD on active frames", unit="dB", function=features.lsd_active),
    _feature(
        name="pitch_median_cents",
        title="Pitch error, median",
        unit="cents",
        function=pitch.pitch_median_cents,
        source=_PITCH,
    ),
    _feature(
        name="gpe",
        title="Gross pitch errors",
        unit="",
        function=pitch.gross_pitch_error,
        high=1.0,
        source=f"beyond 316 cents; {_PITCH}",
    ),
    _feature(
        name="pitch_fine_rms_cents",
        title="Pitch error, fine rms",
        unit="cents",
        function=pitch.pitch_fine_rms_cents,
        high=pitch.GROSS_CENTS,
        source=_PITCH,
    ),
    _feature(
        name="vuv_error",
        title="V/UV error",
        unit="",
        function=pitch.vuv_error,
        high=1.0,
        source="voiced: frame correlation above 0.1",
    ),
    _feature(
        name="f0_correlation",
        title="F0 correlation",
        unit="",
        function=pitch.f0_correlation,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        source="Pearson, log2 F0, frames voiced in both",
        pooling=Pooling.MEDIAN,
    ),
    _feature(
        name="f0_spread_ratio",
        title="F0 spread ratio",
        unit="",
        function=pitch.f0_spread_ratio,
        higher_is_better=None,
        source="standard deviation of F0 in Hz over voiced frames, decoded / original; 1 is right",
        pooling=Pooling.MEDIAN,
    ),
)
"""Measures of decoded features; called as ``metric(decoded [..., F, 20], original, mask [..., F] or None)``."""

AUDIO_METRICS: dict[str, Metric] = _named(
    _audio(
        name="estoi",
        title="ESTOI",
        unit="",
        function=intelligibility.estoi,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        source="Jensen and Taal, TASLP 2016; package pystoi",
        packages=intelligibility.ESTOI_PACKAGES,
    ),
    _audio(
        name="pesq_wb",
        title="PESQ-WB",
        unit="MOS-LQO",
        function=perceptual.pesq_wb,
        low=1.0,
        high=4.65,
        higher_is_better=True,
        source="ITU-T P.862.2 by the package pesq, without Corrigendum 2",
        packages=perceptual.PESQ_PACKAGES,
    ),
    _audio(
        name="estoi_4k",
        title="ESTOI up to 4 kHz",
        unit="",
        function=intelligibility.estoi_4k,
        low=-1.0,
        high=1.0,
        higher_is_better=True,
        source="both sides limited to 4 kHz; Jensen and Taal, TASLP 2016; package pystoi",
        packages=intelligibility.ESTOI_PACKAGES,
    ),
    _audio(
        name="pesq_nb",
        title="PESQ-NB",
        unit="MOS-LQO",
        function=perceptual.pesq_nb,
        low=1.0,
        high=4.55,
        higher_is_better=True,
        source="both sides limited to 4 kHz; ITU-T P.862 and P.862.1 by the package pesq",
        packages=perceptual.PESQ_PACKAGES,
    ),
    _mos(name="dnsmos_ovrl", title="DNSMOS overall", function=mos.dnsmos_ovrl, source=f"P.835: {_DNSMOS}"),
    _mos(name="dnsmos_sig", title="DNSMOS speech", function=mos.dnsmos_sig, source=f"P.835: {_DNSMOS}"),
    _mos(name="dnsmos_bak", title="DNSMOS background", function=mos.dnsmos_bak, source=f"P.835: {_DNSMOS}"),
    _mos(name="dnsmos_p808", title="DNSMOS P.808", function=mos.dnsmos_p808, source=f"P.808: {_DNSMOS}"),
    _heard(name="wer", title="WER", function=recognition.word_error_rate),
    _heard(name="cer", title="CER", function=recognition.character_error_rate),
    _audio(
        name="speaker_similarity",
        title="Speaker similarity",
        unit="",
        function=speaker_similarity,
        high=1.0,
        higher_is_better=True,
        source="cosine of embeddings (Wan et al., ICASSP 2018) by the package resemblyzer",
        packages=SPEAKER_PACKAGES,
    ),
    _audio(
        name="log_mel",
        title="Log-mel distance",
        unit="nepers",
        function=spectral.log_mel_distance,
        source="mean absolute difference, 80 bands (Kong et al., NeurIPS 2020)",
    ),
    _audio(
        name="mr_stft",
        title="Multi-resolution STFT distance",
        unit="",
        function=spectral.multi_resolution_stft,
        source="spectral convergence + log magnitude (Yamamoto, Song and Kim, ICASSP 2020), FFT 80 to 2560",
    ),
    _audio(
        name="lsd_audio_db",
        title="Log-spectral distance of audio",
        unit="dB",
        function=spectral.log_spectral_distance,
        source="Gray and Markel, TASSP 1976; FFT 512, active frames",
    ),
)
"""Measures of decoded audio; called as ``metric(decoded [..., N], original)`` at 16 kHz, the scale +-1, aligned."""

SYMBOL_METRICS: dict[str, Metric] = _named(
    _symbol(
        name="symbol_power",
        title="Symbol power",
        unit="Es",
        function=symbol_power,
        higher_is_better=None,
        source="mean |x|^2 of the symbols sent; 1 is nominal",
    ),
    _symbol(
        name="papr_db",
        title="PAPR",
        unit="dB",
        function=clip_papr_db,
        source="max |x|^2 / mean |x|^2 of the symbols sent, before pulse shaping",
    ),
    _rate(name="bit_rate", title="Bit rate", unit="bit/s", source="payload bits"),
    _rate(name="uses_per_s", title="Channel uses", unit="uses/s", source="payload complex symbols"),
)
"""What the channel carries: ``metric(symbols [..., n] complex)``, or ``metric(count [...], seconds [...])``."""

METRICS: dict[str, Metric] = {**FEATURE_METRICS, **AUDIO_METRICS, **SYMBOL_METRICS}
"""Column name of a results table -> metric."""


def available(metric: Metric | str) -> bool:
    """Whether the packages that a metric needs are installed; nothing is imported."""
    return installed(_known(metric).packages)


def missing_line(metrics: Iterable[Metric | str]) -> str | None:
    """One line that says what to install for the metrics that cannot be measured; None where all can."""
    lacking = [metric for metric in map(_known, metrics) if not available(metric)]
    if not lacking:
        return None
    packages = sorted({name for metric in lacking for name in absent(metric.packages)})
    titles = ", ".join(dict.fromkeys(metric.title for metric in lacking))
    extras = ",".join(sorted({metric.extra for metric in lacking}))
    return f"not measured: {titles}; they need {listed(packages)}: pip install aether-lite[{extras}]"


def evaluate_audio(
    decoded: Tensor, original: Tensor, names: Iterable[str] | None = None, language: str = ""
) -> dict[str, float]:
    """Audio metrics of one clip.

    Networks are loaded at the first call of a process and run on one thread; the transcript and the embedding of an
    original are remembered for its next condition.

    Args:
        decoded: ``[N]`` samples at 16 kHz on the scale +-1, aligned with the original.
        original: ``[N]`` samples.
        names: columns of :data:`AUDIO_METRICS`; None for all.
        language: code such as ``en`` or ``en-GB``; metrics of other languages than this are not measured.

    Returns:
        A number for every name; NaN where it is not defined, its packages are absent or the language is another.

    Raises:
        AetherError: a name that is no audio metric.
        ValueError: not two signals ``[N]`` of finite numbers.
    """
    if decoded.ndim != 1 or decoded.shape != original.shape:
        raise ValueError(f"audio must both be [N], not {tuple(decoded.shape)} and {tuple(original.shape)}")
    chosen = list(AUDIO_METRICS if names is None else names)
    for name in chosen:
        if name not in AUDIO_METRICS:
            raise AetherError(f"{name} is not an audio metric; there are {', '.join(AUDIO_METRICS)}")
    measured = {}
    for name in chosen:
        metric = AUDIO_METRICS[name]
        usable = metric.speaks(language) and available(metric)
        measured[name] = float(metric(decoded, original)) if usable else NAN
    return measured


def _known(metric: Metric | str) -> Metric:
    if isinstance(metric, Metric):
        return metric
    if metric not in METRICS:
        raise AetherError(f"{metric} is not a metric; there are {', '.join(METRICS)}")
    return METRICS[metric]
