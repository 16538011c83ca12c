"""Training of the prior on the bits of many clips, offline and in floating point; the result is rounded to integers.

First the tables are counted, then the mixing weights and the network are fitted together by gradient descent on the
coded size in bits. A share of the clips is held out; the step with the smallest size on it is kept, and step 0 (no
network) is among them, so that training on too little never makes the prior worse there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from aether_lite.container.entropy import CELL_TO_STRETCH, LOGIT_LIMIT, LOGIT_UNIT, stretch_table
from aether_lite.container.layout import BitArray, checked_bits
from aether_lite.container.prior import CELL_ONE, WEIGHT_ONE, Prior, cells_per_table, context_cells
from aether_lite.errors import AetherError

TRAINED_COUNT = 60  # observations a trained cell stands for at most: how soon it follows a new speaker
_PARAMETER_UNIT = 1 << 12  # of the network's weights
_INT16_MAX = 2**15 - 1
_LIMIT = _INT16_MAX / _PARAMETER_UNIT  # a network weight is within -8..8
_CLIP = 4.0  # of a hidden unit
_HELD_OUT = 0.1


@dataclass(frozen=True)
class FitSettings:
    """How the network is trained.

    Args:
        hidden: hidden units; 0: tables and mixing weights only.
        steps, batch: gradient steps, and tokens in each.
        learning_rate: of Adam, falling to zero along a cosine.
        check_every: steps between measurements on the held-out clips.
        seed: of the start values, the batches and the choice of held-out clips.
    """

    hidden: int = 64
    steps: int = 3000
    batch: int = 256
    learning_rate: float = 3e-3
    check_every: int = 100
    seed: int = 0


def fit_prior(clips: Sequence[ArrayLike], settings: FitSettings | None = None) -> Prior:
    """Prior for bits like those of ``clips``; the same for the same clips, settings and machine.

    Args:
        clips: at least two clips ``[K, n]`` of 0 and 1 (any lengths, the same n), each one stream from its start.
        settings: network and training; None: the default ones.

    Raises:
        AetherError: fewer than two clips, or clips of unlike width or with other values.
    """
    settings = settings or FitSettings()
    arrays = [array for array in map(np.asarray, clips) if array.size]
    if len(arrays) < 2:
        raise AetherError(f"{len(arrays)} clips with tokens: a prior needs at least two, one of them to hold out")
    width = arrays[0].shape[-1] if arrays[0].ndim else 0
    streams = [checked_bits(array, width) for array in arrays]
    generator = np.random.default_rng(settings.seed)
    order = generator.permutation(len(streams))
    held = max(1, round(_HELD_OUT * len(streams)))
    train = [streams[k] for k in order[held:]]
    cells, counts = _count(train, width)
    mixer = _Mixer(width, settings, cells)
    _train(mixer, _Examples.of(train), _Examples.of([streams[k] for k in order[:held]]), settings, generator)
    return mixer.quantised(cells, counts)


def _count(clips: Sequence[BitArray], width: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Chance (half an observation of either kind added) and number of observations of every cell."""
    size = sum(cells_per_table(width))
    seen, ones = np.zeros(size), np.zeros(size)
    for clip in clips:
        index = context_cells(clip)
        seen += np.bincount(index.ravel(), minlength=size)
        ones += np.bincount(index.ravel(), weights=np.repeat(clip.ravel(), index.shape[-1]), minlength=size)
    chances = np.rint((ones + 0.5) / (seen + 1) * CELL_ONE).clip(1, CELL_ONE - 1)
    return chances.astype(np.int32), seen.clip(0, TRAINED_COUNT).astype(np.uint8)


@dataclass(frozen=True)
class _Examples:
    """Tokens, and what predicts them: bits ``[N, n]``, signs of the past ``[N, 2 n]``, cells ``[N, n, 4]``."""

    bits: Tensor
    past: Tensor
    cells: Tensor

    @staticmethod
    def of(clips: Sequence[BitArray]) -> _Examples:
        pasts = []
        for clip in clips:
            signs = np.pad(2.0 * clip - 1, ((2, 0), (0, 0)))
            pasts.append(np.concatenate([signs[1:-1], signs[:-2]], axis=1))
        parts = (clips, pasts, [context_cells(clip) for clip in clips])
        bits, past, cells = (torch.from_numpy(np.concatenate(part)) for part in parts)
        return _Examples(bits.float(), past.float(), cells)

    def __len__(self) -> int:
        return len(self.bits)

    def take(self, rows: Tensor | slice) -> _Examples:
        return _Examples(self.bits[rows], self.past[rows], self.cells[rows])


