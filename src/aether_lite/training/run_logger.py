"""The record of a run: progress bar, ``log.jsonl`` and TensorBoard."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from tqdm import tqdm

from aether_lite.features.layout import SAMPLE_RATE

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG = "log.jsonl"
LOG_EVERY = 10  # steps between rows of the log
BAR_SECONDS = 0.5  # at least, between two updates of the bar; reading its numbers waits for the GPU


class RunLogger:
    """Writes numbers and audio of a run, and shows how far it is.

    Args:
        out: folder of the run; made if it is missing.
        steps, first: length of the run, and step it begins or continues at.
        epoch_steps: steps in which as many frames are drawn as the training data has.
        shown: terms in the bar; empty for all.
        tensorboard: whether to write TensorBoard files too (if it is installed).
    """

    def __init__(
        self, out: Path, steps: int, first: int, epoch_steps: float, shown: Sequence[str] = (), tensorboard: bool = True
    ) -> None:
        self.out, self.steps, self.first, self.epoch_steps, self.shown = out, steps, first, epoch_steps, shown
        out.mkdir(parents=True, exist_ok=True)
        self.writer = _tensorboard(out) if tensorboard else None
        self.bar = tqdm(total=steps, initial=first, unit="step", dynamic_ncols=True)
        self.began, self._drawn = time.monotonic(), 0.0

    @property
    def log(self) -> Path:
        """The file of rows."""
        return self.out / LOG

    def say(self, text: str) -> None:
        """A line above the bar."""
        self.bar.write(text)

    def step(self, step: int, stage: str, parts: Mapping[str, Tensor], waited: float) -> None:
        """A step of a stage is done, with these loss terms and so many seconds spent waiting for data so far.

        What the bar shows, its position included, is of one and the same step.
        """
        now = time.monotonic()
        draws, logs = now - self._drawn >= BAR_SECONDS or step == self.steps, step % LOG_EVERY == 0
        if not (draws or logs or step == self.steps):
            return
        numbers = {name: float(value) for name, value in parts.items()}
        elapsed = max(now - self.began, 1e-9)
        if draws:
            self._drawn = now
            chosen = self.shown or [name for name in numbers if name != "gradient"]
            shown = {name: f"{numbers[name]:.3f}" for name in chosen if name in numbers}
            epoch = f"{step / self.epoch_steps:.2f}"
            self.bar.set_description(stage, refresh=False)
            self.bar.set_postfix({"epoch": epoch, **shown, "data": f"{waited / elapsed:.0%}"}, refresh=False)
            self.bar.update(step - self.bar.n)
            self.bar.refresh()
        if logs or step == self.steps:
            self.scalars("train", numbers, step)
            speed = {"steps_per_second": (step - self.first) / elapsed, "data_wait": waited / elapsed}
            self.row({"step": step, "stage": stage, **numbers, **speed})

    def validation(self, step: int, name: str, numbers: Mapping[str, float]) -> None:
        """Numbers of one validation."""
        self.scalars(f"valid {name}", numbers, step)
        self.row({"step": step, "valid": name, **numbers})

    def scalars(self, group: str, numbers: Mapping[str, float], step: int) -> None:
        """Numbers for TensorBoard."""
        if self.writer is not None:
            for name, value in numbers.items():
                self.writer.add_scalar(f"{group}/{name}", value, step)

    def audio(self, name: str, samples: Tensor, step: int) -> None:
        """Audio ``[N]`` in [-1, 1] for TensorBoard."""
        if self.writer is not None:
            self.writer.add_audio(name, samples, step, SAMPLE_RATE)

    def row(self, row: Mapping[str, Any]) -> None:
        """One line of the log, numbers to five digits."""
        with self.log.open("a") as log:
            rounded = {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in row.items()}
            log.write(json.dumps(rounded) + "\n")

    def close(self) -> None:
        """End the bar and the TensorBoard file."""
        self.bar.close()
        if self.writer is not None:
            self.writer.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Rows of a run's ``log.jsonl``; steps done again after a resume count once, the last time."""
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        rows[row["step"], row.get("valid", "")] = row
    return [rows[key] for key in sorted(rows)]


def _tensorboard(out: Path) -> SummaryWriter | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        tqdm.write("no TensorBoard here: pip install '.[train]' for scalars, audio and pictures")
        return None
    return SummaryWriter(str(out / "tensorboard"))
