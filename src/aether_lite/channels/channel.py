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

Random numbers (:class:`Draws`) that are seeded, those of every evaluation, are numpy's (PCG64 of ``SeedSequence([seed,
stream])``, always float64): a seed means the same noise with any version of torch, in single and double precision, on
every device and for arrays of numpy. Training passes no seed and draws with torch on its own device.
"""

from __future__ import annotations

import inspect
import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, TypeAlias, TypedDict, TypeVar, Unpack, get_args

import numpy as np
from numpy.typing import NDArray

from aether_lite.errors import AetherError, warn_renamed
from aether_lite.payload import (
    FRAMES_PER_SECOND,
    ChannelState,
    Payload,
    Received,
    ReceivedBits,
    Symbols,
    cast,
    check_payload,
    namespace,
    zeroed,
)

if TYPE_CHECKING:
    from torch import Generator as TorchGenerator
    from torch import Tensor as Array

SNR_RANGE_DB = (-30.0, 60.0)

SnrDb: TypeAlias = "float | Sequence[float] | Array"
"""Es/N0 [dB]: one number, or one per item (``[B]``)."""


def checked_number(name: str, value: float, low: float, high: float) -> float:
    """``value`` as a finite float in [low, high]; AetherError where it is not such a number."""
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and low <= number <= high):
        raise AetherError(f"{name} must be in {low:g}..{high:g}, not {reprlib.repr(value)}")
    return number


def per_item(name: str, value: SnrDb, like: Array, limits: tuple[float, float]) -> Array:
    """``[B] float64`` of a number, or of one per item of ``like [B, ...]``; AetherError if neither, or out of limits.
    """
    xp = namespace(like)
    try:
        given = value if hasattr(value, "ndim") else np.asarray(value) * 1.0  # TypeError for text and None
        numbers: Array = xp.asarray(given, dtype=xp.float64, device=like.device)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise AetherError(f"{name} must be a number or one per item, not {value!r}") from None
    batch = like.shape[0]
    if numbers.ndim > 1 or (numbers.ndim == 1 and numbers.shape[0] != batch):
        raise AetherError(f"{name} must be one number or [{batch}], one per item, not {list(numbers.shape)}")
    inside = (numbers >= limits[0]) & (numbers <= limits[1])
    if not bool(inside.all()):
        bad = numbers.reshape(-1)[~inside.reshape(-1)][0].item()
        raise AetherError(f"{name} must be in {limits[0]:g}..{limits[1]:g}, not {bad:g}")
    items: Array = xp.broadcast_to(numbers, (batch,))
    return items


def noise_variance(snr_db: SnrDb, values: Array) -> Array:
    """N0 = 10^(-SNR/10) for the nominal symbol energy Es = 1: ``[B]`` in the precision of ``values [B, K, n]``."""
    return cast(10.0 ** (-per_item("snr_db", snr_db, values, SNR_RANGE_DB) / 10), values.real.dtype)


Seed: TypeAlias = "int | Sequence[int] | Array | None"
"""One seed for the batch, or one per item (a sequence, or ``[B] int64``)."""
Generator: TypeAlias = "TorchGenerator | np.random.Generator"
"""A generator of the caller's own, which goes on from call to call."""