class _Mixer(nn.Module):
    """The prior's formula in floating point, the tables standing still."""

    def __init__(self, width: int, settings: FitSettings, cells: NDArray[np.int32]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(settings.seed)
        hidden, tables = settings.hidden, len(cells_per_table(width))

        def start(rows: int, columns: int, spread: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, columns, generator=generator) * spread)

        self.weights = nn.Parameter(torch.full((width, tables), 1 / tables))
        self.past = start(hidden, 2 * width, 1 / math.sqrt(3 * width))
        self.within = start(width, hidden, 1 / math.sqrt(3 * width))
        self.hidden_bias = nn.Parameter(torch.full((hidden,), 0.5))
        self.out = nn.Parameter(torch.zeros(width, hidden))
        self.out_bias = nn.Parameter(torch.zeros(width))
        stretch = np.array(stretch_table(), dtype=np.float32)[cells >> CELL_TO_STRETCH] / LOGIT_UNIT
        self.register_buffer("stretch", torch.from_numpy(stretch))

    def forward(self, examples: _Examples) -> Tensor:
        """Mean size of a bit of the examples, in bits."""
        assert isinstance(self.stretch, Tensor)
        logit = (self.stretch[examples.cells] * self.weights).sum(-1) + self.out_bias
        if self.out.shape[1]:
            steps = (2 * examples.bits - 1)[..., None] * self.within  # [N, n, H]
            before = steps.cumsum(1) - steps
            start = examples.past @ self.past.T + self.hidden_bias
            logit = logit + ((before + start[:, None]).clamp(0, _CLIP) * self.out).sum(-1)
        limit = LOGIT_LIMIT / LOGIT_UNIT
        return F.binary_cross_entropy_with_logits(logit.clamp(-limit, limit), examples.bits) / math.log(2)

    @torch.no_grad()
    def bound(self) -> None:
        """Keep the network's weights within what int16 holds."""
        for parameter in (self.past, self.within, self.out, self.out_bias):
            parameter.clamp_(-_LIMIT, _LIMIT)

    def quantised(self, cells: NDArray[np.int32], counts: NDArray[np.uint8]) -> Prior:
        """The integers nearest to the parameters."""

        def whole(name: str, dtype: type, unit: int = _PARAMETER_UNIT) -> Any:
            return np.rint(getattr(self, name).detach().double().numpy() * unit).astype(dtype)

        tables = whole("weights", np.int32, WEIGHT_ONE)
        return Prior(
            cells=cells,
            counts=counts,
            weights=np.pad(tables, ((0, 0), (0, 1)), constant_values=WEIGHT_ONE),
            hidden_bias=whole("hidden_bias", np.int32),
            out_bias=whole("out_bias", np.int16, LOGIT_UNIT),
            **{name: whole(name, np.int16) for name in ("past", "within", "out")},
        )


@torch.no_grad()
def _mean_size(mixer: _Mixer, examples: _Examples, batch: int) -> float:
    parts = [examples.take(slice(first, first + batch)) for first in range(0, len(examples), batch)]
    return sum(float(mixer(part)) * len(part) for part in parts) / max(len(examples), 1)


def _train(
    mixer: _Mixer, train: _Examples, held: _Examples, settings: FitSettings, generator: np.random.Generator
) -> None:
    """Leave ``mixer`` with the parameters of the step that codes ``held`` smallest."""
    optimiser = torch.optim.Adam(mixer.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    best, kept = _mean_size(mixer, held, settings.batch), {k: v.clone() for k, v in mixer.state_dict().items()}
    for step in range(1, settings.steps + 1):
        rows = torch.from_numpy(generator.integers(0, len(train), settings.batch))
        optimiser.zero_grad()
        mixer(train.take(rows)).backward()
        optimiser.step()
        schedule.step()
        mixer.bound()
        if step % settings.check_every == 0 or step == settings.steps:
            size = _mean_size(mixer, held, settings.batch)
            if size < best:
                best, kept = size, {k: v.clone() for k, v in mixer.state_dict().items()}
    mixer.load_state_dict(kept)
