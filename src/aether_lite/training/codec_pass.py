"""One differentiable pass through the whole chain, with every loss: the module that DDP wraps.

    features -> codec -> channel -> codec -> features' -> vocoder -> audio'
                  |                             |                     |
              semantics                     SPI losses          audio and GAN losses

Everything that carries gradient happens in :meth:`TrainingPass.forward`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from aether_lite.codec import SpiCodec, Transmission
from aether_lite.features.bark import voiced_frames
from aether_lite.features.layout import FRAME, PITCH
from aether_lite.hash import HashPenalties, hard_bits, on_sphere
from aether_lite.losses.adversarial import balanced_gradient, feature_matching_loss, generator_loss
from aether_lite.losses.asr import Listener
from aether_lite.losses.envelope import envelope_loss
from aether_lite.losses.f0 import f0_correlation_loss, f0_spread_loss
from aether_lite.losses.feature import delta_feature_loss, feature_loss_parts
from aether_lite.losses.listening import listening_loss
from aether_lite.losses.loudness import loudness_loss
from aether_lite.losses.reduction import Reduce, alone
from aether_lite.losses.semantic import normalised_energy, semantic_loss
from aether_lite.losses.silence import silence_loss
from aether_lite.losses.soft_yin import f0_audio_loss
from aether_lite.losses.spectral import log_mel_loss, stft_losses
from aether_lite.losses.voicing import voicing_loss
from aether_lite.training.capture import Speak, Vocode
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.conditions import Conditions, balance
from aether_lite.training.curriculum import Position
from aether_lite.training.discriminator import Discriminator
from aether_lite.training.distributed import DistributedContext, shared_items
from aether_lite.training.loop import Batch
from aether_lite.vocoder import FARGAN, deemphasize, periods_from_features
from aether_lite.vocoder.fargan import CONTEXT_ROWS, FIRST_ROW, emphasised_frames

WARM_UP_FRAMES = 6  # frames in which the vocoder starts from silence; no loss counts them
_CROP_STREAM = 0xB0C5  # separates this random stream from others of the same seed


@dataclass
class PassOutput:
    """Losses of one pass.

    Attributes:
        total: what is minimised.
        parts: its terms, without gradient, unweighted.
        made, real: vocoded and original pre-emphasised audio ``[A, N]`` without gradient, for the discriminators; None
            in stages without audio.
    """

    total: Tensor
    parts: dict[str, Tensor]
    made: Tensor | None = None
    real: Tensor | None = None


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
        asr: recogniser behind its mel predictor, frozen; None without the term ``asr``.
    """

    def __init__(
        self,
        codec: SpiCodec,
        vocoder: FARGAN,
        discriminator: Discriminator | None,
        config: TrainConfig,
        context: DistributedContext,
        speak: Speak | None = None,
        penalties: HashPenalties | None = None,
        asr: Listener | None = None,
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
        spi = place.total("spi", terms, config)
        parts = {name: value.detach() for name, value in terms.items()}
        parts["spi"] = spi.detach()
        for name, value in penalty.items():
            parts[name] = value.detach()
            spi = spi + config.hash_penalties.get(name, 0.0) * value
        if not place.stage.makes_audio or batch.audio is None or max(config.lambda_wave, config.lambda_adv) == 0:
            return PassOutput(spi, parts)
        made, real, rows = self._vocode(decoded, batch, step)
        wave_terms = self._wave_terms(made, real, rows)
        wave = place.total("wave", wave_terms, config)
        parts |= {name: value.detach() for name, value in wave_terms.items()}
        parts["wave"] = wave.detach()
        discriminator = self._discriminator[0]
        if discriminator is None or place.adv == 0:
            return PassOutput(spi + wave, parts, made.detach(), real)
        gan_terms = self._gan_terms(discriminator, made, real)
        adversarial = place.total("adv", gan_terms, config)
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
        terms = spi_terms(
            sent,
            features,
            balance(conditions.expected_loss, config.balance),
            self.reduce,
            asr=self._asr[0],
            asr_items=every(config.batch // self.asr_items, batch),
            envelope=config.lambda_envelope > 0,
        )
        if self.penalties is None:
            return sent.features, terms, {}
        latents = sent.latents.float()
        return sent.features, terms, self.penalties(on_sphere(latents), hard_bits(latents))

    def _vocode(self, decoded: Tensor, batch: Batch, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Audio of crops of every n-th item, the original beside it, and the original's feature rows of its frames."""
        config = self.config
        assert batch.audio is not None
        length = config.audio_frames
        made_rows, true_rows, real = [], [], []
        for i in every(config.batch // self.audio_items, batch):
            rng = np.random.default_rng((_CROP_STREAM, config.seed, step, batch.items[i]))
            start = int(rng.integers(config.frames - length + 1))
            made_rows.append(decoded[i, start : start + length])
            true_rows.append(batch.features[i, start : start + length])
            real.append(emphasised_frames(batch.audio[i], start + FIRST_ROW, length - CONTEXT_ROWS))
        rows = torch.stack(made_rows)
        made = self._speak[0](rows, periods_from_features(rows))
        true = torch.stack(true_rows)[:, FIRST_ROW : FIRST_ROW + length - CONTEXT_ROWS]
        skip = WARM_UP_FRAMES
        return made[:, skip * FRAME :], torch.stack(real)[:, skip * FRAME :], true[:, skip:]

    def _wave_terms(self, made: Tensor, real: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """Audio terms, a scalar each, unweighted."""
        terms = {
            "log_mel": log_mel_loss(made, real, self.reduce),
            "audio_f0": f0_audio_loss(deemphasize(made), rows[..., PITCH], voiced_frames(rows), reduce=self.reduce),
        }
        if self.config.use_stft_loss:
            stft = stft_losses(made, real, reduce=self.reduce)
            terms["stft"] = stft.root + stft.log + stft.convergence
        return terms

    def _gan_terms(self, discriminator: Discriminator, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        """GAN loss and feature matching; only their gradient at ``made`` is used."""
        judged = discriminator(made)
        with torch.no_grad():
            truth = discriminator(real)
        return {
            "adversarial": generator_loss(judged, reduce=self.reduce),
            "feature_matching": feature_matching_loss(truth, judged, self.reduce),
        }


def spi_terms(
    sent: Transmission,
    features: Tensor,
    weight: Tensor,
    reduce: Reduce = alone,
    *,
    asr: Listener | None = None,
    asr_items: Sequence[int] = (),
    envelope: bool = False,
) -> dict[str, Tensor]:
    """Every SPI term, a scalar each, items weighted, not yet multiplied by their weights in the curriculum.

    Args:
        sent: one pass through codec and channel.
        features: true features ``[B, F, 20]``.
        weight: weight of each item ``[B]``, see :func:`~aether_lite.training.conditions.balance`.
        reduce: sum over ranks, see :mod:`aether_lite.losses.reduction`.
        asr: gives the term ``asr``; without it there is none.
        asr_items: the items that it is counted on.
        envelope: whether there is a term ``envelope``, which wants 38 frames or more.
    """
    energy = normalised_energy(sent.target_image)
    parts = feature_loss_parts(sent.features, features)
    items = {
        "feature": parts.total,
        "pitch": parts.pitch,
        "delta": delta_feature_loss(sent.features, features),
        "image": (sent.image - sent.target_image).abs().mean((-1, -2)),
        "voicing": voicing_loss(sent.features, features),
        "loudness": loudness_loss(sent.features, features),
        "semantic": semantic_loss(sent.encoder_semantics, features, energy)
        + semantic_loss(sent.decoder_semantics, features, energy),
    }
    if envelope:
        items["envelope"] = envelope_loss(sent.features, features)
    terms = {name: (weight * value).mean() for name, value in items.items()}
    if asr is not None:
        chosen = list(asr_items)
        states = asr(sent.features[chosen])
        with torch.no_grad():
            wanted = asr(features[chosen])
        terms["asr"] = (weight[chosen] * listening_loss(states, wanted)).mean()
    for name, loss in (("f0_contour", f0_correlation_loss), ("f0_spread", f0_spread_loss), ("silence", silence_loss)):
        terms[name] = loss(sent.features, features, weight=weight, reduce=reduce)
    return terms


def every(stride: int, batch: Batch) -> list[int]:
    """Places of the items whose number, over all processes, is a multiple of the stride."""
    return [place for place, item in enumerate(batch.items) if item % stride == 0]
