"""Numbers from outside: whatever holds them becomes a plain array or tensor, and speech and features are checked once.

Speech is int16, or floating point with full scale 1, of one channel; lists, tensors of any device and type, arrays of
any byte order, stride and flag will do. What cannot be meant is one line that says what would be right. Tensors of this
package are float32, whatever default dtype or autocast is set around a call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME, INT16_SCALE, LOUDEST, NUM_FREE, Array, Float32, Float64

if TYPE_CHECKING:
    from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")

LARGEST_FEATURE = 1e9  # in magnitude; those of speech stay below 100
SPEECH = "int16, or floating point in [-1, 1]"


def numbers(values: ArrayLike | Tensor, name: str, real: bool = True) -> Array:
    """Numbers of any shape, ``real`` or complex too, as an array of native byte order; AetherError for anything else.
    """
    if isinstance(values, str | bytes | Path):
        reader = "features.read_f32" if name == "features" else "audio.read_audio"
        raise AetherError(f"{name} must be numbers, not a file name: read it with {reader}({str(values)!r})")
    given: Any = values
    try:
        if hasattr(given, "is_floating_point"):  # a tensor; numpy knows no bfloat16
            narrow = given.is_floating_point() and given.element_size() < 4
            given = (given.float() if narrow else given).numpy(force=True)
        array = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise AetherError(f"{name} must be an array of numbers, all rows of one length") from error
    kinds = (np.integer, np.floating) if real else (np.number,)
    if not any(np.issubdtype(array.dtype, kind) for kind in kinds):
        raise AetherError(f"{name} must be {'real ' if real else ''}numbers, not {array.dtype}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def speech_array(samples: ArrayLike | Tensor, name: str = "samples", batch: bool = False) -> NDArray[Any]:
    """Speech ``[N]``, or with ``batch`` ``[B, N]`` too, as int16 or floating point, checked but not scaled.

    Raises:
        AetherError: not numbers, another type or shape, samples with channels behind them, or a value that is not
            finite or beyond 100 times full scale (never scaled to [-1, 1]).
    """
    array = numbers(samples, name)
    if array.ndim not in ((1, 2) if batch else (1,)):
        shape = "[N] or [B, N]" if batch else "one channel [N]"
        raise AetherError(f"{name} must be {shape}, not {array.shape}{_mixing(array, name)}")
    if batch and array.ndim == 2 and (mixing := _mixing(array, name)):
        raise AetherError(f"{name} of the shape {array.shape} are samples by channels, not clips{mixing}")
    if array.dtype == np.int16:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        scale = f"; divide by their full scale, such as {name} / 2**31" if array.dtype == np.int32 else ""
        raise AetherError(f"{name} must be {SPEECH}, not {array.dtype}{scale}")
    good = np.abs(array) <= LOUDEST  # false for NaN
    if not good.all():
        place = np.unravel_index(int(np.argmin(good)), good.shape)
        value = array[place]
        clip = f" of clip {place[0]}" if array.ndim == 2 else ""
        what = f"{value:g}, far beyond full scale 1" if np.isfinite(value) else "not finite"
        raise AetherError(f"sample {place[-1]}{clip} is {what}; {name} must be {SPEECH}")
    return array


def as_speech(samples: ArrayLike | Tensor, name: str = "samples", batch: bool = False) -> Float64:
    """The same as float64 with full scale 1; int16 is divided by 32768."""
    array = speech_array(samples, name, batch)
    scaled: Float64 = array.astype(np.float64)
    return scaled / INT16_SCALE if array.dtype == np.int16 else scaled


def _mixing(array: Array, name: str) -> str:
    """How to mix channels, where ``[N, channels]`` is what an array looks like: clips of less than a frame."""
    if array.ndim != 2 or array.shape[1] >= FRAME or len(array) <= array.shape[1]:
        return ""
    return f"; mix them by {name}.mean(axis=1)" if array.shape[1] > 1 else f"; take {name}[:, 0]"


def feature_rows(rows: ArrayLike | Tensor, first_row: int = 0) -> Float32:
    """Features ``[..., F, 20 or more]`` of any real type as a float32 array.

    Raises:
        AetherError: not numbers, not finite or absurd; ``first_row`` is the number of row 0 in the message.
    """
    with np.errstate(over="ignore"):  # beyond float32: infinite
        array = np.ascontiguousarray(numbers(rows, "features"), np.float32)
    bad = ~(np.abs(array[..., :NUM_FREE]) <= LARGEST_FEATURE).all(-1)  # NaN too
    if array.ndim >= 2 and bad.any():
        raise _unfit_row(first_row + int(bad.reshape(-1, bad.shape[-1]).any(0).argmax()))
    return array


def as_features(rows: ArrayLike | Tensor, first_row: int = 0) -> Tensor:
    """Features ``[..., F, 20 or more]`` of any real type as float32, on their device.

    Raises:
        AetherError: not numbers, not finite or absurd; ``first_row`` is the number of row 0 in the message.
    """
    import torch

    if not (isinstance(rows, torch.Tensor) and rows.is_floating_point()):
        with np.errstate(over="ignore"):  # beyond float32: infinite
            rows = torch.from_numpy(np.array(numbers(rows, "features"), np.float32))
    bad = ~(rows[..., :NUM_FREE].abs() <= LARGEST_FEATURE).all(-1)  # NaN too
    if rows.ndim >= 2 and bool(bad.any()):
        raise _unfit_row(first_row + int(bad.reshape(-1, bad.shape[-1]).any(0).nonzero()[0]))
    return rows.float()


def _unfit_row(row: int) -> AetherError:
    """The error of a row that holds what no feature can be."""
    return AetherError(f"features: row {row} holds a value that is not finite, or beyond {LARGEST_FEATURE:g}")


def own_precision(function: Callable[P, R]) -> Callable[P, R]:
    """``function`` with float32 as the default dtype and without autocast, whatever is set around the call."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        with _plain():
            return function(*args, **kwargs)

    return called


@contextmanager
def _plain() -> Iterator[None]:
    if sys.modules.get("torch") is None:  # then nothing is set
        yield
        return
    import torch

    default = torch.get_default_dtype()
    with ExitStack() as stack:
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if default is not torch.float32:
            stack.callback(torch.set_default_dtype, default)
            torch.set_default_dtype(torch.float32)
        yield
