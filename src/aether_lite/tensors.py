"""Tensors of this package are float32: whatever default dtype or autocast is set around a call, and whatever features
come from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from aether_lite.errors import AetherError
from aether_lite.features.layout import NUM_FREE
from aether_lite.features.samples import numbers

P = ParamSpec("P")
R = TypeVar("R")


def own_precision(function: Callable[P, R]) -> Callable[P, R]:
    """``function`` with float32 as the default dtype and without autocast, whatever is set around the call."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        with _plain():
            return function(*args, **kwargs)

    return called


@contextmanager
def _plain() -> Iterator[None]:
    default = torch.get_default_dtype()
    with ExitStack() as stack:
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if default is not torch.float32:
            stack.callback(torch.set_default_dtype, default)
            torch.set_default_dtype(torch.float32)
        yield


def as_features(rows: ArrayLike | Tensor, first_row: int = 0) -> Tensor:
    """Features ``[..., F, 20 or more]`` of any real type as float32, on their device.

    Raises:
        AetherError: not numbers, or not finite; ``first_row`` is the number of row 0 in the message.
    """
    if not (isinstance(rows, Tensor) and rows.is_floating_point()):
        rows = torch.from_numpy(np.ascontiguousarray(numbers(rows, "features"), np.float32))
    bad = ~rows[..., :NUM_FREE].isfinite().all(-1)
    if rows.ndim >= 2 and bool(bad.any()):
        row = first_row + int(bad.reshape(-1, bad.shape[-1]).any(0).nonzero()[0])
        raise AetherError(f"features: row {row} holds a value that is not finite")
    return rows.float()
