"""Variants of recorded speech to train on: other voices, rooms, noises, lines and levels.

What is drawn is a function of the number of the variant and the name of the scene, a few clips of one speaker that were
recorded together: they get the same voice, room, line and level. Sound goes the way it goes outside::

    speech -> other pitch and vocal tract -> room -> noise -> band limit -> low-rate codec -> colour, level, faint noise

A room is a direct sound, early reflections and a tail of exponentially decaying noise (J. A. Moorer, "About this
reverberation business", Computer Music J. 3(2), 1979). Babble is made of the clip itself, turned round in time at
several speeds.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from aether_lite.data.augment import Augmentation, Change
from aether_lite.features.layout import SAMPLE_RATE, Float32, Float64

SHARES = {"speed": 0.7, "room": 0.3, "noise": 0.4, "band": 0.2, "codec": 0.12}  # of the scenes, each by itself
SPEEDS = (0.85, 1.2)  # pitch and formants are multiplied by it
DECAY_S = (0.15, 0.7)  # RT60
DIRECT_DB = (0.0, 15.0)  # direct sound over everything after it
NOISES = ("white", "pink", "babble")
NOISE_SNR_DB = (20.0, 40.0)
BANDS_HZ = ((300.0, 3400.0), (0.0, 4000.0), (0.0, 5500.0))
CODECS = (  # libsndfile's container, subtype and bit rate mode, and its levels: about 8 to 20 and 16 to 33 kbit/s
    (("OGG", "OPUS", None), (0.95, 1.0)),
    (("MP3", "MPEG_LAYER_III", "CONSTANT"), (0.85, 0.965)),
)
LEVELS = Augmentation(share=1.0, faint=0.02, silent=0.0)
SCENE_CLIPS = 6
_STREAM = 0x7A91  # separates this random stream from others of the same seed
_EARLY_S, _REFLECTIONS = 0.05, 8
_BAND_ORDER = 8
_VOICES, _VOICE_SPEEDS = 4, (0.8, 1.25)  # of babble


@dataclass(frozen=True)
class Variant:
    """What happens to a scene; None where a step is left out.

    Attributes:
        codec: container, subtype and bit rate mode of libsndfile, and its compression level.
    """

    speed: float | None  # factor of pitch and formants
    room: tuple[float, float] | None  # RT60 [s] and level of the direct sound over the rest [dB]
    noise: tuple[str, float] | None  # its kind and the SNR [dB]
    band: tuple[float, float] | None  # lowest and highest frequency [Hz]
    codec: tuple[tuple[str, str, str | None], float] | None
    change: Change  # colour, gain and faint noise
    seed: int  # of the room and the noise

    @classmethod
    def draw(cls, number: int, scene: str) -> Variant:
        """Variant ``number`` (1 or more) of a scene."""
        key = int.from_bytes(hashlib.sha256(scene.encode(errors="surrogatepass")).digest()[:8])
        rng = np.random.default_rng((_STREAM, number, key))
        takes = {name: bool(rng.random() < share) for name, share in SHARES.items()}
        speed = float(np.exp(rng.uniform(*np.log(SPEEDS))))
        room = float(rng.uniform(*DECAY_S)), float(rng.uniform(*DIRECT_DB))
        noise = str(rng.choice(NOISES)), float(rng.uniform(*NOISE_SNR_DB))
        band = BANDS_HZ[int(rng.integers(len(BANDS_HZ)))]
        kind, levels = CODECS[int(rng.integers(len(CODECS)))]
        codec = kind, float(rng.uniform(*levels))
        change = LEVELS.draw(number, 0, key)
        assert change is not None
        return cls(
            speed if takes["speed"] else None,
            room if takes["room"] else None,
            noise if takes["noise"] else None,
            band if takes["band"] else None,
            codec if takes["codec"] else None,
            change,
            int(rng.integers(2**62)),
        )

    def apply(self, speech: Float32) -> Float32:
        """Changed speech ``[N / speed] float32`` of ``speech [N]`` at 16 kHz, full scale 1."""
        rng, changed = np.random.default_rng(self.seed), speech
        if self.speed is not None:
            changed = _at_speed(changed, self.speed)
        if self.room is not None:
            changed = _convolved(changed, room_response(rng, *self.room))
        if self.noise is not None:
            changed = _noisy(changed, rng, *self.noise)
        if self.band is not None:
            changed = band_limited(changed, *self.band)
        if self.codec is not None:
            changed = coded(changed, *self.codec)
        return self.change.apply(changed)


def room_response(rng: np.random.Generator, decay_s: float, direct_db: float) -> Float64:
    """Impulse response ``[decay_s x 16000]`` of unit direct sound, for an RT60 and the level [dB] of the direct."""
    time = np.arange(round(decay_s * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / decay_s)
    tail[: round(rng.uniform(0.002, 0.02) * SAMPLE_RATE)] = 0.0
    early = (rng.uniform(0.001, _EARLY_S, _REFLECTIONS) * SAMPLE_RATE).astype(int)
    tail[early] += 4 * rng.choice((-1.0, 1.0), _REFLECTIONS) * 10 ** (-3 * early / SAMPLE_RATE / decay_s)
    tail *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail


def band_limited(speech: Float32, low: float, high: float) -> Float32:
    """``speech [N]`` between two frequencies [Hz], with the slopes of Butterworth filters and no delay."""
    hertz = np.fft.rfftfreq(len(speech), 1 / SAMPLE_RATE)
    power = 1 / (1 + (hertz / high) ** (2 * _BAND_ORDER))
    if low > 0:
        power[0] = 0.0
        power[1:] /= 1 + (low / hertz[1:]) ** (2 * _BAND_ORDER)
    return np.fft.irfft(np.fft.rfft(speech) * np.sqrt(power), len(speech)).astype(np.float32)


def coded(speech: Float32, kind: tuple[str, str, str | None], level: float) -> Float32:
    """``speech [N]`` after a lossy codec of libsndfile at a compression level of 0 to 1; MP3 delays it by 1105."""
    container, subtype, mode = kind
    stored, how = io.BytesIO(), {"format": container, "compression_level": level, "bitrate_mode": mode}
    with soundfile.SoundFile(stored, "w", SAMPLE_RATE, 1, subtype, **how) as sound:
        sound.write(np.clip(speech, -1, 1))
    stored.seek(0)
    decoded, _ = soundfile.read(stored, dtype="float32")
    whole = np.zeros_like(speech)
    whole[: len(decoded)] = decoded[: len(speech)]
    return whole


def _at_speed(speech: Float32, speed: float) -> Float32:
    changed: Float32 = soxr.resample(speech, SAMPLE_RATE * speed, SAMPLE_RATE)
    return changed


def _convolved(speech: Float32, response: Float64) -> Float32:
    size = 1 << (len(speech) + len(response) - 2).bit_length()
    spectrum = np.fft.rfft(speech, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[: len(speech)].astype(np.float32)


def _noisy(speech: Float32, rng: np.random.Generator, kind: str, snr_db: float) -> Float32:
    if kind == "babble":
        voices = (_at_speed(speech[::-1], speed) for speed in rng.uniform(*_VOICE_SPEEDS, _VOICES))
        noise: Float64 = sum(
            (np.roll(np.resize(voice, len(speech)), rng.integers(len(speech))) for voice in voices),
            np.zeros(len(speech)),
        )
    else:
        noise = rng.standard_normal(len(speech))
        if kind == "pink":
            hertz = np.fft.rfftfreq(len(speech), 1 / SAMPLE_RATE)
            noise = np.fft.irfft(np.fft.rfft(noise) / np.sqrt(np.maximum(hertz, 20.0)), len(speech))
    wanted = np.sqrt(np.mean(speech.astype(np.float64) ** 2)) * 10 ** (-snr_db / 20)
    mixed: Float32 = (speech + noise * (wanted / (np.sqrt(np.mean(noise**2)) + 1e-12))).astype(np.float32)
    return mixed
