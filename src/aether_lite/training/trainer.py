"""The training loop: resumable to the bit, interruptible at any step.

Crops, conditions and noise are functions of (seed, step, item), so a checkpoint needs only weights, the optimiser, the
running average and the step.
"""

from __future__ import annotations

import copy
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from aether_lite.codec import SpiJscc, preset
from aether_lite.errors import AetherError
from aether_lite.training.checkpoint import load_checkpoint, save_checkpoint
from aether_lite.training.conditions import ConditionRanges, draw
from aether_lite.training.config import TrainConfig
from aether_lite.training.data import Corpus
from aether_lite.training.objective import FeatureWeights, balance, feature_objective
from aether_lite.training.optimiser import make_optimiser, rate_factor
from aether_lite.training.validate import validate, validation_features

CONSTANTS_STREAM = 1  # crops of this seed offset give the image's normalisation constants
CONSTANTS_CROPS = 512
LATEST = "latest.pth"


class Trainer:
    """One run in one folder: ``latest.pth``, ``log.jsonl``.

    Args:
        config: options.
        train, valid: data.
        out: folder of the run; made if missing.
    """

    def __init__(self, config: TrainConfig, train: Corpus, valid: Corpus, out: Path) -> None:
        self.config, self.train, self.out = config, train, out
        out.mkdir(parents=True, exist_ok=True)
        self.valid = validation_features(valid)
        self.ranges, self.weights = ConditionRanges(), FeatureWeights()
        torch.manual_seed(config.seed)
        self.model = SpiJscc(preset(config.preset))
        crops = train.batch(config.seed + CONSTANTS_STREAM, 0, range(CONSTANTS_CROPS), config.frames)
        self.model.image.set_constants(crops.flatten(0, 1))
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimiser = make_optimiser(self.model, config)
        self.step = 0
        self.stopping = False

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of a run with the same options."""
        content = load_checkpoint(path)
        theirs = {**content["config"], "steps": self.config.steps}
        if theirs != self.config.as_dict():
            changed = [k for k, v in self.config.as_dict().items() if theirs.get(k) != v]
            raise AetherError(f"{path}: is of a run with other options ({', '.join(changed)})")
        self.model.load_state_dict(content["model"])
        self.average.load_state_dict(content["average"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.step = content["step"]

    def save(self) -> None:
        """Write ``latest.pth``."""
        content: dict[str, Any] = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "config": self.config.as_dict(),
        }
        save_checkpoint(self.out / LATEST, content)

    def train_step(self) -> dict[str, Tensor]:
        """One step; returns the loss parts."""
        config = self.config
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * rate_factor(self.step, config)
        items = range(config.batch)
        features = self.train.batch(config.seed, self.step, items, config.frames)
        conditions = draw(self.ranges, config.seed, self.step, items)
        sent = self.model(features, conditions.rate, conditions.transmit, conditions.target_snr_db)
        weight = balance(conditions.rate, conditions.snr_db)
        total, parts = feature_objective(sent, features, weight, self.weights)
        if not torch.isfinite(total):
            raise AetherError(f"the loss is not finite at step {self.step}: lower the learning rate")
        total.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.gradient_norm)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self._average_weights()
        self.step += 1
        return {"total": total.detach(), "gradient": norm, **{k: v.detach() for k, v in parts.items()}}

    def run(self, *, save_every: int = 200, validate_every: int = 500) -> dict[str, float]:
        """Train to the end (or a signal), saving on the way; returns the last validation."""
        previous = {s: signal.signal(s, self._stop) for s in (signal.SIGINT, signal.SIGTERM)}
        losses: dict[str, float] = {}
        began, first = time.monotonic(), self.step
        try:
            with tqdm(total=self.config.steps, initial=self.step, unit="step", dynamic_ncols=True) as bar:
                while self.step < self.config.steps and not self.stopping:
                    parts = self.train_step()
                    bar.update()
                    if self.step % 20 == 0:
                        bar.set_postfix({k: f"{float(v):.3f}" for k, v in parts.items()})
                    last = self.step == self.config.steps
                    if last or self.step % validate_every == 0:
                        losses = validate(self.average, self.valid)
                        speed = (self.step - first) / (time.monotonic() - began)
                        self._log({k: round(float(v), 4) for k, v in parts.items()}, losses, speed, bar.write)
                    if last or self.step % save_every == 0:
                        self.save()
        finally:
            for which, handler in previous.items():
                signal.signal(which, handler)
        self.save()
        return losses

    def _average_weights(self) -> None:
        """Running average with a warm-up: early weights are forgotten fast."""
        decay = min(self.config.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)

    def _log(
        self, parts: dict[str, float], losses: dict[str, float], speed: float, write: Callable[[str], None]
    ) -> None:
        row = {"step": self.step, "steps_per_second": round(speed, 3), "train": parts, "valid": losses}
        with (self.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        write(f"step {self.step}: " + ", ".join(f"{k} {v:.4f}" for k, v in losses.items()))

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopping = True
