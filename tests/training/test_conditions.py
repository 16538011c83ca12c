"""Conditions of symbols: what the receiver knows, and weights so that bad channels do not drown good ones."""

from __future__ import annotations

import pytest
import torch

from aether_lite.errors import AetherError
from aether_lite.payload import Symbols
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.conditions import balance, draw, expected_bit_loss, expected_loss

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


def test_items_without_csi_arrive_with_noise_and_no_knowledge_of_it() -> None:
    symbols = Symbols(torch.ones(12, 5, 40, dtype=torch.complex64), torch.full((12,), 1000), token_frames=4)
    for share in (0.0, 1.0):
        ranges = TrainConfig(rates=[1000], csi_none_share=share, erasure_share=0.5, snr_db=[0.0, 5.0])
        conditions = draw(ranges, 0, 0, range(12))
        received = conditions.transmit(symbols)
        state = received.state
        assert state.noise_variance is not None
        assert state.gain is not None
        assert bool(state.noise_variance.isnan().all()) == (share == 1)
        assert bool((state.gain == 1).all()) == (share == 1)
        arrived = ~received.erased
        assert float((received.values - symbols.values)[arrived].abs().mean()) > 0.3
        lost = [probability > 0 for probability in conditions.token_loss]
        assert received.erased.any(1).sum() > 0
        assert not received.erased[~torch.tensor(lost)].any()


def test_a_targeted_encoder_is_given_the_snr_of_its_link() -> None:
    conditions = draw(TrainConfig(targeted=0.5), 0, 0, range(64))
    assert conditions.target_snr_db is not None
    blind = conditions.target_snr_db.isnan()
    assert 16 < int(blind.sum()) < 48
    assert torch.equal(conditions.target_snr_db[~blind], conditions.quality[~blind])
