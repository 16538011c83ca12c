"""Payload of a link: what is sent and what arrives, as complex symbols or as bits.

An encoder returns :class:`Symbols` or :class:`Bits`, a channel turns them into :class:`Received` or
:class:`ReceivedBits`, and a decoder takes nothing else.

A *token* covers ``token_frames`` feature frames of 10 ms and carries ``rate * token_frames / 100`` *elements* in order
of importance. Symbols and bits differ only in what an element is:

=========  ==========================================  ============================================================
element    sent                                        received
=========  ==========================================  ============================================================
symbol     complex, nominal energy 1; rate in uses/s   y = h x + w, with the receiver's :class:`ChannelState`
bit        b = +1 or -1; rate in bit/s                 soft bit s = E[b | received] = tanh(L / 2) in [-1, 1]
=========  ==========================================  ============================================================

L = ln P(b = +1) - ln P(b = -1) is the log-likelihood ratio: a soft bit is 0 where nothing is known, and the
probability of a wrong decision is (1 - abs(s)) / 2.

Values are arrays of numpy or tensors of torch, which is imported for tensors only; what follows from a payload is of
its kind. (Type checkers take ``Array`` for a tensor: what is used of it here numpy's arrays have too.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, overload

import numpy as np

from aether_lite.errors import AetherError, check_kind

if TYPE_CHECKING:
    from torch import Tensor as Array

FRAMES_PER_SECOND = 100
RATES = (150, 300, 500, 600, 700, 1000, 1200)
"""Payload rates [uses/s] that one set of weights of a codec of symbols serves."""
DEFAULT_RATE = 1000  # uses/s
TARGET_SNRS_DB = tuple(range(-10, 31, 4))
"""Target SNRs [dB] for which the power of symbols is measured; between them its logarithm is interpolated."""
BIT_RATES = (300, 600, 1200, 2400)
"""Bit rates [bit/s] that one set of weights serves: 24, 48, 96 and 192 bits of a token of 80 ms."""
DEFAULT_BIT_RATE = 600  # bit/s
LARGEST = 1e9  # of a received symbol or a gain, in any unit; far from overflow when squared

_OF_LOST_TOKEN: dict[str, float] = {"values": 0.0, "gain": 1.0, "noise_variance": math.nan, "erased": True}
"""Arrays ``[B, K, ...]`` by the name of their field, and what they hold for a lost token."""

Part = TypeVar("Part")


def namespace(values: Array) -> Any:
    """The module, numpy or torch, of an array's kind. Only functions that both have alike are taken from it."""
    if isinstance(values, np.ndarray | np.generic):
        return np
    import torch

    return torch


def cast(values: Array, dtype: Any) -> Array:
    """The values in another precision of their kind."""
    return values.astype(dtype) if isinstance(values, np.ndarray | np.generic) else values.to(dtype)


def checked_rate(rate: float, rates: Sequence[int], unit: str, name: str = "rate") -> int:
    """``rate`` [unit] if it is one of ``rates``; else AetherError."""
    if getattr(rate, "ndim", 0) or rate not in rates:
        raise AetherError(f"{name} {rate} {unit} is not one of {', '.join(map(str, rates))}")
    return int(rate)


def checked_bit_rate(rate: int) -> int:
    """``rate`` [bit/s] if a hash codec serves it; else AetherError."""
    return checked_rate(rate, BIT_RATES, Bits.unit, "bit rate")


@overload
def elements_per_token(rate: int, token_frames: int) -> int: ...
@overload
def elements_per_token(rate: Array, token_frames: int) -> Array: ...
def elements_per_token(rate: int | Array, token_frames: int) -> int | Array:
    """Symbols or bits in one token at ``rate`` [uses/s or bit/s]."""
    return rate * token_frames // FRAMES_PER_SECOND


def widest_token(rate: int | Array, token_frames: int) -> int:
    """Elements in a token of the fastest item at ``rate`` [uses/s or bit/s], an int or ``[B] int64``."""
    fastest = rate if isinstance(rate, int) else int(rate.max())
    return elements_per_token(fastest, token_frames)


def papr_db(values: Array) -> float:
    """Peak-to-average power ratio of complex symbols of any shape [dB]."""
    power = values.real**2 + values.imag**2
    return 10 * math.log10(float(power.max()) / float(power.mean()))


