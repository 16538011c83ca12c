"""The record of a run: ``log.jsonl`` and TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from tqdm import tqdm

from aether_lite.features.layout import SAMPLE_RATE

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG = "log.jsonl"


class Journal:
    """Writes numbers, sounds and pictures of a run.

    Args:
        out: folder of the run; made if it is missing.
        tensorboard: whether to write TensorBoard files too (if it is installed).
    """

    def __init__(self, out: Path, tensorboard: bool) -> None:
        self.path = out / LOG
        out.mkdir(parents=True, exist_ok=True)
        self.writer = _tensorboard(out) if tensorboard else None

    def scalars(self, group: str, numbers: Mapping[str, float], step: int) -> None:
        """Numbers for TensorBoard."""
        if self.writer is not None:
            for name, value in numbers.items():
                self.writer.add_scalar(f"{group}/{name}", value, step)

    def audio(self, name: str, samples: Tensor, step: int) -> None:
        """Sound ``[N]`` in [-1, 1] for TensorBoard."""
        if self.writer is not None:
            self.writer.add_audio(name, samples, step, SAMPLE_RATE)

    def picture(self, name: str, path: Path, step: int) -> None:
        """A PNG file for TensorBoard."""
        if self.writer is not None:
            from matplotlib.image import imread

            self.writer.add_image(name, imread(path), step, dataformats="HWC")

    def row(self, row: Mapping[str, Any]) -> None:
        """One line of the log, numbers to five digits."""
        with self.path.open("a") as log:
            rounded = {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in row.items()}
            log.write(json.dumps(rounded) + "\n")

    def close(self) -> None:
        """End the TensorBoard file."""
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
        tqdm.write("no TensorBoard here: pip install aether-lite[train] for scalars, audio and pictures")
        return None
    return SummaryWriter(str(out / "tensorboard"))
