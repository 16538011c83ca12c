"""Registry of metrics: what each is taken of, its unit and range, and how clips are averaged.

:func:`metric` registers a function where it is defined; importing :mod:`aether_lite.metrics` imports every module of
the package, so a new metric is one new file. Names are the columns of results tables. A metric whose packages are
missing is NaN there; :func:`missing_line` says what to install.
"""

from __future__ import annotations

import functools
import math
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ParamSpec

from aether_lite.errors import AetherError
from aether_lite.features.samples import own_precision
from aether_lite.metrics.clips import NAN
from aether_lite.optional import how_to_install, in_words, missing_packages, require_packages

if TYPE_CHECKING:
    from torch import Tensor

EXTRA = "eval"  # of this package, that installs what metrics need
P = ParamSpec("P")


class Needs(StrEnum):
    """Input of a metric: decoded and original features or audio."""

    FEATURES = "features"  # [..., F, 20] with a mask [..., F]
    AUDIO = "audio"  # [..., N] at 16 kHz on the scale +-1, aligned


class Pooling(StrEnum):
    """Average over clips; those on which a metric is not defined (NaN) do not count."""

    FRAMES = "mean over frames"  # every clip weighs as many frames as it holds
    MEAN = "mean over clips"
    MEDIAN = "median over clips"


REFERENCES = {Needs.FEATURES: "the features that were sent", Needs.AUDIO: "the original audio"}
"""What metrics are compared with unless they say otherwise."""


@dataclass(frozen=True)
class Metric:
    """A metric with its unit, range and source. Calling it measures clips.

    Attributes:
        name: column of a results table.
        title: heading of a table or axis, without the unit.
        unit: such as ``dB``; empty for a plain number.
        function: batch first; its documentation has the definition.
        needs: its input.
        low, high: range of its values; infinite where there is no bound.
        higher_is_better: None where it is neither, such as a ratio that should be near 1.
        reference: what it is compared with, in words; None for that of :data:`REFERENCES`, empty without one.
        source: paper, recommendation or package that defines it.
        pooling: how clips are averaged.
        packages: optional modules it imports.
        languages: codes of the languages it is defined for; empty for any.
    """

    name: str
    title: str
    unit: str
    function: Callable[..., Tensor]
    needs: Needs
    low: float = 0.0
    high: float = math.inf
    higher_is_better: bool | None = False
    reference: str | None = None
    source: str = ""
    pooling: Pooling = Pooling.MEAN
    packages: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    def __call__(self, decoded: Tensor, original: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Measure clips: ``[...]``, one value a clip; NaN where it is not defined.

        Args:
            decoded: see :class:`Needs`.
            original: of the same shape; unused by metrics without a reference.
            mask: frames of features ``[..., F] bool`` that belong to a clip; None for all.

        Raises:
            AetherError: a package is not installed.
            ValueError: shapes that do not fit, or no original where there is a reference.
        """
        reference = REFERENCES[self.needs] if self.reference is None else self.reference
        if reference and original is None:
            raise ValueError(f"{self.name} compares with {reference}: give the original too")
        if self.needs is Needs.FEATURES:
            return self.function(decoded, original, mask)
        return self.function(decoded, original) if reference else self.function(decoded)

    def over_clips(self, values: Sequence[float], weights: Sequence[float] | None = None) -> float:
        """Average over clips, weighed by frames for :attr:`Pooling.FRAMES`; NaN where none is defined."""
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
        """Title, unit and which way is better, for a table."""
        arrow = {True: " ↑", False: " ↓", None: ""}[self.higher_is_better]
        return f"{self.title}{f' [{self.unit}]' if self.unit else ''}{arrow}"


FEATURE_METRICS: dict[str, Metric] = {}
"""Metrics of decoded features, called as ``metric(decoded [..., F, 20], original, mask [..., F] or None)``."""
AUDIO_METRICS: dict[str, Metric] = {}
"""Metrics of decoded audio, called as ``metric(decoded [..., N], original)`` at 16 kHz, the scale +-1, aligned."""
METRICS: dict[str, Metric] = {}
"""Column name of a results table -> metric."""


def metric(
    name: str, title: str, unit: str = "", *, needs: Needs, **facts: Any
) -> Callable[[Callable[P, Tensor]], Callable[P, Tensor]]:
    """Decorator that registers a function as a metric; arguments are the attributes of :class:`Metric`.

    The function raises AetherError where its ``packages`` are missing. ValueError: the name is taken.
    """

    def register(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
        packages = facts.get("packages", ())

        @functools.wraps(function)
        def checked(*args: P.args, **options: P.kwargs) -> Tensor:
            require_packages(title, packages, EXTRA)
            return function(*args, **options)

        measured = own_precision(checked if packages else function)
        if name in METRICS:
            raise ValueError(f"there is a metric {name} already")
        kind = FEATURE_METRICS if needs is Needs.FEATURES else AUDIO_METRICS
        METRICS[name] = kind[name] = Metric(name, title, unit, measured, needs, **facts)
        return measured

    return register


def available(name: str) -> bool:
    """Whether the packages that a metric imports are installed; AetherError where there is no such metric."""
    if name not in METRICS:
        raise AetherError(f"{name} is not a metric; there are {', '.join(METRICS)}")
    return not missing_packages(METRICS[name].packages)


def missing_line(names: Iterable[str]) -> str | None:
    """One line that says what to install for the metrics that cannot be measured; None where all can."""
    lacking = [METRICS[name] for name in names if not available(name)]
    if not lacking:
        return None
    packages = sorted({name for metric in lacking for name in missing_packages(metric.packages)})
    titles = ", ".join(dict.fromkeys(metric.title for metric in lacking))
    return f"not measured: {titles}; they need {in_words(packages)}: {how_to_install(EXTRA)}"


def evaluate_audio(
    decoded: Tensor, original: Tensor, names: Iterable[str] | None = None, language: str = ""
) -> dict[str, float]:
    """Audio metrics of one clip; networks are loaded at the first call of a process and run on one thread.

    Args:
        decoded, original: ``[N]`` samples at 16 kHz on the scale +-1, aligned.
        names: columns of :data:`AUDIO_METRICS`; None for all.
        language: code such as ``en`` or ``en-GB``; metrics of other languages than this are not measured.

    Returns:
        A number for every name; NaN where it is not defined, its packages are missing or the language is another.

    Raises:
        AetherError: a name that is no audio metric.
        ValueError: not two signals ``[N]`` of finite numbers.
    """
    if decoded.ndim != 1 or decoded.shape != original.shape:
        raise ValueError(f"audio must both be [N], not {tuple(decoded.shape)} and {tuple(original.shape)}")
    chosen = list(AUDIO_METRICS if names is None else names)
    for name in chosen:
        if name not in AUDIO_METRICS:
            raise AetherError(f"{name} is not an audio metric; there are {', '.join(AUDIO_METRICS)}")
    metrics = [AUDIO_METRICS[name] for name in chosen]
    return {
        metric.name: float(metric(decoded, original)) if metric.speaks(language) and available(metric.name) else NAN
        for metric in metrics
    }
