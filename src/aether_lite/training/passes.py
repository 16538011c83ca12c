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

from aether_lite.codec import SpiHash, SpiJscc
from aether_lite.codec.model import repeated
from aether_lite.features.layout import FRAME, PITCH
from aether_lite.features.tensors import voiced_frames
from aether_lite.hash import HashPenalties, sharpness_at
from aether_lite.losses.adversarial import GanLoss, balanced_gradient, feature_matching_loss, generator_loss
from aether_lite.losses.asr import Listener
from aether_lite.losses.asr.listener import SILENCE_AFTER
from aether_lite.losses.asr.spectra import Spectra
from aether_lite.losses.reduction import Reduce
from aether_lite.losses.soft_yin import f0_audio_loss
from aether_lite.losses.spectral import log_mel_loss, stft_losses
from aether_lite.training.balance import balance
from aether_lite.training.batches import Batch
from aether_lite.training.bit_conditions import BitConditions
from aether_lite.training.conditions import Conditions
from aether_lite.training.config import TrainConfig
from aether_lite.training.critic import Critic
from aether_lite.training.curriculum import Position
from aether_lite.training.graphed import Speak, Vocode
from aether_lite.training.objective import spi_terms, spi_weights, weighted_sum
from aether_lite.vocoder import FARGAN, deemphasize, periods_from_features
from aether_lite.vocoder.emphasis import emphasised_frames
from aether_lite.vocoder.fargan import CONTEXT_ROWS, FIRST_ROW

WAVE_WEIGHTS: dict[str, float] = {
    "log_mel": 1.0,  # nepers
    "audio_f0": 2.0,  # octaves, on voiced frames, by soft YIN
    "stft": 1.0,  # sum of the root, log and convergence forms; only with use_stft_loss
}
"""Weight of each audio term relative to the log-mel distance."""
MATCHING_WEIGHT = 1.0  # of feature matching beside the GAN loss
WARM_UP_FRAMES = 6  # frames in which the vocoder starts from silence; no loss sees them
_CROP_STREAM = 0xB0C5  # separates this random stream from others of the same seed


