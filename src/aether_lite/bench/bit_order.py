"""What bit errors cost a hash codec: at random over all bits, and in each position of a token.

Positions are sent in order of importance. Where pitch, voicing and energy live is seen by turning the same positions of
every token: the receiver is told that no bit is wrong, so this is the worst that these bits can do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.channels.binary import bsc
from aether_lite.codec import HashCodec
from aether_lite.hash import BIT_RATES
from aether_lite.metrics import (
    FEATURE_METRICS,
    Metric,
    MetricAverage,
    Needs,
    active_frames,
    frame_levels,
    frame_mean,
)
from aether_lite.payload import Bits, ReceivedBits

MEASURES = ("feature_loss", "loss_cepstrum", "loss_pitch", "loss_correlation", "f0_correlation", "vuv_error")
BATCH_CLIPS = 8


def level_error(decoded: Tensor, original: Tensor, mask: Tensor | None = None) -> Tensor:
    """Error of the level ``[...]`` [dB], >= 0, lower is better: rms over active frames of the change of the level.

    Args:
        decoded: ``[..., F, 20]``.
        original: ``[..., F, 20]``.
        mask: ``[..., F] bool``, frames that belong to the clip.
    """
    error = frame_levels(decoded) - frame_levels(original)
    return frame_mean(error.square(), active_frames(original, mask)).sqrt()


METRICS: tuple[Metric, ...] = (
    *(FEATURE_METRICS[name] for name in MEASURES),
    Metric("level_error_db", "Level error", "dB", level_error, Needs.FEATURES, reference="the features that were sent"),
)
"""What is measured."""


@dataclass(frozen=True)
class Cost:
    """Measures of one case.

    Attributes:
        rate: bit/s.
        error_rate: share of bits turned at random; None where positions are turned.
        positions: first and last position that is turned in every token; None for random errors and for none.
        values: name of a metric -> number over all clips.
    """

    rate: int
    error_rate: float | None
    positions: tuple[int, int] | None
    values: dict[str, float]


class Sender:
    """Clips, encoded once, on their way to the decoder.

    Args:
        codec: at both ends.
        clips: features ``[F_i, 20]``, one or more.
    """

    def __init__(self, codec: HashCodec, clips: Sequence[Tensor]) -> None:
        self._codec = codec
        frames = codec.token_frames
        longest = max(-(-len(clip) // frames) * frames for clip in clips)
        padded = [torch.cat((clip, clip[-1:].expand(longest - len(clip), -1))) for clip in clips]
        self.features = torch.stack(padded)
        lengths = torch.tensor([len(clip) for clip in clips])
        self.mask = torch.arange(longest) < lengths[:, None]
        self.bits = codec.encode_features(self.features, max(BIT_RATES))

    def random_errors(self, rate: int, error_rate: float, seed: int = 0) -> Cost:
        """Bits turned at random, the error rate estimated by the receiver; clip i has the seed ``seed + i``."""
        sent = self.bits.prefix(rate)
        seeds = [seed + clip for clip in range(len(sent.values))]
        return Cost(rate, error_rate, None, self._measured(bsc(sent, error_rate, seed=seeds)))

    def turned(self, rate: int, first: int, count: int) -> Cost:
        """Positions ``first`` to ``first + count - 1`` of every token turned; the receiver trusts them."""
        sent = self.bits.prefix(rate)
        values = sent.values.clone()
        values[..., first : first + count] *= -1
        received = bsc(Bits(values, rate, sent.token_frames), 0.0, state="exact", seed=0)
        positions = (first, first + count - 1) if count else None
        return Cost(rate, None, positions, self._measured(received))

    def _measured(self, received: ReceivedBits) -> dict[str, float]:
        """All metrics over all clips; decoded in batches."""
        averages = [MetricAverage(metric) for metric in METRICS]
        for start in range(0, len(self.features), BATCH_CLIPS):
            part = slice(start, start + BATCH_CLIPS)
            some = ReceivedBits(received.values[part], received.rate, received.erased[part], received.token_frames)
            decoded = self._codec.decode_features(some)
            for average in averages:
                average.update(decoded, self.features[part], self.mask[part])
        return {average.metric.name: average.compute() for average in averages}


def error_costs(sender: Sender, error_rates: Sequence[float], seed: int = 0) -> Iterator[Cost]:
    """Cost of random errors at every bit rate."""
    for rate in BIT_RATES:
        for error_rate in error_rates:
            yield sender.random_errors(rate, error_rate, seed)


def position_costs(sender: Sender, rate: int, group: int) -> Iterator[Cost]:
    """Cost of no error, and of each group of ``group`` positions, turned one after another."""
    count = sender.bits.prefix(rate).values.shape[2]
    yield sender.turned(rate, 0, 0)
    for first in range(0, count, group):
        yield sender.turned(rate, first, min(group, count - first))
