"""Validation: what the codec does to unseen speech, and alarms for the ways in which it can collapse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.channels import awgn
from aether_lite.channels.binary import bsc
from aether_lite.codec import SpiHash, SpiJscc
from aether_lite.codec.model import whole
from aether_lite.data.corpus import Clip, Corpus, read_frames
from aether_lite.metrics import FEATURE_METRICS, pitch_spike

VALIDATION_POINTS = ((1000, 10.0), (1000, 0.0), (300, 6.0))
"""(uses/s, Es/N0 dB) at which a run is watched; the first decides which checkpoint is best."""
BIT_VALIDATION_POINTS = ((600, 0.01), (600, 0.0), (600, 0.05), (300, 0.01), (2400, 0.01))
"""(bit/s, error rate of the binary symmetric channel) at which a run of a hash codec is watched, likewise."""
MAX_CLIPS = 64
MAX_FRAMES = 640


@dataclass(frozen=True)
class Limits:
    """Where a monitor calls a collapse."""

    spread_ratio: float = 0.5
    vuv_error: float = 0.35
    pitch_spike: float = 5.0


@dataclass(frozen=True)
class ValidationSet:
    """Clips of different lengths side by side.

    Attributes:
        features: ``[C, F, 20]``; shorter clips repeat their last row.
        mask: ``[C, F] bool``, frames that belong to the clip.
    """

    features: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Outcome:
    """One validation point: numbers, and the tensors that pictures and audio are made of.

    Attributes:
        numbers: measured, by name.
        decoded: features ``[C, F, 20]``.
        sent, received: ``[C, K, n] complex``, symbols; of a hash codec pairs of bits and of soft bits.
    """

    numbers: dict[str, float]
    decoded: Tensor
    sent: Tensor
    received: Tensor


@dataclass(frozen=True)
class ValidationPoint:
    """Where a codec is measured: symbols over AWGN, or bits over a binary symmetric channel.

    Attributes:
        rate: uses/s or bit/s.
        quality: Es/N0 [dB] or error rate.
        bits: whether it is a point of a hash codec.
    """

    rate: int
    quality: float
    bits: bool

    @property
    def name(self) -> str:
        """Short, for logs."""
        return f"{self.rate}bps@BER{self.quality:g}" if self.bits else f"{self.rate}@{self.quality:g}dB"

    @property
    def words(self) -> str:
        """In full, for titles."""
        if self.bits:
            return f"{self.rate} bit/s, BSC, error rate {self.quality:g}"
        return f"{self.rate} uses/s, AWGN, Es/N0 {self.quality:g} dB"


def validation_points(model: SpiJscc | SpiHash) -> list[ValidationPoint]:
    """The points of a codec's kind; the first decides which checkpoint is best."""
    bits = isinstance(model, SpiHash)
    return [ValidationPoint(*point, bits) for point in (BIT_VALIDATION_POINTS if bits else VALIDATION_POINTS)]


def chosen_clips(corpus: Corpus, clips: int = MAX_CLIPS) -> list[Clip]:
    """Clips spread evenly over the corpus, in name order."""
    stride = max(len(corpus.clips) / clips, 1.0)
    return [corpus.clips[int(i * stride)] for i in range(min(clips, len(corpus.clips)))]


def validation_set(corpus: Corpus, token_frames: int, clips: int = MAX_CLIPS) -> ValidationSet:
    """The chosen clips, at most 6.4 s of each."""
    rows = [
        torch.from_numpy(read_frames(clip, 0, min(clip.frames, MAX_FRAMES))) for clip in chosen_clips(corpus, clips)
    ]
    longest = max(len(r) for r in rows)
    longest += -longest % token_frames
    features = torch.stack([torch.cat((r, r[-1:].expand(longest - len(r), -1))) for r in rows])
    mask = torch.arange(longest) < torch.tensor([len(r) for r in rows])[:, None]
    return ValidationSet(features, mask)


@torch.no_grad()
def validate_at(model: SpiJscc | SpiHash, data: ValidationSet, point: ValidationPoint, seed: int = 0) -> Outcome:
    """Send the clips over the channel and measure the decoded features (definitions: ``evaluation.metrics``)."""
    was_training = model.training
    model.eval()
    decoded, sent, received = _sent_over(model, data.features, point, seed)
    model.train(was_training)
    frames = data.mask.sum(-1).tolist()
    numbers = {
        name: metric.over_clips(metric(decoded, data.features, data.mask).tolist(), frames)
        for name, metric in FEATURE_METRICS.items()
    }
    numbers["pitch_spike"] = pitch_spike(decoded, data.features, data.mask)
    if point.bits:
        numbers["bit_bias"] = float(torch.view_as_real(sent).mean((0, 1)).abs().mean())
    else:
        numbers["symbol_power"] = float(sent.abs().square().mean())
    return Outcome(numbers, decoded, sent, received)


def _sent_over(
    model: SpiJscc | SpiHash, features: Tensor, point: ValidationPoint, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Decoded features, and what was sent and received as complex numbers."""
    if isinstance(model, SpiHash):
        bits, _ = model.encode(features, point.rate)
        bits.validate()
        soft = bsc(bits, point.quality, seed=seed)
        return whole(model.decode, soft, model.config), _in_pairs(bits.values), _in_pairs(soft.values)
    symbols, _ = model.encode(features, point.rate)
    received = awgn(symbols, point.quality, seed=seed)
    return whole(model.decode, received, model.config), symbols.values, received.values


def _in_pairs(values: Tensor) -> Tensor:
    """Bits ``[C, K, 2 n]`` as ``[C, K, n] complex``."""
    return torch.view_as_complex(values.reshape(*values.shape[:2], values.shape[2] // 2, 2))


def alarms(numbers: dict[str, float], limits: Limits | None = None) -> Sequence[str]:
    """What looks collapsed in one validation's numbers, in words."""
    limit = limits or Limits()
    found = []
    spread, vuv, spike = (numbers[name] for name in ("f0_spread_ratio", "vuv_error", "pitch_spike"))
    if spread < limit.spread_ratio:
        found.append(f"F0 spread ratio {spread:.2f} is below {limit.spread_ratio}: the voice is monotone")
    if vuv > limit.vuv_error:
        found.append(f"V/UV error {vuv:.2f} is above {limit.vuv_error}: voicing is lost")
    if spike > limit.pitch_spike:
        found.append(f"pitch spike {spike:.1f} is above {limit.pitch_spike}: the pitch sticks to one value")
    return found
