"""The training loop: four stages, any number of processes, resumable to the bit.

Crops, conditions and noise are functions of (seed, step, item), so a checkpoint needs weights, optimisers, the running
average and the step, and nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from aether_lite.codec import CodecConfig, SpiHash, SpiJscc, grown, preset
from aether_lite.codec.growth import GROWING
from aether_lite.codec.loading import codec_path, load_codec, save_codec, start_hash_codec
from aether_lite.container.layout import token_bits
from aether_lite.data.corpus import Corpus
from aether_lite.data.loader import Loader
from aether_lite.errors import AetherError
from aether_lite.hash import BIT_RATES, HashPenalties, checked_kind
from aether_lite.losses.adversarial import GanLoss
from aether_lite.losses.asr import Listener, load_listener
from aether_lite.spi import matched_hidden
from aether_lite.training.batches import Batch, batches
from aether_lite.training.bit_conditions import BitConditions, BitRanges, draw_bits
from aether_lite.training.checkpoint import (
    BEST,
    check_same_run,
    load_checkpoint,
    newest,
    restore_optimiser,
    save_checkpoint,
    save_step,
)
from aether_lite.training.conditions import ConditionRanges, Conditions, draw
from aether_lite.training.config import CAME_LATER, FREE_TO_CHANGE, TrainConfig
from aether_lite.training.critic import Critic, critic_step
from aether_lite.training.curriculum import Stage, position
from aether_lite.training.distributed import Team, check_share
from aether_lite.training.graphed import graphed
from aether_lite.training.loop import average_weights, finish, finite, run_steps
from aether_lite.training.optimiser import make_critic_optimiser, make_optimiser, rate_factor, set_rates
from aether_lite.training.passes import PassOutput, TrainingPass
from aether_lite.training.provenance import data_hash, provenance, started_from
from aether_lite.training.reporting import Reporter
from aether_lite.vocoder import load_fargan, save_fargan_safetensors

CONSTANTS_STREAM = 1  # crops of this seed offset give the image's normalisation constants
CONSTANTS_CROPS = 512
# what given weights must share with the preset; in what is GROWING they may have less
SAME_PRESET = ("width", "token_frames")


class Trainer:
    """One run in one folder.

    Args:
        config: options.
        corpus: training clips.
        team: this process among all.
        reporter: progress, pictures and validation; None in the processes that do not write.
    """

    def __init__(self, config: TrainConfig, corpus: Corpus, team: Team, reporter: Reporter | None = None) -> None:
        heard = {"audio_items": config.audio_items}
        if config.listens:
            heard["listening_items"] = config.listening_items
        check_share(team, batch=config.batch, **heard)
        for name, count in heard.items():
            if config.batch % count:
                raise AetherError(f"{name} {count} must divide the batch of {config.batch}")
        self.config, self.team, self.reporter = config, team, reporter
        self.out = Path(config.out)
        torch.manual_seed(config.seed)
        self.codec = _codec(config, corpus).to(team.device)
        self.start = started_from(config.codec)
        self.vocoder = load_fargan(Path(config.fargan_ckpt) if config.fargan_ckpt else None).to(team.device).eval()
        if config.compiled:
            self.vocoder.sig_net.compile(fullgraph=True, dynamic=False)
        self.critic = Critic(GanLoss(config.gan_loss)).to(team.device) if config.lambda_adv > 0 else None
        self.listener = _listener(config, team)
        self.penalties = _penalties(self.codec, team)
        self.average = copy.deepcopy(self.codec).requires_grad_(False)
        self.average.to(team.device)  # puts the copied weights of each GRU into one piece again, which cuDNN wants
        if isinstance(self.codec, SpiJscc) and self.codec.latent_power is not None:
            self.codec.latent_power.total = team.total
        self.optimiser = make_optimiser(self.codec, self.vocoder, config, team)
        self.critic_optimiser = make_critic_optimiser(self.critic, config) if self.critic else None
        self.data_hash = data_hash(corpus)
        self.step, self.best = 0, float("inf")
        self.stage: Stage | None = None
        self.stopping = False
        self.corpus = corpus
        self.loader: Loader[Batch] | None = None

    def enter(self, stage: Stage) -> None:
        """Freeze or unfreeze the vocoder and wrap the pass for this stage; the optimiser keeps its state."""
        self.stage = stage
        self.vocoder.requires_grad_(stage.trains_vocoder)
        config = self.config
        recorded = config.captured and self.team.device.type == "cuda" and self.team.size == 1 and stage.hears
        speak = graphed(self.vocoder, config.audio_items, config.audio_frames) if recorded else None
        whole = TrainingPass(
            self.codec, self.vocoder, self.critic, config, self.team.total, speak, self.penalties, self.listener
        )
        self.wrapped: nn.Module = whole
        if self.team.size > 1:
            devices = [self.team.device] if self.team.device.type == "cuda" else None
            # a stage's unused parts (the vocoder before audio, the encoder's SNR input) get no gradient
            self.wrapped = DistributedDataParallel(whole, device_ids=devices, find_unused_parameters=True)

    def train_step(self) -> dict[str, Tensor]:
        """One step of all networks; returns the loss parts."""
        config, place = self.config, position(self.step, self.config.stage_borders)
        if place.stage is not self.stage:
            self.enter(place.stage)
        set_rates(self.optimiser, rate_factor(self.step, config))
        if self.loader is None:
            self.loader = batches(self.corpus, config, self.team, self.step)
        batch = next(self.loader).to(self.team.device)
        conditions = _conditions(config, self.step, batch.items).to(self.team.device)
        output: PassOutput = self.wrapped(batch, conditions, place, self.step)
        finite(output.total, self.team, self.step)
        output.total.backward()  # type: ignore[no-untyped-call]
        trained = [p for group in self.optimiser.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(trained, config.gradient_norm)
        self.optimiser.step()
        self.optimiser.zero_grad()
        parts = {"total": output.total.detach(), "gradient": norm, **output.parts}
        if self.critic is not None and self.critic_optimiser is not None and place.adv > 0:
            assert output.made is not None
            assert output.real is not None
            parts["critic"] = critic_step(
                self.critic, self.critic_optimiser, output.real, output.made, GanLoss(config.gan_loss), self.team
            )
        average_weights(self.average, self.codec, config.average, self.step)
        self.step += 1
        return parts

    def run(self) -> None:
        """Train to the end or to a signal, saving on the way and at the end."""
        try:
            run_steps(self, self.config.steps, self._after)
            finish(self)
        finally:
            if self.loader is not None:
                self.loader.close()

    def _after(self, parts: Mapping[str, Tensor]) -> None:
        """Report, validate and save as due. Only the leading process writes; the others wait for it."""
        config = self.config
        last = self.step == config.steps
        stop = False
        if self.reporter is not None:
            self.reporter.progress(self.step, parts, self.stage, self.loader.waited if self.loader else 0.0)
            if last or self.step % config.validate_every == 0:
                self._measure_power()
                report = self.reporter.validate(self.step, self.average, self.vocoder)
                stop = bool(report.alarms) and config.stop_on_collapse
                if report.score < self.best:
                    self.best = report.score
                    save_checkpoint(self.out / BEST, self.content())
        if self.team.leads and (last or self.step % config.save_every == 0):
            self.save()
        if last or self.step % config.validate_every == 0:
            self.stopping = self.team.agree(stop) or self.stopping

    def content(self) -> dict[str, Any]:
        """All that a checkpoint holds."""
        return {
            "model": self.codec.state_dict(),
            "average": self.average.state_dict(),
            "vocoder": self.vocoder.state_dict(),
            "critic": self.critic.state_dict() if self.critic else {},
            "optimiser": self.optimiser.state_dict(),
            "critic_optimiser": self.critic_optimiser.state_dict() if self.critic_optimiser else {},
            "step": self.step,
            "stage": self.stage.name if self.stage else "",
            "best": self.best,
            "config": self.config.as_dict(),
            "data": self.data_hash,
            **({} if self.penalties is None else {"penalties": self.penalties.state_dict()}),
        }

    def save(self) -> None:
        """Write the checkpoint of this step and delete the oldest beyond ``keep``."""
        save_step(self.out, self.step, self.content(), self.config.keep)

    def export(self) -> None:
        """Write the averaged codec, and the vocoder once it has been trained, as release files."""
        self._measure_power()
        origin = provenance(self.config, self.step, self.corpus, self.start)
        kind = "hash" if self.config.enable_hash else "codec"
        save_codec(self.average, self.out / f"{kind}_{self.config.preset}.safetensors", origin)
        if self.step > self.config.stage_borders[-1]:
            save_fargan_safetensors(self.vocoder, self.out / "vocoder.safetensors", {"step": str(self.step)})

    def _measure_power(self) -> None:
        """Constants of the averaged weights' power constraint, measured on training data."""
        if isinstance(self.average, SpiJscc):
            self.average.measure_power(_crops(self.config, self.corpus).to(self.team.device))

    def resume(self, choice: str) -> Path | None:
        """Continue from ``auto`` (the newest in the run's folder), a checkpoint file, or nothing (``none``)."""
        path = newest(self.out) if choice == "auto" else None if choice == "none" else Path(choice)
        if path is None:
            return None
        content = load_checkpoint(path)
        content["config"] = TrainConfig().as_dict() | CAME_LATER | content["config"]
        check_same_run(path, content, self.config.as_dict(), FREE_TO_CHANGE, self.data_hash)
        self.codec.load_state_dict(content["model"])
        self.average.load_state_dict(content["average"])
        self.vocoder.load_state_dict(content["vocoder"])
        restore_optimiser(self.optimiser, content["optimiser"], path)
        if self.critic is not None and self.critic_optimiser is not None:
            self.critic.load_state_dict(content["critic"])
            self.critic_optimiser.load_state_dict(content["critic_optimiser"])
        if self.penalties is not None:
            self.penalties.load_state_dict(content["penalties"])
        self.step, self.best = content["step"], content["best"]
        return path


