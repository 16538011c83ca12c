"""Options of ``train-listener``."""

# ruff: noqa: RUF009  (`option` makes dataclass fields)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aether_lite.errors import AetherError
from aether_lite.listener.network import BLOCKS, WIDTH
from aether_lite.training import options
from aether_lite.training.options import option

DESCRIPTION = "Teach a listener what a speech recogniser hears, for `train --lambda_listening`."


@dataclass
class ListenerConfig:
    """Everything that, with data, teacher and code, fixes the result."""

    data_root: list[str] = option([], "folders of NAME.f32/NAME.pcm pairs to learn from")
    valid_root: list[str] = option([], "folders of pairs to measure on; default: a tenth of the training clips")
    teacher: str = option(
        "tiny.en", "the recogniser: tiny.en (in the extra `listener`) or a folder with a faster-whisper model"
    )
    jobs: int = option(0, "processes that run the teacher; 0: one for each core")
    width: int = option(WIDTH, "channels of the listener")
    blocks: int = option(BLOCKS, "blocks of the listener")
    steps: int = option(2400, "gradient steps")
    batch: int = option(24, "items a step")
    frames: int = option(512, "frames of 10 ms an item, even, at most 3000")
    gain_db: float = option(5.0, "greatest change of an item's level, up or down [dB]; the teacher hardly hears it")
    learning_rate: float = option(4e-3, "peak learning rate")
    warmup: int = option(100, "steps in which the learning rate rises")
    final_rate: float = option(0.02, "learning rate at the end, relative to its peak")
    average: float = option(0.995, "decay of the running average of the weights that is measured and written")
    seed: int = option(0, "of weights and crops")
    out: str = option("runs/listener", "folder for listener.safetensors and the teacher's states")

    def as_dict(self) -> dict[str, Any]:
        """Plain values without this machine's folders."""
        names = {"data_root": [Path(root).name for root in self.data_root], "teacher": Path(self.teacher).name}
        return {**asdict(self), **names, "valid_root": [Path(root).name for root in self.valid_root], "out": ""}


def parse(arguments: Sequence[str], prog: str = "aether-lite train-listener") -> ListenerConfig:
    """Options from a YAML file, if one is named, and the command line, which wins.

    Raises:
        AetherError: a value is out of range, or the YAML file names an unknown option.
        SystemExit: usage error (2) or ``--help`` (0).
    """
    config = options.parse(ListenerConfig, arguments, prog, DESCRIPTION)
    rules = [
        (1 <= config.width <= 1024 and 1 <= config.blocks <= 64, "width: 1 to 1024, blocks: 1 to 64"),
        (min(config.steps, config.batch) >= 1, "steps, batch: at least 1"),
        (min(config.jobs, config.warmup) >= 0, "jobs, warmup: at least 0"),
        (64 <= config.frames <= 3000 and config.frames % 2 == 0, "frames: even, 64 to 3000"),
        (config.gain_db >= 0, "gain_db: at least 0"),
        (config.learning_rate > 0, "learning_rate: above 0"),
        (0 <= config.average < 1, "average: 0 to below 1"),
    ]
    for holds, rule in rules:
        if not holds:
            raise AetherError(f"option out of range: {rule}")
    return config
