"""Parts that systems share: the link of a condition, measures of the symbols sent, and the vocoder."""

from __future__ import annotations

import hashlib
import math
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from aether_lite import __version__
from aether_lite.baselines.registry import Condition
from aether_lite.channels.binary import BITS_PER_USE, Modulation
from aether_lite.jscc import papr_db
from aether_lite.link import LinkConfig
from aether_lite.payload import Symbols
from aether_lite.vocoder import FrameVocoder, load_vocoder, synthesize

STATE_IN_WORDS = "as the condition says (default: gain and noise estimated from one pilot in ten, pilots not counted)"
IDEAL_SYNC = "ideal synchronisation; pilots and cyclic prefix not counted"


def link_of(condition: Condition, seed: int, modulation: Modulation | None = None) -> LinkConfig:
    """The link of a condition; bits are sent over a channel of symbols by ``modulation``."""
    options: dict[str, Any] = dict(condition.options)
    erasure, burst = (options.pop(name, None) for name in ("probability", "burst_tokens"))
    modulation = modulation if condition.takes_symbols else None
    return LinkConfig(
        condition.channel,
        condition.rate * (BITS_PER_USE[modulation] if modulation else 1),
        condition.snr_db,
        seed,
        erasure=None if erasure is None else float(erasure),
        burst_tokens=None if burst is None else float(burst),
        options=options,
        error_rate=condition.error_rate,
        modulation=modulation,
    )


def symbol_measures(symbols: Symbols) -> dict[str, float]:
    """``symbol_power`` (mean |x|^2), ``papr_db`` [dB] and ``uses_per_s`` of the symbols sent of one clip."""
    values = symbols.values
    return {
        "symbol_power": float(values.abs().square().mean()),
        "papr_db": papr_db(values),
        "uses_per_s": values[0].numel() / symbols.seconds,
    }


def share(part: int, whole: int) -> float:
    """``part / whole``; NaN of nothing."""
    return part / whole if whole else math.nan


def speak(features: Tensor) -> Tensor:
    """Speech ``[160 F] float32`` of features ``[F, 20]`` by the released vocoder."""
    return synthesize(features, _vocoder())


@cache
def _vocoder() -> FrameVocoder:
    return load_vocoder()


def fingerprint_of(*parts: Path | str | bytes) -> str:
    """16 hexadecimal digits of files, texts and the package's version."""
    digest = hashlib.sha256(__version__.encode())
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part
        digest.update(hashlib.sha256(content.encode() if isinstance(content, str) else content).digest())
    return digest.hexdigest()[:16]
