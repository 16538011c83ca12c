"""What a metric is, beside the number: what it needs, its unit and range, and how clips are put together."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from aether_lite.metrics.clips import flat

NAN = float("nan")
INFINITY = float("inf")


class Needs(StrEnum):
    """What a metric is taken of."""

    FEATURES = "features"
    """``[..., F, 20]`` with a mask ``[..., F]``."""
    AUDIO = "audio"
    """``[..., N]`` at 16 kHz on the scale +-1, decoded and original aligned; with a mask ``[..., N]``."""
    SYMBOLS = "symbols"
    """``[..., n] complex``, those that were sent; nothing else."""
    COUNTS = "counts"
    """How many ``[...]``, and of how much speech ``[...]`` [s]."""


class Pooling(StrEnum):
    """How the values of clips become one number; clips on which a metric is not defined (NaN) do not count."""

    FRAMES = "mean over frames"
    """Every clip weighs as many frames (or samples) as it holds."""
    MEAN = "mean over clips"
    MEDIAN = "median over clips"


@dataclass(frozen=True)
class Metric:
    """A metric and what has to be known to read it. Calling it measures clips.

    Attributes:
        name: column of a results table.
        title: heading of a table or axis, without the unit.
        unit: such as ``dB``; empty for a plain number.
        function: what measures, batch first; its documentation has the definition.
        needs: what it is taken of.
        low, high: range of its values; infinite where there is no bound.
        higher_is_better: None where it is neither, such as a ratio that should be near 1.
        reference: what it is compared with, in words; empty where the decoded side is measured alone.
        source: paper, recommendation or package that defines it.
        pooling: how clips are put together.
        packages: modules it needs beyond the package's own dependencies.
        extra: of this package, that installs them.
        languages: codes of the languages it is defined for; empty for any.
    """

    name: str
    title: str
    unit: str
    function: Callable[..., Tensor]
    needs: Needs
    low: float = 0.0
    high: float = INFINITY
    higher_is_better: bool | None = False
    reference: str = ""
    source: str = ""
    pooling: Pooling = Pooling.MEAN
    packages: tuple[str, ...] = ()
    extra: str = "eval"
    languages: tuple[str, ...] = ()

    def __call__(self, decoded: Tensor, original: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Measure clips.

        Args:
            decoded: see :class:`Needs`; the symbols or the count for those.
            original: of the same shape; the duration [s] for counts; not looked at where there is no reference.
            mask: frames ``[..., F] bool`` or samples ``[..., N] bool`` that belong to a clip; None for all.

        Returns:
            ``[...]``, one value a clip; NaN where it is not defined.

        Raises:
            AetherError: a package is not installed.
            ValueError: shapes that do not fit, no original where there is a reference.
        """
        if self.reference and original is None:
            raise ValueError(f"{self.name} compares with {self.reference}: give the original too")
        if self.needs is Needs.FEATURES:
            return self.function(decoded, original, mask)
        signals = (decoded, original) if self.reference and original is not None else (decoded,)
        return self.function(*signals) if mask is None else _cut(self.function, signals, mask)

    def over_clips(self, values: Sequence[float], weights: Sequence[float] | None = None) -> float:
        """One number of the values of clips; NaN where none is defined.

        Args:
            values: of each clip.
            weights: frames (or samples) of each clip, for :attr:`Pooling.FRAMES`; None weighs clips alike.
        """
        weights = [1.0] * len(values) if weights is None else weights
        kept = [(value, weight) for value, weight in zip(values, weights, strict=True) if not math.isnan(value)]
        if not kept:
            return NAN
        if self.pooling is Pooling.MEDIAN:
            return statistics.median(value for value, _ in kept)
        if self.pooling is Pooling.MEAN:
            return math.fsum(value for value, _ in kept) / len(kept)
        total = math.fsum(weight for _, weight in kept)
        return math.fsum(value * weight for value, weight in kept) / total if total else NAN

    def speaks(self, language: str) -> bool:
        """Whether the metric is defined for a language such as ``en`` or ``en(zh-accent)``; ``""`` is unknown."""
        code = re.match("[a-z]*", language.lower())
        return not self.languages or (code is not None and code[0] in self.languages)

    def heading(self) -> str:
        """Title, unit and which way is better, as a table's heading has them."""
        arrow = {True: " ↑", False: " ↓", None: ""}[self.higher_is_better]
        return f"{self.title}{f' [{self.unit}]' if self.unit else ''}{arrow}"


class MetricAverage:
    """A metric over clips that come one batch after another.

    Any split into batches gives what one batch would.

    Attributes:
        metric: which.
        values: of every clip so far, NaN where it is not defined.
        weights: frames or samples of every clip so far.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.values: list[float] = []
        self.weights: list[float] = []

    def update(self, decoded: Tensor, original: Tensor | None = None, mask: Tensor | None = None) -> None:
        """Measure more clips. Arguments as :meth:`Metric.__call__`."""
        values = self.metric(decoded, original, mask).detach().cpu().double().reshape(-1)
        self.values += values.tolist()
        if mask is not None:
            self.weights += mask.to(torch.bool).sum(-1).reshape(-1).tolist()
        else:
            self.weights += [_length(self.metric.needs, decoded)] * len(values)

    def compute(self) -> float:
        """One number of all clips since the last reset; NaN where there are none."""
        return self.metric.over_clips(self.values, self.weights)

    def reset(self) -> None:
        """Forget all clips."""
        self.values, self.weights = [], []


def _length(needs: Needs, decoded: Tensor) -> float:
    """Frames, samples or symbols of each clip of a batch without a mask."""
    if needs is Needs.COUNTS:
        return 1.0
    return float(decoded.shape[-2 if needs is Needs.FEATURES else -1])


def _cut(function: Callable[..., Tensor], signals: tuple[Tensor, ...], mask: Tensor) -> Tensor:
    """The function on the samples of every clip that are in its mask."""
    shape = signals[0].shape
    if any(signal.shape != shape for signal in (*signals, mask)):
        raise ValueError(f"signals and mask must agree, not {[tuple(s.shape) for s in (*signals, mask)]}")
    rows, kept = [flat(signal) for signal in signals], flat(mask).to(torch.bool)
    values = [function(*(signal[row][kept[row]] for signal in rows)) for row in range(len(kept))]
    return torch.stack(values).reshape(shape[:-1]) if values else signals[0].new_zeros(shape[:-1]).real
