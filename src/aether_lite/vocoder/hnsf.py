"""A harmonic-plus-noise source-filter vocoder (hnsf): 20 features every 10 ms in, speech at 16 kHz out.

A convolutional network turns features into two filters every 5 ms. They shape an excitation in closed form, so that
nothing runs sample by sample::

    rows -> gated causal convolutions -> filters H, N, depth d of each segment (5 ms)
    F0   -> pulses p (all harmonics up to 7.6 kHz, flat)         STFT P -- H --+
    seed -> white noise w; w sqrt(2) cos(phase of F0)         STFT W, M -- N --+--> inverse STFT -> de-emphasis
                                                              g (W + d M) N

Segments of 320 samples (Hann) are filtered with an FFT of 512 and cut to 384 samples with a fading edge before they
are overlapped. H has a magnitude and a phase at 64 points on the mel scale, N a magnitude and the depth d by which the
noise follows the pitch phase. The gains g give every segment's noise the power it has in the mean, in each of ten bands
of its own, so that noise of few hertz does not come and go. The network predicts magnitudes relative to the envelope
that the cepstrum states, so that it follows any level.

The phase is the integral of the pitch feature, interpolated between rows, voiced or not: no segment starts a phase of
its own. Noise is a hash of the sample's number: the same rows give the same samples, however they are cut into calls.

References: X. Wang, S. Takaki, J. Yamagishi, "Neural source-filter waveform models for statistical parametric speech
synthesis", IEEE/ACM TASLP 28, 2020; Y.-J. Zhang et al., "Ultra-lightweight neural differential DSP vocoder for high
quality speech synthesis", arXiv:2401.10460.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aether_lite.features.layout import (
    BAND_BINS,
    FALLING,
    FRAME,
    INT16_SCALE,
    NUM_BANDS,
    NUM_FREE,
    PITCH,
    RISING,
    SAMPLE_RATE,
    WINDOW,
    WINDOW_LENGTH,
    log_bands,
    voiced_frames,
)
from aether_lite.vocoder.network import VocoderNetwork
from aether_lite.vocoder.registry import network, read_network

KIND = "hnsf"
HOP = FRAME // 2  # samples between segments
SEGMENT = 4 * HOP  # samples of excitation that are filtered at a time
FFT = 512
BINS = FFT // 2 + 1
RESPONSE = 384  # samples of a filtered segment that are kept
EDGE = 64  # of them, faded at either end
POINTS = 64  # of a filter, on the mel scale
HIGHEST_HARMONIC = 7600.0  # Hz
TAPS = 3  # of each convolution; the first one sees the row behind
MEMORY = SEGMENT - HOP  # samples of excitation before the newest row
OVERLAP = -(-RESPONSE // HOP)  # hops that a filtered segment covers
DELAY = FRAME + HOP + RESPONSE // 2  # samples from the oldest one that comes with row r to the row's centre; 27 ms
FIRST_ROW = 24  # row that the first frame of :meth:`HarmonicNoise.forward` belongs to: the network's memory is warm
CONTEXT_ROWS = FIRST_ROW + 3  # rows that it needs beyond the frames it makes
MOST_CHANNELS = 1024
DILATIONS = (1, 2, 1, 2, 1, 2)
LARGEST = 3.0  # nepers of a filter above the stated envelope
NOISE_BANDS = (0, 3, 6, 10, 16, 26, 42, 68, 110, 178, BINS)  # bins that the gains of noise change at
LARGEST_GAIN = 3.0  # of them
WINDOW_ENERGY = SEGMENT * 3 / 32  # of the Hann window of height 1/2
_INPUTS = NUM_FREE + 3
_FLOOR = 1e-4  # of |sin|, below which the pulse has its limit


class HarmonicNoise(VocoderNetwork):
    """The vocoder as a differentiable network; see the head of this file.

    Args:
        channels: of each of the six convolutions, 1 to 1024; ValueError for other numbers.
    """

    kind = KIND
    first_row = FIRST_ROW
    context_rows = CONTEXT_ROWS
    mel_points: Tensor
    envelope: Tensor
    level: Tensor
    window: Tensor
    taper: Tensor
    bands: Tensor
    widths: Tensor

    def __init__(self, channels: int = 192) -> None:
        super().__init__()
        if not 1 <= channels <= MOST_CHANNELS:
            raise ValueError(f"channels must be 1 to {MOST_CHANNELS}, not {channels}")
        self.model_kwargs = {"channels": channels}
        self.first = nn.Conv1d(_INPUTS, channels, TAPS)
        self.layers = nn.ModuleList(nn.Conv1d(channels, 2 * channels, TAPS, dilation=d) for d in DILATIONS)
        self.head = nn.Linear(channels, 2 * (3 * POINTS + 1))
        nn.init.normal_(self.head.weight, std=0.1 * channels**-0.5)
        nn.init.zeros_(self.head.bias)
        constants = {
            "mel_points": _between(_mel_frequencies(), np.arange(BINS) * SAMPLE_RATE / FFT),
            "envelope": _between(BAND_BINS * SAMPLE_RATE / WINDOW_LENGTH, _mel_frequencies()),
            "level": _levels(),
            "window": torch.hann_window(SEGMENT, dtype=torch.float64) / 2,
            "taper": _taper(),
            "bands": _noise_bands(),
        }
        self.register_buffer("widths", torch.tensor(np.diff(NOISE_BANDS)), persistent=False)
        for name, value in constants.items():
            self.register_buffer(name, value.to(torch.float32), persistent=False)

    def forward(self, features: Tensor, draws: int = 1) -> Tensor:
        """Pre-emphasised frames ``[draws B, 160 (T - 27)]`` of rows 24 to T - 4 of ``features [B, T, 20]``, to train.

        The frame of row t is ``[160 t - 80, 160 t + 80)``. The noise is drawn by torch: one draw for all items, then
        the next.
        """
        size = (draws, len(features), FRAME * (features.shape[1] - 1))
        noise = (2 * torch.rand(size, device=features.device) - 1) * 3**0.5
        start = DELAY - FRAME + FIRST_ROW * FRAME - HOP
        made = self.signal(features, noise)
        return made[..., start : start + FRAME * (features.shape[1] - CONTEXT_ROWS)].flatten(0, 1)

    def signal(self, features: Tensor, noise: Tensor) -> Tensor:
        """Pre-emphasised samples ``[..., B, 160 (T - 1)]`` of ``features [B, T, 20]``, row 0 standing for older ones.

        They begin 432 samples before the centre of row 1. ``noise``, of their shape, has variance 1.
        """
        filters = self._filters(torch.cat((features[:, :1], features), dim=1))
        pulses, modulation = excitation(features[..., PITCH])
        source = torch.stack((pulses.to(noise).expand_as(noise), noise, noise * modulation.to(noise)), dim=-2)
        segments = F.pad(source, (MEMORY, 0)).unfold(-1, SEGMENT, HOP) * self.window  # [..., B, 3, 2 n, 320]
        spectra = torch.fft.rfft(F.pad(segments, (0, FFT - SEGMENT)))
        pulse, white, modulated = spectra.unbind(-3)
        spectrum = pulse * filters[0] + self._steady(white + filters[2] * modulated, filters[2]) * filters[1]
        made = torch.fft.irfft(spectrum, FFT).roll((RESPONSE - SEGMENT) // 2, -1)[..., :RESPONSE] * self.taper
        blocks = torch.unflatten(F.pad(made, (0, OVERLAP * HOP - RESPONSE)), -1, (OVERLAP, HOP))
        total = F.pad(blocks[..., 0, :], (0, 0, 0, OVERLAP - 1))
        for lag in range(1, OVERLAP):
            total = total + F.pad(blocks[..., lag, :], (0, 0, lag, OVERLAP - 1 - lag))
        return total.flatten(-2)[..., : noise.shape[-1]]

    def _steady(self, noise: Tensor, depth: Tensor) -> Tensor:
        """Spectra of noise ``[..., 257]`` with the power of the mean in each band; ``depth [..., 1]`` of modulation."""
        power = (noise.real.square() + noise.imag.square()) @ self.bands
        expected = WINDOW_ENERGY * (1 + depth.square())
        gains = (expected / power.clamp_min(1e-12)).sqrt().clamp(max=LARGEST_GAIN)
        return noise * gains.repeat_interleave(self.widths, dim=-1, output_size=BINS)

    def _filters(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Harmonic filter, noise filter ``[B, 2 n, 257]`` and depth ``[B, 2 n, 1]`` of ``rows [B, n + 2, 20]``."""
        past = rows[:, :1].expand(-1, (TAPS - 1) * sum(DILATIONS), -1)
        x = F.silu(self.first(_inputs(torch.cat((past, rows), dim=1)).transpose(1, 2)))
        for layer in self.layers:
            x = _gated(layer, x)
        values = torch.unflatten(self.head(x.transpose(1, 2)), 2, (2, -1)).flatten(1, 2)
        harmonic, noise, phase, depth = torch.split(values, [POINTS, POINTS, POINTS, 1], dim=2)
        stated = (_half_rows(log_bands(rows)[:, :-1]) * (math.log(10) / 2) + self.level) @ self.envelope
        magnitudes = [(stated + part.clamp(max=LARGEST)) @ self.mel_points for part in (harmonic, noise)]
        shaped = torch.polar(magnitudes[0].exp(), phase @ self.mel_points)
        return shaped, magnitudes[1].exp(), torch.tanh(depth)


