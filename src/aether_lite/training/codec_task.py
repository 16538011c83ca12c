"""The codec's training through the four stages of the curriculum."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from aether_lite.codec import CodecConfig, SpiCodec, grown
from aether_lite.codec.growth import GROWING, start
from aether_lite.codec.loading import codec_path, file_metadata, load_codec, save_codec, start_hash_codec
from aether_lite.container.layout import token_bits
from aether_lite.data.corpus import Corpus
from aether_lite.data.loader import Loader
from aether_lite.environment import keep_compiled_apart
from aether_lite.errors import AetherError
from aether_lite.hash import HashPenalties
from aether_lite.losses.adversarial import discriminator_loss
from aether_lite.losses.asr import load_asr_loss
from aether_lite.payload import BIT_RATES
from aether_lite.training.capture import captured_vocoder
from aether_lite.training.checkpoint import origin, started_from
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.codec_pass import PassOutput, TrainingPass
from aether_lite.training.codec_validation import CodecValidation
from aether_lite.training.conditions import draw
from aether_lite.training.curriculum import Stage, position
from aether_lite.training.distributed import DistributedContext, check_share, shared_items
from aether_lite.training.loop import MODEL, Batch, Task, Validation
from aether_lite.training.optimiser import ADAMW_BETAS, GAN_BETAS, Muon, descend, muon_groups, rate_factor, set_rates
from aether_lite.training.run_logger import RunLogger
from aether_lite.vocoder import FARGAN, load_fargan, load_network, save_vocoder
from aether_lite.vocoder.discriminators import SpectrogramDiscriminators

CONSTANTS_STREAM = 1  # crops of this seed offset give the image's normalisation constants
CONSTANTS_CROPS = 512
SAME_PRESET = ("width", "token_frames")  # what given weights share with the preset; in GROWING they may have less
VOCODER = "vocoder.safetensors"
LEAST_AUDIO_FRAMES = 20  # that the vocoder makes of a crop


class CodecTask(Task):
    """Codec, vocoder and discriminators of one run."""

    config: TrainConfig
    average: SpiCodec
    shown = ("total", "wave", "adv", "spi")

    def __init__(self, config: TrainConfig, corpus: Corpus, context: DistributedContext) -> None:
        super().__init__(config, corpus, context)
        check_share(context, batch=config.batch)
        if config.stage_borders[0] < config.steps:
            _ = corpus.kinds  # audio that does not belong to its features is to be an error now
        torch.manual_seed(config.seed)
        self.codec = _codec(config, corpus).to(context.device)
        self.start = started_from(config.codec)
        self.begun = copy.deepcopy(self.codec.state_dict()) if config.start_share > 0 else {}
        given = load_fargan(config.fargan_ckpt) if config.fargan_ckpt else load_network(config.vocoder or None)
        self.vocoder = given.to(context.device).eval()
        length, shortest = config.audio_frames, self.vocoder.context_rows + LEAST_AUDIO_FRAMES
        if length < shortest and config.stage_borders[0] < config.steps:
            raise AetherError(f"audio_frames: at least {shortest} with the vocoder {self.vocoder.kind}, not {length}")
        if config.compiled and isinstance(self.vocoder, FARGAN):
            keep_compiled_apart()
            self.vocoder.sig_net.compile(fullgraph=True, dynamic=False)
        self.discriminator = SpectrogramDiscriminators().to(context.device) if config.lambda_adv > 0 else None
        self.asr = load_asr_loss(config.mel_predictor, config.asr_model) if config.lambda_asr > 0 else None
        self.penalties = None
        if self.codec.config.hash:
            bits = 2 * self.codec.jscc_encoder.max_uses
            self.penalties = HashPenalties(bits, reduce=context.total).to(context.device)
        self.average = copy.deepcopy(self.codec).requires_grad_(False)
        self.average.to(context.device)  # puts the copied weights of each GRU into one piece again, which cuDNN wants
        if self.codec.latent_power is not None:
            self.codec.latent_power.total = context.total
        self.networks, self.optimisers = {MODEL: self.codec, "vocoder": self.vocoder}, {MODEL: self._optimiser()}
        if self.discriminator is not None:
            self.networks["discriminator"] = self.discriminator
            self.optimisers["discriminator"] = torch.optim.AdamW(
                self.discriminator.parameters(), lr=config.discriminator_rate, betas=GAN_BETAS, weight_decay=0.0
            )
        if self.penalties is not None:
            self.networks["penalties"] = self.penalties
        if self.asr is not None:
            self.asr.to(context.device)
        self.stage: Stage | None = None

    def _optimiser(self) -> Muon:
        """Muon over the codec and AdamW over the vocoder.

        The vocoder's group is there from the start. While the vocoder is frozen it has no gradients, so the optimiser
        leaves it and its state alone; unfreezing changes nothing else.
        """
        rate, vocoder = self.config.learning_rate, list(self.vocoder.parameters())
        groups = muon_groups(self.codec, self.config)
        groups.append({"params": vocoder, "weight_decay": 0.0, "peak": rate * self.config.vocoder_rate})
        return Muon(groups, lr=rate, betas=ADAMW_BETAS, context=self.context)

    def batches(self, first: int) -> Loader[Batch]:
        config = self.config
        items, borders = tuple(self.context.items(config.batch)), tuple(config.stage_borders)
        make = MakeBatch(self.corpus, config.seed, items, config.frames, borders)
        cuda = self.context.device.type == "cuda"
        return Loader(make, range(first, config.steps), workers=config.workers, pin_memory=cuda)

    def enter(self, stage: Stage) -> None:
        """Freeze or unfreeze the vocoder and wrap the pass for this stage; the optimiser keeps its state."""
        self.stage = stage
        self.vocoder.requires_grad_(stage.trains_vocoder)
        config, context, speak = self.config, self.context, None
        alone = context.device.type == "cuda" and context.size == 1
        if config.captured and alone and stage.makes_audio and isinstance(self.vocoder, FARGAN):
            items = shared_items(context, config.audio_items, config.batch)
            speak = captured_vocoder(self.vocoder, items, config.audio_frames)
        self.wrapped: nn.Module = TrainingPass(
            self.codec, self.vocoder, self.discriminator, config, context, speak, self.penalties, self.asr
        )
        if context.size > 1:
            devices = [context.device] if context.device.type == "cuda" else None
            # a stage's unused parts (the vocoder before audio, the encoder's SNR input) get no gradient
            self.wrapped = DistributedDataParallel(self.wrapped, device_ids=devices, find_unused_parameters=True)

    def train_step(self, batch: Batch, step: int) -> dict[str, Tensor]:
        config, place = self.config, position(step, self.config.stage_borders)
        if place.stage is not self.stage:
            self.enter(place.stage)
        set_rates(self.optimisers[MODEL], rate_factor(step, config.steps, config.warmup, config.final_rate))
        conditions = draw(config, config.seed, step, batch.items).to(self.context.device)
        output: PassOutput = self.wrapped(batch, conditions, place, step)
        norm = descend(self.optimisers[MODEL], output.total, config.gradient_norm)
        parts = {"total": output.total.detach(), "gradient": norm, **output.parts}
        if self.discriminator is not None and place.adv > 0:
            assert output.made is not None
            assert output.real is not None
            judged = self.discriminator(output.real), self.discriminator(output.made)
            loss = discriminator_loss(*judged, reduce=self.context.total)
            descend(self.optimisers["discriminator"], loss, math.inf, self.context)
            parts["discriminator"] = loss.detach()
        return parts

    def stage_name(self, step: int) -> str:
        return position(step, self.config.stage_borders).stage.name

    def prepare_validation(self, valid: Corpus) -> None:
        self.validation = CodecValidation(self.config, valid, self.codec, self.context.device)

    def validate(self, step: int, logger: RunLogger) -> Validation:
        self._measure_power()
        return self.validation(step, self.average, self.vocoder, logger)

    def extra(self, step: int) -> dict[str, Any]:
        return {"file_metadata": file_metadata(self.average.config, self._provenance(step))}

    def export(self, step: int) -> None:
        config, model = self.config, copy.deepcopy(self.average)
        if config.start_share > 0:
            with torch.no_grad():
                for name, value in model.named_parameters():
                    value.lerp_(self.begun[name], config.start_share)
        self._measure_power(model)
        save_codec(model, config.exported, self._provenance(step))
        if step > config.stage_borders[-1]:
            save_vocoder(self.vocoder, Path(config.out) / VOCODER, {"step": str(step)})

    def _provenance(self, step: int) -> dict[str, Any]:
        provenance = origin(self.config, step, self.corpus)
        return {**provenance, "started_from": self.start} if self.start else provenance

    def next_command(self) -> str:
        if self.config.enable_hash:
            return f"aether-lite encode IN.wav OUT.aeth --model {self.config.exported}"
        return f"aether-lite transmit IN.wav OUT.wav --snr 10 --model {self.config.exported}"

    def _measure_power(self, model: SpiCodec | None = None) -> None:
        """Constants of the averaged weights' power constraint, measured on training data."""
        chosen = self.average if model is None else model
        if chosen.latent_power is not None:
            chosen.measure_power(constants_crops(self.config, self.corpus).to(self.context.device))


