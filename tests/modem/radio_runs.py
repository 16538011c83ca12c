"""Transmissions of random symbols, and what a receiver makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aether_lite.modem import Message, OverReport, Profile, ReceivedFrame, Receiver, Transmitter, find
from aether_lite.modem.onair import OnAir

RATE = 16_000
NARROW = find("narrow", 700)


def tokens(profile: Profile, seconds: float, seed: int = 0) -> np.ndarray:
    """``[K, n]`` symbols, complex normal."""
    shape = (2 * round(seconds / 0.08), profile.uses // 2, 2)
    return (np.random.default_rng(seed).standard_normal(shape) @ (1, 1j)) * np.sqrt(0.5)


def sent(profile: Profile, symbols: np.ndarray, text: str = "", papr_db: float = 12.0) -> np.ndarray:
    """Audio of one over."""
    transmitter = Transmitter(profile, Message(text, 7), papr_db)
    return np.concatenate((transmitter.push(symbols), transmitter.flush()))


@dataclass
class Heard:
    """An over as received."""

    over: OverReport
    frames: list[ReceivedFrame]
    ended: bool = False

    @property
    def symbols(self) -> np.ndarray:
        """``[K, n]``: MMSE estimates."""
        gain = np.concatenate([frame.gain for frame in self.frames])
        noise = np.concatenate([frame.noise_variance for frame in self.frames])[:, None]
        return np.concatenate([frame.values for frame in self.frames]) * gain / (np.square(gain) + noise)


def heard(
    audio: np.ndarray, profiles: Sequence[Profile] = (NARROW,), block: int | None = None, mirrored: bool = False
) -> list[Heard]:
    """Overs in audio that is pushed in blocks."""
    receiver = Receiver(profiles, mirrored)
    size = block or len(audio)
    found: dict[int, Heard] = {}
    receptions = [each for start in range(0, len(audio), size) for each in receiver.push(audio[start : start + size])]
    for reception in receptions + receiver.flush():
        over = found.setdefault(id(reception.over), Heard(reception.over, []))
        assert not over.ended, "frames of an over that had ended"
        over.frames += reception.frames
        over.ended = reception.ended
    assert all(over.ended for over in found.values())
    return list(found.values())


def loss_db(profile: Profile, symbols: np.ndarray, estimates: np.ndarray, snr3k_db: float) -> float:
    """SNR3k minus that at which ideal symbols have this mean square error."""
    error = np.square(np.abs(symbols - estimates)).mean() / np.square(np.abs(symbols)).mean()
    return float(snr3k_db - 10 * np.log10((1 / error - 1) * profile.rate / 3000))


def over_the_air(audio: np.ndarray, **link: object) -> np.ndarray:
    """Audio over a simulated link."""
    return OnAir(**link).receive(audio, RATE)  # type: ignore[arg-type]
