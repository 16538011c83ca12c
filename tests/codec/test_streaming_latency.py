"""The latency of a stream of the default codec is the stated number of samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import aether_lite
from aether_lite.channels import clean
from aether_lite.codec import Codec
from aether_lite.streaming import Decoder, Encoder


@pytest.fixture(scope="module")
def default() -> Codec:
    """The released codec that everything uses unless another is named; its decoder looks a token ahead."""
    return aether_lite.load()


def streamed(codec: Codec, samples: np.ndarray) -> tuple[Tensor, list[int]]:
    """What is decoded while ``samples`` come in blocks of 80, and how many samples there are after each block."""
    encoder, decoder = Encoder(codec, 1200), Decoder(codec)
    decoded, known = [], []
    for block in np.split(samples, len(samples) // 80):
        decoded.append(decoder.push(clean(encoder.push(block))).samples)
        known.append(sum(map(len, decoded)))
    return torch.cat(decoded), known


@pytest.mark.parametrize("name", ["default", "tiny_codec"])
def test_playing_with_the_stated_latency_never_runs_dry_and_with_less_does(
    name: str, request: pytest.FixtureRequest
) -> None:
    codec: Codec = request.getfixturevalue(name)
    encoder, decoder = Encoder(codec), Decoder(codec)
    latency = codec.latency.samples
    assert latency == 1680
    decoded = 0
    reserve = []
    for n in range(1, 6000):  # sample n - latency is due when n samples have come
        symbols = encoder.push(np.zeros(1))
        if symbols.values.shape[1]:
            decoded += len(decoder.push(clean(symbols)).samples)
        reserve.append(decoded - (n - latency))
    assert min(reserve) == 1


def test_the_first_output_that_changes(default: Codec, speech: np.ndarray) -> None:
    """Changing the input from sample n on changes no output up to n - latency, and reaches that within a frame.

    What is missing is the pitch tracker's look-ahead of a frame, which only tells when a decision flips.
    """
    latency, start = default.latency.samples, 10_240
    clip = speech[0, : start + 2720]
    original, _ = streamed(default, clip)
    reach = []
    for n in (start, start + 80, start + 700, start + 1200, start + 1270, start + 1300):
        changed = clip.copy()
        changed[n:] = np.random.default_rng(n).uniform(-0.5, 0.5, len(clip) - n)
        other, _ = streamed(default, changed)
        first = int(torch.nonzero(original != other)[0, 0])
        assert first > n - latency
        reach.append(n - first)
    assert latency - 170 <= max(reach) < latency


def test_output_leaves_token_by_token(default: Codec, speech: np.ndarray) -> None:
    token = 160 * default.token_frames
    _, known = streamed(default, speech[0, :8000])
    complete = [max(0, (80 * (i + 1) - 160) // token) for i in range(100)]  # the newest waits for the one behind it
    assert known == [max(0, (count - default.model.config.lookahead) * token - 240) for count in complete]
    assert known[-1] == 11 * 640 - 240
