"""Spectral distances of aligned audio.

All take decoded and original samples ``[B, N]`` on the scale +-1 that are aligned (the vocoder's output and the
pre-emphasised speech at the same positions are; a test measures it). With |X| and |Y| the decoded and original
magnitudes for one FFT size (Hann window of that size, hop a quarter, centred with reflection, floored at 1e-7), and
sums over frames and bins:

========================  ==========================================================================================
root                      ``sum |sqrt|Y| - sqrt|X|| / sum sqrt|Y|``, sums over the whole (joined) batch
log                       ``mean |ln max(|Y|, m) - ln max(|X|, m)|`` [nepers], m = 1e-4
convergence               ``sqrt(sum (|Y| - |X|)^2) / max(sqrt(sum |Y|^2), s)`` of each item, mean over items
========================  ==========================================================================================

each averaged over the sizes. *root* is what FARGAN was trained with (Opus, ``dnn/torch/fargan``; like there, 1e-7 is
added under the roots); *log* and *convergence* are those of Arik et al., "Fast spectrogram inversion using multi-head
convolutional neural networks", IEEE SPL 26(1), 2019, with floors that keep digital silence from weighing without
bound: m is about the magnitude that rounding to int16 leaves in 1024 samples, s the norm of white noise of -60 dBFS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from aether_lite.features.layout import FRAME, SAMPLE_RATE
from aether_lite.losses.reduction import Reduce, alone, joined_mean, joined_ratio
from aether_lite.losses.registry import WAVE, WaveInputs

FFT_SIZES = (2560, 1280, 640, 320, 160, 80)  # samples; Opus, FARGAN stage 1
MAGNITUDE_FLOOR = 1e-7
LOG_FLOOR = 1e-4  # magnitude
QUIET_TARGET = 1e-3  # rms (-60 dBFS) below which the norm of a target is not taken
MEL_SIZE, MEL_HOP, MEL_BANDS = 1024, 256, 80
MEL_FLOOR = 1e-5  # band magnitude; about what rounding to int16 leaves

_HANN_POWER = 3 / 8  # mean square of a Hann window
_MEL_LINEAR = 200 / 3  # Hz per mel below the break (M. Slaney, Auditory Toolbox, 1998)
_MEL_BREAK = 1000.0  # Hz
_MEL_LOG_STEP = math.log(6.4) / 27  # nepers per mel above it


class StftLosses(NamedTuple):
    """Multi-resolution losses (see the head of this file), each a scalar, at least 0."""

    root: Tensor
    log: Tensor
    convergence: Tensor


def stft_losses(
    decoded: Tensor, original: Tensor, sizes: Sequence[int] = FFT_SIZES, reduce: Reduce = alone
) -> StftLosses:
    """All three multi-resolution STFT losses from one pair of transforms per size.

    Args:
        decoded, original: ``[B, N]``, aligned; N larger than half of the largest size.
        sizes: FFT sizes [samples].
        reduce: sum over ranks, see :mod:`aether_lite.losses.reduction`; called three times.

    Raises:
        ValueError: shapes that differ, or audio shorter than a transform needs.
    """
    _check(decoded, original, max(sizes))
    root, log, log_count, convergence = [], [], [], []
    for size in sizes:
        x, y = magnitudes(decoded, size, size // 4), magnitudes(original, size, size // 4)
        root.append(_root_sums(x, y))
        log.append((y.clamp_min(LOG_FLOOR).log() - x.clamp_min(LOG_FLOOR).log()).abs().sum())
        log_count.append(y.new_tensor(float(y.numel())))
        quiet = QUIET_TARGET * math.sqrt(_HANN_POWER * size * y[0].numel())
        norm = torch.linalg.vector_norm(y, dim=(1, 2)).clamp_min(quiet)
        convergence.append(torch.linalg.vector_norm(y - x, dim=(1, 2)) / norm)
    return StftLosses(
        _root(root, reduce),
        joined_ratio(torch.stack(log), torch.stack(log_count), reduce).mean(),
        joined_mean(torch.stack(convergence).mean(0), reduce=reduce),
    )


def root_stft_loss(
    decoded: Tensor, original: Tensor, sizes: Sequence[int] = FFT_SIZES, reduce: Reduce = alone
) -> Tensor:
    """The *root* form of :func:`stft_losses` alone, FARGAN's own: a scalar >= 0; ``reduce`` runs once."""
    _check(decoded, original, max(sizes))
    sums = [_root_sums(*(magnitudes(audio, size, size // 4) for audio in (decoded, original))) for size in sizes]
    return _root(sums, reduce)


def item_stft_loss(
    made: Tensor, original: Tensor, log_weight: float, noisy: Tensor | None = None, reduce: Reduce = alone
) -> Tensor:
    """*root* of each item plus ``log_weight`` times *log*, a scalar: an item weighs alike at any level.

    Args:
        made: ``[B, N]``, or ``[2 B, N]`` with ``noisy``: two draws of the noise, all items of one, then of the other.
        original: ``[B, N]``.
        log_weight: of *log*.
        noisy: ``[B, N / 160]``, 1 for frames of 10 ms that are to be distributed like the original, else 0.
        reduce: sum over ranks, runs once.

    The loss is the distance d(x, y). In noisy frames it is the energy distance ``d(x, y) - d(x, x') / 2`` with two
    draws x and x', which is smallest where x is distributed like y. By d alone, noise would best be replaced by
    something quieter that varies less (A. Gritsenko et al., "A spectral energy distance for parallel speech synthesis",
    NeurIPS 2020).

    The sizes are :data:`FFT_SIZES`. Denominators are those of the original, and of items quieter than -60 dBFS those of
    noise of that level.
    """
    _check(made[: len(original)], original, max(FFT_SIZES))
    terms = []
    for size in FFT_SIZES:
        x, y = magnitudes(made, size, size // 4), magnitudes(original, size, size // 4)
        quiet = (QUIET_TARGET * math.sqrt(_HANN_POWER * size)) ** 0.5
        scale = (y + MAGNITUDE_FLOOR).sqrt().mean((1, 2)).clamp_min(quiet)
        draws = x.chunk(1 if noisy is None else 2)
        term = torch.stack([_distance(draw, y, scale, log_weight) for draw in draws]).mean((0, 2, 3))
        if noisy is not None:
            centres = torch.arange(x.shape[2], device=x.device) * (size // 4) // FRAME
            weight = noisy[:, None, centres.clamp_max(noisy.shape[1] - 1)]
            term = term - (weight * _distance(draws[0], draws[1], scale, log_weight)).mean((1, 2)) / 2
        terms.append(term)
    return joined_mean(torch.stack(terms).mean(0), reduce=reduce)


def log_mel_loss(decoded: Tensor, original: Tensor, reduce: Reduce = alone) -> Tensor:
    """``mean |ln max(M_y, 1e-5) - ln max(M_x, 1e-5)|`` [nepers] over 80 mel bands, frames and items: a scalar, >= 0.

    M is the mel filter bank applied to magnitudes (FFT and window 1024, hop 256), as HiFi-GAN has it (J. Kong et al.,
    NeurIPS 2020). Twice the amplitude everywhere costs ln 2.

    Args:
        decoded, original: ``[B, N]``, aligned, N > 512.
        reduce: sum over ranks; called once.
    """
    _check(decoded, original, MEL_SIZE)
    levels = []
    for audio in (decoded, original):
        spectrum = magnitudes(audio, MEL_SIZE, MEL_HOP)
        bank = _mel_bank(spectrum.dtype, spectrum.device)
        levels.append((bank @ spectrum).clamp_min(MEL_FLOOR).log())
    return joined_mean((levels[1] - levels[0]).abs().mean((1, 2)), reduce=reduce)


def magnitudes(audio: Tensor, size: int, hop: int) -> Tensor:
    """STFT magnitudes ``[B, size/2 + 1, frames]``, at least 1e-7, of ``audio [B, N]``; in float32 or wider."""
    audio = audio.to(torch.promote_types(audio.dtype, torch.float32))
    window = _hann(size, audio.dtype, audio.device)
    spectrum: Tensor = torch.stft(audio, size, hop, window=window, return_complex=True)
    return spectrum.abs().clamp_min(MAGNITUDE_FLOOR)


def mel_bank(size: int = MEL_SIZE, bands: int = MEL_BANDS, rate: int = SAMPLE_RATE) -> Tensor:
    """Triangular filters of equal area ``[bands, size/2 + 1] float64`` between 0 Hz and half the rate.

    Centres are equally spaced on Slaney's mel scale (linear to 1 kHz, then logarithmic).
    """
    top = rate / 2
    mels = torch.linspace(0, _mel(top), bands + 2, dtype=torch.float64)
    edges = torch.where(
        mels < _MEL_BREAK / _MEL_LINEAR,
        mels * _MEL_LINEAR,
        _MEL_BREAK * torch.exp((mels - _MEL_BREAK / _MEL_LINEAR) * _MEL_LOG_STEP),
    )
    bins = torch.linspace(0, top, size // 2 + 1, dtype=torch.float64)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangle = torch.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clamp_min(0)
    return triangle * 2 / (high - low)


def _distance(x: Tensor, y: Tensor, scale: Tensor, log_weight: float) -> Tensor:
    """Of magnitudes ``[B, bins, frames]``, the same shape; ``scale [B]`` divides that of the roots."""
    root = ((x + MAGNITUDE_FLOOR).sqrt() - (y + MAGNITUDE_FLOOR).sqrt()).abs() / scale[:, None, None]
    return root + log_weight * (x.clamp_min(LOG_FLOOR).log() - y.clamp_min(LOG_FLOOR).log()).abs()


def _root_sums(x: Tensor, y: Tensor) -> Tensor:
    """Numerator and denominator of the root form at one size, ``[2]``."""
    root_x, root_y = ((m + MAGNITUDE_FLOOR).sqrt() for m in (x, y))
    return torch.stack(((root_y - root_x).abs().sum(), root_y.sum()))


def _root(sums: Sequence[Tensor], reduce: Reduce) -> Tensor:
    """The root form from the sums of every size."""
    difference, scale = torch.stack(list(sums)).unbind(1)
    return joined_ratio(difference, scale, reduce).mean()


def _mel(frequency: float) -> float:
    if frequency < _MEL_BREAK:
        return frequency / _MEL_LINEAR
    return _MEL_BREAK / _MEL_LINEAR + math.log(frequency / _MEL_BREAK) / _MEL_LOG_STEP


def _check(decoded: Tensor, original: Tensor, largest: int) -> None:
    if decoded.shape != original.shape or decoded.ndim != 2:
        raise ValueError(f"audio must both be [B, N], not {tuple(decoded.shape)} and {tuple(original.shape)}")
    if decoded.shape[1] <= largest // 2:
        raise ValueError(f"{decoded.shape[1]} samples are too few for an FFT of {largest}: more than half are needed")


# Constants made once for each dtype and device. They are never written to, and made outside inference mode so that
# training may use them; a captured CUDA graph must have run once uncaptured, like everything else in it.


@cache
def _hann(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():
        return torch.hann_window(size, dtype=dtype, device=device)


@cache
def _mel_bank(dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():
        return mel_bank().to(device=device, dtype=dtype)


@WAVE.term("log_mel", 1.0)
def _log_mel_term(given: WaveInputs) -> Tensor:
    return log_mel_loss(given.made, given.real, given.reduce)


@WAVE.term("stft", "use_stft_loss", optional=True)
def _stft_term(given: WaveInputs) -> Tensor:
    stft = stft_losses(given.made, given.real, reduce=given.reduce)
    return stft.root + stft.log + stft.convergence
