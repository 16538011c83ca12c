"""One differentiable pass through the whole chain, with every loss: the module that DDP wraps.

    features -> codec -> channel -> codec -> features' -> vocoder -> audio'
                  |                             |                     |
              semantics                     SPI losses          audio and GAN losses

Everything that carries gradient happens in :meth:`TrainingPass.forward`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from aether_lite.codec import SpiCodec
from aether_lite.features.layout import FRAME
from aether_lite.hash import PENALTIES, HashPenalties, hard_bits, on_sphere
from aether_lite.losses.adversarial import balanced_gradient
from aether_lite.losses.asr import AsrLoss
from aether_lite.losses.registry import GAN, SPI, WAVE, GanInputs, SpiInputs, WaveInputs
from aether_lite.training.capture import Speak, Vocode
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.conditions import Conditions, balance
from aether_lite.training.curriculum import Position
from aether_lite.training.distributed import DistributedContext, shared_items
from aether_lite.training.loop import Batch
from aether_lite.vocoder import periods_from_features
from aether_lite.vocoder.discriminators import SpectrogramDiscriminators
from aether_lite.vocoder.fargan import emphasised_frames
from aether_lite.vocoder.network import VocoderNetwork

WARM_UP_FRAMES = 6  # frames in which the vocoder starts from silence; no loss counts them
_CROP_STREAM = 0xB0C5  # separates this random stream from others of the same seed


@dataclass
class PassOutput:
    """Losses of one pass, and for the discriminators pre-emphasised audio ``[A, N]`` without gradient."""

    total: Tensor  # what is minimised
    parts: dict[str, Tensor]  # its terms, without gradient, unweighted
    made: Tensor | None = None  # vocoded; None in stages without audio
    real: Tensor | None = None  # the original


class TrainingPass(nn.Module):
    """Codec and vocoder with their losses.

    Args:
        codec: trains in every stage; of symbols, or of bits with conditions for bits.
        vocoder: runs without training noise; whether it learns is a matter of ``requires_grad``.
        discriminator: gives the GAN terms; not trained here, and not part of this module.
        config: options.
        context: the processes; sums over them carry no gradient.
        speak: how to run the vocoder, such as :func:`aether_lite.training.capture.captured_vocoder`; None for the
            plain loop.
        penalties: of the bits of a hash codec; None for a codec of symbols.
        asr: the ASR loss, frozen; None without the term ``asr``.
    """

    def __init__(
        self,
        codec: SpiCodec,
        vocoder: VocoderNetwork,
        discriminator: SpectrogramDiscriminators | None,
        config: TrainConfig,
        context: DistributedContext,
        speak: Speak | None = None,
        penalties: HashPenalties | None = None,
        asr: AsrLoss | None = None,
    ) -> None:
        super().__init__()
        self.codec, self.vocoder, self.penalties = codec, vocoder, penalties
        # tuples: the vocoder is registered once, and the others' parameters are not this module's
        self._speak, self._discriminator, self._asr = (speak or Vocode(vocoder),), (discriminator,), (asr,)
        self.config, self.reduce = config, context.total
        self.audio_items = shared_items(context, config.audio_items, config.batch)
        self.asr_items = shared_items(context, config.asr_items, config.batch)

    def forward(self, batch: Batch, conditions: Conditions, place: Position, step: int) -> PassOutput:
        """All losses of this process's items at a place in the curriculum."""
        config = self.config
        decoded, terms, penalty = self._coded(batch, conditions)
        spi = place.total(SPI, terms, config)
        parts = {name: value.detach() for name, value in terms.items()}
        parts["spi"] = spi.detach()
        for name, value in penalty.items():
            parts[name] = value.detach()
            spi = spi + PENALTIES[name] * value
        if not place.stage.makes_audio or batch.audio is None or max(config.lambda_wave, config.lambda_adv) == 0:
            return PassOutput(spi, parts)
        made, real, rows = self._vocode(decoded, batch, step)
        wave_terms = WAVE.values(WaveInputs(made, real, rows, self.reduce), WAVE.weights(config))
        wave = place.total(WAVE, wave_terms, config)
        parts |= {name: value.detach() for name, value in wave_terms.items()}
        parts["wave"] = wave.detach()
        discriminator = self._discriminator[0]
        if discriminator is None or place.adv == 0:
            return PassOutput(spi + wave, parts, made.detach(), real)
        gan_terms = self._gan_terms(discriminator, made, real)
        adversarial = place.total(GAN, gan_terms, config)
        parts |= {name: value.detach() for name, value in gan_terms.items()}
        gradient, scale = balanced_gradient(wave, adversarial, made, config.gan_ratio, self.reduce)
        parts["adv"], parts["adv_scale"] = scale * adversarial.detach(), scale
        # the same value as spi + wave + adv, and below the audio the balanced gradient
        below = (made * gradient).sum()
        total = spi + below + (parts["wave"] + parts["adv"] - below.detach())
        return PassOutput(total, parts, made.detach(), real)

    def _coded(self, batch: Batch, conditions: Conditions) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Decoded features, the SPI terms and the penalties of bits."""
        config, features = self.config, batch.features
        with torch.autocast(features.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            target_snr_db = None if self.codec.config.hash else conditions.target_snr_db
            sent = self.codec(features, conditions.rate, conditions.transmit, target_snr_db)
        weight, chosen = balance(conditions.expected_loss, config.balance), every(config.batch // self.asr_items, batch)
        inputs = SpiInputs(sent, features, weight, self.reduce, self._asr[0], chosen)
        terms = SPI.values(inputs, SPI.weights(config))
        if self.penalties is None:
            return sent.features, terms, {}
        latents = sent.latents.float()
        return sent.features, terms, self.penalties(on_sphere(latents), hard_bits(latents))

    def _vocode(self, decoded: Tensor, batch: Batch, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Audio of crops of every n-th item, the original beside it, and the original's feature rows of its frames."""
        config = self.config
        assert batch.audio is not None
        length, first = config.audio_frames, self.vocoder.first_row
        frames = length - self.vocoder.context_rows
        made_rows, true_rows, real = [], [], []
        for i in every(config.batch // self.audio_items, batch):
            rng = np.random.default_rng((_CROP_STREAM, config.seed, step, batch.items[i]))
            start = int(rng.integers(config.frames - length + 1))
            made_rows.append(decoded[i, start : start + length])
            true_rows.append(batch.features[i, start : start + length])
            real.append(emphasised_frames(batch.audio[i], start + first, frames))
        rows = torch.stack(made_rows)
        made = self._speak[0](rows, periods_from_features(rows))
        true = torch.stack(true_rows)[:, first : first + frames]
        skip = WARM_UP_FRAMES
        return made[:, skip * FRAME :], torch.stack(real)[:, skip * FRAME :], true[:, skip:]

    def _gan_terms(self, discriminator: SpectrogramDiscriminators, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        """GAN loss and feature matching; only their gradient at ``made`` is used."""
        judged = discriminator(made)
        with torch.no_grad():
            truth = discriminator(real)
        return GAN.values(GanInputs(judged, truth, self.reduce), GAN.weights(self.config))


def every(stride: int, batch: Batch) -> list[int]:
    """Places of the items whose number, over all processes, is a multiple of the stride."""
    return [place for place, item in enumerate(batch.items) if item % stride == 0]
