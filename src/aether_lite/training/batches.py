"""A process's share of the crops of a step."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Crops of one step.

    Attributes:
        items: numbers of the crops within the step, over all processes.
        features: ``[B, F, 20] float32``.
        audio: ``[B, N] float32``, speech of the features' frames; None where nothing asks for it.
        history: ``[K, H, 20]``, longer stretches of the first K items that end where their ``features`` end; None
            where no codec has to be warm at the beginning of a crop.
    """

    items: tuple[int, ...]
    features: Tensor
    audio: Tensor | None = None
    history: Tensor | None = None

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory (called by the loader)."""
        return self._mapped(lambda value: value.pin_memory())

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return self._mapped(lambda value: value.to(device, non_blocking=True))

    def _mapped(self, change: Any) -> Batch:
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(value) for name, value in tensors.items() if isinstance(value, Tensor)})
