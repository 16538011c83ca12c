"""Validation of the codec on unseen speech, and alarms for the ways in which it can collapse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from aether_lite.codec import SpiCodec
from aether_lite.data.corpus import Clip, Corpus, read_frames
from aether_lite.data.pairs import common_kind, read_speech
from aether_lite.features.layout import FRAME
from aether_lite.link import LinkConfig
from aether_lite.metrics import FEATURE_METRICS, available, estoi, pitch_spike
from aether_lite.payload import Bits, Symbols
from aether_lite.plots.transmission import transmission_picture
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.loop import Validation
from aether_lite.training.run_logger import RunLogger, loss_curves
from aether_lite.vocoder import synthesize
from aether_lite.vocoder.network import VocoderNetwork

MAX_CLIPS = 64
MAX_FRAMES = 640
SAID = ("vuv_error", "f0_correlation", "f0_spread_ratio", "pitch_spike", "estoi")
POWER = "symbol_power"
SPREAD_RATIO, VUV_ERROR, PITCH_SPIKE = 0.5, 0.35, 5.0  # where a monitor calls a collapse

SYMBOL_LINKS = {
    f"{rate}@{snr_db:g}dB": LinkConfig("awgn", rate, snr_db) for rate, snr_db in ((1000, 10.0), (1000, 0.0), (300, 6.0))
}
BIT_LINKS = {
    f"{rate}bps@BER{error_rate:g}": LinkConfig("bsc", rate, error_rate=error_rate)
    for rate, error_rate in ((600, 0.01), (600, 0.0), (600, 0.05), (300, 0.01), (2400, 0.01))
}
"""Where a run is watched, by a name for logs; the first decides which checkpoint is best."""


@dataclass(frozen=True)
class Outcome:
    """Validation over one link: figures, and the tensors that pictures and audio are made of."""

    numbers: dict[str, float]
    decoded: Tensor  # features [C, F, 20]
    sent: Tensor  # [C, K, n] complex, symbols; of a codec of bits pairs of bits
    received: Tensor  # the same, or pairs of soft bits


class CodecValidation:
    """The clips of ``valid`` that a run is validated on; calling it measures a codec like the given one on them."""

    def __init__(self, config: TrainConfig, valid: Corpus, codec: SpiCodec, device: torch.device) -> None:
        self.config, self.links = config, BIT_LINKS if codec.config.hash else SYMBOL_LINKS
        features, mask = validation_features(valid, codec.config.token_frames)
        self.features, self.mask = features.to(device), mask.to(device)
        clips = chosen_clips(valid)[: config.estoi_clips]
        self.speech = torch.zeros(len(clips), features.shape[1] * FRAME)
        for row, clip in zip(self.speech, clips, strict=True):
            frames = min(clip.frames, features.shape[1])
            row[: frames * FRAME] = torch.from_numpy(read_speech(clip, common_kind([clip]), 0, frames))

    def __call__(self, step: int, codec: SpiCodec, vocoder: VocoderNetwork, logger: RunLogger) -> Validation:
        """Measure at fixed rates and channels; log figures, pictures and audio."""
        outcomes = {name: measure(codec, self.features, self.mask, link) for name, link in self.links.items()}
        first = next(iter(outcomes.values()))
        audio = self._vocoded(first, vocoder)
        if audio is not None and available("estoi"):
            first.numbers["estoi"] = float(estoi(audio, self.speech[: len(audio), : audio.shape[1]]).nanmean())
        for name, outcome in outcomes.items():
            logger.validation(step, name, outcome.numbers)
        losses = ", ".join(f"{name} {outcome.numbers['feature_loss']:.4f}" for name, outcome in outcomes.items())
        rest = ", ".join(f"{name} {first.numbers[name]:.3f}" for name in SAID if name in first.numbers)
        power = f", power sent {10 * math.log10(first.numbers[POWER]):+.2f} dB" if POWER in first.numbers else ""
        logger.say(f"step {step}: feature loss {losses}; {rest}{power}")
        if audio is not None:
            self._show(step, codec, first, audio, logger)
        return Validation(first.numbers["feature_loss"], alarms(first.numbers))

    def _vocoded(self, outcome: Outcome, vocoder: VocoderNetwork) -> Tensor | None:
        """Audio ``[n, N]`` of the first clips, or None if none is to be vocoded."""
        count = min(self.config.estoi_clips, len(self.features))
        if count == 0:
            return None
        frames = int(self.mask[:count].sum(-1).max())
        return synthesize(outcome.decoded[:count, :frames], vocoder).cpu()

    def _show(self, step: int, codec: SpiCodec, outcome: Outcome, audio: Tensor, logger: RunLogger) -> None:
        """A PNG page of the first clip, and its audio."""
        frames = int(self.mask[0].sum())
        logger.audio("valid/received", audio[0, : frames * FRAME], step)
        if not self.config.save_visualization:
            return
        tokens, path = frames // codec.config.token_frames, Path(self.config.out) / f"transmission_{step:08d}.png"
        transmission_picture(
            path,
            original_image=codec.image.rows(self.features[0, :frames]).cpu().numpy(),
            received_image=codec.image.rows(outcome.decoded[0, :frames]).cpu().numpy(),
            original_audio=self.speech[0, : frames * FRAME].numpy(),
            received_audio=audio[0, : frames * FRAME].numpy(),
            symbols=outcome.sent[0, :tokens].flatten().cpu().numpy(),
            received_symbols=outcome.received[0, :tokens].flatten().cpu().numpy(),
            title=f"Step {step}: {next(iter(self.links.values())).describe()}",
        )
        loss_curves(logger.log, path.with_name("losses.png"))


def chosen_clips(corpus: Corpus, clips: int = MAX_CLIPS) -> list[Clip]:
    """Clips spread evenly over the corpus, in name order."""
    stride = max(len(corpus.clips) / clips, 1.0)
    return [corpus.clips[int(i * stride)] for i in range(min(clips, len(corpus.clips)))]


def validation_features(corpus: Corpus, token_frames: int, clips: int = MAX_CLIPS) -> tuple[Tensor, Tensor]:
    """Features ``[C, F, 20]`` of the chosen clips, at most 6.4 s of each, and a mask ``[C, F] bool`` of their frames.

    Shorter clips repeat their last row.
    """
    rows = [
        torch.from_numpy(read_frames(clip, 0, min(clip.frames, MAX_FRAMES))) for clip in chosen_clips(corpus, clips)
    ]
    longest = max(len(r) for r in rows)
    longest += -longest % token_frames
    features = torch.stack([torch.cat((r, r[-1:].expand(longest - len(r), -1))) for r in rows])
    return features, torch.arange(longest) < torch.tensor([len(r) for r in rows])[:, None]


@torch.no_grad()
def measure(model: SpiCodec, features: Tensor, mask: Tensor, link: LinkConfig) -> Outcome:
    """Send clips over a link and measure the decoded features (definitions: :mod:`aether_lite.metrics`).

    N0 of symbols counts from the power really sent in the clips' frames, ``symbol_power``: equal energy.
    """
    was_training = model.training
    model.eval()
    payload, _ = model.encode(features, link.rate)
    power = _mean_power(payload, mask)
    if link.snr_db is not None:
        link = replace(link, snr_db=link.snr_db - 10 * math.log10(power))
    received, _ = link.carry(payload)
    decoded = model.decode_clip(received)
    model.train(was_training)
    sent, arrived = _complex(payload.values), _complex(received.values)
    frames = mask.sum(-1).tolist()
    numbers = {
        name: metric.over_clips(metric(decoded, features, mask).tolist(), frames)
        for name, metric in FEATURE_METRICS.items()
    }
    numbers["pitch_spike"] = pitch_spike(decoded, features, mask)
    if isinstance(payload, Bits):
        numbers["bit_bias"] = float(torch.view_as_real(sent).mean((0, 1)).abs().mean())
    else:
        numbers[POWER] = power
    return Outcome(numbers, decoded, sent, arrived)


def _mean_power(payload: Symbols | Bits, mask: Tensor) -> float:
    """Mean power of the symbols (bits: 1) of whole tokens in the frames of ``mask [C, F] bool``."""
    whole = torch.unflatten(mask, 1, (-1, payload.token_frames)).all(-1)
    return float(payload.values.abs().square().mean(-1)[whole].mean())


def alarms(numbers: dict[str, float]) -> Sequence[str]:
    """What looks collapsed in one validation's figures, in words."""
    spread, vuv, spike = (numbers[name] for name in ("f0_spread_ratio", "vuv_error", "pitch_spike"))
    found = {
        f"F0 spread ratio {spread:.2f} is below {SPREAD_RATIO}: the voice is monotone": spread < SPREAD_RATIO,
        f"V/UV error {vuv:.2f} is above {VUV_ERROR}: voicing is lost": vuv > VUV_ERROR,
        f"pitch spike {spike:.1f} is above {PITCH_SPIKE}: the pitch sticks to one value": spike > PITCH_SPIKE,
    }
    return [alarm for alarm, holds in found.items() if holds]


def _complex(values: Tensor) -> Tensor:
    """Symbols as they are, bits ``[C, K, 2 n]`` as ``[C, K, n] complex``."""
    return values if values.is_complex() else torch.view_as_complex(torch.unflatten(values, -1, (-1, 2)).contiguous())
