"""Metrics of the payload: power and peaks of symbols, channel uses and bits per second of speech."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from aether_lite.metrics.clips import NAN
from aether_lite.metrics.registry import Needs, metric


@metric(
    "symbol_power",
    "Symbol power",
    "Es",
    needs=Needs.SYMBOLS,
    higher_is_better=None,
    source="mean |x|^2 of the symbols sent; 1 is nominal",
)
def symbol_power(symbols: Tensor) -> Tensor:
    """Mean ``|x|^2`` of the symbols sent of each clip, >= 0; 1 is the nominal Es.

    Args:
        symbols: ``[..., n] complex``, without those that were not sent.

    Returns:
        ``[...]`` of the real type of the symbols; NaN where there are none.
    """
    return _power(symbols).mean(-1)


@metric(
    "papr_db",
    "PAPR",
    "dB",
    needs=Needs.SYMBOLS,
    source="max |x|^2 / mean |x|^2 of the symbols sent, before pulse shaping",
)
def clip_papr_db(symbols: Tensor) -> Tensor:
    """Peak-to-average power ratio of the symbols of each clip [dB], >= 0, lower is better.

    That of the symbols themselves, ``max |x|^2 / mean |x|^2``, before any pulse shaping. Arguments as
    :func:`symbol_power`; NaN where no symbol has energy.
    """
    power = _power(symbols)
    if not power.shape[-1]:
        return power.new_full(power.shape[:-1], NAN)
    return 10 * torch.log10(power.amax(-1) / power.mean(-1))


def per_second(count: Tensor, seconds: Tensor) -> Tensor:
    """Channel uses/s or bit/s of each clip: a count over the duration of the speech, >= 0.

    Args:
        count: ``[...]``, payload channel uses (complex symbols, pilots and cyclic prefix not counted) or payload bits.
        seconds: ``[...]``, of the speech they carry [s].

    Raises:
        ValueError: a duration that is not positive, or a negative count.
    """
    count, seconds = torch.as_tensor(count), torch.as_tensor(seconds)
    if not bool((seconds > 0).all()) or not bool((count >= 0).all()):
        raise ValueError("a rate needs counts of at least 0 and durations above 0 s")
    return count / seconds


_rate = partial(metric, needs=Needs.COUNTS)
_rate("bit_rate", "Bit rate", "bit/s", source="payload bits")(per_second)
_rate("uses_per_s", "Channel uses", "uses/s", source="payload complex symbols")(per_second)


def _power(symbols: Tensor) -> Tensor:
    if not symbols.is_complex() or symbols.ndim < 1:
        raise ValueError(f"symbols must be [..., n] complex, not {tuple(symbols.shape)} {symbols.dtype}")
    return symbols.real.square() + symbols.imag.square()
