"""The receiver's door: what comes from outside is made fit for a decoder before anything is computed from it.

**Absurd values count as erased.** A token is erased if a symbol or a gain is not finite or beyond :data:`LARGEST`, if
its noise variance is negative, infinite or beyond the square of that, if a symbol is :data:`PEAK` times as strong as
gain and noise explain, or if a soft bit is not in [-1, 1]. NaN for all gains of a token, or for its noise variance,
means unknown.

**Units do not matter.** y, h and sqrt(N0) may come in any unit: they are divided by the root of a reference g, so that
what follows sees a mean power gain of 1, as in training. g is the causal mean over :data:`LEVEL_S` (at the beginning:
over what has come) of the power gains of tokens, which are::

    mean |h|^2                where gains are known
    1                         where only N0 is known, which is then for unit gain
    mean |y|^2 / (1 + 0.1)    where neither is known: symbols of mean power 1 at 10 dB

Each counts at most :data:`OUTLIER` times their median, so that a few wrong ones move little. A constant gain of 1 makes
g = 1 to the bit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from aether_lite.payload import FRAMES_PER_SECOND, LARGEST, ChannelState, Received, ReceivedBits

LEVEL_S = 5.0  # [s]
OUTLIER = 4.0  # in block Rayleigh fading this takes 0.3 dB off the mean
PEAK = 1e4  # |y|^2 / (|h|^2 + N0); symbols of speech stay below 10^2.5
LEAST_POWER = 1e-3  # |h|^2 + N0 in that ratio is no less: no estimate is that good
UNKNOWN_NOISE_VARIANCE = 0.1  # N0 of a receiver that does not know it: 10 dB

Arrived = TypeVar("Arrived", Received, ReceivedBits, Received | ReceivedBits)


def accepted(received: Arrived, levels: Tensor | None = None, used: Tensor | None = None) -> tuple[Arrived, Tensor]:
    """What was received, fit for a decoder, and what the tokens behind it need to know.

    Args:
        received: ``[B, K, n]``, of any values.
        levels: power gains of the last W tokens ``[B, W]``, from the call before; None at the beginning.
        used: ``[B, 1, n] bool``, positions that were sent; None for those of the rate.

    Returns:
        The same in reference units, absurd tokens erased, with a gain for every symbol (1 where unknown) and a noise
        variance for every token (NaN where unknown); and the new levels, none (``[B, 0]``) for bits.
    """
    used = received.used if used is None else used
    if isinstance(received, ReceivedBits):
        absurd = (used & ~(received.values.detach().abs() <= 1)).any(-1)
        return received.with_erased(absurd), received.values.detach().new_zeros(len(received.values), 0)
    values, state = received.values, received.state
    power = _power(values)
    gain = torch.full_like(values, torch.nan) if state.gain is None else state.gain
    noise = torch.full_like(power[..., 0], torch.nan) if state.noise_variance is None else state.noise_variance
    without_gain = (_power(gain).isnan() | ~used).all(-1, keepdim=True)
    gain_power = torch.where(without_gain, torch.ones_like(power), _power(gain))
    fit = ~used | ((power <= LARGEST**2) & (gain_power <= LARGEST**2))
    noise_known = (noise >= 0) & (noise <= LARGEST**2)
    lost = state.erased | ~fit.all(-1) | ~(noise_known | noise.isnan())

    by_power = without_gain[..., 0] & ~noise_known
    level = torch.where(by_power, _mean(power, used) / (1 + UNKNOWN_NOISE_VARIANCE), _mean(gain_power, used))
    level = level.masked_fill(lost, 0)
    if levels is None:
        levels = level.new_zeros(len(level), level_tokens(received.token_frames))
    fit_levels = (levels > 0) & (levels <= LARGEST**2)  # they may come from a stored state
    history = torch.cat((torch.where(fit_levels, levels, 0.0), level), dim=1)
    reference = _causal_mean(history, levels.shape[1])

    noise = torch.where(noise_known, noise / reference, torch.nan)
    unit_gain = torch.where(without_gain, gain_power, gain_power / reference[..., None])
    explained = unit_gain + torch.where(noise_known, noise, UNKNOWN_NOISE_VARIANCE)[..., None]
    lost = lost | (used & (power / reference[..., None] > PEAK * explained.clamp_min(LEAST_POWER))).any(-1)
    kept, root = used & ~lost[..., None], reference.sqrt()[..., None]
    known = ChannelState(_over(gain, root, kept & ~without_gain, (1.0, 0.0)), noise, lost)
    return replace(received, values=_over(values, root, kept, (0.0, 0.0)), state=known), history[:, -levels.shape[1] :]


def level_tokens(token_frames: int) -> int:
    """W: tokens of ``token_frames`` frames that the reference is a mean over."""
    return max(1, round(LEVEL_S * FRAMES_PER_SECOND / token_frames))


def _causal_mean(history: Tensor, window: int) -> Tensor:
    """Mean ``[B, K]`` of the last ``window`` of ``history [B, window + K]``, outliers limited; 0 is no value."""
    last = history.unfold(1, window, 1)[:, 1:]
    count = (last > 0).sum(-1)
    median = last.sort(-1).values.gather(-1, (window - 1 - count // 2)[..., None])
    mean = torch.minimum(last, OUTLIER * median).sum(-1) / count.clamp_min(1)
    return torch.where(count > 0, mean, torch.ones_like(mean))


def _power(values: Tensor) -> Tensor:
    """|x|^2 of complex values, without gradient."""
    return torch.view_as_real(values).detach().square().sum(-1)  # graphs of ONNX detach real values alone


def _mean(power: Tensor, used: Tensor) -> Tensor:
    """Mean ``[B, K]`` over the used positions of ``[B, K, n]``."""
    return torch.where(used, power, torch.zeros_like(power)).sum(-1) / used.sum(-1).clamp_min(1)


def _over(values: Tensor, divisor: Tensor, kept: Tensor, other: tuple[float, float]) -> Tensor:
    """``values / divisor [B, K, 1]`` where ``kept``, else ``other``, complex."""
    parts = torch.view_as_real(values) / divisor[..., None]
    return torch.view_as_complex(torch.where(kept[..., None], parts, parts.new_tensor(other)))