class Payload:
    """Tokens ``[B, K, n]`` at a rate: what symbols and bits, sent or received, have in common.

    AetherError where values have another type or shape, or do not fit the rate.
    """

    element: ClassVar[str]
    unit: ClassVar[str]
    values: Array
    rate: int | Array
    token_frames: int

    def __post_init__(self) -> None:
        values, kind = self.values, "complex" if self.unit == Symbols.unit else "real"
        dtype = str(getattr(values, "dtype", f"a {type(values).__name__}"))
        if getattr(values, "ndim", 0) != 3 or ("complex" if kind == "complex" else "float") not in dtype:
            shape = list(getattr(values, "shape", ()))
            raise AetherError(f"{self.element}s must be {kind} [B, K, n], not {dtype} {shape}")
        for name, number in (("rate", self.rate), ("token_frames", self.token_frames)):
            if "int" not in str(getattr(number, "dtype", type(number).__name__)):
                raise AetherError(f"{name} must be an integer, not {number!r}")
        widest = widest_token(self.rate, self.token_frames) if len(values) else values.shape[2]
        if widest != values.shape[2]:
            raise AetherError(
                f"{values.shape[2]} {self.element}s a token do not fit rate {self.rate} {self.unit}: "
                f"that is {widest} in {self.token_frames} frames"
            )

    def __repr__(self) -> str:
        rate = "mixed rates" if getattr(self.rate, "ndim", 0) else f"{int(self.rate)} {self.unit}"
        about = f"{list(self.values.shape)}, {rate}, token_frames={self.token_frames}{self._known()}"
        return f"{type(self).__name__}({about})"

    def _known(self) -> str:
        """What a receiver knows, for the representation."""
        return ""

    @property
    def counts(self) -> Array:
        """``[B] int64``: elements per token of every item."""
        return self._of_items(elements_per_token(self.rate, self.token_frames), "int64")

    @property
    def rates(self) -> Array:
        """``[B] float32``: rate of every item."""
        return self._of_items(self.rate, "float32")

    def _of_items(self, number: int | Array, dtype: str) -> Array:
        """``[B]`` of one number, or of one per item."""
        xp, values = namespace(self.values), self.values
        numbers: Array = xp.asarray(number, dtype=getattr(xp, dtype), device=values.device)
        return xp.broadcast_to(numbers, (len(values),))  # type: ignore[no-any-return]

    @property
    def used(self) -> Array:
        """``[B, 1, n] bool``: positions that are sent."""
        position: Array = namespace(self.values).arange(self.values.shape[2], device=self.values.device)
        return position < self.counts[:, None, None]

    @property
    def seconds(self) -> float:
        """Length of the clip [s]."""
        return self.values.shape[1] * self.token_frames / FRAMES_PER_SECOND

    def tensors(self) -> Self:
        """The same in tensors of torch."""
        import torch

        return _mapped([self], lambda _, values: torch.as_tensor(values[0]))

    def arrays(self) -> Self:
        """The same in arrays of numpy."""

        def plain(_: str, values: list[Any]) -> Any:
            given = values[0]
            return given if isinstance(given, np.ndarray) else given.resolve_conj().numpy(force=True)

        return _mapped([self], plain)

    def tokens(self, part: slice) -> Self:
        """Some of the tokens."""
        return _mapped([self], lambda _, values: values[0][:, part])

    def items(self, index: Array) -> Self:
        """The items ``[B'] int64`` of the batch, as wide as the fastest of them."""
        rate = self.rate[index] if not isinstance(self.rate, int) and self.rate.ndim else self.rate
        n = widest_token(rate, self.token_frames)

        def chosen(_: str, values: list[Array]) -> Array:
            items = values[0][index]
            return items[..., :n] if items.ndim == 3 else items

        return _mapped([self], chosen, rate=rate)


def _check_known(name: str, given: Any, values: Array, axes: int, kinds: tuple[str, ...]) -> None:
    """Refuse what stands beside values unless it is of their kind, of their first ``axes`` and such a type, or None."""
    if given is None and name != "erased":
        return
    wanted, of_arrays = tuple(values.shape[:axes]), isinstance(values, np.ndarray)
    dtype, shape = str(getattr(given, "dtype", type(given).__name__)), tuple(getattr(given, "shape", ()))
    if isinstance(given, np.ndarray) != of_arrays or shape != wanted or not any(kind in dtype for kind in kinds):
        kind = "an array" if of_arrays else "a tensor"
        raise AetherError(f"{name} must be {kind} of {kinds[0]} {wanted}, not {dtype} {shape}")


