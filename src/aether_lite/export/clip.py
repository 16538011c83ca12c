"""A whole clip through exported steps, token by token; every function starts from the beginning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aether_lite.export.runner import OnnxStep
from aether_lite.features.layout import FRAME, Float32
from aether_lite.vocoder import LOOKAHEAD_FRAMES

Complex64 = NDArray[np.complex64]


def encode_clip(encoder: OnnxStep, features: Float32, rate: int, uses: int, target_snr_db: float = np.nan) -> Complex64:
    """Symbols ``[K, uses]`` of ``features [8 K, 20]``.

    Args:
        rate: channel uses per second.
        uses: channel uses in a token at this rate, ``uses_per_token`` of the manifest.
        target_snr_db: Es/N0 the link is designed for [dB]; NaN encodes blind.
    """
    encoder.reset()
    tokens = features.reshape(-1, *encoder.shapes["features"])
    sent = [encoder(features=token, rate=[rate], target_snr_db=[target_snr_db])[0][:uses] for token in tokens]
    return np.stack(sent).view(np.complex64)[..., 0]


def decode_clip(
    decoder: OnnxStep,
    received: Complex64,
    rate: int,
    gain: Complex64 | None = None,
    noise_variance: Float32 | None = None,
    erased: NDArray[np.bool_] | None = None,
    lookahead: int = 0,
) -> Float32:
    """Features ``[F, 20]`` of K whole tokens of symbols ``received [K, n]``.

    Args:
        rate: channel uses per second.
        gain: ``[K, n]``, estimates of the symbols' gains; None where withheld.
        noise_variance: ``[K]``, estimates of N0; None (or NaN) where withheld.
        erased: ``[K]``, lost tokens.
        lookahead: tokens that the decoder waits for, ``lookahead_tokens`` of the manifest.
    """
    decoder.reset()
    sent, uses = received.shape
    count = sent + lookahead  # lost ones behind the last
    places = decoder.shapes["received"][0]
    values, gains = np.zeros((count, places), np.complex64), np.ones((count, places), np.complex64)
    values[:sent, :uses] = received
    gains[:sent, :uses] = 1 if gain is None else gain
    noise, lost = np.full(count, np.nan, np.float32), np.ones(count, np.bool_)
    noise[:sent] = np.nan if noise_variance is None else noise_variance
    lost[:sent] = False if erased is None else erased
    rows = [
        decoder(
            received=values[token].view(np.float32).reshape(places, 2),
            rate=[rate],
            gain=gains[token].view(np.float32).reshape(places, 2),
            noise_variance=[noise[token]],
            erased=[lost[token]],
        )[0]
        for token in range(count)
    ]
    return np.concatenate(rows[lookahead:])


def speak_clip(vocoder: OnnxStep, rows: Float32) -> Float32:
    """Speech ``[160 F]`` in -1..1 of feature rows ``[F, 20]``, aligned with the speech they describe."""
    vocoder.reset()
    vocoder(row=rows[0], audible=[0])
    flushed = np.concatenate((rows[1:], np.repeat(rows[-1:], 1 + LOOKAHEAD_FRAMES, axis=0)))
    sound = np.concatenate([vocoder(row=row, audible=[1])[0] for row in flushed])
    return sound[FRAME // 2 : -(FRAME // 2)]
