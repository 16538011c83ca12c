"""Binary channels: statistics, soft decisions, losses, what the receiver knows."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aether_lite.channels import awgn, clean, erasure, mpp, rayleigh
from aether_lite.channels.binary import UNKNOWN_ERROR_RATE, bsc, keyed, lose_bits, modulated
from aether_lite.channels.erasure import lose_tokens
from aether_lite.errors import AetherError
from aether_lite.payload import Bits, ReceivedBits

RATES = torch.tensor([300, 2400, 600, 1200])


def random_bits(batch: int = 1, tokens: int = 50, rate: int | Tensor = 2400, token_frames: int = 8) -> Bits:
    n = int(torch.as_tensor(rate).max()) * token_frames // 100
    values = 1.0 - 2.0 * torch.randint(2, (batch, tokens, n), generator=torch.Generator().manual_seed(3))
    raw = Bits(values, rate, token_frames)
    return Bits(values * raw.used, rate, token_frames)


def hard_error_rate(bits: Bits, received: ReceivedBits) -> float:
    return float((received.values * bits.values < 0).float().mean())


@pytest.mark.parametrize("p", [0.0, 0.01, 0.1, 0.5])
def test_bsc_turns_bits_at_its_error_rate_and_says_so(p: float) -> None:
    bits = random_bits(tokens=1000)  # 192 000 bits
    exact = bsc(bits, p, csi="perfect", seed=1)
    assert torch.allclose(exact.values.abs(), torch.tensor(1 - 2 * p))
    withheld = bsc(bits, p, csi="none", seed=1)
    assert torch.allclose(withheld.values.abs(), torch.tensor(1 - 2 * UNKNOWN_ERROR_RATE))
    assert hard_error_rate(bits, withheld) == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 192_000) + 1e-9)
    turned = (withheld.values * bits.values < 0).float()[0]
    assert turned.mean(0).max() < p + 5 * math.sqrt(p * (1 - p) / 1000) + 1e-9  # no position is favoured
    assert turned.mean(1).max() < p + 5 * math.sqrt(p * (1 - p) / 192) + 1e-9  # and no token


def test_estimated_error_rate_is_that_of_a_second_of_pilots() -> None:
    bits = random_bits(batch=64, tokens=200, rate=600)
    known = (1 - bsc(bits, 0.05, seed=1).values.abs()[..., 0]) / 2
    pilots = 5 * 12  # of 48 bits a token every tenth, 12 tokens
    prior = (0.05 * pilots + 0.5) / (pilots + 1)
    assert float(known.mean()) == pytest.approx(prior, rel=0.05)
    assert float(known.std()) == pytest.approx(math.sqrt(0.05 * 0.95 * pilots) / (pilots + 1), rel=0.1)
    silent = bsc(bits, 0.0, seed=1)
    assert torch.allclose((1 - silent.values.abs()) / 2, torch.tensor(0.5 / (pilots + 1)), atol=1e-6)


def test_each_item_has_its_own_error_rate() -> None:
    bits = random_bits(batch=3, tokens=300)
    p = torch.tensor([0.01, 0.1, 0.3])
    turned = (bsc(bits, p, csi="perfect", seed=2).values * bits.values < 0).float().mean((1, 2))
    assert torch.allclose(turned, p, atol=0.01)


CHANNELS = {
    "bsc": lambda bits, seed: bsc(bits, 0.1, seed=seed),
    "bpsk": lambda bits, seed: keyed(bits, lambda s: awgn(s, 0.0, seed=seed)),
    "qpsk": lambda bits, seed: keyed(bits, lambda s: rayleigh(s, 6.0, seed=seed), "qpsk"),
    "bits lost": lambda bits, seed: lose_bits(bsc(bits, 0.1, seed=seed), 0.3, seed=seed),
    "tokens lost": lambda bits, seed: lose_tokens(bsc(bits, 0.1, seed=seed), 0.3, 2.0, seed=seed),
}
every_channel = pytest.mark.parametrize("name", CHANNELS)


@every_channel
def test_an_item_gets_the_channel_it_would_get_alone(name: str) -> None:
    send = CHANNELS[name]
    bits = random_bits(batch=4, tokens=20, rate=RATES)
    together = send(bits, [11, 12, 13, 14])
    together.validate()
    for item, rate in enumerate(RATES.tolist()):
        n = rate * 8 // 100
        alone = send(Bits(bits.values[item : item + 1, :, :n], rate, token_frames=8), [11 + item])
        assert torch.allclose(together.values[item, :, :n], alone.values[0], atol=1e-6)
        assert torch.equal(together.erased[item], alone.erased[0])


@every_channel
def test_seeds_repeat_and_differ(name: str) -> None:
    send, bits = CHANNELS[name], random_bits(tokens=20)
    assert torch.equal(send(bits, 5).values, send(bits, 5).values)
    assert not torch.equal(send(bits, 5).values, send(bits, 6).values)


def test_bit_errors_of_a_prefix_are_those_of_the_whole() -> None:
    bits = random_bits(tokens=100)
    whole = bsc(bits, 0.1, csi="perfect", seed=[7])
    first = bsc(bits.prefix(300), 0.1, csi="perfect", seed=[7])
    assert torch.equal(first.values, whole.values[..., :24])


@every_channel
def test_gradient_reaches_the_bits_with_the_weight_of_what_came_through(name: str) -> None:
    bits = random_bits(tokens=40)
    values = bits.values.clone().requires_grad_()
    received = CHANNELS[name](Bits(values, 2400, token_frames=8), 1)
    (gradient,) = torch.autograd.grad(received.values.sum(), values)
    assert torch.allclose(gradient, received.values.detach().square(), atol=1e-5)
    assert gradient.max() > 0.5


def q(x: float) -> float:
    return 0.5 * math.erfc(x / math.sqrt(2))


@pytest.mark.parametrize("snr_db", [-3.0, 0.0, 4.0])
@pytest.mark.parametrize(("modulation", "energy"), [("bpsk", 1.0), ("qpsk", 0.5)])
def test_awgn_error_rate_is_that_of_theory(snr_db: float, modulation: str, energy: float) -> None:
    bits = random_bits(tokens=1000)
    received = keyed(bits, lambda s: awgn(s, snr_db, csi="perfect", seed=1), modulation)
    expected = q(math.sqrt(2 * energy * 10 ** (snr_db / 10)))
    assert hard_error_rate(bits, received) == pytest.approx(expected, abs=5 * math.sqrt(expected / 192_000))


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_rayleigh_error_rate_is_that_of_theory(snr_db: float) -> None:
    bits = random_bits(batch=16, tokens=500, rate=600)  # 20 000 independent gains
    received = keyed(bits, lambda s: rayleigh(s, snr_db, csi="perfect", seed=1))
    g = 10 ** (snr_db / 10)
    expected = 0.5 * (1 - math.sqrt(g / (1 + g)))
    assert hard_error_rate(bits, received) == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("modulation", ["bpsk", "qpsk"])
@pytest.mark.parametrize("channel", ["awgn", "rayleigh"])
def test_soft_bits_are_the_expectation_of_the_bits(channel: str, modulation: str) -> None:
    """Sign and scale: among bits received as s, the mean of b is s."""
    send = {"awgn": awgn, "rayleigh": rayleigh}[channel]
    bits = random_bits(batch=4, tokens=500)
    soft = keyed(bits, lambda s: send(s, 1.0, csi="perfect", seed=1), modulation).values.flatten()
    b = bits.values.flatten()
    for low, high in ((-1.0, -0.9), (-0.6, -0.3), (-0.1, 0.1), (0.2, 0.5), (0.7, 0.9), (0.95, 1.0)):
        inside = (soft > low) & (soft <= high)
        assert inside.sum() > 500
        tolerance = 5 / math.sqrt(int(inside.sum()))
        assert float(b[inside].mean()) == pytest.approx(float(soft[inside].mean()), abs=tolerance)


def test_a_link_without_noise_gives_the_bits_themselves() -> None:
    bits = random_bits(batch=4, tokens=10, rate=RATES)
    for received in (bsc(bits, 0.0, csi="perfect"), keyed(bits, clean), keyed(bits, clean, "qpsk")):
        assert torch.equal(received.values, bits.values)
        assert not received.erased.any()


def test_modulated_symbols_have_unit_energy_and_half_the_uses_with_qpsk() -> None:
    bits = random_bits(tokens=3, rate=600)
    one, two = modulated(bits, "bpsk"), modulated(bits, "qpsk")
    assert (one.rate, one.values.shape[2]) == (600, 48)
    assert (two.rate, two.values.shape[2]) == (300, 24)
    for symbols in (one, two):
        assert torch.allclose(symbols.values.abs(), torch.ones(()))


def test_withheld_state_is_a_constant_and_never_the_truth() -> None:
    bits = random_bits(tokens=20)
    values = [keyed(bits, lambda s, n=snr: awgn(s, n, csi="none", seed=1)).values for snr in (-5.0, 10.0)]
    assert float(values[0].abs().mean()) > 0.9  # takes the noise for information: nothing told it
    assert not torch.equal(*values)


def test_lost_bits_and_tokens_are_zero_and_only_tokens_are_told() -> None:
    bits = random_bits(tokens=2000)
    sure = bsc(bits, 0.0, csi="perfect")
    single = lose_bits(sure, 0.2, seed=1)
    assert float((single.values == 0).float().mean()) == pytest.approx(0.2, abs=0.01)
    assert not single.erased.any()
    whole = lose_tokens(sure, 0.2, 4.0, seed=1)
    assert float(whole.erased.float().mean()) == pytest.approx(0.2, abs=0.05)
    assert torch.equal((whole.values == 0).all(-1), whole.erased)
    twice = lose_tokens(whole, 0.2, seed=2)
    assert (twice.erased | ~whole.erased).all()
    over_symbols = keyed(bits, lambda s: erasure(s, 3.0, probability=0.2, seed=1))
    over_symbols.validate()
    assert over_symbols.erased.any()


@settings(max_examples=25, deadline=None)
@given(
    rate=st.sampled_from([300, 600, 1200, 2400]),
    tokens=st.integers(0, 30),
    token_frames=st.sampled_from([2, 4, 8]),
    p=st.floats(0, 0.5),
    snr_db=st.floats(-30, 60),
    state=st.sampled_from(["perfect", "estimated", "none"]),
    modulation=st.sampled_from(["bpsk", "qpsk"]),
    seed=st.integers(0, 2**63 - 1),
)
def test_any_clip_gives_valid_soft_bits(rate, tokens, token_frames, p, snr_db, state, modulation, seed) -> None:
    bits = random_bits(2, tokens, rate, token_frames)
    for received in (
        bsc(bits, p, csi=state, seed=seed),
        keyed(bits, lambda s: mpp(s, snr_db, csi=state, seed=seed), modulation),
    ):
        received.validate()
        assert received.values.shape == bits.values.shape
        lose_tokens(lose_bits(received, p, seed=seed), p, seed=seed).validate()


def test_wrong_options_and_values_are_stated_errors() -> None:
    bits = random_bits(batch=2, tokens=2)
    with pytest.raises(AetherError, match=r"error_rate must be in 0..0.5, not 0.7"):
        bsc(bits, [0.1, 0.7])
    with pytest.raises(AetherError, match=r"error_rate must be one number or \[2\]"):
        bsc(bits, [0.1, 0.2, 0.3])
    with pytest.raises(AetherError, match="probability must be"):
        lose_bits(bsc(bits, 0.0), -0.1)
    with pytest.raises(AetherError, match="modulation must be one of bpsk, qpsk"):
        keyed(bits, clean, "8psk")
    with pytest.raises(AetherError, match="QPSK sends pairs"):
        keyed(Bits(torch.ones(1, 2, 1), 50, 2), clean, "qpsk")
    with pytest.raises(AetherError, match=r"bits must be \+1 or -1"):
        Bits(0.5 * bits.values, 2400, token_frames=8).validate()
    with pytest.raises(AetherError, match="hold no stream of 2400"):
        bits.prefix(600).prefix(2400)
    with pytest.raises(ValueError, match="do not fit rate 600"):
        Bits(bits.values, 600, token_frames=8)
    with pytest.raises(AetherError, match="must be 0"):
        ReceivedBits(bits.values, 2400, torch.ones(2, 2, dtype=torch.bool), token_frames=8).validate()
    with pytest.raises(AetherError, match=r"in -1\.\.1"):
        ReceivedBits(2 * bits.values, 2400, torch.zeros(2, 2, dtype=torch.bool), token_frames=8).validate()
