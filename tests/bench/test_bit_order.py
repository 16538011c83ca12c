"""Cost of bit errors, at random and by position."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from aether_lite.bench.bit_order import METRICS, Sender, error_costs, level_error, position_costs
from aether_lite.channels.binary import bsc
from aether_lite.codec import HashCodec, SpiHash
from aether_lite.hash import BIT_RATES
from aether_lite.metrics import clip_feature_loss


@pytest.fixture(scope="module")
def sender(tiny_hash: SpiHash, speech_features: Tensor) -> Sender:
    return Sender(HashCodec(tiny_hash), [speech_features[0, :161], speech_features[1, :80]])


def test_every_rate_and_error_rate_is_measured(sender: Sender) -> None:
    costs = list(error_costs(sender, (0.0, 0.2)))
    assert [(cost.rate, cost.error_rate) for cost in costs] == [(rate, p) for rate in BIT_RATES for p in (0.0, 0.2)]
    assert all(set(cost.values) == {metric.name for metric in METRICS} for cost in costs)
    for clean, noisy in zip(costs[::2], costs[1::2], strict=True):
        assert clean.values["feature_loss"] != noisy.values["feature_loss"]
    assert list(error_costs(sender, (0.0, 0.2))) == costs


def test_groups_cover_all_positions_once(sender: Sender) -> None:
    costs = list(position_costs(sender, 300, 10))
    assert [cost.positions for cost in costs] == [None, (0, 9), (10, 19), (20, 23)]
    assert len({cost.values["feature_loss"] for cost in costs}) == 4


def test_numbers_are_those_of_the_clips_without_their_padding(
    sender: Sender, tiny_hash: SpiHash, speech_features: Tensor
) -> None:
    codec = HashCodec(tiny_hash)
    losses, frames = [], []
    for clip in (speech_features[:1, :161], speech_features[1:, :80]):
        bits = codec.encode_features(clip, 600)
        decoded = codec.decode_features(bsc(bits, 0.0, state="exact"))[:, : clip.shape[1]]
        losses.append(float(clip_feature_loss(decoded, clip)[0]))
        frames.append(clip.shape[1])
    expected = sum(loss * count for loss, count in zip(losses, frames, strict=True)) / sum(frames)
    assert sender.turned(600, 0, 0).values["feature_loss"] == pytest.approx(expected, rel=1e-4)


def test_a_louder_copy_has_its_gain_as_level_error(speech_features: Tensor) -> None:
    louder = speech_features.clone()
    louder[..., 0] += 0.6 * 18**0.5  # 6 dB in every band: the transform is orthonormal
    torch.testing.assert_close(level_error(louder, speech_features), torch.full((2,), 6.0), atol=1e-3, rtol=0)
