"""The latency of a stream is the stated number of samples."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aether_lite.channels import clean
from aether_lite.codec import Codec
from aether_lite.streaming import Decoder, Encoder


def streamed(codec: Codec, samples: np.ndarray) -> tuple[Tensor, list[int]]:
    """What is heard while ``samples`` come in blocks of 80, and how many samples are heard after each block."""
    encoder, decoder = Encoder(codec, 1200), Decoder(codec)
    heard, known = [], []
    for block in np.split(samples, len(samples) // 80):
        heard.append(decoder.push(clean(encoder.push(block))).samples)
        known.append(sum(map(len, heard)))
    return torch.cat(heard), known


def test_playing_with_the_stated_latency_never_runs_dry_and_with_less_does(tiny_codec: Codec) -> None:
    encoder, decoder = Encoder(tiny_codec), Decoder(tiny_codec)
    latency = tiny_codec.latency.samples
    assert latency == 1680
    heard = 0
    reserve = []
    for n in range(1, 6000):  # sample n - latency is due when n samples have come
        symbols = encoder.push(np.zeros(1))
        if symbols.values.shape[1]:
            heard += len(decoder.push(clean(symbols)).samples)
        reserve.append(heard - (n - latency))
    assert min(reserve) == 1


def test_the_first_output_that_changes(tiny_codec: Codec, speech: np.ndarray) -> None:
    """Changing the input from sample n on changes no output up to n - latency, and reaches that within a frame.

    What is missing is the pitch tracker's look-ahead of a frame, which only tells when a decision flips.
    """
    latency, start = tiny_codec.latency.samples, 10_240
    clip = speech[0, : start + 2720]
    original, _ = streamed(tiny_codec, clip)
    reach = []
    for n in (start, start + 80, start + 700, start + 1200, start + 1270, start + 1300):
        changed = clip.copy()
        changed[n:] = np.random.default_rng(n).uniform(-0.5, 0.5, len(clip) - n)
        other, _ = streamed(tiny_codec, changed)
        first = int(torch.nonzero(original != other)[0, 0])
        assert first > n - latency
        reach.append(n - first)
    assert latency - 170 <= max(reach) < latency


def test_output_leaves_token_by_token(tiny_codec: Codec, speech: np.ndarray) -> None:
    _, known = streamed(tiny_codec, speech[0, :8000])
    expected = [max(0, (80 * (i + 1) - 160) // 1280) * 1280 for i in range(100)]
    assert known == [max(0, count - 240) for count in expected]
