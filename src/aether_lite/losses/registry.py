"""Registry of the loss terms of the codec's training: SPI, audio and GAN terms with their weights.

Example:
    >>> @feature_term("level", 0.1)  # doctest: +SKIP
    ... def level_loss(decoded: Tensor, original: Tensor) -> Tensor:
    ...     return (decoded[..., 0] - original[..., 0]).abs().mean(-1)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor

from aether_lite.losses.reduction import Reduce, alone

if TYPE_CHECKING:
    from aether_lite.codec import Transmission
    from aether_lite.losses.asr import AsrLoss
    from aether_lite.vocoder.discriminators import DiscriminatorOutput

Inputs = TypeVar("Inputs")


@dataclass(frozen=True)
class SpiInputs:
    """One pass through codec and channel."""

    sent: Transmission  # decoded features and images of both sides
    original: Tensor  # features ``[B, F, 20]``
    weight: Tensor  # of each item ``[B]``
    reduce: Reduce = alone  # sum over ranks, see :mod:`aether_lite.losses.reduction`
    asr: AsrLoss | None = None  # the ASR loss; None without that term
    asr_items: Sequence[int] = ()  # the items that it is counted on

    def mean(self, values: Tensor) -> Tensor:
        """Weighted mean of a loss of each item ``[B]``."""
        return (self.weight * values).mean()


@dataclass(frozen=True)
class WaveInputs:
    """Vocoded and original pre-emphasised audio ``[A, N]``, aligned, and original features ``[A, N / 160, 20]``."""

    made: Tensor
    real: Tensor
    original: Tensor
    reduce: Reduce = alone


@dataclass(frozen=True)
class GanInputs:
    """Outputs of each discriminator for vocoded audio and, without gradient, for speech."""

    made: Sequence[DiscriminatorOutput]
    real: Sequence[DiscriminatorOutput]
    reduce: Reduce = alone


@dataclass(frozen=True)
class Term(Generic[Inputs]):
    """A loss term."""

    function: Callable[[Inputs], Tensor]  # of the inputs of the term's group: a scalar
    weight: float | str  # within the group; a number, or the option of training that holds it
    optional: bool = False  # counted only where its weight is above 0; others are always logged


class TermGroup(Generic[Inputs]):
    """Terms of the same inputs, by name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.terms: dict[str, Term[Inputs]] = {}

    def term(
        self, name: str, weight: float | str, *, optional: bool = False
    ) -> Callable[[Callable[[Inputs], Tensor]], Callable[[Inputs], Tensor]]:
        """Decorator that registers a term; arguments as :class:`Term`.

        Raises:
            ValueError: the name is taken.
        """

        def register(function: Callable[[Inputs], Tensor]) -> Callable[[Inputs], Tensor]:
            if name in self.terms:
                raise ValueError(f"there is a term {name} among the {self.name} terms already")
            self.terms[name] = Term(function, weight, optional)
            return function

        return register

    def weights(self, options: object) -> dict[str, float]:
        """Weight of every term, in the order of names, from the options of a run."""
        found = {name: self.terms[name].weight for name in sorted(self.terms)}
        return {name: float(getattr(options, w)) if isinstance(w, str) else w for name, w in found.items()}

    def values(self, inputs: Inputs, weights: Mapping[str, float]) -> dict[str, Tensor]:
        """Terms, a scalar each, not yet multiplied by their ``weights``."""
        counted = {name: self.terms[name] for name in weights}
        return {n: term.function(inputs) for n, term in counted.items() if weights[n] > 0 or not term.optional}

    def total(self, values: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
        """Weighted sum of terms.

        Raises:
            ValueError: a term without a weight.
        """
        missing = values.keys() - weights.keys()
        if missing:
            raise ValueError(f"loss terms without a weight among the {self.name} terms: {', '.join(sorted(missing))}")
        return sum((weights[name] * value for name, value in values.items()), start=torch.zeros(()))


SPI: TermGroup[SpiInputs] = TermGroup("spi")
WAVE: TermGroup[WaveInputs] = TermGroup("wave")
GAN: TermGroup[GanInputs] = TermGroup("adv")
GROUPS: dict[str, TermGroup[Any]] = {group.name: group for group in (SPI, WAVE, GAN)}

Loss = TypeVar("Loss", bound=Callable[..., Tensor])


def feature_term(name: str, weight: float | str, *, optional: bool = False) -> Callable[[Loss], Loss]:
    """Decorator that registers a loss of decoded and original features ``[B, F, 20]``, of each item ``[B]``."""

    def register(loss: Loss) -> Loss:
        SPI.term(name, weight, optional=optional)(lambda given: given.mean(loss(given.sent.features, given.original)))
        return loss

    return register


def joined_term(name: str, weight: float | str) -> Callable[[Loss], Loss]:
    """Decorator as :func:`feature_term` for a loss of the joined batch with keywords ``weight`` and ``reduce``."""

    def register(loss: Loss) -> Loss:
        SPI.term(name, weight)(lambda g: loss(g.sent.features, g.original, weight=g.weight, reduce=g.reduce))
        return loss

    return register
