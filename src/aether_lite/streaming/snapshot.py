"""A stream's state as a flat dict of tensors, for ``torch.save`` or safetensors, and back.

Tuples, mappings and dataclasses become names with dots (``vocoder.signal.memory``), arrays and numbers become tensors,
and None leaves no entry. The way back needs a template of the same form, which gives types and shapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aether_lite.errors import AetherError

Snapshot = dict[str, Tensor]
"""State of a stream: tensors by name, all on the CPU, none sharing memory with the stream."""


def flattened(name: str, value: Any) -> Snapshot:
    """Entries of ``value`` under ``name``; raises TypeError for what is no tensor, array, number or group of them."""
    if value is None:
        return {}
    children = list(_children(value))
    if children:
        return {key: leaf for child, item in children for key, leaf in flattened(f"{name}.{child}", item).items()}
    if isinstance(value, Tensor):
        return {name: value.detach().cpu().contiguous().clone()}
    if isinstance(value, np.ndarray):
        return {name: torch.from_numpy(np.array(value, order="C"))}
    if isinstance(value, bool | int):
        return {name: torch.tensor(int(value))}
    if isinstance(value, float):
        return {name: torch.tensor(value, dtype=torch.float64)}
    raise TypeError(f"{name}: a {type(value).__name__} cannot be part of a stream's state")


def rebuilt(name: str, template: Any, snapshot: Mapping[str, Tensor]) -> Any:
    """What :func:`flattened` was given, with the types and shapes of ``template``; errors as :func:`entry`."""
    children = {child: rebuilt(f"{name}.{child}", item, snapshot) for child, item in _children(template)}
    if children:
        kind: Any = type(template)
        return kind(**children) if is_dataclass(template) else kind(children.values())
    if template is None:
        return None
    if isinstance(template, Tensor):
        return entry(name, snapshot, tuple(template.shape), largest=LARGEST).to(template)
    if isinstance(template, np.ndarray):
        return entry(name, snapshot, template.shape, largest=LARGEST).numpy().astype(template.dtype)
    return type(template)(entry(name, snapshot, (), largest=LARGEST_SAMPLE).item())


def present(name: str, snapshot: Mapping[str, Tensor]) -> bool:
    """Whether anything was stored under ``name``."""
    return any(key == name or key.startswith(f"{name}.") for key in snapshot)


LARGEST = 1e3  # magnitude of what networks remember; 20 in loud speech
LARGEST_SAMPLE = 1e9  # of what the analysis remembers, on the int16 scale and squared


def entry(
    name: str,
    snapshot: Mapping[str, Tensor],
    shape: tuple[int | None, ...],
    *,
    lost: bool = False,
    largest: float = math.inf,
) -> Tensor:
    """A copy of one entry of finite numbers; None in ``shape`` is any length, with ``lost`` NaN may stand for a number.

    Raises:
        AetherError: it is missing, of another shape, not finite or beyond ``largest`` in magnitude: such a number would
            stay in the stream for ever.
    """
    found = snapshot.get(name)
    if not isinstance(found, Tensor):
        raise AetherError(f"stream state: {name!r} is missing; give a state_dict() of the same kind of stream")
    fits = found.ndim == len(shape) and all(n is None or n == m for n, m in zip(shape, found.shape, strict=True))
    if not fits:
        expected = ["any" if n is None else n for n in shape]
        raise AetherError(
            f"stream state: {name!r} is {list(found.shape)}, not {expected}; it belongs to a codec of another size"
        )
    good = found.isfinite() | found.isnan() if lost else found.isfinite()
    if found.is_complex() or not bool(good.all()):
        raise AetherError(f"stream state: {name!r} holds what is not a finite number; give a state from before that")
    if not lost and bool((found.abs() > largest).any()):
        raise AetherError(f"stream state: {name!r} holds a number that no stream has; give a state from before that")
    return found.detach().clone()


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield field.name, getattr(value, field.name)
    elif isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield str(index), item