class _Arrived(Payload):
    """Received symbols or bits."""

    def with_lost_token(self) -> Self:
        """The same with one more token behind, a lost one."""
        return _mapped([self], lambda name, values: _longer(values[0], 1, 1, _OF_LOST_TOKEN[name]))

    def with_erased(self, lost: Array) -> Self:
        """The same where the tokens ``lost [B, K] bool`` are erased too."""

        def less(name: str, values: list[Array]) -> Array:
            if name == "erased":
                return values[0] | lost
            return zeroed(values[0], lost[:, :, None]) if name == "values" else values[0]

        return _mapped([self], less)


@dataclass(frozen=True, repr=False)
class Symbols(Payload):
    """Complex symbols as they leave the transmitter.

    Attributes:
        values: ``[B, K, n] complex64``, K tokens of n channel uses in sending order, nominal power 1.
        rate: payload channel uses per second; an int, or ``[B] int64`` where the items of a training batch differ
            (those with fewer uses than n hold 0 beyond their own, see :attr:`used`).
        token_frames: feature frames of 10 ms in one token.
    """

    element: ClassVar[str] = "symbol"
    unit: ClassVar[str] = "uses/s"
    values: Array
    rate: int | Array
    token_frames: int


@dataclass(frozen=True, repr=False)
class Bits(Payload):
    """Bits as they leave the transmitter.

    Attributes:
        values: ``[B, K, n] float32``, each +1 or -1, and 0 where an item of a mixed batch sends none (:attr:`used`).
        rate: bit/s; an int, or ``[B] int64`` where the items of a training batch differ.
        token_frames: feature frames of 10 ms in one token.
    """

    element: ClassVar[str] = "bit"
    unit: ClassVar[str] = "bit/s"
    values: Array
    rate: int | Array
    token_frames: int

    def prefix(self, rate: int) -> Bits:
        """The same tokens at a lower ``rate`` [bit/s]: their first bits.

        Raises:
            AetherError: the rate is higher than that of the bits.
        """
        n = elements_per_token(checked_bit_rate(rate), self.token_frames)
        if not 0 < n <= int(self.counts.min()):
            raise AetherError(f"bits of {self.rate} bit/s hold no stream of {rate} bit/s")
        return Bits(self.values[..., :n], rate, self.token_frames)

    def validate(self) -> None:
        """Read every value; AetherError where a bit that is sent is not +1 or -1, or one that is not sent is not 0."""
        if not bool((abs(self.values) == cast(self.used, self.values.dtype)).all()):
            raise AetherError("bits must be +1 or -1, and 0 where none is sent")


@dataclass(frozen=True, repr=False)
class ChannelState:
    """Channel state information (CSI) at the receiver; every entry could be had by a real one.

    Attributes:
        gain: ``[B, K, n] complex64``, estimate of each symbol's complex gain h; None if unknown (the decoder takes 1).
        noise_variance: ``[B, K] float32``, estimate of N0; None if unknown, NaN if unknown for some tokens only.
        erased: ``[B, K] bool``, tokens that the link layer marks as lost.
    """

    gain: Array | None
    noise_variance: Array | None
    erased: Array

    @property
    def summary(self) -> str:
        """What is known, and how many tokens are lost, in a few words."""
        known = [name for name in ("gain", "noise_variance") if getattr(self, name) is not None]
        return f"{', '.join(known) or 'nothing'} known, {int(self.erased.sum())} tokens erased"

    def __repr__(self) -> str:
        return f"ChannelState({self.summary})"


@dataclass(frozen=True, repr=False)
class Received(_Arrived):
    """Complex symbols as they reach the receiver, with the channel state known there.

    Attributes:
        values: ``[B, K, n] complex64``, y = h x + w; zero where a token is erased.
        rate: as in :class:`Symbols`.
        state: the receiver's knowledge.
        token_frames: as in :class:`Symbols`.
    """

    element: ClassVar[str] = "received symbol"
    unit: ClassVar[str] = "uses/s"
    values: Array
    rate: int | Array
    state: ChannelState
    token_frames: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kind("state", self.state, ChannelState, "a ChannelState")
        _check_known("gain", self.state.gain, self.values, 3, ("complex", "float"))
        _check_known("noise_variance", self.state.noise_variance, self.values, 2, ("float",))
        _check_known("erased", self.state.erased, self.values, 2, ("bool",))

    def _known(self) -> str:
        return f"; {self.state.summary}"

    @property
    def erased(self) -> Array:
        """``[B, K] bool``: tokens that the link layer marks as lost."""
        return self.state.erased

    def validate(self) -> None:
        """Read every value.

        Raises:
            AetherError: a value is not finite, a noise variance is negative or infinite, or an erased token not zero.
        """
        xp = namespace(self.values)
        if not xp.isfinite(self.values).all():
            raise AetherError("received values are not all finite")
        if self.state.noise_variance is not None:
            noise = self.state.noise_variance
            if (noise < 0).any() or xp.isinf(noise).any():
                raise AetherError("noise_variance must be finite and not negative")
        if (self.values[self.state.erased] != 0).any():
            raise AetherError("received values of erased tokens must be zero")


