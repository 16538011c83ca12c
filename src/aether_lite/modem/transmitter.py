"""Transmitter: tokens of a codec to audio for a radio, as a stream.

An over is two known frames, the frames of its tokens, and two other known frames. A last token that is alone in its
frame is sent twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aether_lite.errors import AetherError, check_kind
from aether_lite.features.samples import numbers
from aether_lite.modem import text as texts
from aether_lite.modem.profiles import END, LEAD, TOKENS, Complex128, Profile
from aether_lite.modem.waveform import (
    DEFAULT_PAPR_DB,
    Float64,
    Limiter,
    data_frames,
    known_frames,
    modulate,
    to_audio,
)


class Transmitter:
    """One over after another.

    Args:
        profile: of the waveform, which states the rate.
        message: text and weights that are sent along.
        papr_db: peak to average power ratio of the envelope [dB], 3.3..12.

    Raises:
        AetherError: a text that cannot be sent, or ``papr_db`` out of range.
    """

    def __init__(
        self, profile: Profile, message: texts.Message | None = None, papr_db: float = DEFAULT_PAPR_DB
    ) -> None:
        check_kind("profile", profile, Profile, "a Profile, such as of modem.find")
        self._profile, self._papr_db = profile, papr_db
        self._text = texts.superframe(message or texts.Message("", 0))
        self._waiting: Complex128 = np.zeros((0, profile.uses // TOKENS), np.complex128)
        self._frames = self._samples = self._early = 0
        self._begin()

    def push(self, tokens: ArrayLike) -> Float64:
        """Audio ``[m]``, 16 kHz, that complex tokens ``[K, n]`` make known, n being a half of the profile's ``uses``.

        Raises:
            AetherError: another shape or type, or a value that is not finite.
        """
        given = numbers(tokens, "tokens", real=False)
        if given.shape[1:] != self._waiting.shape[1:] or not np.isfinite(given).all():
            raise AetherError(f"tokens must be finite and [K, {self._waiting.shape[1]}], not {list(given.shape)}")
        waiting = np.concatenate((self._waiting, given))
        whole = len(waiting) // TOKENS
        self._waiting = waiting[whole * TOKENS :]
        if not whole:
            return np.zeros(0)
        frames = (self._frames + np.arange(whole)) % texts.FRAMES
        symbols = waiting[: whole * TOKENS].reshape(whole, self._profile.uses)
        cells = data_frames(self._profile, symbols, self._text[frames])
        if not self._frames:
            cells = np.concatenate((known_frames(self._profile, LEAD), cells))
        self._frames += whole
        return self._audio(modulate(self._profile, cells))

    def flush(self) -> Float64:
        """End the over: the last audio; the next token begins another one. Nothing if no token came."""
        last = self.push(self._waiting) if len(self._waiting) else np.zeros(0)
        if not self._frames:
            return last
        end = modulate(self._profile, known_frames(self._profile, END))
        tail = self._audio(np.concatenate((end, np.zeros(self._limiter.delay))))
        self._begin()
        return np.concatenate((last, tail))

    def _begin(self) -> None:
        self._limiter = Limiter(self._profile, self._papr_db)
        self._waiting = self._waiting[:0]
        self._frames = self._samples = 0
        self._early = self._limiter.delay

    def _audio(self, baseband: Complex128) -> Float64:
        """Limited audio without the limiter's delay."""
        limited = self._limiter.push(baseband)
        cut = min(self._early, len(limited))
        self._early -= cut
        audio = to_audio(limited[cut:], self._samples)
        self._samples += len(audio)
        return audio
