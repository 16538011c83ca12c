"""Channel simulator for radio audio: what a receiver's loudspeaker gives of what goes into a transmitter.

In this order: Watterson's two-path fading, frequency offset and drift, clock difference, noise before and behind, a
steady carrier, white Gaussian noise, the receiver's filter, gain, hard clipping at full scale. All numbers are drawn
from one seed.

**SNR3k** is the mean power of the signal (over the blocks of 20 ms in which it is on) over that of the noise in 3 kHz.
The fading has unit mean power over its ensemble, and the SNR is that of its mean.

**Fading** (:mod:`aether_lite.channels.watterson` has the model and its source): two paths of equal mean power, each
with a Gaussian Doppler spectrum of standard deviation sigma = spread / 2, E[a(t + T) a*(t)] = exp(-2 (pi sigma T)^2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aether_lite.channels.channel import checked_number, seeded
from aether_lite.errors import AetherError
from aether_lite.features.samples import as_speech
from aether_lite.modem.resampling import Complex128, Float64, interpolate

NOISE_BAND_HZ = 3000.0
BLOCK_S, ON_DB = 0.02, -40.0  # a block counts as signal if its power is no further below the strongest
FILTER_HZ = {"none": (0.0, 0.0), "ssb": (300.0, 2700.0), "tight": (400.0, 2600.0)}
FILTER_TAPS_S = 0.02  # length of the receiver's filter
SAMPLE_RATES = (8_000, 192_000)  # [Hz]
DOPPLER_OVERSAMPLING = 64  # samples of a path's gain for each Hz of spread
LEAST_SPREAD_RATE = 20.0  # [1/s]


@dataclass(frozen=True)
class Fading:
    """Two paths ``delay_s`` [s] apart, each with a two-sided Doppler spread of ``spread_hz`` = 2 sigma [Hz]."""

    delay_s: float
    spread_hz: float


CHANNELS: dict[str, Fading | None] = {
    "awgn": None,
    "mpg": Fading(0.5e-3, 0.1),
    "mpp": Fading(2e-3, 1.0),
    "mpd": Fading(4e-3, 2.0),
}
"""Fading by the name of the channel; None for a constant gain of 1."""


@dataclass(frozen=True)
class OnAir:
    """A radio link for audio.

    Attributes:
        snr3k_db: mean signal power over that of the noise in 3 kHz [dB], -30..60; None without noise.
        channel: one of :data:`CHANNELS`.
        offset_hz: every frequency is higher by this [Hz], -500..500.
        drift_hz_s: and by this more each second [Hz/s], -10..10.
        ppm: the transmitter's sample clock is faster than the receiver's by this many millionths, -2000..2000.
        lead_s, tail_s: noise alone before and behind [s], 0..600.
        carrier_db: power of a steady carrier relative to the signal's mean [dB], -60..40; None for none.
        carrier_hz: its frequency [Hz], 0..4000.
        passband: of the receiver, one of :data:`FILTER_HZ`; noise and signal pass it.
        gain_db: of the receiver's output [dB], -80..80; what then exceeds full scale is clipped.
        seed: of fading and noise.

    Raises:
        AetherError: an unknown channel or passband, or a number or seed out of range.
    """

    snr3k_db: float | None = None
    channel: str = "awgn"
    offset_hz: float = 0.0
    drift_hz_s: float = 0.0
    ppm: float = 0.0
    lead_s: float = 0.0
    tail_s: float = 0.0
    carrier_db: float | None = None
    carrier_hz: float = 1000.0
    passband: str = "none"
    gain_db: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for what, known in (("channel", CHANNELS), ("passband", FILTER_HZ)):
            if getattr(self, what) not in known:
                raise AetherError(f"unknown {what} {getattr(self, what)!r}; known: {', '.join(known)}")
        limits = {
            "snr3k_db": (-30, 60), "offset_hz": (-500, 500), "drift_hz_s": (-10, 10), "ppm": (-2000, 2000),
            "lead_s": (0, 600), "tail_s": (0, 600), "carrier_db": (-60, 40), "carrier_hz": (0, 4000),
            "gain_db": (-80, 80),
        }  # fmt: skip
        seeded(self.seed)
        for name, (low, high) in limits.items():
            if getattr(self, name) is not None or name not in ("snr3k_db", "carrier_db"):
                object.__setattr__(self, name, checked_number(name, getattr(self, name), low, high))

    def receive(self, samples: ArrayLike, sample_rate: int) -> Float64:
        """What is received of ``samples [N]``, int16 or floating point of full scale 1, at ``sample_rate`` [Hz], 8000
        or more: ``[M] float64`` at the same rate.

        Raises:
            AetherError: another shape or type, a value that is not finite or beyond 100 times full scale, another rate,
                or there is no signal.
        """
        samples = as_speech(samples)
        checked_number("sample_rate", sample_rate, *SAMPLE_RATES)
        random = [seeded(self.seed, stream) for stream in range(3)]
        power = signal_power(samples, sample_rate)
        carried = analytic(samples)
        fading = CHANNELS[self.channel]
        if fading is not None:
            later = round(fading.delay_s * sample_rate)
            gains = [doppler_gain(fading.spread_hz, len(carried) + later, sample_rate, each) for each in random[:2]]
            paths = np.pad(carried, (0, later)), np.pad(carried, (later, 0))
            carried = (gains[0] * paths[0] + gains[1] * paths[1]) / np.sqrt(2)
        step = 1 + 1e-6 * self.ppm
        if self.ppm:
            heard_at: Float64 = np.arange(int(len(carried) / step), dtype=np.float64) * step
            carried = interpolate(carried, heard_at)
        lead, tail = (round(seconds * sample_rate) for seconds in (self.lead_s, self.tail_s))
        carried = np.pad(carried, (lead, tail))
        time = np.arange(len(carried)) / sample_rate
        turned = self.offset_hz * time + 0.5 * self.drift_hz_s * time**2
        received: Float64 = (carried * np.exp(2j * np.pi * turned)).real
        if self.carrier_db is not None:
            amplitude = np.sqrt(2 * power) * 10 ** (self.carrier_db / 20)
            received = received + amplitude * np.sin(2 * np.pi * self.carrier_hz * time)
        if self.snr3k_db is not None:
            density = power * 10 ** (-self.snr3k_db / 10) / NOISE_BAND_HZ  # one-sided [1/Hz]
            received = received + np.sqrt(density * sample_rate / 2) * random[2].standard_normal(len(received))
        if self.passband != "none":
            taps = bandpass(*FILTER_HZ[self.passband], sample_rate)
            received = np.convolve(received, taps)[: len(received)]  # a causal filter: it delays
        return np.clip(received * 10 ** (self.gain_db / 20), -1, 1)


def signal_power(samples: Float64, sample_rate: int) -> float:
    """Mean power of ``samples [N]`` over the blocks of 20 ms in which the signal is on.

    Raises:
        AetherError: there is no such block.
    """
    block = round(BLOCK_S * sample_rate)
    whole = samples[: len(samples) // block * block].reshape(-1, block)
    powers = np.square(whole).mean(axis=1)
    if not powers.any():
        raise AetherError("there is no signal of 20 ms or more to send; give a file that `aether-lite tx` wrote")
    return float(powers[powers >= powers.max() * 10 ** (ON_DB / 10)].mean())


def analytic(samples: Float64) -> Complex128:
    """``[N] complex`` whose real part is ``samples [N]`` and which has no negative frequencies."""
    spectrum = np.fft.fft(samples)
    weights = np.zeros(len(samples))
    weights[0] = 1.0
    weights[1 : (len(samples) + 1) // 2] = 2.0
    if len(samples) % 2 == 0:
        weights[len(samples) // 2] = 1.0
    made: Complex128 = np.fft.ifft(spectrum * weights)
    return made


def doppler_gain(spread_hz: float, count: int, sample_rate: int, random: np.random.Generator) -> Complex128:
    """Gain of a path ``[count] complex``, E|a|^2 = 1, of a Gaussian Doppler spectrum, drawn slowly and interpolated."""
    rate = max(LEAST_SPREAD_RATE, DOPPLER_OVERSAMPLING * spread_hz)
    slow = int(np.ceil(count * rate / sample_rate)) + 2
    length = slow + int(4 * rate / spread_hz)  # twice as long as the gain remembers: no end meets its beginning
    frequency = np.fft.fftfreq(length, 1 / rate)
    shape = np.exp(-((frequency / spread_hz) ** 2))  # root of exp(-f^2 / (2 sigma^2)), sigma = spread / 2
    drawn = (random.standard_normal((2, length)) * np.sqrt(0.5)).T @ (1, 1j)
    gain = np.fft.ifft(np.fft.fft(drawn) * shape) * np.sqrt(length / np.square(shape).sum())
    place = np.arange(count) * (rate / sample_rate)
    made: Complex128 = np.interp(place, np.arange(length), gain)
    return made


def bandpass(low_hz: float, high_hz: float, sample_rate: int) -> Float64:
    """Taps of a linear-phase filter (windowed sinc, Hamming) from ``low_hz`` to ``high_hz``."""
    half = round(FILTER_TAPS_S * sample_rate / 2)
    n = np.arange(-half, half + 1)
    edges = [2 * edge / sample_rate for edge in (low_hz, high_hz)]
    made: Float64 = (edges[1] * np.sinc(edges[1] * n) - edges[0] * np.sinc(edges[0] * n)) * np.hamming(len(n))
    return made
