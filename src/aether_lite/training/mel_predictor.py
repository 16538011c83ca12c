"""Training of the mel predictor: features to the log-mel spectrum that a speech recogniser takes.

First the mean square error of the spectrum alone, which is cheap. Then the distance of the recogniser's states too,
which tells what of a spectrum matters. ``train --lambda_asr`` compares speech through the result.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from aether_lite.data.corpus import Corpus
from aether_lite.data.loader import Loader
from aether_lite.losses.asr import AsrLoss, MelPredictor, log_mel_spectra, save_mel_predictor
from aether_lite.losses.whisper import MAX_FRAMES, TINY, load_encoder, model_file
from aether_lite.training.checkpoint import origin
from aether_lite.training.distributed import DistributedContext, check_share
from aether_lite.training.loop import MODEL, Batch, Task, Validation
from aether_lite.training.optimiser import ADAMW_BETAS, Muon, descend, muon_groups, rate_factor, set_rates
from aether_lite.training.options import ASR_MODEL_HELP, RunConfig, check_rules, option
from aether_lite.training.run_logger import RunLogger, loss_curves

STATES_WEIGHT = 0.3  # of the states' distance relative to the spectra's
STATISTICS_ITEMS = 32  # that the scale of inputs and states is taken from
STATISTICS_STREAM, VALID_STREAM = 1, 2  # seed offsets of their crops and of those to measure on


@dataclass
class MelPredictorConfig(RunConfig):
    """Options of ``train-mel-predictor``."""

    DESCRIPTION: ClassVar[str] = (
        "Train the mel predictor: features to the spectrum that a speech recogniser takes, for `train --lambda_asr`."
    )

    batch: int = option(8, "items a step while the recogniser takes part; twice as many before")
    frames: int = option(512, f"frames of 10 ms an item, even, at most {MAX_FRAMES}")
    consecutive: bool = option(True, "fill items longer than a clip with the clips behind it in name order")
    valid_batches: int = option(8, "batches to measure on", free=True)
    asr_model: str = option(TINY, ASR_MODEL_HELP, was=("recogniser",), path=True)
    spectral_steps: int = option(200, "steps on spectra alone, before the recogniser takes part")
    steps: int = option(600, "gradient steps in all", length=True)
    learning_rate: float = option(5e-3, "peak learning rate")
    warmup: int = option(50, "steps in which the learning rate rises")
    average: float = option(0.98, "decay of the running average of the weights that is written")
    validate_every: int = option(200, "steps between validations", free=True)
    out: str = option("runs/mel_predictor", "folder of the run: checkpoints, log, weights", path=True, free=True)

    @property
    def exported(self) -> Path:
        return Path(self.out) / "mel_predictor.safetensors"

    def check(self) -> None:
        check_rules(
            (0 <= self.spectral_steps <= self.steps, "spectral_steps: 0 to steps"),
            (self.valid_batches >= 1, "valid_batches: at least 1"),
            (16 <= self.frames <= MAX_FRAMES and self.frames % 2 == 0, f"frames: even, 16 to {MAX_FRAMES}"),
        )
        super().check()


class MelPredictorTask(Task):
    """A mel predictor that learns before a frozen recogniser."""

    config: MelPredictorConfig

    def __init__(self, config: MelPredictorConfig, corpus: Corpus, context: DistributedContext) -> None:
        super().__init__(config, corpus, context)
        check_share(context, batch=config.batch)
        _ = corpus.kinds
        encoder = load_encoder(model_file(config.asr_model))
        torch.manual_seed(config.seed)
        self.asr = AsrLoss(MelPredictor(), encoder)
        features, spectra = self._crops(corpus, STATISTICS_STREAM, 0, range(STATISTICS_ITEMS))
        self.asr.mel_predictor.measure(features)
        with torch.no_grad():
            self.asr.spread.copy_(encoder.depths(spectra).flatten(1, 2).std(1).clamp_min(1e-6))
        self.asr.to(context.device)
        self.average: MelPredictor = copy.deepcopy(self.asr.mel_predictor).requires_grad_(False)
        self.networks = {MODEL: self.asr.mel_predictor}
        groups = muon_groups(self.asr.mel_predictor, config)
        self.optimisers = {MODEL: Muon(groups, lr=config.learning_rate, betas=ADAMW_BETAS)}

    def batches(self, first: int) -> Loader[Batch]:
        return Loader(self._batch, range(first, self.config.steps))

    def _batch(self, step: int) -> Batch:
        items = self.context.items(self.config.batch * (1 if self._joined(step) else 2))
        return Batch(tuple(items), *self._crops(self.corpus, 0, step, items))

    def train_step(self, batch: Batch, step: int) -> dict[str, Tensor]:
        config = self.config
        set_rates(self.optimisers[MODEL], rate_factor(step, config.steps, config.warmup, config.final_rate))
        assert batch.audio is not None
        predicted = self.asr.mel_predictor(batch.features)
        error = total = (predicted - batch.audio).square().mean()
        parts = {"spectrum": error.detach()}
        if self._joined(step):
            distance = self._distance(self.asr, predicted, batch.audio)
            total, parts["states"] = error + STATES_WEIGHT * distance, distance.detach()
        norm = descend(self.optimisers[MODEL], total, config.gradient_norm, self.context)
        return {"total": total.detach(), "gradient": norm, **parts}

    def stage_name(self, step: int) -> str:
        return "states" if self._joined(step) else "spectra"

    def prepare_validation(self, valid: Corpus) -> None:
        config = self.config
        self.valid = [self._crops(valid, VALID_STREAM, n, range(config.batch)) for n in range(config.valid_batches)]

    @torch.no_grad()
    def validate(self, step: int, logger: RunLogger) -> Validation:
        asr, found = self._averaged(), []
        for crops in self.valid:
            features, spectra = (value.to(self.context.device) for value in crops)
            predicted = asr.mel_predictor(features)
            error = (predicted - spectra).square().mean()
            found.append((float(error), float(self._distance(asr, predicted, spectra))))
        spectrum, states = (sum(values) / len(found) for values in zip(*found, strict=True))
        self.measured = {"spectrum": spectrum, "states": states}
        logger.validation(step, "mel predictor", self.measured)
        logger.say(
            f"step {step}: mean square error {spectrum:.4f} of the spectrum and {states:.4f} of the recogniser's "
            "states, whose variance is 1"
        )
        if self.config.save_visualization:
            loss_curves(logger.log, Path(self.config.out) / "losses.png")
        return Validation(spectrum + STATES_WEIGHT * states)

    def export(self, step: int) -> None:
        measured = {name: round(value, 5) for name, value in getattr(self, "measured", {}).items()}
        notes = {**origin(self.config, step, self.corpus), "valid": measured}
        save_mel_predictor(self.average, self.asr.spread, self.config.exported, notes)

    def next_command(self) -> str:
        return f"aether-lite train --config conf/codec_small.yaml --mel_predictor {self.config.exported}"

    def _joined(self, step: int) -> bool:
        return step >= self.config.spectral_steps

    def _averaged(self) -> AsrLoss:
        asr = copy.deepcopy(self.asr)
        asr.mel_predictor = self.average
        return asr.eval().requires_grad_(False)

    def _crops(self, corpus: Corpus, stream: int, step: int, items: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Features ``[B, F, 20]`` and spectra ``[B, F, 80]`` of a step."""
        features, audio = corpus.batch_with_audio(self.config.seed + stream, step, items, self.config.frames)
        return features, log_mel_spectra(audio, self.config.frames)

    @staticmethod
    def _distance(asr: AsrLoss, predicted: Tensor, spectra: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = asr.states_of_spectra(spectra)
        return (asr.states_of_spectra(predicted) - wanted).square().mean()