@dataclass
class PassOutput:
    """Losses of one pass.

    Attributes:
        total: what is minimised.
        parts: its terms, without gradient, unweighted.
        made, real: vocoded and original pre-emphasised audio ``[A, N]`` without gradient, for the critic; None in
            stages without audio.
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
        critic: gives the GAN loss; not trained here, and not part of this module.
        config: options.
        reduce: sum of a tensor over processes, without gradient.
        speak: how to run the vocoder, such as :func:`aether_lite.training.graphed.graphed`; None for the plain loop.
        penalties: of a hash codec's bits; None for a codec of symbols.
        listener: of the terms ``listening`` and ``words``, frozen; None without them.
    """

    def __init__(
        self,
        codec: SpiJscc | SpiHash,
        vocoder: FARGAN,
        critic: Critic | None,
        config: TrainConfig,
        reduce: Reduce,
        speak: Speak | None = None,
        penalties: HashPenalties | None = None,
        listener: Listener | None = None,
    ) -> None:
        super().__init__()
        self.codec, self.vocoder, self.penalties = codec, vocoder, penalties
        self._speak = (speak or Vocode(vocoder),)  # a tuple: the vocoder is registered once
        self._critic = (critic,)  # a tuple: the critic's parameters are not this module's
        self._listener = (listener,)  # likewise
        self._spectra = Spectra() if config.listens_to_recordings else None
        self.config, self.reduce = config, reduce

    def forward(self, batch: Batch, conditions: Conditions | BitConditions, place: Position, step: int) -> PassOutput:
        """All losses of this process's items at a place in the curriculum."""
        config, features = self.config, batch.features
        decoded, terms, penalty = self._coded(batch, conditions, step)
        weights = spi_weights(config)
        spi = place.stage.spi * config.lambda_spi * weighted_sum(terms, weights, place.stage.losses, features)
        parts = {name: value.detach() for name, value in terms.items()}
        parts["spi"] = spi.detach()
        for name, value in penalty.items():
            parts[name] = value.detach()
            spi = spi + config.hash_penalties.get(name, 0.0) * value
        if not place.stage.hears or batch.audio is None or max(config.lambda_wave, config.lambda_adv) == 0:
            return PassOutput(spi, parts)
        made, real, rows = self._vocode(decoded, batch, step)
        wave_terms = self._wave_terms(made, real, rows)
        wave = (
            place.stage.wave * config.lambda_wave * weighted_sum(wave_terms, WAVE_WEIGHTS, place.stage.losses, features)
        )
        parts |= {name: value.detach() for name, value in wave_terms.items()}
        parts["wave"] = wave.detach()
        critic = self._critic[0]
        if critic is None or place.adv == 0:
            return PassOutput(spi + wave, parts, made.detach(), real)
        adversarial = place.adv * config.lambda_adv * self._adversarial(critic, made, real)
        gradient, scale = balanced_gradient(wave, adversarial, made, config.gan_ratio, self.reduce)
        parts["adv"], parts["adv_scale"] = scale * adversarial.detach(), scale
        # the same value as spi + wave + adv, and below the audio the balanced gradient
        heard = (made * gradient).sum()
        total = spi + heard + (parts["wave"] + parts["adv"] - heard.detach())
        return PassOutput(total, parts, made.detach(), real)

    def _coded(
        self, batch: Batch, conditions: Conditions | BitConditions, step: int
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Decoded features of the first sending of every item, the SPI terms and the penalties of bits."""
        config, features = self.config, batch.features
        with torch.autocast(features.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            if isinstance(conditions, Conditions):
                assert isinstance(self.codec, SpiJscc)
                sent = self.codec(features, conditions.rate, conditions.transmit, conditions.target_snr_db)
            else:
                assert isinstance(self.codec, SpiHash)
                self.codec.jscc_encoder.bottleneck.sharpness = sharpness_at(step, config.hash_anneal)
                sent = self.codec(features, conditions.rate, conditions.transmit)
        listened = self._listened(batch) if config.listens else []
        terms = spi_terms(
            sent,
            repeated(features, conditions.rate),
            balance(conditions.expected_loss, config.balance),
            self.reduce,
            listener=self._listener[0],
            listened=[config.sends * place for place in listened],
            wanted=self._recorded(batch, listened) if config.listens_to_recordings else None,
            envelope=config.lambda_envelope > 0,
        )
        return sent.features[:: config.sends], terms, {} if self.penalties is None else self.penalties(*sent.hashed)

    def _listened(self, batch: Batch) -> list[int]:
        return _every(self.config.batch // self.config.listening_items, batch)

    @torch.no_grad()
    def _recorded(self, batch: Batch, listened: list[int]) -> Tensor:
        """What the recogniser makes of the recordings of items, as the listener's states."""
        listener = self._listener[0]
        assert listener is not None
        assert self._spectra is not None
        assert batch.audio is not None
        behind = SILENCE_AFTER if listener.reader is not None else 0
        audio = nn.functional.pad(batch.audio[listened], (0, behind * FRAME))
        return listener.heard(self._spectra(audio, batch.features.shape[1] + behind).to(audio.device))

    def _vocode(self, decoded: Tensor, batch: Batch, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Audio of crops of every n-th item, the original beside it, and the original's feature rows of its frames."""
        config = self.config
        assert batch.audio is not None
        chosen = _every(config.batch // config.audio_items, batch)
        length = config.audio_frames
        made_rows, true_rows, real = [], [], []
        for i in chosen:
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

    def _adversarial(self, critic: Critic, made: Tensor, real: Tensor) -> Tensor:
        """GAN loss plus feature matching; only its gradient at ``made`` is used."""
        judged = critic(made)
        with torch.no_grad():
            truth = critic(real)
        gan = generator_loss(judged, GanLoss(self.config.gan_loss), self.reduce)
        return gan + MATCHING_WEIGHT * feature_matching_loss(truth, judged, self.reduce)


def _every(stride: int, batch: Batch) -> list[int]:
    """Places of the items whose number, over all processes, is a multiple of the stride."""
    return [place for place, item in enumerate(batch.items) if item % stride == 0]
