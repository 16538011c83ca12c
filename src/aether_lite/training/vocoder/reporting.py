"""What a vocoder run tells people: progress bar, log, TensorBoard, validation by ear and by numbers."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from torch import Tensor
from tqdm import tqdm

from aether_lite.audio import write_audio
from aether_lite.metrics import METRICS, missing_line
from aether_lite.metrics.resynthesis import SPECTRAL, reanalysed, resynthesis_measures
from aether_lite.training.journal import LOG, Journal
from aether_lite.training.vocoder.config import VocoderConfig
from aether_lite.training.vocoder.pictures import course_picture, validation_page
from aether_lite.training.vocoder.stages import Stage
from aether_lite.vocoder import FARGAN, synthesize

BAR_EVERY = 10  # steps between updates of the bar's numbers, and of the scalars
LISTENED = 2  # clips whose audio is kept
MEASURED = ("estoi", "pesq_wb", "dnsmos_ovrl")  # of the audio, where the packages are installed


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
        lacking = missing_line(MEASURED)
        if lacking is not None:
            self.bar.write(lacking)

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
        numbers = self._measured(made)
        self.journal.scalars("valid", numbers, step)
        self.journal.row({"step": step, "valid": "vocoder", **numbers})
        self.bar.write(f"step {step}: " + ", ".join(f"{name} {value:.4f}" for name, value in numbers.items()))
        for number, audio in enumerate(made[:LISTENED]):
            self.journal.audio(f"valid/{number}", audio, step)
            write_audio(self.out / f"valid_{number}.wav", audio.numpy())
        if self.config.save_visualization:
            self._draw(step, made[0])
        return numbers[SPECTRAL]

    def _measured(self, made: Sequence[Tensor]) -> dict[str, float]:
        """Numbers over all clips; those that are not defined or cannot be measured here are left out."""
        clips = [
            resynthesis_measures(audio, speech, rows, MEASURED)
            for audio, speech, rows in zip(made, self.speech, self.features, strict=True)
        ]
        frames = [float(len(rows)) for rows in self.features]
        numbers = {SPECTRAL: fmean(clip[SPECTRAL] for clip in clips)}
        for name in clips[0].keys() - {SPECTRAL}:
            numbers[name] = METRICS[name].over_clips([clip[name] for clip in clips], frames)
        return {name: numbers[name] for name in clips[0] if math.isfinite(numbers[name])}

    def _draw(self, step: int, made: Tensor) -> None:
        """A PNG page of the first clip and of the run so far."""
        log, page = self.out / LOG, self.out / f"validation_{step:08d}.png"
        title = f"Step {step}: vocoder on features of unseen speech"
        validation_page(page, log, self.speech[0], made, self.features[0], reanalysed(made), title)
        course_picture(self.out / "losses.png", log)
        self.journal.picture("valid/page", page, step)

    def close(self) -> None:
        """End the bar and the writers."""
        self.bar.close()
        self.journal.close()