def _conditions(config: TrainConfig, step: int, items: Sequence[int]) -> Conditions | BitConditions:
    """What these items of a step meet between encoder and decoder."""
    if config.enable_hash:
        bit_ranges = BitRanges(
            rates=tuple(config.bit_rates),
            error_rate=(config.bit_error_rate[0], config.bit_error_rate[1]),
            channels=config.bit_channels,
            erasure_share=config.erasure_share,
            erasure_probability=config.erasure_probability,
            withheld=config.withheld,
        )
        return draw_bits(bit_ranges, config.seed, step, items, config.sends)
    ranges = ConditionRanges(
        snr_db=tuple(config.snr_db),
        rates=tuple(config.rates),
        channels=config.channels,
        erasure_share=config.erasure_share,
        erasure_probability=config.erasure_probability,
        withheld=config.withheld,
        targeted=config.targeted,
    )
    return draw(ranges, config.seed, step, items, config.sends)


def _listener(config: TrainConfig, team: Team) -> Listener | None:
    """What hears for the terms ``listening`` and ``words``; None where neither has weight."""
    if not config.listens:
        return None
    return load_listener(config.ear, config.recogniser, reads=config.lambda_words > 0).to(team.device)


def _penalties(codec: SpiJscc | SpiHash, team: Team) -> HashPenalties | None:
    """Running statistics of a hash codec's bits; None for a codec of symbols."""
    if not isinstance(codec, SpiHash):
        return None
    return HashPenalties(codec.jscc_encoder.max_bits, reduce=team.total).to(team.device)


