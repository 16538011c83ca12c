"""What the channel carries: power and peaks of symbols, and how many of them and of bits a second of speech takes."""

from __future__ import annotations

import torch
from torch import Tensor

from aether_lite.jscc import papr_db
from aether_lite.metrics.clips import flat


def symbol_power(symbols: Tensor) -> Tensor:
    """Mean ``|x|^2`` of the symbols sent of each clip, >= 0; 1 is the nominal Es.

    Args:
        symbols: ``[..., n] complex``, without those that were not sent.

    Returns:
        ``[...]`` of the real type of the symbols; NaN where there are none.
    """
    _check(symbols)
    return (symbols.real.square() + symbols.imag.square()).mean(-1)


def clip_papr_db(symbols: Tensor) -> Tensor:
    """Peak-to-average power ratio of the symbols of each clip [dB], >= 0, lower is better.

    That of the symbols themselves, ``max |x|^2 / mean |x|^2``, before any pulse shaping. Arguments as
    :func:`symbol_power`; NaN where no symbol has energy.
    """
    _check(symbols)
    ratios = [papr_db(clip) if len(clip) else float("nan") for clip in flat(symbols)]
    return torch.tensor(ratios, dtype=symbols.real.dtype).reshape(symbols.shape[:-1])


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


def _check(symbols: Tensor) -> None:
    if not symbols.is_complex() or symbols.ndim < 1:
        raise ValueError(f"symbols must be [..., n] complex, not {tuple(symbols.shape)} {symbols.dtype}")
