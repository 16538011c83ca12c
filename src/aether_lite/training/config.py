"""Options of a training run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class TrainConfig:
    """Everything that, with the data and the code, fixes the result of a run.

    Attributes:
        preset: size of the codec.
        steps: length of the run; the learning rate falls to ``final_rate`` of its peak at the end.
        batch: items a step.
        frames: frames of 10 ms an item.
        learning_rate: AdamW's peak.
        warmup: steps in which the rate rises.
        final_rate: learning rate at the end, as a share of its peak.
        weight_decay: decoupled weight decay.
        gradient_norm: gradients are scaled down to this norm.
        average: decay of the running average of the weights that is validated and released.
        seed: of weights, crops, conditions and noise.
    """

    preset: str = "small"
    steps: int = 8000
    batch: int = 24
    frames: int = 256
    learning_rate: float = 2e-3
    warmup: int = 100
    final_rate: float = 0.02
    weight_decay: float = 0.01
    gradient_norm: float = 1.0
    average: float = 0.998
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and cards."""
        return asdict(self)
