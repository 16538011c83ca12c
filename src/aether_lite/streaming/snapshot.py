"""A stream's state as a flat dict of tensors or arrays, for ``torch.save`` or safetensors, and back.

What the native core keeps is one entry of bytes, which it checks; numbers stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aether_lite.errors import AetherError

Snapshot = dict[str, Any]
"""State of a stream: tensors or arrays by name, none sharing memory with the stream."""
MISSING = "give a state_dict() of the same kind of stream"


def entry(name: str, state: Mapping[str, Any], shape: tuple[int | None, ...]) -> NDArray[Any]:
    """One entry as an array; None in ``shape`` is any length. AetherError: it is missing or of another shape."""
    if not isinstance(state, Mapping) or name not in state:
        raise AetherError(f"stream state: {name!r} is missing; {MISSING}")
    found = state[name]
    try:
        array = np.asarray(found.numpy(force=True) if hasattr(found, "detach") else found)
    except (TypeError, ValueError) as error:
        raise AetherError(f"stream state: {name!r} holds no numbers; {MISSING}") from error
    if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        expected = ["any" if n is None else n for n in shape]
        raise AetherError(f"stream state: {name!r} is {list(array.shape)}, not {expected}; {MISSING}")
    return array


def number(name: str, state: Mapping[str, Any]) -> float:
    """A number; NaN may stand for one. AetherError: it is missing, or none."""
    value = entry(name, state, ())
    if value.dtype.kind not in "iuf" or np.isinf(value):
        raise AetherError(f"stream state: {name!r} holds no number; {MISSING}")
    return float(value)


def saved_core(name: str, state: Mapping[str, Any]) -> bytes:
    """The bytes that the core's stream gave; it checks them itself."""
    value = entry(name, state, (None,))
    if value.dtype != np.uint8:
        raise AetherError(f"stream state: {name!r} holds no bytes; {MISSING}")
    return value.tobytes()
