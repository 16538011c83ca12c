"""Channel of symbols: y = h x + w, the channel state information (CSI) at its receiver, and the registry.

    y = h x + w,    w ~ CN(0, N0),    N0 = 10^(-SNR/10)

SNR is Es/N0 [dB] for each complex symbol with the nominal Es = 1; N0/2 falls on each real dimension. The power of the
clip is never measured: a quiet clip gets the same noise as a loud one. A new channel is one module of this package
with a function registered by :func:`channel`, which gives :func:`transmit` its gain. CSI (:data:`Csi`):

``perfect``
    The gain h of every symbol and N0, as they acted.
``estimated`` (default)
    What a receiver would learn from one pilot symbol of unit power in ``pilot_spacing`` (default 10) at the same
    Es/N0. (Pilots are not counted in the rate.)

    *Gain.* Averaging P pilots while the channel stays the same leaves an error e ~ CN(0, N0 / P)::

        gain = h + e,    P = max(1, rate * T_c / (pilot_spacing * U))

    T_c is the time the channel stays the same, U the number of path gains fitted to the same pilots (1 for flat
    fading, 2 for Watterson's two paths). e is constant over each T_c and independent from one T_c to the next.

    ================  ====================================================================================
    block fading      T_c = the block
    Jakes spectrum    T_c = 0.423 / f_d (Rappaport, Wireless Communications, 2nd ed., eq. 5.40.c). An ideal
                      low-pass interpolator of the band -f_d..f_d keeps 2 f_d / pilot rate of the pilots'
                      noise, that is T_c = 0.5 / f_d: nearly the same.
    Gaussian          T_c = 0.299 / sigma: the Jakes value at equal rms Doppler (sigma = f_d / sqrt 2), where
    spectrum          both autocorrelations have the same curvature at lag 0
    AWGN, erasures    no fading: the link is synchronised and h = 1 is known
    ================  ====================================================================================

    *Noise.* N0 is estimated from the residuals of the pilots of the last second (a sliding window of whole tokens,
    P_n of about rate / pilot_spacing pilots; the link was up before the clip began)::

        noise_variance[k] = N0 * G / P_n,    G ~ Gamma(P_n, 1)

    Its mean is N0, its relative standard deviation 1 / sqrt(P_n), and neighbouring tokens share most of it.
``none``
    ``gain`` and ``noise_variance`` are None.

Gains at positions that are not sent have no meaning.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, TypeVar, get_args

import torch
from torch import Tensor

from aether_lite.channels.parameters import SnrDb, checked_number, noise_variance
from aether_lite.channels.randomness import Draws, Generator, Seed
from aether_lite.errors import AetherError, warn_renamed
from aether_lite.payload import FRAMES_PER_SECOND, ChannelState, Received, ReceivedBits, Symbols

Csi = Literal["perfect", "estimated", "none"]
CSI: tuple[Csi, ...] = get_args(Csi)
_OLD_CSI: dict[str, Csi] = {"exact": "perfect", "withheld": "none"}

PILOT_SPACING = 10  # symbols for each pilot
NOISE_WINDOW_S = 1.0
JAKES_COHERENCE = 0.423  # T_c * f_d
GAUSSIAN_COHERENCE = JAKES_COHERENCE / 2**0.5  # T_c * sigma


class Options(TypedDict, total=False):
    """Options of every channel.

    Attributes:
        csi: what the receiver knows of the channel.
        seed: one integer, or one per item (the item then gets the channel it would get alone).
        generator: a generator instead of a seed.
        pilot_spacing: payload symbols, or bits, for each pilot, for estimated CSI.
        state: an older name of ``csi``.
    """

    csi: str
    seed: Seed
    generator: Generator | None
    pilot_spacing: int
    state: str | None


Send = TypeVar("Send", bound=Callable[..., Received | ReceivedBits])


@dataclass(frozen=True)
class Channel:
    """A registered channel.

    Attributes:
        name: that the command line knows.
        send: ``send(payload, quality, **options)``; the quality is Es/N0 [dB], or the error rate of bits.
        needs_snr: whether the quality may not be None.
        options: names of its options.
    """

    name: str
    send: Callable[..., Any]
    needs_snr: bool
    options: tuple[str, ...]

    def check(self, options: Mapping[str, object]) -> None:
        """Refuse an option that the channel does not have."""
        for name in options:
            if name not in self.options:
                known = ", ".join(option for option in self.options if option != "state")
                raise AetherError(f"channel {self.name} has no option {name!r}; it has {known}")


CHANNELS: dict[str, Channel] = {}
"""Channels of symbols by name, in the order in which they register."""
BIT_CHANNELS: dict[str, Channel] = {}
"""Binary channels by name."""


def channel(name: str, *, needs_snr: bool = True, of_bits: bool = False) -> Callable[[Send], Send]:
    """Register ``send(payload, quality, *, own options, **options: Unpack[Options])`` under a name."""

    def register(send: Send) -> Send:
        keywords = inspect.signature(send).parameters.values()
        own = [each.name for each in keywords if each.kind is each.KEYWORD_ONLY]
        registry = BIT_CHANNELS if of_bits else CHANNELS
        registry[name] = Channel(name, send, needs_snr, tuple(dict.fromkeys((*own, *Options.__annotations__))))
        return send

    return register


@dataclass(frozen=True)
class Gain:
    """Gain of a fading channel, and what its estimate from pilots is limited by.

    Attributes:
        values: h, ``[B, K, n] complex``, E|h|^2 = 1.
        coherence_s: T_c [s].
        error: draws e of unit variance, ``[B, K, n] complex``.
        unknowns: U.
    """

    values: Tensor
    coherence_s: float
    error: Callable[[], Tensor]
    unknowns: int = 1


def transmit(
    symbols: Symbols,
    snr_db: SnrDb,
    gain: Callable[[Draws], Gain] | None = None,
    *,
    csi: str = "estimated",
    seed: Seed = None,
    generator: Generator | None = None,
    pilot_spacing: int = PILOT_SPACING,
    state: str | None = None,
) -> Received:
    """Send symbols over y = h x + w.

    Args:
        symbols: ``[B, K, n]``, x.
        snr_db: Es/N0 [dB], -30..60, a number or ``[B]``.
        gain: draws h; None for 1, a constant of the link.
        csi, seed, generator, pilot_spacing, state: see :class:`Options`.

    Raises:
        AetherError: an option is out of range.
    """
    kind = checked_csi(csi, pilot_spacing, state)
    values = symbols.values
    n0 = noise_variance(snr_db, values)
    draws = Draws(len(values), values.device, seed, generator)
    drawn = None if gain is None else gain(draws)
    noise = draws.complex_normal(*values.shape[1:], dtype=values.dtype, widths=symbols.counts.tolist())
    faded = values if drawn is None else drawn.values * values
    received = (faded + n0.sqrt()[:, None, None] * noise).masked_fill(~symbols.used, 0)
    erased = torch.zeros(values.shape[:2], dtype=torch.bool, device=values.device)
    if kind == "none":
        return Received(received, symbols.rate, ChannelState(None, None, erased), symbols.token_frames)
    known = torch.ones_like(values).detach() if drawn is None else drawn.values
    if kind == "perfect":
        variance = n0[:, None].repeat(1, values.shape[1])
    else:
        if drawn is not None:
            pilots = (symbols.rates * (drawn.coherence_s / (pilot_spacing * drawn.unknowns))).clamp(min=1.0)
            known = known + (n0 / pilots).sqrt()[:, None, None] * drawn.error()
        variance = estimated_noise_variance(n0, symbols, pilot_spacing, draws)
    return Received(received, symbols.rate, ChannelState(known, variance, erased), symbols.token_frames)


def checked_csi(csi: str, pilot_spacing: int, state: str | None = None) -> Csi:
    """A kind of CSI by its name, or by that of an older version.

    Raises:
        AetherError: an unknown kind, or a pilot spacing that is not an integer in 1..1000.
    """
    if state is not None:
        warn_renamed("state=", "csi=")
        csi = state
    csi = _OLD_CSI.get(csi, csi)
    if checked_number("pilot_spacing", pilot_spacing, 1, 1000) != int(pilot_spacing):
        raise AetherError(f"pilot_spacing must be an integer, not {pilot_spacing!r}")
    for known in CSI:
        if csi == known:
            return known
    raise AetherError(f"csi must be one of {', '.join(CSI)}, not {csi!r}")


def estimated_noise_variance(n0: Tensor, symbols: Symbols, pilot_spacing: int, draws: Draws) -> Tensor:
    """``[B, K]``: N0 ``[B]`` times a Gamma variable of mean 1 and P_n degrees, from the pilots of the last second."""
    tokens = symbols.values.shape[1]
    window = max(1, round(NOISE_WINDOW_S * FRAMES_PER_SECOND / symbols.token_frames))
    pilots = torch.round(symbols.counts / pilot_spacing).long().clamp(min=1)
    widest = int(pilots.max()) if len(n0) else 1
    residual = draws.complex_normal(tokens + window, widest, dtype=symbols.values.dtype, widths=pilots.tolist())
    sent = torch.arange(widest, device=n0.device) < pilots[:, None, None]
    power = (residual.abs().square() * sent).sum(dim=-1) / pilots[:, None]
    return n0[:, None] * power.unfold(1, window, 1).mean(dim=-1)[:, 1:]
