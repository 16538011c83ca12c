"""Lost tokens: how many, how long, and what is left of them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_lite.channels import Symbols, awgn, erase, erasure, mpp
from aether_lite.channels.channel import Draws
from aether_lite.channels.erasure import erasure_pattern
from aether_lite.errors import AetherError


def mean_burst(lost: torch.Tensor) -> float:
    began = lost[:, 1:] & ~lost[:, :-1]
    return float(lost.sum() / (began.sum() + lost[:, 0].sum()))


@pytest.mark.parametrize(("probability", "burst"), [(0.1, 3.0), (0.1, 1.0), (0.5, 1.0), (0.6, 1.6), (0.3, 10.0)])
def test_bursts_have_the_given_rate_and_mean_length(probability, burst):
    lost = erasure_pattern(20_000, probability, burst, Draws(torch.empty(20), 1))
    assert float(lost.double().mean()) == pytest.approx(probability, rel=0.03)
    assert mean_burst(lost) == pytest.approx(burst, rel=0.03)
    first = erasure_pattern(2, probability, burst, Draws(torch.empty(50_000), 1)).double().mean(dim=0)
    assert torch.allclose(first, torch.tensor(probability).double(), atol=0.01)  # stationary from the start


def test_independent_losses_have_the_given_rate_and_no_memory():
    lost = erasure_pattern(100_000, 0.2, None, Draws(torch.empty(2), 1))
    assert float(lost.double().mean()) == pytest.approx(0.2, abs=0.005)
    assert mean_burst(lost) == pytest.approx(1 / 0.8, rel=0.02)


@settings(max_examples=30, deadline=None)
@given(probability=st.floats(0, 1), burst=st.none() | st.floats(1, 50), tokens=st.integers(0, 60))
def test_a_pattern_exists_exactly_where_the_chain_does(probability, burst, tokens):
    if burst is not None and probability > burst * (1 - probability):
        with pytest.raises(AetherError, match="burst_tokens"):
            erasure_pattern(tokens, probability, burst, Draws(torch.empty(2), 1))
        return
    lost = erasure_pattern(tokens, probability, burst, Draws(torch.empty(2), 1))
    assert lost.shape == (2, tokens)
    assert lost.dtype == torch.bool
    assert probability > 0 or not lost.any()
    assert probability < 1 or lost.all()


def test_lost_tokens_are_zero_and_marked_and_others_untouched(make_symbols):
    symbols = make_symbols(batch=3, tokens=100)
    received = erasure(symbols, probability=0.3, seed=1)
    received.validate()
    erased = received.state.erased
    assert 0 < int(erased.sum()) < erased.numel()
    assert (received.values[erased] == 0).all()
    assert torch.equal(received.values[~erased], symbols.values[~erased])
    assert (received.state.noise_variance == 0).all()


def test_noise_under_erasures_is_that_of_awgn(make_symbols):
    symbols = make_symbols(tokens=100)
    noisy, received = awgn(symbols, 3.0, seed=1), erasure(symbols, 3.0, probability=0.3, seed=1)
    kept = ~received.state.erased
    assert torch.equal(received.values[kept], noisy.values[kept])


def test_erasures_add_to_any_channel_and_to_each_other(make_symbols):
    faded = mpp(make_symbols(tokens=200), 6.0, seed=1)
    once = erase(faded, 0.2, seed=1)
    twice = erase(once, 0.2, 2.0, seed=2)
    twice.validate()
    assert torch.equal(once.state.gain, faded.state.gain)
    assert (twice.state.erased | ~once.state.erased).all()
    assert int(twice.state.erased.sum()) > int(once.state.erased.sum())


def test_losses_do_not_depend_on_the_noise_of_the_same_seed():
    symbols = Symbols(torch.zeros(1, 4, 80, dtype=torch.complex64), 1000, token_frames=8)
    received = [erasure(symbols, 0.0, probability=0.5, csi="perfect", seed=seed) for seed in range(2000)]
    lost = torch.stack([r.state.erased[0] for r in received]).double()
    noise = torch.stack([awgn(symbols, 0.0, seed=s).values[0, 0, :4].real for s in range(2000)]).double()
    assert torch.corrcoef(torch.cat([lost, noise], dim=1).T)[:4, 4:].abs().max() < 0.1