class Draws:
    """Random numbers for a batch of B items, in arrays of the kind of ``like [B, ...]``.

    * ``seed`` an int: one generator for the batch.
    * ``seed`` a sequence of B ints: item b has its own generator, and gets the numbers it would get alone.
    * ``generator``: used as it is; torch's are for tensors, and draw on their own device.
    * neither: torch's global generator of the device of ``like``; for numpy a new generator.

    Seeds of different ``stream`` give unrelated numbers, so that one seed can serve a channel and the losses
    after it: 0 noise and fading, 1 lost tokens, 2 lost bits, 3 known bits, 4 a search at the sender, 5 payloads.

    Raises:
        AetherError: both are given, a seed is not an integer in 0..2^63-1, or the count of seeds or kind of generator
            does not fit ``like``.
    """

    def __init__(self, like: Array, seed: Seed = None, generator: Generator | None = None, *, stream: int = 0) -> None:
        if seed is not None and generator is not None:
            raise AetherError("give a seed or a generator, not both")
        self._batch, self._device, self._xp = len(like), like.device, namespace(like)
        self._torch: TorchGenerator | None = None
        self._sources: list[np.random.Generator] | None = None  # one, or one per item; None for torch
        if isinstance(generator, np.random.Generator):
            self._sources = [generator]
        elif generator is not None:
            if self._xp is np or not isinstance(generator, self._xp.Generator):
                raise AetherError(f"generator must be one of numpy, or of torch for tensors, not {generator!r}")
            self._torch = generator
        elif seed is not None:
            given: Any = seed if isinstance(seed, int) or not hasattr(seed, "tolist") else seed.tolist()
            several = isinstance(given, Sequence) and not isinstance(given, str)
            if several and len(given) != self._batch:
                raise AetherError(f"seed must be one integer or one per item: {len(given)} seeds, {self._batch} items")
            self._sources = [seeded(item, stream) for item in (given if several else [given])]
        elif self._xp is np:
            self._sources = [np.random.default_rng()]

    def complex_normal(self, *shape: int, dtype: Any, widths: Sequence[int] | None = None) -> Array:
        """``[B, *shape] complex``, independent CN(0, 1): variance 1/2 in each real dimension.

        With ``widths`` (one per item) only the first ``widths[b]`` entries of the last axis are needed of
        item b; further ones may be zero. It makes an item's numbers independent of the batch it stands in.
        """
        if self._sources is None:
            return self._of_torch(self._xp.randn, shape, dtype)
        parts = self._drawn(self._sources, (*shape, 2), np.random.Generator.standard_normal, widths)
        return self._given(0.5**0.5 * (parts[..., 0] + 1j * parts[..., 1]), dtype)

    def uniform(self, *shape: int) -> Array:
        """``[B, *shape] float64``, independent and uniform in [0, 1)."""
        if self._sources is None:
            return self._of_torch(self._xp.rand, shape, self._xp.float64)
        return self._given(self._drawn(self._sources, shape, np.random.Generator.random), self._xp.float64)

    def _of_torch(self, draw: Callable[..., Array], shape: tuple[int, ...], dtype: Any) -> Array:
        device = self._device if self._torch is None else self._torch.device
        return draw(self._batch, *shape, dtype=dtype, generator=self._torch, device=device).to(self._device)

    def _given(self, drawn: NDArray[Any], dtype: Any) -> Array:
        """Numbers of numpy's generators as an array of the kind asked for."""
        return self._xp.asarray(drawn, dtype=dtype, device=self._device)  # type: ignore[no-any-return]

    def _drawn(
        self,
        sources: Sequence[np.random.Generator],
        shape: tuple[int, ...],
        draw: Callable[..., NDArray[np.float64]],
        widths: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """``[B, *shape]`` of numpy's generators; ``widths`` are of the last axis but one."""
        if len(sources) == 1:
            return draw(sources[0], (self._batch, *shape))
        drawn = np.zeros((self._batch, *shape))
        for item, generator in enumerate(sources):
            if widths is None:
                drawn[item] = draw(generator, shape)
            else:
                drawn[item, ..., : widths[item], :] = draw(generator, (*shape[:-2], widths[item], shape[-1]))
        return drawn


def seeded(seed: SupportsIndex | None, stream: int = 0) -> np.random.Generator:
    """The generator of a seed in 0..2^63-1 and a stream."""
    if isinstance(seed, bool) or not isinstance(seed, SupportsIndex) or not 0 <= index(seed) < 2**63:
        raise AetherError(f"seed must be an integer in 0..2^63-1, not {seed!r}")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([index(seed), stream])))


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
        send: ``send(payload, quality, **options)``; the quality is Es/N0 [dB], or the error rate of bits.
    """

    name: str  # that the command line knows
    send: Callable[..., Any]
    needs_snr: bool  # whether the quality may not be None
    options: tuple[str, ...]  # names of its options

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


def apply_channel(name: str, symbols: Symbols, snr_db: SnrDb | None = None, **options: object) -> Received:
    """Send symbols ``[B, K, n]`` over the channel of this name.

    Args:
        name: a key of :data:`CHANNELS`.
        snr_db: Es/N0 [dB]; may be None where the channel needs none.
        options: keyword options of that channel. AetherError where one, or the name, is unknown or out of range.
    """
    if name not in CHANNELS:
        raise AetherError(f"unknown channel {name!r}; known: {', '.join(CHANNELS)}")
    CHANNELS[name].check(options)
    received: Received = CHANNELS[name].send(symbols, snr_db, **options)
    return received


@dataclass(frozen=True)
class Gain:
    """Gain of a fading channel, and what its estimate from pilots is limited by."""

    values: Array  # h, ``[B, K, n] complex``, E|h|^2 = 1
    coherence_s: float  # T_c [s]
    error: Callable[[], Array]  # draws e of unit variance, ``[B, K, n] complex``
    unknowns: int = 1  # U


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
    """Send symbols ``[B, K, n]`` over y = h x + w at Es/N0 ``snr_db`` [dB], -30..60, a number or ``[B]``.

    ``gain`` draws h; None for 1, a constant of the link. The others are those of :class:`Options`, with its errors.
    """
    check_payload(symbols, Symbols)
    kind = checked_csi(csi, pilot_spacing, state)
    values = symbols.values
    n0 = noise_variance(snr_db, values)
    xp, draws = namespace(values), Draws(values, seed, generator)
    drawn = None if gain is None else gain(draws)
    noise = draws.complex_normal(*values.shape[1:], dtype=values.dtype, widths=symbols.counts.tolist())
    faded = values if drawn is None else drawn.values * values
    received = zeroed(faded + xp.sqrt(n0)[:, None, None] * noise, ~symbols.used)
    erased = xp.zeros(values.shape[:2], dtype=xp.bool, device=values.device)
    if kind == "none":
        return Received(received, symbols.rate, ChannelState(None, None, erased), symbols.token_frames)
    known = xp.ones_like(values) if drawn is None else drawn.values
    if kind == "perfect":
        variance = xp.tile(n0[:, None], (1, values.shape[1]))
    else:
        if drawn is not None:
            pilots = xp.clip(symbols.rates * (drawn.coherence_s / (pilot_spacing * drawn.unknowns)), 1.0, None)
            known = known + xp.sqrt(n0 / pilots)[:, None, None] * drawn.error()
        variance = estimated_noise_variance(n0, symbols, pilot_spacing, draws)
    return Received(received, symbols.rate, ChannelState(known, variance, erased), symbols.token_frames)


def checked_csi(csi: str, pilot_spacing: int, state: str | None = None) -> Csi:
    """A kind of CSI by its name, or by that of an older version; the pilot spacing must be an integer in 1..1000."""
    if state is not None:
        warn_renamed("state=", "csi=")
        csi = state
    if checked_number("pilot_spacing", pilot_spacing, 1, 1000) != int(pilot_spacing):
        raise AetherError(f"pilot_spacing must be an integer, not {pilot_spacing!r}")
    for known in CSI:
        if isinstance(csi, str) and _OLD_CSI.get(csi, csi) == known:
            return known
    raise AetherError(f"csi must be one of {', '.join(CSI)}, not {csi!r}")


def estimated_noise_variance(n0: Array, symbols: Symbols, pilot_spacing: int, draws: Draws) -> Array:
    """``[B, K]``: N0 ``[B]`` times a Gamma variable of mean 1 and P_n degrees, from the pilots of the last second."""
    window, pilots, sent = known_elements(symbols, pilot_spacing)
    shape = symbols.values.shape[1] + window, sent.shape[2]
    residual = draws.complex_normal(*shape, dtype=symbols.values.dtype, widths=pilots.tolist())
    power = (abs(residual) ** 2 * sent).sum(-1) / cast(pilots, n0.dtype)[:, None]
    return n0[:, None] * sliding(power, window).mean(-1)


def known_elements(payload: Payload, pilot_spacing: int) -> tuple[int, Array, Array]:
    """What a receiver learns from: tokens of the last second, pilots in a token ``[B]``, and which ``[B, 1, P]``."""
    xp = namespace(payload.values)
    window = max(1, round(NOISE_WINDOW_S * FRAMES_PER_SECOND / payload.token_frames))
    pilots = xp.clip(cast(xp.round(payload.counts / pilot_spacing), xp.int64), 1, None)
    widest = int(pilots.max()) if len(pilots) else 1
    return window, pilots, xp.arange(widest, device=payload.values.device) < pilots[:, None, None]


def sliding(values: Array, window: int) -> Array:
    """``[B, K, window]`` of ``[B, K + window]``: the ``window`` values that end at each but the first of them."""
    if isinstance(values, np.ndarray):
        return np.lib.stride_tricks.sliding_window_view(values, window, 1)[:, 1:]
    return values.unfold(1, window, 1)[:, 1:]


@channel("awgn")
def awgn(symbols: Symbols, snr_db: SnrDb, **options: Unpack[Options]) -> Received:
    """White Gaussian noise: h = 1, which is known."""
    return transmit(symbols, snr_db, **options)
