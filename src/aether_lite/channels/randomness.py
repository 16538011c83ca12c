"""Where a channel's random numbers come from: a seed, one per item, a generator, or torch's own state.

Seeded numbers, those of every evaluation, are numpy's (PCG64 of ``SeedSequence([seed, stream])``, always float64): a
seed means the same noise with any version of torch, in single and double precision, and on every device. Training
passes no seed and draws with torch on its own device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import SupportsIndex

import numpy as np
import torch
from torch import Tensor

from aether_lite.errors import AetherError
from aether_lite.features.layout import Float64

Seed = int | Sequence[int] | Tensor | None
"""One seed for the batch, or one per item (a sequence, or ``[B] int64``)."""
Generator = torch.Generator | np.random.Generator
"""A generator of the caller's own, which goes on from call to call."""


class Draws:
    """Random numbers for a batch of B items.

    * ``seed`` an int: one generator for the batch.
    * ``seed`` a sequence of B ints: item b has its own generator, and gets the numbers it would get alone.
    * ``generator``: used as it is; torch draws on the generator's device.
    * neither: torch's global generator of ``device``.

    Seeds of different ``stream`` give unrelated numbers, so that one seed can serve a channel and the losses
    after it: 0 noise and fading, 1 lost tokens, 2 lost bits, 3 known bits, 4 a search at the sender, 5 payloads.

    Raises:
        AetherError: both are given, a seed is not an integer in 0..2^63-1, or the count of seeds is not B.
    """

    def __init__(
        self,
        batch: int,
        device: torch.device,
        seed: Seed = None,
        generator: Generator | None = None,
        *,
        stream: int = 0,
    ) -> None:
        if seed is not None and generator is not None:
            raise AetherError("give a seed or a generator, not both")
        if generator is not None and not isinstance(generator, Generator):
            raise AetherError(f"generator must be one of torch or numpy, not {generator!r}")
        self._batch = batch
        self._device = device
        self._torch = generator if isinstance(generator, torch.Generator) else None
        self._shared = generator if isinstance(generator, np.random.Generator) else None
        self._items: list[np.random.Generator] | None = None
        if isinstance(seed, Tensor):
            seed = seed.tolist()
        if isinstance(seed, Sequence) and not isinstance(seed, str):
            if len(seed) != batch:
                raise AetherError(f"seed must be one integer or one per item: {len(seed)} seeds, {batch} items")
            self._items = [seeded(item, stream) for item in seed]
        elif seed is not None:
            self._shared = seeded(seed, stream)

    def complex_normal(
        self, *shape: int, dtype: torch.dtype = torch.complex64, widths: Sequence[int] | None = None
    ) -> Tensor:
        """``[B, *shape] complex``, independent CN(0, 1): variance 1/2 in each real dimension.

        With ``widths`` (one per item) only the first ``widths[b]`` entries of the last axis are needed of
        item b; further ones may be zero. It makes an item's numbers independent of the batch it stands in.
        """
        if self._shared is None and self._items is None:
            device = self._device if self._torch is None else self._torch.device
            drawn = torch.randn(self._batch, *shape, dtype=dtype, generator=self._torch, device=device)
            return drawn.to(self._device)
        parts = self._drawn((*shape, 2), lambda generator, size: generator.standard_normal(size), widths)
        normal = 0.5**0.5 * (parts[..., 0] + 1j * parts[..., 1])
        return torch.from_numpy(normal).to(self._device, dtype)

    def uniform(self, *shape: int) -> Tensor:
        """``[B, *shape] float64``, independent and uniform in [0, 1)."""
        if self._shared is None and self._items is None:
            device = self._device if self._torch is None else self._torch.device
            drawn = torch.rand(self._batch, *shape, dtype=torch.float64, generator=self._torch, device=device)
            return drawn.to(self._device)
        return torch.from_numpy(self._drawn(shape, lambda generator, size: generator.random(size))).to(self._device)

    def _drawn(
        self,
        shape: tuple[int, ...],
        draw: Callable[[np.random.Generator, tuple[int, ...]], Float64],
        widths: Sequence[int] | None = None,
    ) -> Float64:
        """``[B, *shape]`` of numpy's generators; ``widths`` are of the last axis but one."""
        if self._shared is not None:
            return draw(self._shared, (self._batch, *shape))
        assert self._items is not None
        drawn = np.zeros((self._batch, *shape))
        for item, generator in enumerate(self._items):
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
