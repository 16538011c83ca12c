"""``aether-lite train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aether_lite.training.config import TrainConfig

DEFAULTS = TrainConfig()


def train(
    data_root: Annotated[
        list[Path],
        typer.Option("--data-root", "--data_root", help="Folder of NAME.f32/NAME.pcm pairs; repeatable."),
    ],
    valid_root: Annotated[
        Path,
        typer.Option("--valid-root", "--valid_root", help="Folder of pairs to validate on; other speakers."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoints and log.")] = Path("runs/codec"),
    preset: Annotated[str, typer.Option(help="Size: tiny, small or base.")] = DEFAULTS.preset,
    steps: Annotated[int, typer.Option(min=1, help="Length of the run.")] = DEFAULTS.steps,
    batch: Annotated[int, typer.Option(min=1, help="Items a step.")] = DEFAULTS.batch,
    frames: Annotated[int, typer.Option(min=8, help="Frames of 10 ms an item.")] = DEFAULTS.frames,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", "--learning_rate", help="Peak learning rate.")
    ] = DEFAULTS.learning_rate,
    seed: Annotated[int, typer.Option(help="Of weights, crops, conditions and noise.")] = DEFAULTS.seed,
    save_every: Annotated[
        int, typer.Option("--save-every", "--save_every", min=1, help="Steps between checkpoints.")
    ] = 200,
    validate_every: Annotated[
        int, typer.Option("--validate-every", "--validate_every", min=1, help="Steps between validations.")
    ] = 500,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Continue OUT/latest.pth if it is there.")
    ] = True,
) -> None:
    """Train the codec on features, with noise, all rates and all SNRs from the first step.

    Stops cleanly on Ctrl-C or SIGTERM and continues with the same command.
    """
    from aether_lite.training.data import Corpus
    from aether_lite.training.trainer import LATEST, Trainer

    config = TrainConfig(preset=preset, steps=steps, batch=batch, frames=frames, learning_rate=learning_rate, seed=seed)
    trainer = Trainer(config, Corpus(data_root), Corpus([valid_root]), out)
    if resume and (out / LATEST).exists():
        trainer.resume(out / LATEST)
        typer.echo(f"continuing {out / LATEST} at step {trainer.step}")
    trainer.run(save_every=save_every, validate_every=validate_every)
