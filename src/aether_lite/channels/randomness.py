"""Where a channel's random numbers come from: a seed, one per item, a generator, or torch's own state."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, SupportsIndex

import torch
from torch import Tensor

from aether_lite.errors import AetherError

Seed = int | Sequence[int] | Tensor | None
"""One seed for the batch, or one per item (a sequence, or ``[B] int64``)."""

_STREAM_STEP = 0x9E3779B97F4A7C15  # 2^64 / golden ratio (Steele, Lea, Flood 2014, SplitMix64)


class Draws:
    """Random numbers for a batch of B items.

    * ``seed`` an int: one CPU generator for the batch, so a seed means the same numbers on every device.
    * ``seed`` a sequence of B ints: item b has its own generator, and gets the numbers it would get alone.
    * ``generator``: used as it is; numbers are drawn on its device.
    * neither: torch's global generator of ``device``.

    Seeds of different ``stream`` give unrelated numbers (erasures have their own, so that one seed can serve
    a channel and the erasures after it).

    Raises:
        AetherError: both are given, a seed is not an integer in 0..2^63-1, or the count of seeds is not B.
    """

    def __init__(
        self,
        batch: int,
        device: torch.device,
        seed: Seed = None,
        generator: torch.Generator | None = None,
        *,
        stream: int = 0,
    ) -> None:
        if seed is not None and generator is not None:
            raise AetherError("give a seed or a generator, not both")
        self._batch = batch
        self._device = device
        self._shared = generator
        self._items: list[torch.Generator] | None = None
        if generator is not None and not isinstance(generator, torch.Generator):
            raise AetherError(f"generator must be a torch.Generator, not {generator!r}")
        if isinstance(seed, Tensor):
            seed = seed.tolist()
        if isinstance(seed, Sequence) and not isinstance(seed, str):
            if len(seed) != batch:
                raise AetherError(f"seed must be one integer or one per item: {len(seed)} seeds, {batch} items")
            self._items = [_seeded(item, stream) for item in seed]
        elif seed is not None:
            self._shared = _seeded(seed, stream)

    def complex_normal(
        self, *shape: int, dtype: torch.dtype = torch.complex64, widths: Sequence[int] | None = None
    ) -> Tensor:
        """``[B, *shape] complex``, independent CN(0, 1): variance 1/2 in each real dimension.

        With ``widths`` (one per item) only the first ``widths[b]`` entries of the last axis are needed of
        item b; further ones may be zero. It makes an item's numbers independent of the batch it stands in.
        """
        if self._items is None:
            return torch.randn(self._batch, *shape, dtype=dtype, **self._origin).to(self._device)
        drawn = torch.zeros(self._batch, *shape, dtype=dtype)  # where the generators are; one copy to a GPU is enough
        for item, generator in enumerate(self._items):
            width = shape[-1] if widths is None else widths[item]
            drawn[item, ..., :width] = torch.randn(*shape[:-1], width, generator=generator, dtype=dtype)
        return drawn.to(self._device)

    def uniform(self, *shape: int) -> Tensor:
        """``[B, *shape] float64``, independent and uniform in [0, 1)."""
        if self._items is None:
            return torch.rand(self._batch, *shape, dtype=torch.float64, **self._origin).to(self._device)
        drawn = torch.zeros(self._batch, *shape, dtype=torch.float64)
        for item, generator in enumerate(self._items):
            drawn[item] = torch.rand(shape, generator=generator, dtype=torch.float64)
        return drawn.to(self._device)

    @property
    def _origin(self) -> dict[str, Any]:
        """The batch's own generator and its device, for torch's factories."""
        device = self._device if self._shared is None else self._shared.device
        return {"generator": self._shared, "device": device}


def _seeded(seed: SupportsIndex | None, stream: int) -> torch.Generator:
    if isinstance(seed, bool) or not isinstance(seed, SupportsIndex) or not 0 <= index(seed) < 2**63:
        raise AetherError(f"seed must be an integer in 0..2^63-1, not {seed!r}")
    return torch.Generator().manual_seed((index(seed) + stream * _STREAM_STEP) % 2**63)
