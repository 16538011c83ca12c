"""The training commands; the options of each are the fields of its dataclass in :mod:`aether_lite.training`."""

from __future__ import annotations

from collections.abc import Sequence

COMMANDS = {
    "train": ("codec", "Train a codec, or what the recipe after --config names"),
    "train-vocoder": ("vocoder", "Train a vocoder"),
    "train-mel-predictor": ("mel_predictor", "Train the mel predictor for training with a speech recogniser"),
    "train-prior": ("prior", "Fit priors for entropy-coded files"),
}
"""What each command trains, and its help."""
TASKS = tuple(task for task, _ in COMMANDS.values())


def train(command: str, arguments: Sequence[str]) -> None:
    """Train; see ``aether-lite COMMAND --help``.

    Raises:
        AetherError: options, data or checkpoints that cannot be used; before the first step where possible.
    """
    from aether_lite.errors import AetherError
    from aether_lite.training.options import parse, recipe_task

    task, prog = COMMANDS[command][0], f"aether-lite {command}"
    named = recipe_task(arguments) or task
    if named not in TASKS or (command != "train" and named != task):
        raise AetherError(f"{prog}: the recipe trains {named!r}; {prog} trains {task!r}, and train any of its tasks")
    if named == "prior":
        _train_prior(arguments, prog)
        return
    from aether_lite.training.loop import run

    if named == "codec":
        from aether_lite.training.codec_config import TrainConfig
        from aether_lite.training.codec_task import CodecTask

        run(CodecTask, *parse(TrainConfig, arguments, prog))
    elif named == "vocoder":
        from aether_lite.training.vocoder_config import VocoderConfig
        from aether_lite.training.vocoder_task import VocoderTask

        run(VocoderTask, *parse(VocoderConfig, arguments, prog))
    else:
        from aether_lite.training.mel_predictor import MelPredictorConfig, MelPredictorTask

        run(MelPredictorTask, *parse(MelPredictorConfig, arguments, prog))


def _train_prior(arguments: Sequence[str], prog: str) -> None:
    from aether_lite.cli.console import console, steps
    from aether_lite.training.options import parse
    from aether_lite.training.prior import PriorConfig, run

    out = console()
    for config in parse(PriorConfig, arguments, prog):
        with steps(out) as progress:

            def say(text: str) -> None:
                out.print(text)
                progress.begin("working")

            run(config, say, progress.advance)