@dataclass(frozen=True)
class MakeBatch:
    """Batch of a step; picklable, and a function of the step alone."""

    corpus: Corpus
    seed: int
    items: Sequence[int]
    frames: int
    borders: Sequence[int]

    def __call__(self, step: int) -> Batch:
        place = self.seed, step, self.items, self.frames
        if position(step, self.borders).stage.makes_audio:
            return Batch(tuple(self.items), *self.corpus.batch_with_audio(*place))
        return Batch(tuple(self.items), self.corpus.batch(*place))


def constants_crops(config: TrainConfig, corpus: Corpus) -> Tensor:
    """Training data that constants are measured on, ``[N, F, 20]``."""
    return corpus.batch(config.seed + CONSTANTS_STREAM, 0, range(CONSTANTS_CROPS), config.frames)


def _codec(config: TrainConfig, corpus: Corpus) -> SpiCodec:
    """The codec to start from: given weights, or random ones with the image constants of the training data."""
    size = config.codec_form
    if config.enable_hash:
        token_bits(min(BIT_RATES), size.token_frames)  # refuses tokens that files cannot hold
    if config.codec:
        path = codec_path(config.codec)
        model = start_hash_codec(path) if config.enable_hash else load_codec(path, unit="uses/s")[0]
        if _differ(model.config, size, SAME_PRESET):
            raise AetherError(f"{config.codec}: is not of preset {config.preset}")
        if _differ(model.config, size, GROWING):
            model = grown(model, replace(model.config, **{name: getattr(size, name) for name in GROWING}))
        if "power" in config.form:
            model = constrained(model, size.power)
        return model.train().requires_grad_(True)
    model = SpiCodec(size)
    start(model, constants_crops(config, corpus))
    return model


def constrained(model: SpiCodec, power: str) -> SpiCodec:
    """The same weights under another power constraint of symbols."""
    made = SpiCodec(replace(model.config, power=power))
    made.load_state_dict(model.state_dict(), strict=False)  # not every constraint knows the latents' mean squares
    return made


def _differ(one: CodecConfig, other: CodecConfig, names: Sequence[str]) -> bool:
    return any(getattr(one, name) != getattr(other, name) for name in names)
