"""Uncoded features as symbols: no learning and no channel code.

The 8 frames of a token of 80 ms are transformed over time, each of the 20 features by an orthonormal DCT-II. The
160 coefficients, less their mean and over their standard deviation (constants measured on training speech), are
independent of the clip; two of them make one complex symbol::

    x_j = (u_2j + i u_2j+1) / sqrt 2,    u = (c - mean) / scale,    E|x_j|^2 = 1

in the order of time frequency first, feature second. At 1000 uses/s (80 symbols) all 160 are sent, which carries the
same squared error as sending the 20 values of every frame; slower rates send the first of them: the average of the
token, then ever faster changes. The receiver takes the linear MMSE estimate of each symbol (the front end of the
codec) and the mean for what was not sent or got lost.
"""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

from aether_lite.baselines import registry
from aether_lite.baselines.registry import IDEAL_SYNC, STATE_IN_WORDS, Clip, Condition, Facts, Outcome, system
from aether_lite.codec.base import latency
from aether_lite.features.layout import CORRELATION_MAX, NUM_FREE, PITCH, PITCH_MAX, VOICING
from aether_lite.jscc import equalise
from aether_lite.payload import Received, Symbols, elements_per_token
from aether_lite.vocoder import default_vocoder_path

TOKEN_FRAMES = 8  # as the codec's
REALS = TOKEN_FRAMES * NUM_FREE  # of a token
CONSTANTS = "uncoded_constants.tsv"


@system("uncoded")
class Uncoded:
    """Uncoded features, up to 1000 uses/s: there is no more to send."""

    name = "uncoded"
    title = "uncoded features"

    def __init__(self) -> None:
        self.facts = Facts(
            latency_ms=latency(TOKEN_FRAMES).milliseconds,
            channel_state=STATE_IN_WORDS,
            trained_on="means and deviations only: 2 h of the project's training speech",
            notes=f"{IDEAL_SYNC}; below 1000 uses/s the fastest changes within 80 ms are left out",
        )
        self.fingerprint = registry.fingerprint_of(_constants_text(), default_vocoder_path())

    def offers(self, condition: Condition) -> bool:
        """Rates that fill whole symbols of a token, up to the whole of it."""
        whole = condition.rate * TOKEN_FRAMES % 100 == 0 and condition.rate * TOKEN_FRAMES // 50 <= REALS
        return condition.takes_symbols and whole

    def transmit(self, clip: Clip, condition: Condition, seed: int, audio: bool) -> Outcome:
        symbols = to_symbols(clip.features, condition.rate)
        decoded = from_received(registry.link_of(condition, seed).send(symbols))[: len(clip.features)]
        speech = registry.speak(decoded) if audio else None
        return Outcome(decoded, speech, symbols.values[0].numel(), registry.symbol_measures(symbols))


def to_symbols(features: Tensor, rate: int) -> Symbols:
    """Symbols ``[1, K, n]`` of features ``[F, 20]``; the last row fills up the last token."""
    mean, scale = constants()
    missing = -len(features) % TOKEN_FRAMES
    whole = torch.cat((features, features[-1:].expand(missing, -1)))
    unit = ((_transformed(whole) - mean) / scale).flatten(1)
    uses = elements_per_token(rate, TOKEN_FRAMES)
    pairs = unit[:, : 2 * uses].reshape(-1, uses, 2) / math.sqrt(2)
    return Symbols(torch.view_as_complex(pairs)[None], rate, TOKEN_FRAMES)


def from_received(received: Received) -> Tensor:
    """Features ``[8 K, 20]``, pitch and correlation within their ranges."""
    mean, scale = constants()
    used = torch.ones_like(received.values[:, :1], dtype=torch.bool)
    symbols = equalise(received, used).symbols[0]
    unit = torch.zeros(len(symbols), REALS)
    unit[:, : 2 * symbols.shape[1]] = torch.view_as_real(symbols).flatten(1) * math.sqrt(2)
    coefficients = unit.reshape(-1, TOKEN_FRAMES, NUM_FREE) * scale + mean
    features: Tensor = (_dct().T @ coefficients).flatten(0, 1)
    features[:, PITCH].clamp_(-PITCH_MAX, PITCH_MAX)
    features[:, VOICING].clamp_(-CORRELATION_MAX, CORRELATION_MAX)
    return features


@cache
def constants() -> tuple[Tensor, Tensor]:
    """Mean and scale of the coefficients, each ``[8, 20] float32``, as they come with the package."""
    rows = [line.split("\t") for line in _constants_text().splitlines() if not line.startswith("#")]
    table = torch.tensor([[float(value) for value in row[1:]] for row in rows])
    mean = torch.zeros(TOKEN_FRAMES, NUM_FREE)
    mean[0] = table[0]
    return mean, table[1:]


def _constants_text() -> str:
    return (files("aether_lite.baselines") / CONSTANTS).read_text()


def _transformed(features: Tensor) -> Tensor:
    """Coefficients ``[K, 8, 20]`` of features ``[8 K, 20]``."""
    coefficients: Tensor = _dct() @ features.reshape(-1, TOKEN_FRAMES, NUM_FREE).float()
    return coefficients


@cache
def _dct() -> Tensor:
    """Orthonormal DCT-II ``[8, 8]``, frequency by time."""
    angle = np.pi * np.outer(np.arange(TOKEN_FRAMES), np.arange(TOKEN_FRAMES) + 0.5) / TOKEN_FRAMES
    matrix = np.cos(angle) * math.sqrt(2 / TOKEN_FRAMES)
    matrix[0] /= math.sqrt(2)
    return torch.from_numpy(matrix).float()
