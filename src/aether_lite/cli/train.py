"""The training commands; the options of each are the fields of its dataclass in :mod:`aether_lite.training`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    if maker:
        loop.run(imported(maker), *stages)
    else:
        _fit_priors(stages)


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