@network(KIND)
def load_hnsf(path: Path) -> HarmonicNoise:
    """The network of a file, on the CPU and in evaluation mode; AetherError as of ``load_fargan``."""
    return read_network(path, KIND, HarmonicNoise, {"channels": int})


def excitation(pitch: Tensor) -> tuple[Tensor, Tensor]:
    """Pulses and modulation ``[B, 160 n] float64`` between rows of ``pitch [B, n + 1]`` [octaves].

    Pulses are the sum of all cosines up to 7.6 kHz with equal amplitudes and variance 1; the highest fades in and out.
    The modulation is ``sqrt(2) cos``. The phase is 0 at the first row.
    """
    octaves = pitch.detach().to(torch.float64)
    place = torch.arange(FRAME, dtype=torch.float64, device=pitch.device) / FRAME
    track = octaves[:, :-1, None] + (octaves[:, 1:] - octaves[:, :-1])[..., None] * place
    step = (torch.exp2(track + 1.5) * (62.5 / SAMPLE_RATE)).clamp(50 / SAMPLE_RATE, 600 / SAMPLE_RATE).flatten(1)
    cycles = F.pad(torch.cumsum(step, dim=1)[:, :-1], (1, 0))
    cycles = cycles - cycles.round()
    number = HIGHEST_HARMONIC / SAMPLE_RATE / step
    whole = number.floor()
    half = torch.sin(math.pi * cycles)
    limit = half.abs() < _FLOOR
    kernel = torch.sin((2 * whole + 1) * math.pi * cycles) / torch.where(limit, 1.0, half)
    cosines = (torch.where(limit, 2 * whole + 1, kernel) - 1) / 2
    cosines = cosines + (number - whole) * torch.cos(2 * math.pi * (whole + 1) * cycles)
    return cosines * torch.sqrt(2 / number), math.sqrt(2) * torch.cos(2 * math.pi * cycles)