def codec_config(config: TrainConfig) -> CodecConfig:
    """Sizes that the options ask for, of an analogue codec."""
    size = replace(preset(config.preset), linear=config.linear, power=config.power)
    if not config.flat:
        return size
    return replace(size, flat=matched_hidden(size.width, size.channels, size.token_frames))


def _crops(config: TrainConfig, corpus: Corpus) -> Tensor:
    """Training data that constants are measured on, ``[N, F, 20]``."""
    return corpus.batch(config.seed + CONSTANTS_STREAM, 0, range(CONSTANTS_CROPS), config.frames)


def _differ(one: CodecConfig, other: CodecConfig, names: Sequence[str]) -> bool:
    return any(getattr(one, name) != getattr(other, name) for name in names)


def _codec(config: TrainConfig, corpus: Corpus) -> SpiJscc | SpiHash:
    """The codec to start from: given weights, or random ones with the image constants of the training data."""
    size = codec_config(config)
    if config.enable_hash:
        token_bits(min(BIT_RATES), size.token_frames)  # refuses tokens that files cannot hold
    model: SpiJscc | SpiHash
    if config.codec:
        path = codec_path(config.codec)
        model = start_hash_codec(path, checked_kind(config.hash_kind)) if config.enable_hash else load_codec(path)[0]
        if _differ(model.config, size, SAME_PRESET):
            raise AetherError(f"{config.codec}: is not of preset {config.preset}")
        if _differ(model.config, size, GROWING):
            model = grown(model, replace(model.config, **{name: getattr(size, name) for name in GROWING}))
        return model.train().requires_grad_(True)
    model = SpiHash(replace(size, hash=config.hash_kind)) if config.enable_hash else SpiJscc(size)
    model.start(_crops(config, corpus))
    return model
