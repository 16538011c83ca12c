"""What a vocoder run tells people: progress bar, log, TensorBoard, validation by ear and by numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from aether_lite.audio import write_audio
from aether_lite.features.layout import FRAME
from aether_lite.losses.spectral import root_stft_loss
from aether_lite.training.journal import Journal
from aether_lite.training.vocoder.config import VocoderConfig
from aether_lite.training.vocoder.stages import Stage
from aether_lite.vocoder import FARGAN, synthesize
from aether_lite.vocoder.emphasis import emphasised_frames

BAR_EVERY = 10  # steps between updates of the bar's numbers, and of the scalars
LISTENED = 2  # clips whose audio is kept


class VocoderReporter:
    """Voice of the leading process.

    Args:
        config: options.
        features, speech: clips to validate on, ``[F, 20]`` and ``[160 F]`` each.
        first: step the run begins or continues at.
        epoch_steps: spectral steps in which as many frames are made as the training data has.
    """

    def __init__(
        self,
        config: VocoderConfig,
        features: Sequence[Tensor],
        speech: Sequence[Tensor],
        first: int,
        epoch_steps: float,
    ) -> None:
        self.config, self.features, self.speech = config, features, speech
        self.out, self.first, self.epoch_steps = Path(config.out), first, epoch_steps
        self.journal = Journal(self.out, config.tensorboard)
        self.bar = tqdm(total=config.steps, initial=first, unit="step", dynamic_ncols=True)
        self.began = time.monotonic()

    def progress(self, step: int, parts: Mapping[str, Tensor], stage: Stage, waited: float) -> None:
        """One step is done."""
        self.bar.update()
        if step % BAR_EVERY and step != self.config.steps:
            return
        numbers = {name: float(value) for name, value in parts.items()}
        elapsed = max(time.monotonic() - self.began, 1e-9)
        self.bar.set_description(stage.name)
        shown = {name: f"{value:.3f}" for name, value in numbers.items() if name != "gradient"}
        self.bar.set_postfix({"epoch": f"{step / self.epoch_steps:.2f}", **shown, "data": f"{waited / elapsed:.0%}"})
        self.journal.scalars("train", numbers, step)
        speed = {"steps_per_second": (step - self.first) / elapsed, "data_wait": waited / elapsed}
        self.journal.row({"step": step, "stage": stage.name, "rate": stage.rate, **numbers, **speed})

    def validate(self, step: int, vocoder: FARGAN) -> float:
        """Vocode the clips, write numbers, audio and pictures; returns the spectral loss, which decides the best."""
        device = next(vocoder.parameters()).device
        made = [synthesize(rows.to(device), vocoder).cpu() for rows in self.features]
        numbers = {
            "spectral": float(torch.stack([_distance(m, s) for m, s in zip(made, self.speech, strict=True)]).mean())
        }
        self.journal.scalars("valid", numbers, step)
        self.journal.row({"step": step, "valid": "vocoder", **numbers})
        self.bar.write(f"step {step}: " + ", ".join(f"{name} {value:.4f}" for name, value in numbers.items()))
        for number, audio in enumerate(made[:LISTENED]):
            self.journal.audio(f"valid/{number}", audio, step)
            write_audio(self.out / f"valid_{number}.wav", audio.numpy())
        return numbers["spectral"]

    def close(self) -> None:
        """End the bar and the writers."""
        self.bar.close()
        self.journal.close()


def _distance(made: Tensor, speech: Tensor) -> Tensor:
    """Spectral loss of one clip, on pre-emphasised audio as in training."""
    frames = len(speech) // FRAME - 1
    mine, true = (emphasised_frames(audio[None], 1, frames - 1) for audio in (made, speech))
    return root_stft_loss(mine, true)
