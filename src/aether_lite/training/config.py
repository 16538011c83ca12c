"""Options that every training run has."""

# ruff: noqa: RUF009  (`option` makes dataclass fields)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from aether_lite.training.options import check_rules, option


@dataclass
class DataConfig:
    """Everything that, with the data and the code, fixes the result of a run.

    The help text of every field says what it means; units are in brackets.
    """

    DESCRIPTION: ClassVar[str] = ""
    START: ClassVar[str] = ""
    REMOVED: ClassVar[Mapping[str, str]] = {}

    data_root: list[str] = option([], "folders of NAME.f32/NAME.pcm pairs to train on", path=True, free=True)
    data_weight: list[float] = option([], "share of each data root in the samples; default: by hours")
    valid_root: list[str] = option(
        [], "folders of pairs to validate on; default: a tenth of the training clips", path=True, free=True
    )
    augment_share: float = option(0.0, "share of items with gain, polarity, filter and noise augmentation")
    seed: int = option(0, "of weights, crops, conditions and noise")
    out: str = option("runs/run", "folder of the run: checkpoints, log, pictures", path=True, free=True)

    @property
    def exported(self) -> Path:
        """The file that the weights are written to in the end."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and YAML."""
        return asdict(self)

    @classmethod
    def free_to_change(cls) -> frozenset[str]:
        """Options that may differ between a checkpoint and the run that continues it."""
        return frozenset(f.name for f in fields(cls) if f.metadata.get("free") or f.metadata.get("length"))

    def recorded(self) -> dict[str, Any]:
        """Options that fix the result, for the provenance of weights: files and folders by their names alone."""
        kept: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.metadata.get("path"):
                value = Path(value).name if isinstance(value, str) else [Path(path).name for path in value]
            if item.name == "data_root" or not item.metadata.get("free"):
                kept[item.name] = value
        return kept

    def check(self) -> None:
        """Raise AetherError for an option out of range."""
        check_rules(
            [
                (len(self.data_weight) in (0, len(self.data_root)), "data_weight: one for each data_root"),
                (0 <= self.augment_share <= 1, "augment_share: shares are 0 to 1"),
            ]
        )


@dataclass
class RunConfig(DataConfig):
    """Options of a run of gradient steps that saves checkpoints."""

    batch: int = option(24, "items a step, over all processes together")
    frames: int = option(256, "frames of 10 ms an item")
    workers: int = option(0, "processes that prepare batches ahead; 0 prepares them in line", free=True)
    learning_rate: float = option(2e-3, "peak learning rate")
    warmup: int = option(100, "steps in which the learning rate rises")
    final_rate: float = option(0.02, "learning rate at the end, relative to its peak")
    weight_decay: float = option(0.01, "decoupled weight decay")
    gradient_norm: float = option(1.0, "gradients are scaled down to this norm")
    average: float = option(0.998, "decay of the running average of the weights that is validated and exported")
    resume: str = option("auto", "auto (continue OUT if it holds a checkpoint), none, or a checkpoint file", free=True)
    save_every: int = option(200, "steps between checkpoints", free=True)
    keep: int = option(3, "checkpoints kept besides the best", free=True)
    validate_every: int = option(500, "steps between validations", free=True)
    save_visualization: bool = option(False, "write PNG pages at every validation", free=True)
    tensorboard: bool = option(True, "write TensorBoard scalars, audio and pictures", free=True)
    distributed: bool = option(False, "one of several processes started by torchrun", free=True)
    device: str = option("auto", "cpu, cuda or auto", free=True)
    threads: int = option(1, "threads of each process on the CPU", free=True)

    @property
    def steps(self) -> int:
        """Length of the run."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise AetherError for an option out of range."""
        check_rules(
            [
                (min(self.batch, self.steps) >= 1, "batch, steps: at least 1"),
                (self.learning_rate > 0, "learning_rate: above 0"),
                (0 <= self.final_rate <= 1, "final_rate: 0 to 1"),
                (min(self.weight_decay, self.warmup, self.workers) >= 0, "weight_decay, warmup, workers: from 0"),
                (self.gradient_norm > 0, "gradient_norm: above 0"),
                (0 <= self.average < 1, "average: 0 to below 1"),
                (min(self.save_every, self.validate_every, self.keep, self.threads) >= 1,
                 "save_every, validate_every, keep, threads: from 1"),
            ]
        )  # fmt: skip
        super().check()