def _inputs(rows: Tensor) -> Tensor:
    """Rows ``[B, n, 20]`` with sine and cosine of the pitch and the voicing flag, ``[B, n, 23]``."""
    angle = (2 * math.pi / 3) * rows[..., PITCH]
    voiced = voiced_frames(rows).to(rows)
    return torch.cat((rows, torch.stack((angle.sin(), angle.cos(), voiced), dim=-1)), dim=-1)


def _gated(layer: nn.Module, joined: Tensor) -> Tensor:
    """A gated convolution of ``joined [B, C, past + n]`` and a way past it: ``[B, C, n]``."""
    value, gate = layer(joined).chunk(2, dim=1)
    output: Tensor = joined[:, :, -value.shape[2] :] + torch.tanh(value) * torch.sigmoid(gate)
    return output


def _half_rows(values: Tensor) -> Tensor:
    """Values at each row from the second on and half a row before it, ``[B, 2 n, m]`` of ``[B, n + 1, m]``."""
    return torch.stack(((values[:, :-1] + values[:, 1:]) / 2, values[:, 1:]), dim=2).flatten(1, 2)


def _mel_frequencies() -> np.ndarray[Any, np.dtype[np.float64]]:
    """``[64]`` Hz from 0 to 8 kHz, equally spaced on the mel scale."""
    top = 2595 * math.log10(1 + SAMPLE_RATE / 2 / 700)
    return np.asarray(700 * (10 ** (np.linspace(0, top, POINTS) / 2595) - 1), dtype=np.float64)


def _between(known: Any, wanted: Any) -> Tensor:
    """``[len(known), len(wanted)]``: linear interpolation from values at rising places to others."""
    columns = [np.interp(wanted, known, unit) for unit in np.eye(len(known))]
    return torch.from_numpy(np.stack(columns))


def _levels() -> Tensor:
    """``[18]``: added to half the natural logarithm of a band's energy, the amplitude of white noise [nepers]."""
    widths = np.zeros(NUM_BANDS)
    widths[:-1] = np.add.reduceat(FALLING, BAND_BINS[:-1])
    widths[1:] += np.add.reduceat(RISING, BAND_BINS[:-1])
    widths[[0, -1]] *= 2
    one = widths * np.square(WINDOW).sum() / WINDOW_LENGTH**2 * INT16_SCALE**2
    return torch.from_numpy(-0.5 * np.log(one))


def _noise_bands() -> Tensor:
    """``[257, 10]``: mean over the bins of each band."""
    bands = torch.zeros(BINS, len(NOISE_BANDS) - 1, dtype=torch.float64)
    for band, (first, end) in enumerate(pairwise(NOISE_BANDS)):
        bands[first:end, band] = 1 / (end - first)
    return bands


def _taper() -> Tensor:
    """``[384]``: one, with raised cosines at the ends."""
    rise = 0.5 - 0.5 * torch.cos(math.pi * (torch.arange(EDGE, dtype=torch.float64) + 0.5) / EDGE)
    return torch.cat((rise, torch.ones(RESPONSE - 2 * EDGE, dtype=torch.float64), rise.flip(0)))
