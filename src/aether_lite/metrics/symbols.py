"""Metrics of the payload: power and peaks of symbols, channel uses and bits per second of speech."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from aether_lite.metrics.clips import NAN
from aether_lite.metrics.registry import Needs, metric

_symbols = partial(metric, needs=Needs.SYMBOLS)
_rate = partial(metric, needs=Needs.COUNTS)
_POWER = "mean |x|^2 of the symbols sent; 1 is nominal"


@_symbols("symbol_power", "Symbol power", "Es", higher_is_better=None, source=_POWER)
def symbol_power(symbols: Tensor) -> Tensor:
    """Mean ``|x|^2 [...]`` of the symbols sent ``[..., n] complex``; 1 is the nominal Es, NaN without symbols."""
    return _power(symbols).mean(-1)


@_symbols("papr_db", "PAPR", "dB", source="max |x|^2 / mean |x|^2 of the symbols sent, before pulse shaping")
def clip_papr_db(symbols: Tensor) -> Tensor:
    """Peak-to-average power ratio [dB] ``[...]`` of symbols, before any pulse shaping; NaN without energy."""
    power = _power(symbols)
    if not power.shape[-1]:
        return power.new_full(power.shape[:-1], NAN)
    return 10 * torch.log10(power.amax(-1) / power.mean(-1))


def per_second(count: Tensor, seconds: Tensor) -> Tensor:
    """Channel uses/s or bit/s ``[...]``: payload symbols or bits ``[...]`` over the speech they carry ``[...]`` [s].

    Pilots and cyclic prefix are not counted. ValueError: a duration that is not positive, or a negative count.
    """
    count, seconds = torch.as_tensor(count), torch.as_tensor(seconds)
    if not bool((seconds > 0).all()) or not bool((count >= 0).all()):
        raise ValueError("a rate needs counts of at least 0 and durations above 0 s")
    return count / seconds


_rate("bit_rate", "Bit rate", "bit/s", source="payload bits")(per_second)
_rate("uses_per_s", "Channel uses", "uses/s", source="payload complex symbols")(per_second)


def _power(symbols: Tensor) -> Tensor:
    if not symbols.is_complex() or symbols.ndim < 1:
        raise ValueError(f"symbols must be [..., n] complex, not {tuple(symbols.shape)} {symbols.dtype}")
    return symbols.real.square() + symbols.imag.square()
