"""The training commands; the options of each are the fields of its dataclass in :mod:`aether_lite.training`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aether_lite.training.options import DataConfig
    from aether_lite.training.prior import PriorConfig

COMMANDS = {
    "train": ("codec", "Train a codec, or what the recipe after --config names"),
    "train-vocoder": ("vocoder", "Train a vocoder"),
    "train-mel-predictor": ("mel_predictor", "Train the mel predictor for training with a speech recogniser"),
    "train-prior": ("prior", "Fit priors for entropy-coded files"),
}
"""What each command trains, and its help."""
TASKS = {
    "codec": ("codec_config.TrainConfig", "codec_task.CodecTask"),
    "vocoder": ("vocoder_config.VocoderConfig", "vocoder_task.VocoderTask"),
    "mel_predictor": ("mel_predictor.MelPredictorConfig", "mel_predictor.MelPredictorTask"),
    "prior": ("prior.PriorConfig", ""),
}
"""Options and task of what can be trained; imported when it is."""


def train(command: str, arguments: Sequence[str]) -> None:
    """Train; see ``aether-lite COMMAND --help``.

    Raises:
        AetherError: options, data or checkpoints that cannot be used; before the first step where possible.
    """
    from aether_lite.errors import AetherError
    from aether_lite.training import loop, options

    own, prog = COMMANDS[command][0], f"aether-lite {command}"
    task = options.recipe_task(arguments) or own
    if task not in TASKS or (command != "train" and task != own):
        raise AetherError(f"{prog}: the recipe trains {task!r}; {prog} trains {own!r}, and train any of its tasks")

    def imported(path: str) -> Any:
        module, name = path.split(".")
        return getattr(import_module(f"aether_lite.training.{module}"), name)

    config, maker = TASKS[task]
    stages = options.parse(imported(config), arguments, prog)
    _check_folders(stages)
    if maker:
        loop.run(imported(maker), *stages)
    else:
        _fit_priors(stages)


def _check_folders(stages: Sequence[DataConfig]) -> None:
    """Apply the rule for outputs to the folders of runs; a run that was stopped continues in its own."""
    from aether_lite.cli import io
    from aether_lite.training.checkpoint import newest
    from aether_lite.training.loop import OPTIONS
    from aether_lite.training.options import RunConfig
    from aether_lite.training.run_logger import LOG

    for config in stages:
        given = (getattr(config, item.name) for item in fields(config)
                 if item.metadata.get("path") and item.name != "out")  # fmt: skip
        inputs = [path for value in given for path in ([value] if isinstance(value, str) else value) if path]
        io.check_outputs((config.out, io.FOLDER), inputs=inputs)
        folder = Path(config.out)
        earlier = newest(folder) is not None or io.is_record(folder / OPTIONS, "data_root", "seed")
        if isinstance(config, RunConfig):
            own = {OPTIONS, LOG, config.exported.name}
        else:  # priors, of which there is one for each bit rate
            own = {path.name for path in folder.glob("prior_*.safetensors")}
        io.check_folder(folder, own.__contains__, earlier, config.force)


def _fit_priors(stages: Sequence[PriorConfig]) -> None:
    from aether_lite.cli.io import console, steps
    from aether_lite.training.prior import run

    out = console()
    for config in stages:
        with steps(out) as progress:

            def say(text: str) -> None:
                out.print(text)
                progress.begin("working")

            run(config, say, progress.advance)
