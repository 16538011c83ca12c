"""Multiply-accumulates of modules whose count is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from aether_lite.bench.speed import count_macs, count_parameters, fargan_macs_per_s
from aether_lite.vocoder import default_vocoder_path, load_fargan


@pytest.mark.parametrize(
    ("module", "shape", "macs"),
    [
        (nn.Linear(10, 20), (7, 10), 7 * 10 * 20),
        (nn.GRU(10, 20, batch_first=True), (1, 7, 10), 7 * 3 * (10 * 20 + 20 * 20)),
        (nn.GRUCell(10, 20, bias=False), (1, 10), 3 * (10 * 20 + 20 * 20)),
        (nn.Conv1d(4, 8, 3), (1, 4, 12), 10 * 8 * 4 * 3),
        (nn.Conv2d(4, 8, (3, 2), (1, 2)), (1, 4, 5, 6), 3 * 3 * 8 * 4 * 3 * 2),
        (nn.Conv2d(4, 8, 3, groups=4), (1, 4, 5, 5), 3 * 3 * 8 * 3 * 3),
        (nn.ConvTranspose2d(4, 8, (4, 2), (2, 2)), (1, 4, 5, 6), 5 * 6 * 4 * 8 * 4 * 2),
    ],
)
def test_known_counts(module: nn.Module, shape: tuple[int, ...], macs: int) -> None:
    assert count_macs(lambda: module(torch.zeros(shape))) == macs


def test_fargan_needs_305_million_a_second() -> None:
    assert fargan_macs_per_s(load_fargan(default_vocoder_path())) / 1e6 == pytest.approx(305.3, abs=0.1)


def test_shared_parameters_count_once() -> None:
    layer = nn.Linear(3, 2)
    assert count_parameters(layer, nn.Sequential(layer, nn.Linear(2, 2))) == 8 + 6
