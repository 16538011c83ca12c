"""Weights of items: bad channels do not drown good ones, as far as asked."""

from __future__ import annotations

import pytest
import torch

from aether_lite.errors import AetherError
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.conditions import balance, expected_bit_loss, expected_loss

RATES = torch.tensor([150, 300, 1000, 1000])
SNRS_DB = torch.tensor([-6.0, 6.0, 6.0, 20.0])


def test_better_channels_promise_less_loss_and_weigh_more() -> None:
    expected = expected_loss(RATES, SNRS_DB)
    assert (expected.diff() < 0).all()
    assert (balance(expected).diff() > 0).all()
    bits = expected_bit_loss(torch.tensor([300, 2400, 2400]), torch.tensor([0.1, 0.1, 0.0]))
    assert (bits.diff() < 0).all()


def test_the_exponent_says_whether_errors_count_alike_or_in_relation() -> None:
    expected = expected_loss(RATES, SNRS_DB)
    assert torch.equal(balance(expected, 0.0), torch.ones(4))
    torch.testing.assert_close(balance(expected, 1.0) * expected, torch.full((4,), 0.15))
    torch.testing.assert_close(balance(expected).square(), balance(expected, 1.0))
    with pytest.raises(AetherError, match="balance: 0 to 2"):
        TrainConfig(balance=-1.0).check()
