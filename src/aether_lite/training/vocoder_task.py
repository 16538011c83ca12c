"""The vocoder's training by itself: first on spectra, then against discriminators.

===============  =======================  =========================================  ==========================
stage            from step                losses                                     what trains
===============  =======================  =========================================  ==========================
``spectral``     0                        spectral; for FARGAN continuation          the whole vocoder
``adversarial``  ``spectral_steps``       spectral, feature matching, GAN            discriminators; after
                                                                                     ``discriminator_steps``
                                                                                     also the sub-frame network
===============  =======================  =========================================  ==========================

FARGAN's conditioning network and gain stay as they are in the second stage, as in the public recipe. One pass of the
discriminators serves their own loss and the vocoder's.

A share of the items gets the features that the codec makes of the same speech after a random channel, so that the
vocoder learns to cope with decoding errors. These items bring a longer stretch of features along: the codec's memory is
warm where the crop begins, and its decoder has the token behind the crop to look ahead to.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from aether_lite.audio import write_audio
from aether_lite.codec import SpiCodec
from aether_lite.codec.loading import DEFAULT_CODEC, codec_path, load_codec
from aether_lite.data.corpus import Corpus, read_frames
from aether_lite.data.loader import Loader
from aether_lite.data.pairs import common_kind, read_speech
from aether_lite.environment import keep_compiled_apart
from aether_lite.features.layout import FRAME, voiced_frames
from aether_lite.losses.adversarial import (
    Outputs,
    continuation_loss,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)
from aether_lite.losses.spectral import item_stft_loss, root_stft_loss
from aether_lite.metrics import METRICS, missing_line
from aether_lite.metrics.spectral import SPECTRAL, reanalysed, resynthesis_measures
from aether_lite.plots.canvas import ORANGE, f0_overlays, spectrogram_strips
from aether_lite.training.capture import Speak, Vocode, captured_vocoder
from aether_lite.training.checkpoint import origin
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.codec_validation import chosen_clips
from aether_lite.training.conditions import draw
from aether_lite.training.distributed import DistributedContext, check_share
from aether_lite.training.loop import MODEL, Batch, Task, Validation
from aether_lite.training.optimiser import GAN_BETAS, descend, rate_factor, set_rates
from aether_lite.training.run_logger import RunLogger, loss_curves
from aether_lite.training.vocoder_config import KNOWN_FRAMES, VocoderConfig
from aether_lite.vocoder import FARGAN, load_fargan, periods_from_features, save_vocoder, synthesize, vocoder_path
from aether_lite.vocoder.discriminators import SpectrogramDiscriminators
from aether_lite.vocoder.fargan import CONTEXT_ROWS, emphasised_frames
from aether_lite.vocoder.hnsf import KIND, HarmonicNoise, load_hnsf
from aether_lite.vocoder.registry import save_public_checkpoint
from aether_lite.vocoder.synthesis import frozen

SPECTRAL_BETAS = (0.8, 0.95)  # Opus, FARGAN stage 1
FROZEN_IN_ADVERSARIAL = ("cond_net.", "sig_net.cond_gain_dense.")
ADVERSARIAL, DISCRIMINATOR = "adversarial", "discriminator"
CONTINUATION = 0.03  # weight of the continuation loss
MEASURED = ("estoi", "pesq_wb", "dnsmos_ovrl")  # of the audio, where the packages are installed
MAX_FRAMES = 500  # of each validation clip
KEPT = 2  # clips whose audio is written
HISTORY_FRAMES = 64  # at least; what the codec gets before the crop (0.64 s)
_POLARITY_STREAM = 0x51C7


@dataclass(frozen=True)
class Stage:
    """Where a step lies in a run."""

    name: str  # spectral or adversarial
    batch: int  # items
    frames: int  # made of each
    trains: bool  # whether the vocoder learns in this step
    factor: float  # learning rate, relative to the stage's peak

    @property
    def adversarial(self) -> bool:
        """Whether discriminators take part."""
        return self.name == ADVERSARIAL


def stage_at(config: VocoderConfig, step: int) -> Stage:
    """Stage of a step, counted from 0."""
    if step < config.spectral_steps:
        factor = rate_factor(step, config.spectral_steps, config.warmup, config.final_rate)
        return Stage("spectral", config.batch, config.frames, True, factor)
    within, length = step - config.spectral_steps - config.discriminator_steps, config.adversarial_steps
    factor = rate_factor(max(within, 0), length - config.discriminator_steps, config.warmup, config.final_rate)
    return Stage(ADVERSARIAL, config.adversarial_batch, config.adversarial_frames, within >= 0, factor)


class VocoderTask(Task):
    """Vocoder and discriminators of one run."""

    config: VocoderConfig

    def __init__(self, config: VocoderConfig, corpus: Corpus, context: DistributedContext) -> None:
        super().__init__(config, corpus, context)
        check_share(context, batch=config.batch, adversarial_batch=config.adversarial_batch)
        _ = corpus.kinds  # audio that does not belong to its features is to be an error now
        torch.manual_seed(config.seed)
        self.vocoder = new_vocoder(config).to(context.device).train()
        if config.compiled and isinstance(self.vocoder, FARGAN):
            keep_compiled_apart()
            self.vocoder.sig_net.compile(fullgraph=True, dynamic=False)
        self.average: FARGAN | HarmonicNoise = copy.deepcopy(self.vocoder).eval().requires_grad_(False)
        sizes, most = config.spectrogram_sizes, config.discriminator_channels
        self.discriminator = SpectrogramDiscriminators(sizes, most).to(context.device)
        self.codec = load_codec(codec_path(config.codec or DEFAULT_CODEC), unit="uses/s")[0].to(context.device).eval()
        self.networks = {MODEL: self.vocoder, DISCRIMINATOR: self.discriminator}
        subframe = [p for name, p in self.vocoder.named_parameters() if not name.startswith(FROZEN_IN_ADVERSARIAL)]
        trained: dict[str, tuple[Iterable[nn.Parameter], float, tuple[float, float], float]] = {
            "spectral": (self.vocoder.parameters(), config.learning_rate, SPECTRAL_BETAS, config.weight_decay),
            ADVERSARIAL: (subframe, config.adversarial_rate, GAN_BETAS, 0),
            DISCRIMINATOR: (self.discriminator.parameters(), config.discriminator_rate, GAN_BETAS, 0),
        }
        self.optimisers = {
            name: AdamW([{"params": list(parameters), "peak": rate}], rate, betas, weight_decay=decay)
            for name, (parameters, rate, betas, decay) in trained.items()
        }
        self.entered = ""  # name of the stage that the vocoder is prepared for
        self.vocode: Speak = Vocode(self.vocoder) if isinstance(self.vocoder, FARGAN) else self.vocoder

    def batches(self, first: int) -> Loader[Batch]:
        config, context, form = self.config, self.context, self.codec.config
        make = MakeBatch(self.corpus, config, context.rank, context.size, form.token_frames, form.lookahead)
        cuda = context.device.type == "cuda"
        return Loader(make, range(first, config.steps), workers=config.workers, pin_memory=cuda)

    def train_step(self, batch: Batch, step: int) -> dict[str, Tensor]:
        config, stage = self.config, stage_at(self.config, step)
        step_of_stage = self._step_of(stage)
        torch.manual_seed((config.seed * 2**20 + step) * 2**10 + self.context.rank)  # of the activations' noise
        features = with_decoded(batch, self.codec, config.seed, step)
        set_rates(self.optimisers[stage.name], stage.factor)
        assert batch.audio is not None
        return step_of_stage(features, batch.audio)

    def _step_of(self, stage: Stage) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
        """The function that makes steps of this kind; a stage that is entered freezes weights, and records on a GPU."""
        if stage.name != self.entered:
            self.entered = stage.name
            for name, parameter in self.vocoder.named_parameters():
                parameter.requires_grad_(not (stage.adversarial and name.startswith(FROZEN_IN_ADVERSARIAL)))
            alone = self.context.device.type == "cuda" and self.context.size == 1
            if self.config.captured and alone and isinstance(self.vocoder, FARGAN):
                rows, known = KNOWN_FRAMES + stage.frames + CONTEXT_ROWS, KNOWN_FRAMES * FRAME
                self.vocode = captured_vocoder(self.vocoder, stage.batch, rows, known, gradient=False)
        if not stage.adversarial:
            return self._spectral
        return self._adversarial if stage.trains else self._judge

    def _spectral(self, features: Tensor, target: Tensor) -> dict[str, Tensor]:
        after = self.config.form.known * FRAME
        whole = self._draws(features, target)
        terms = {"spectral": self._distance(whole, features, target)}
        if after:
            terms["continuation"] = continuation_loss(whole[:, after:], target[:, after:], self.context.total)
        return self._descend("spectral", terms, {"spectral": 1.0, "continuation": CONTINUATION})

    def _adversarial(self, features: Tensor, target: Tensor) -> dict[str, Tensor]:
        config, reduce = self.config, self.context.total
        draws = self._draws(features, target)
        whole = draws[: len(target)]
        made = whole.detach().requires_grad_()
        truth, judged = self.discriminator(target), self.discriminator(made)
        matching, fooling = feature_matching_loss(truth, judged, reduce), generator_loss(judged, reduce=reduce)
        (gradient,) = torch.autograd.grad(config.matching_weight * matching + fooling, made, retain_graph=True)
        loss = self._learn_to_judge(truth, judged)
        # the value is that of both terms; below the audio it is their gradient
        gan = (whole * gradient).sum()
        terms = {"spectral": self._distance(draws, features, target), "gan": gan}
        parts = self._descend(ADVERSARIAL, terms, {"spectral": config.spectral_weight, "gan": 1.0})
        shown = {"feature_matching": matching.detach(), "adversarial": fooling.detach(), DISCRIMINATOR: loss}
        parts.pop("gan")
        return {**parts, **shown}

    def _distance(self, whole: Tensor, features: Tensor, target: Tensor) -> Tensor:
        """Distance of spectra: FARGAN's, or with log spectra, every item alike; of noise where speech is unvoiced."""
        weight, reduce = self.config.log_weight, self.context.total
        if isinstance(self.vocoder, FARGAN):
            if weight:
                return item_stft_loss(whole, target, weight, reduce=reduce)
            return root_stft_loss(whole, target, reduce=reduce)
        first = self.config.form.first_row
        voiced = voiced_frames(features[:, first : first + target.shape[1] // FRAME])
        return item_stft_loss(whole, target, weight, (~voiced).to(target), reduce)

    def _draws(self, features: Tensor, target: Tensor) -> Tensor:
        """What the distance of spectra sees: two draws of the noise ``[2 B, N]``; of FARGAN one ``[B, N]``."""
        if isinstance(self.vocoder, FARGAN):
            return self._speak(features, target)
        made: Tensor = self.vocoder(features, draws=2)
        return made

    def _speak(self, features: Tensor, target: Tensor) -> Tensor:
        """Known and made samples ``[B, N]``, aligned with ``target [B, N]``, of features ``[B, T, 20]``."""
        if not isinstance(self.vocoder, FARGAN):
            return self.vocode(features)
        known = target[:, : KNOWN_FRAMES * FRAME]
        return torch.cat((known, self.vocode(features, periods_from_features(features), known)), dim=1)

    def _judge(self, features: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Only the discriminators learn."""
        with torch.no_grad():
            made = self._speak(features, target)
        loss = self._learn_to_judge(self.discriminator(target), self.discriminator(made))
        return {"total": loss, DISCRIMINATOR: loss}

    def _learn_to_judge(self, real: Outputs, made: Outputs) -> Tensor:
        """A step of the discriminators from what they gave; their loss."""
        loss = discriminator_loss(real, made, reduce=self.context.total)
        descend(self.optimisers[DISCRIMINATOR], loss, math.inf, self.context)
        return loss.detach()

    def _descend(self, name: str, terms: dict[str, Tensor], weights: dict[str, float]) -> dict[str, Tensor]:
        """One step of an optimiser down the weighted sum; returns the terms, unweighted."""
        total = torch.stack([weights[term] * value for term, value in terms.items()]).sum()
        norm = descend(self.optimisers[name], total, self.config.gradient_norm, self.context)
        return {"total": total.detach(), "gradient": norm, **{term: value.detach() for term, value in terms.items()}}

    def stage_name(self, step: int) -> str:
        return stage_at(self.config, step).name

    def learns(self, step: int) -> bool:
        return stage_at(self.config, step).trains

    def introduction(self) -> Sequence[str]:
        lacking = missing_line(MEASURED)
        return () if lacking is None else (lacking,)

    def prepare_validation(self, valid: Corpus) -> None:
        clips = [(clip, min(clip.frames, MAX_FRAMES)) for clip in chosen_clips(valid, self.config.valid_clips)]
        self.features = [torch.from_numpy(read_frames(clip, 0, n)) for clip, n in clips]
        self.speech = [torch.from_numpy(read_speech(clip, common_kind([clip]), 0, n)) for clip, n in clips]

    def validate(self, step: int, logger: RunLogger) -> Validation:
        out = Path(self.config.out)
        vocoder = frozen(self.average)
        made = [synthesize(rows, vocoder) for rows in self.features]
        numbers = self._measured(made)
        logger.validation(step, "vocoder", numbers)
        logger.say(f"step {step}: " + ", ".join(f"{name} {value:.4f}" for name, value in numbers.items()))
        for number, audio in enumerate(made[:KEPT]):
            logger.audio(f"valid/{number}", audio, step)
            write_audio(out / f"valid_{number}.wav", audio.numpy())
        if self.config.save_visualization:
            title = f"Step {step}: vocoder on features of unseen speech"
            clips = [("original", self.speech[0]), ("made from its features", made[0])]
            spectrogram_strips(out / f"validation_{step:08d}.png", title, "", clips)
            contour = ("re-analysed", ORANGE, reanalysed(made[0]))
            f0_overlays(out / f"validation_f0_{step:08d}.png", title, "", self.features[0], [contour])
            loss_curves(logger.log, out / "losses.png")
        return Validation(numbers[SPECTRAL])

    def _measured(self, made: Sequence[Tensor]) -> dict[str, float]:
        """Figures over all clips; those that are not defined or cannot be measured here are left out."""
        clips = [
            resynthesis_measures(audio, speech, rows, MEASURED)
            for audio, speech, rows in zip(made, self.speech, self.features, strict=True)
        ]
        frames = [float(len(rows)) for rows in self.features]
        numbers = {SPECTRAL: fmean(clip[SPECTRAL] for clip in clips)}
        for name in clips[0].keys() - {SPECTRAL}:
            numbers[name] = METRICS[name].over_clips([clip[name] for clip in clips], frames)
        return {name: numbers[name] for name in clips[0] if math.isfinite(numbers[name])}

    def export(self, step: int) -> None:
        config = self.config
        notes = {name: str(value) for name, value in origin(config, step, self.corpus).items()}
        save_vocoder(self.average, config.exported, notes)
        if not isinstance(self.average, FARGAN):
            return
        save_public_checkpoint(
            self.average, config.exported.with_suffix(".pth"), batch_size=config.batch, lr=config.learning_rate,
            sequence_length=config.frames, adam_betas=list(SPECTRAL_BETAS), epoch=step,
        )  # fmt: skip

    def next_command(self) -> str:
        return f"aether-lite vocode IN.f32 OUT.wav --vocoder {self.config.exported}"


@dataclass(frozen=True)
class MakeBatch:
    """Batch of a step; picklable, and a function of the step alone. All ranks together make what one rank would.

    A batch has ``features [B, T, 20]`` with T = known frames + frames + context rows (of the vocoder's
    :class:`~aether_lite.training.vocoder_config.Form`), ``audio [B, 160 (known + frames)]``, the pre-emphasised speech
    of the rows from the form's first one on, and as ``history [K, H, 20]`` whole tokens for the codec that end
    ``lookahead`` tokens behind the first K crops.

    Attributes:
        rank, ranks: this process among all.
        token_frames, lookahead: of the codec.
    """

    corpus: Corpus  # clips with their samples
    config: VocoderConfig  # options
    rank: int
    ranks: int
    token_frames: int
    lookahead: int = 0

    def __call__(self, step: int) -> Batch:
        config, stage = self.config, stage_at(self.config, step)
        made = config.form.known + stage.frames
        rows, share = made + config.form.context, stage.batch // self.ranks
        own = range(self.rank * share, (self.rank + 1) * share)
        decoded = [item for item in own if goes_through_codec(item, config.decoded_share)]
        items = [*decoded, *(item for item in own if item not in decoded)]
        before = HISTORY_FRAMES + -(rows + HISTORY_FRAMES) % self.token_frames
        long, speech = self._crops(step, items[: len(decoded)], before + rows + self.lookahead * self.token_frames)
        short, short_speech = self._crops(step, items[len(decoded) :], rows)
        crop = slice(before, before + rows)
        joined = torch.cat((speech[:, before * FRAME : (before + rows) * FRAME], short_speech))
        target = emphasised_frames(joined, config.form.first_row, made) * self._polarities(step, items)
        return Batch(tuple(items), torch.cat((long[:, crop], short)), target, long)

    def _crops(self, step: int, items: Sequence[int], frames: int) -> tuple[Tensor, Tensor]:
        if not items:
            return torch.zeros(0, frames, 20), torch.zeros(0, frames * FRAME)
        return self.corpus.batch_with_audio(self.config.seed, step, items, frames)

    def _polarities(self, step: int, items: Sequence[int]) -> Tensor:
        """Signs ``[B, 1]``: inverted speech has the same features."""
        signs = [np.random.default_rng((_POLARITY_STREAM, self.config.seed, step, i)).integers(2) for i in items]
        return 1.0 - 2.0 * torch.tensor(np.array(signs), dtype=torch.float32)[:, None]


def new_vocoder(config: VocoderConfig) -> FARGAN | HarmonicNoise:
    """The network to train: of the kind, with the weights to start from or random ones."""
    if config.vocoder == KIND:
        return load_hnsf(vocoder_path(config.init)) if config.init else HarmonicNoise()
    return load_fargan(config.init) if config.init else FARGAN()


def goes_through_codec(item: int, share: float) -> bool:
    """Whether an item of a step gets decoded features: ``share`` of the items, evenly spread over their numbers."""
    before, after = (math.floor(round(share * count, 6)) for count in (item, item + 1))
    return after > before


@torch.no_grad()
def with_decoded(batch: Batch, codec: SpiCodec | None, seed: int, step: int) -> Tensor:
    """Features ``[B, T, 20]`` of which the first K have been through the codec and a channel of their own."""
    if codec is None or batch.history is None or len(batch.history) == 0:
        return batch.features
    count, rows = len(batch.history), batch.features.shape[1]
    conditions = draw(TrainConfig(), seed, step, batch.items[:count]).to(batch.history.device)
    sent = codec(batch.history, conditions.rate, conditions.transmit, conditions.target_snr_db)
    end = sent.features.shape[1] - codec.config.lookahead * codec.config.token_frames  # the last token lacks its next
    return torch.cat((sent.features[:, end - rows : end], batch.features[count:]))
