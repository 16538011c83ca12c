"""A vocoder for tests of streams that listen to features only."""

from __future__ import annotations

import torch
from torch import Tensor


class SilentVocoder:
    """Costs nothing: every sample is one, so that muting can be seen; the state counts the calls."""

    delay = 240

    def prime(self, first_row: Tensor) -> int:
        return 0

    def render(self, rows: Tensor, state: int) -> tuple[Tensor, int]:
        return torch.ones(1, 160 * rows.shape[1]), state + 1