@dataclass(frozen=True, repr=False)
class ReceivedBits(_Arrived):
    """Soft bits as they reach the decoder.

    Attributes:
        values: ``[B, K, n] float32`` in [-1, 1], s = E[b | received]; 0 for a bit that is lost or was not sent.
        rate: as in :class:`Bits`.
        erased: ``[B, K] bool``, tokens that the link layer marks as lost (all of their soft bits are 0).
        token_frames: as in :class:`Bits`.
    """

    element: ClassVar[str] = "soft bit"
    unit: ClassVar[str] = "bit/s"
    values: Array
    rate: int | Array
    erased: Array
    token_frames: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_known("erased", self.erased, self.values, 2, ("bool",))

    def _known(self) -> str:
        return f"; {int(self.erased.sum())} tokens erased"

    def validate(self) -> None:
        """Read every value; AetherError where one is not in [-1, 1], or one that is lost or was not sent is not 0."""
        if not bool((abs(self.values) <= 1).all()):
            raise AetherError("soft bits must be in -1..1")
        silent = self.erased[:, :, None] | ~self.used
        if bool(((self.values != 0) & silent).any()):
            raise AetherError("soft bits that are lost or not sent must be 0")


Arrived = TypeVar("Arrived", bound=_Arrived)

_CHANNELS_OF: dict[type, str] = {
    Symbols: "these are symbols: use channels.awgn or another channel of symbols",
    Bits: "these are bits: use channels.bsc, or channels.keyed over a channel of symbols",
}


def check_payload(given: object, *wanted: type[Payload]) -> None:
    """Refuse for a channel what is none of the ``wanted`` payloads, with a word on what would take it."""
    if isinstance(given, wanted):
        return
    of_received = issubclass(wanted[0], _Arrived)
    if of_received and isinstance(given, Symbols | Bits):
        advice = "send them over a channel first, such as channels.clean"
    else:
        advice = _CHANNELS_OF.get(type(given), f"give what {'a channel' if of_received else 'codec.encode'} returned")
    names = " or ".join(each.__name__ for each in wanted)
    raise AetherError(f"this takes {names}, not {type(given).__name__}; {advice}")


def joined_tokens(pieces: Sequence[Part]) -> Part:
    """One payload of the tokens of several, one after the other."""
    return _mapped(pieces, lambda _, values: _joined(values, 1))


def joined_items(parts: Sequence[Arrived]) -> Arrived:
    """One batch of the items of several of any rates; unsent positions hold 0."""
    rate = _joined([part._of_items(part.rate, "int64") for part in parts], 0)
    n = max(part.values.shape[2] for part in parts)

    def stacked(_: str, values: list[Array]) -> Array:
        wide = [_longer(value, 2, n - value.shape[2], 0.0) if value.ndim == 3 else value for value in values]
        return _joined(wide, 0)

    return _mapped(parts, stacked, rate=rate)


def zeroed(values: Array, where: Array) -> Array:
    """The values, but 0 at the places ``where``."""
    return namespace(values).where(where, 0, values)  # type: ignore[no-any-return]


def _longer(values: Array, axis: int, count: int, value: float) -> Array:
    """``values`` with ``count`` more places along an axis, which hold ``value``."""
    shape = [*values.shape[:axis], count, *values.shape[axis + 1 :]]
    return _joined([values, namespace(values).full(shape, value, dtype=values.dtype, device=values.device)], axis)


def _joined(arrays: Sequence[Array], axis: int) -> Array:
    """Arrays one after the other along an axis."""
    return namespace(arrays[0]).concatenate(arrays, axis)  # type: ignore[no-any-return]


def _mapped(parts: Sequence[Part], change: Callable[[str, list[Array]], Array], **others: Any) -> Part:
    """One payload whose arrays ``[B, K, ...]`` are made by ``change`` of their field's name and those of the parts."""
    first: Any = parts[0]
    for field in fields(first):
        values = [getattr(part, field.name) for part in parts]
        if isinstance(values[0], ChannelState):
            others[field.name] = _mapped(values, change)
        elif field.name in _OF_LOST_TOKEN and values[0] is not None:
            others[field.name] = change(field.name, values)
    made: Part = replace(first, **others)
    return made
