"""What a run tells people: progress bar, log, TensorBoard, pictures, validation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from aether_lite.codec import SpiHash, SpiJscc
from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME
from aether_lite.files import atomic_path
from aether_lite.metrics import available, estoi
from aether_lite.plots.transmission import transmission_picture
from aether_lite.training.config import TrainConfig
from aether_lite.training.curriculum import Stage, table
from aether_lite.training.journal import LOG, Journal, read_log
from aether_lite.training.monitors import Outcome, ValidationSet, alarms, validate_at, validation_points
from aether_lite.vocoder import FARGAN, synthesize

SHOWN = {"total": "total", "wave": "recon", "adv": "adv", "spi": "spi"}  # term: name in the bar
BAR_EVERY = 10  # steps between updates of the bar's numbers, and of the scalars


@dataclass(frozen=True)
class Validation:
    """Result of one validation: the number that decides which checkpoint is best, and alarms in words."""

    score: float
    alarms: list[str]


class Reporter:
    """Voice of the leading process.

    Args:
        config: options.
        valid: clips to validate on.
        speech: their audio, ``[C, N]``, for ESTOI and pictures.
        first: step the run begins or continues at.
        epoch_steps: steps in which as many frames are drawn as the training data has.
    """

    def __init__(
        self, config: TrainConfig, valid: ValidationSet, speech: Tensor, first: int, epoch_steps: float
    ) -> None:
        self.epoch_steps = epoch_steps
        self.config, self.valid, self.speech = config, valid, speech
        self.out = Path(config.out)
        self.journal = Journal(self.out, config.tensorboard)
        self.bar = tqdm(total=config.steps, initial=first, unit="step", dynamic_ncols=True)
        self.began, self.first = time.monotonic(), first
        self.wandb = _wandb(config) if config.wandb else None
        self.bar.write(f"{'stage':18}{'steps':>14}{'SPI':>6}{'audio':>7}{'GAN':>10}  vocoder")
        for name, steps, spi, wave, adv, vocoder in table(config.stage_borders, config.steps):
            self.bar.write(f"{name:18}{steps:>14}{spi:>6}{wave:>7}{adv:>10}  {vocoder}")

    def progress(self, step: int, parts: Mapping[str, Tensor], stage: Stage | None, waited: float) -> None:
        """One step is done."""
        self.bar.update()
        if step % BAR_EVERY and step != self.config.steps:
            return
        numbers = {name: float(value) for name, value in parts.items()}
        elapsed = max(time.monotonic() - self.began, 1e-9)
        if stage is not None:
            self.bar.set_description(f"{stage.name} FARGAN {'unfrozen' if stage.trains_vocoder else 'frozen'}")
        shown = {label: f"{numbers[name]:.3f}" for name, label in SHOWN.items() if name in numbers}
        epoch = f"{step / self.epoch_steps:.2f}"
        self.bar.set_postfix({"epoch": epoch, **shown, "data": f"{waited / elapsed:.0%}"})
        self._scalars("train", numbers, step)
        speed = {"steps_per_second": (step - self.first) / elapsed, "data_wait": waited / elapsed}
        self.journal.row({"step": step, "stage": stage.name if stage else "", **numbers, **speed})

    def validate(self, step: int, codec: SpiJscc | SpiHash, vocoder: FARGAN) -> Validation:
        """Measure the codec at fixed rates and channels; write numbers, pictures and audio."""
        outcomes = {point: validate_at(codec, self.valid, point) for point in validation_points(codec)}
        first = next(iter(outcomes.values()))
        heard = self._heard(first, vocoder)
        if heard is not None and available("estoi"):
            first.numbers["estoi"] = float(estoi(heard, self.speech[: len(heard), : heard.shape[1]]).nanmean())
        for point, outcome in outcomes.items():
            self._scalars(f"valid {point.name}", outcome.numbers, step)
            self.journal.row({"step": step, "valid": point.name, **outcome.numbers})
        losses = ", ".join(f"{point.name} {o.numbers['feature_loss']:.4f}" for point, o in outcomes.items())
        rest = ", ".join(
            f"{name} {first.numbers[name]:.3f}"
            for name in ("vuv_error", "f0_correlation", "f0_spread_ratio", "pitch_spike", "estoi")
            if name in first.numbers
        )
        self.bar.write(f"step {step}: feature loss {losses}; {rest}")
        found = list(alarms(first.numbers))
        for alarm in found:
            self.bar.write(f"step {step}: WARNING, {alarm}")
        if heard is not None:
            self._show(step, codec, first, heard)
        return Validation(first.numbers["feature_loss"], found)

    def close(self) -> None:
        """End the bar and the writers."""
        self.bar.close()
        self.journal.close()
        if self.wandb is not None:
            self.wandb.finish()

    def _heard(self, outcome: Outcome, vocoder: FARGAN) -> Tensor | None:
        """Audio ``[n, N]`` of the first clips, or None if none is to be vocoded."""
        count = min(self.config.estoi_clips, len(self.valid.features))
        if count == 0:
            return None
        frames = int(self.valid.mask[:count].sum(-1).max())
        device = next(vocoder.parameters()).device
        return synthesize(outcome.decoded[:count, :frames].to(device), vocoder).cpu()

    def _show(self, step: int, codec: SpiJscc | SpiHash, outcome: Outcome, heard: Tensor) -> None:
        """A PNG page of the first clip, and its audio."""
        frames = int(self.valid.mask[0].sum())
        self.journal.audio("valid/received", heard[0, : frames * FRAME], step)
        if not self.config.save_visualization:
            return
        tokens = frames // codec.config.token_frames
        path = self.out / f"transmission_{step:08d}.png"
        transmission_picture(
            path,
            original_image=codec.image.rows(self.valid.features[0, :frames]).cpu().numpy(),
            received_image=codec.image.rows(outcome.decoded[0, :frames]).cpu().numpy(),
            original_audio=self.speech[0, : frames * FRAME].numpy(),
            received_audio=heard[0, : frames * FRAME].numpy(),
            symbols=outcome.sent[0, :tokens].flatten().cpu().numpy(),
            received_symbols=outcome.received[0, :tokens].flatten().cpu().numpy(),
            title=f"Step {step}: {validation_points(codec)[0].words}",
        )
        curves(self.out / LOG, self.out / "losses.png")
        self.journal.picture("valid/transmission", path, step)

    def _scalars(self, group: str, numbers: Mapping[str, float], step: int) -> None:
        self.journal.scalars(group, numbers, step)
        if self.wandb is not None:
            self.wandb.log({f"{group}/{name}": value for name, value in numbers.items()}, step=step)


def curves(log: Path, picture: Path) -> None:
    """Draw the loss terms and the validated feature losses of a run over its steps."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    rows = read_log(log)
    train = [row for row in rows if "valid" not in row]
    figure = Figure(figsize=(10, 7), dpi=120, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.set_prop_cycle(color=[colormaps["tab20"](i % 20) for i in range(20)])
    names = (
        [n for n in train[-1] if n not in ("step", "stage", "data_wait", "steps_per_second", "gradient", "adv_scale")]
        if train
        else []
    )
    for name in names:
        points = [(row["step"], row[name]) for row in train if row.get(name, 0) > 0]
        if points:
            upper.plot(*zip(*points, strict=True), label=name, linewidth=1)
    for point in sorted({row["valid"] for row in rows if "valid" in row}):
        chosen = [(row["step"], row["feature_loss"]) for row in rows if row.get("valid") == point]
        lower.plot(*zip(*chosen, strict=True), marker="o", label=point)
    upper.set(yscale="log", ylabel="training terms")
    lower.set(yscale="log", ylabel="feature loss, validation", xlabel="step")
    for axes in (upper, lower):
        if axes.get_lines():
            axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        axes.grid(alpha=0.3)
    with atomic_path(picture) as partial:
        figure.savefig(partial)


def _wandb(config: TrainConfig) -> Any:
    try:
        import wandb
    except ImportError as error:
        raise AetherError("--wandb needs the package: pip install wandb") from error
    return wandb.init(project="aether-lite", dir=config.out, config=config.as_dict())
