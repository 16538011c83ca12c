"""What the receiver knows of the channel: exactly, as pilots would tell it, or not at all.

Three kinds (:data:`StateKind`):

``exact``
    The gain h of every symbol and N0, as they acted.
``estimated`` (default)
    What a receiver would learn from one pilot symbol of unit power in ``pilot_spacing`` (default 10) at the
    same Es/N0. (Pilots are not counted in the rate.)

    *Gain.* Averaging P pilots while the channel stays the same leaves an error e ~ CN(0, N0 / P)::

        gain = h + e,    P = max(1, rate * T_c / (pilot_spacing * U))

    T_c is the time the channel stays the same, U the number of path gains fitted to the same pilots (1 for
    flat fading, 2 for Watterson's two paths, see :mod:`~aether_lite.channels.watterson`). e is constant over
    each T_c and independent from one T_c to the next.

    ================  ====================================================================================
    block fading      T_c = the block
    Jakes spectrum    T_c = 0.423 / f_d (Rappaport, Wireless Communications, 2nd ed., eq. 5.40.c). An ideal
                      low-pass interpolator of the band -f_d..f_d keeps 2 f_d / pilot rate of the pilots'
                      noise, that is T_c = 0.5 / f_d: nearly the same.
    Gaussian          T_c = 0.299 / sigma: the Jakes value at equal rms Doppler (sigma = f_d / sqrt 2), where
    spectrum          both autocorrelations have the same curvature at lag 0
    AWGN, erasures    no fading: the link is synchronised and h = 1 is known
    ================  ====================================================================================

    *Noise.* N0 is estimated from the residuals of the pilots of the last second (a sliding window of whole
    tokens, P_n of about rate / pilot_spacing pilots; the link was up before the clip began, so the window is
    full from the first token)::

        noise_variance[k] = N0 * G / P_n,    G ~ Gamma(P_n, 1)

    Its mean is N0, its relative standard deviation 1 / sqrt(P_n), and neighbouring tokens share most of it.
``withheld``
    Neither: ``gain`` and ``noise_variance`` are None.

Gains at positions that are not sent (:attr:`Symbols.used`) have no meaning.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from aether_lite.channels.parameters import checked_number
from aether_lite.channels.randomness import Draws
from aether_lite.errors import AetherError
from aether_lite.payload import FRAMES_PER_SECOND, ChannelState, Symbols

StateKind = Literal["exact", "estimated", "withheld"]

PILOT_SPACING = 10  # symbols for each pilot
NOISE_WINDOW_S = 1.0
JAKES_COHERENCE = 0.423  # T_c * f_d
GAUSSIAN_COHERENCE = JAKES_COHERENCE / 2**0.5  # T_c * sigma


def check_state(state: StateKind, pilot_spacing: int) -> None:
    """Raise AetherError for an unknown kind of state or a pilot spacing that is not an integer in 1..1000."""
    if state not in get_args(StateKind):
        raise AetherError(f"state must be one of {', '.join(get_args(StateKind))}, not {state!r}")
    if checked_number("pilot_spacing", pilot_spacing, 1, 1000) != int(pilot_spacing):
        raise AetherError(f"pilot_spacing must be an integer, not {pilot_spacing!r}")


def pilot_count(symbols: Symbols, coherence_s: float, pilot_spacing: int, unknowns: int = 1) -> Tensor:
    """``[B] float32``: P = max(1, rate * T_c / (pilot_spacing * U)), pilots averaged for each path gain."""
    return (symbols.rates * (coherence_s / (pilot_spacing * unknowns))).clamp(min=1.0)


def estimated_noise_variance(n0: Tensor, symbols: Symbols, pilot_spacing: int, draws: Draws) -> Tensor:
    """N0 as the pilots of the last second tell it, token by token.

    Args:
        n0: ``[B]``, the noise variance that acted.
        symbols: K tokens of the rates in question.
        pilot_spacing: symbols for each pilot.
        draws: random numbers.

    Returns:
        ``[B, K]``: N0 times a Gamma variable of mean 1 and P_n degrees; see the module's text.
    """
    batch, tokens, _ = symbols.values.shape
    window = max(1, round(NOISE_WINDOW_S * FRAMES_PER_SECOND / symbols.token_frames))
    pilots = torch.round(symbols.counts / pilot_spacing).long().clamp(min=1)
    widest = int(pilots.max()) if batch else 1
    residual = draws.complex_normal(tokens + window, widest, dtype=symbols.values.dtype, widths=pilots.tolist())
    sent = torch.arange(widest, device=n0.device) < pilots[:, None, None]
    power = (residual.abs().square() * sent).sum(dim=-1) / pilots[:, None]
    return n0[:, None] * power.unfold(1, window, 1).mean(dim=-1)[:, 1:]


def channel_state(
    kind: StateKind,
    symbols: Symbols,
    n0: Tensor,
    draws: Draws,
    *,
    gain: Tensor | None = None,
    gain_error: Tensor | None = None,
    pilot_spacing: int = PILOT_SPACING,
) -> ChannelState:
    """Put together what the receiver knows; nothing is erased.

    Args:
        kind: exact, estimated or withheld.
        symbols: what was sent.
        n0: ``[B]``, the noise variance that acted.
        draws: random numbers.
        gain: ``[B, K, n] complex``, the gain h that acted; None where h = 1 is a constant of the link.
        gain_error: ``[B, K, n] complex``, e; used for ``estimated`` only.
        pilot_spacing: symbols for each pilot.
    """
    batch, tokens, _ = symbols.values.shape
    erased = torch.zeros(batch, tokens, dtype=torch.bool, device=symbols.values.device)
    if kind == "withheld":
        return ChannelState(gain=None, noise_variance=None, erased=erased)
    known = torch.ones_like(symbols.values).detach() if gain is None else gain
    if kind == "exact":
        return ChannelState(known, n0[:, None].repeat(1, tokens), erased)
    if gain_error is not None:
        known = known + gain_error
    return ChannelState(known, estimated_noise_variance(n0, symbols, pilot_spacing, draws), erased)
