"""The record of a run: progress bar, ``log.jsonl``, TensorBoard, and its losses over the steps as a picture."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from tqdm import tqdm

from aether_lite.errors import printable
from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.files import make_folder
from aether_lite.lines import LineWriter, read_lines
from aether_lite.optional import how_to_install
from aether_lite.plots.canvas import COLOURS, GREY, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch.utils.tensorboard import SummaryWriter

LOG = "log.jsonl"
LOG_EVERY = 10  # steps between rows of the log
BAR_SECONDS = 0.5  # at least, between two updates of the bar; reading its numbers waits for the GPU

PANELS: dict[str, tuple[str, ...]] = {
    "sums": ("total", "spi", "wave", "adv", "discriminator"),
    "features": ("feature", "delta", "image", "pitch", "voicing", "loudness"),
    "F0, levels, words": ("f0_contour", "f0_spread", "silence", "semantic", "envelope", "asr"),
    "bits": ("balance", "decorrelation", "confidence"),
    "audio": ("log_mel", "audio_f0", "stft", "spectral", "continuation"),
    "GAN": ("adversarial", "feature_matching"),
    "mel predictor": ("spectrum", "states"),
}
"""Terms of the training steps by panel: at most six lines each."""
MEASURED = ("feature_loss", "spectral", "estoi", "pesq_wb", "dnsmos_ovrl", "vuv_error", "spectrum", "states")
COLUMNS, PANEL_INCHES = 3, (4.3, 3.0)
FEW = 50  # points of a line that are marked


class RunLogger:
    """Writes numbers and audio of a run, and shows how far it is.

    Args:
        out: folder of the run; made if it is missing.
        steps, first: length of the run, and step it begins or continues at.
        epoch_steps: steps in which as many frames are drawn as the training data has.
        shown: terms in the bar; empty for all.
        tensorboard: whether to write TensorBoard files too (if it is installed).
        lines: the log where it is open already; else it is opened, and closed at the end.
    """

    def __init__(
        self,
        out: Path,
        steps: int,
        first: int,
        epoch_steps: float,
        shown: Sequence[str] = (),
        tensorboard: bool = True,
        lines: LineWriter | None = None,
    ) -> None:
        self.out, self.steps, self.first, self.epoch_steps, self.shown = out, steps, first, epoch_steps, shown
        make_folder(out)
        self._lines = lines or LineWriter(self.log)
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
        self._lines.add({k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in row.items()})

    def close(self) -> None:
        """End the bar, the log and the TensorBoard file."""
        self._lines.close()
        self.bar.close()
        if self.writer is not None:
            self.writer.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Rows of a run's ``log.jsonl``; steps done again after a resume count once, the last time.

    What is no row with a step, such as a line cut by a kill, is passed over.
    """
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for row in read_lines(path):
        if isinstance(row.get("step"), int):
            rows[row["step"], str(row.get("valid", ""))] = row
    return [rows[key] for key in sorted(rows)]


def _tensorboard(out: Path) -> SummaryWriter | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        tqdm.write(f"no TensorBoard here: {how_to_install('train')} for scalars, audio and pictures")
        return None
    try:
        return SummaryWriter(str(out / "tensorboard"))
    except UnicodeEncodeError:
        tqdm.write(f"{printable(str(out))}: no TensorBoard here, which takes only names in UTF-8")
        return None


def loss_curves(log: Path, path: Path) -> None:
    """Draw the loss terms and validated figures of a run over its steps, its stages marked.

    Args:
        log: ``log.jsonl`` of the run.
        path: PNG to write; whole or not at all.

    Raises:
        AetherError: the file cannot be written.
    """
    rows = read_log(log)
    train, valid = [row for row in rows if "valid" not in row], [row for row in rows if "valid" in row]
    panels = {title: [name for name in names if _points(train, name)] for title, names in PANELS.items()}
    panels = {title: names for title, names in panels.items() if names}
    measured = [name for name in MEASURED if _points(valid, name)]
    count = len(panels) + len(measured)
    lines = -(-max(count, 1) // COLUMNS)
    from matplotlib.ticker import LogFormatter

    with canvas(path, COLUMNS * PANEL_INCHES[0], lines * PANEL_INCHES[1]) as figure:
        for number, title in enumerate([*panels, *measured]):
            axes = figure.add_subplot(lines, COLUMNS, number + 1)
            if title in panels:
                for colour, name in zip(COLOURS, panels[title], strict=False):
                    _draw_line(axes, _points(train, name), name, colour)
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter(LogFormatter())
                axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2.0, 0.5)))
            else:
                points = sorted({row["valid"] for row in valid})
                for colour, point in zip(COLOURS, points, strict=False):
                    chosen = _points([row for row in valid if row["valid"] == point], title)
                    _draw_line(axes, chosen, point, colour)
            axes.set_title(title if title in panels else f"{title}, validation", fontsize=10)
            axes.set_xlabel("step", fontsize=8)
            axes.tick_params(labelsize=8)
            axes.grid(alpha=0.3)
            _mark_stages(axes, train, named=number == 0)
            if axes.get_legend_handles_labels()[0]:
                axes.legend(fontsize=7)


def _points(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """Steps and values; what is no number above zero has no place on a logarithmic axis."""
    found = [(row["step"], row.get(name)) for row in rows]
    return [(step, value) for step, value in found if isinstance(value, int | float) and value > 0]


def _draw_line(axes: Axes, points: Sequence[tuple[float, float]], label: str, colour: str) -> None:
    if points:
        marker = "." if len(points) < FEW else ""
        axes.plot(*zip(*points, strict=True), label=label, color=colour, lw=1.2, marker=marker)


def _mark_stages(axes: Axes, rows: Sequence[Mapping[str, Any]], named: bool) -> None:
    """A line where a stage begins, with its name in one of the panels."""
    stages = [row.get("stage", "") for row in rows]
    for before, row, stage in zip(["", *stages], rows, stages, strict=False):
        if stage != before:
            axes.axvline(row["step"], color=GREY, lw=0.8, ls=":")
            if named:
                place = (row["step"], 0.02)
                axes.text(*place, f" {stage}", rotation=90, size=6.5, color=GREY, transform=axes.get_xaxis_transform())
