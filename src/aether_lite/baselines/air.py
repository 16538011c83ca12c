"""What every system that sends symbols shares: the link of a condition, and what crossed the air."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from aether_lite import __version__
from aether_lite.baselines.system import Condition
from aether_lite.channels import Symbols
from aether_lite.channels.keying import BITS_PER_USE, Modulation
from aether_lite.jscc import papr_db
from aether_lite.link import LinkConfig
from aether_lite.payload import FRAMES_PER_SECOND

STATE_IN_WORDS = "as the condition says (default: gain and noise estimated from one pilot in ten, pilots not counted)"
IDEAL_SYNC = "ideal synchronisation; pilots and cyclic prefix not counted"


def link_of(condition: Condition, seed: int) -> LinkConfig:
    """The way from transmitter to receiver at a condition; the options ``probability`` and ``burst_tokens`` lose
    tokens on any channel."""
    return LinkConfig(condition.channel, condition.rate, condition.snr_db, seed, **_options_of(condition))


def bit_link_of(condition: Condition, seed: int) -> LinkConfig:
    """The link of bits at a condition: ``bsc`` at its rate, or uncoded QPSK, two bits a use."""
    modulation: Modulation | None = "qpsk" if condition.takes_symbols else None
    rate = condition.rate * (BITS_PER_USE[modulation] if modulation else 1)
    return LinkConfig(
        condition.channel,
        rate,
        condition.snr_db,
        seed,
        error_rate=condition.error_rate,
        modulation=modulation,
        **_options_of(condition),
    )


def air_measures(symbols: Symbols) -> dict[str, float]:
    """``symbol_power`` (mean |x|^2), ``papr_db`` [dB] and ``uses_per_s`` (uses over playing time) of what was sent."""
    values = symbols.values
    return {
        "symbol_power": float(values.abs().square().mean()),
        "papr_db": papr_db(values),
        "uses_per_s": values[0].numel() * FRAMES_PER_SECOND / (values.shape[1] * symbols.token_frames),
    }


def _options_of(condition: Condition) -> dict[str, Any]:
    """Losses and the channel's own options."""
    options: dict[str, object] = dict(condition.options)
    losses: dict[str, float | None] = {"erasure": None, "burst_tokens": None}
    for field, option in (("erasure", "probability"), ("burst_tokens", "burst_tokens")):
        if option in options:
            losses[field] = float(str(options.pop(option)))
    return {"options": options, **losses}


def fingerprint_of(*parts: Path | str | bytes) -> str:
    """16 hexadecimal digits of files, texts and the package's version."""
    digest = hashlib.sha256(__version__.encode())
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part
        digest.update(hashlib.sha256(content.encode() if isinstance(content, str) else content).digest())
    return digest.hexdigest()[:16]
