"""The link of the digital baselines against theory and an independent chain."""

from __future__ import annotations

import calibration as calibration_module
import pytest
import torch
from calibration import CalibrationRow, binomial_interval, calibration

from aether_lite.baselines.digital.modem import ldpc_code, modulate, soft_bits
from aether_lite.channels import Symbols, awgn, erase, rayleigh
from aether_lite.errors import AetherError


@pytest.fixture(scope="module")
def rows() -> list[CalibrationRow]:
    return calibration(uncoded_symbols=50_000, blocks=(800, 100))


def test_error_rates_are_those_of_theory_and_reference(rows: list[CalibrationRow]) -> None:
    assert len(rows) == 8
    for row in rows:
        assert row.inside, row
        assert row.low < row.expected < row.high


def test_uncoded_qpsk_interval_is_narrow(rows: list[CalibrationRow]) -> None:
    """The check would notice an SNR that is off by 0.2 dB."""
    row = next(row for row in rows if row.what.startswith("QPSK over AWGN") and row.esn0_db == 3.0)
    for offset in (-0.2, 0.2):
        assert not row.low < calibration_module.qpsk_ber(10 ** ((row.esn0_db + offset) / 10)) < row.high


def test_ldpc_reference_agrees_with_an_earlier_measurement() -> None:
    """QPSK K=80 N=160 at Eb/N0 2 dB: 144 of 1000 blocks; 16-QAM K=500 N=1000 at 4 dB: 7 of 256 (other seeds)."""
    for reference, (failed, blocks) in zip(calibration_module.LDPC_REFERENCES, ((144, 1000), (7, 256)), strict=True):
        low, high = binomial_interval(reference.failed / reference.blocks, blocks, reference.blocks)
        assert low < failed / blocks < high


def test_wrong_snr_convention_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise of N0 instead of N0/2 in each real dimension: every uncoded point fails."""
    monkeypatch.setattr(calibration_module, "awgn", lambda symbols, snr_db, **rest: awgn(symbols, snr_db - 3, **rest))
    uncoded = calibration_module._uncoded(
        "QPSK over AWGN", "qpsk", 3.0, calibration_module.qpsk_ber, 20_000
    )
    assert not uncoded.inside


@pytest.mark.parametrize("modulation", ["qpsk", "16qam"])
def test_bits_survive_a_clean_channel(modulation: str) -> None:
    bits = torch.randint(0, 2, (4, 480), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    values = modulate(bits, modulation)
    assert values.abs().square().mean() == pytest.approx(1.0, abs=0.05)
    symbols = Symbols(values[None], values.shape[1] * 10, 10)
    for received in (awgn(symbols, 40, csi="perfect", seed=1), rayleigh(symbols, 60, csi="perfect", seed=1)):
        assert torch.equal(soft_bits(received, modulation)[0] > 0, bits.bool())


def test_lost_tokens_say_nothing_about_bits() -> None:
    bits = torch.ones(6, 200, dtype=torch.uint8)
    received = erase(awgn(Symbols(modulate(bits, "qpsk")[None], 1000, 10), 10, seed=1), 0.5, seed=3)
    lost = received.state.erased[0]
    assert 0 < int(lost.sum()) < 6
    logits = soft_bits(received, "qpsk")[0]
    assert bool((logits[lost] == 0).all())
    assert bool((logits[~lost] != 0).all())


def test_receiver_notices_failed_blocks_by_parity() -> None:
    """Nearly every wrong block breaks a check, and nearly every right one breaks none."""
    code = ldpc_code(84, 240, 2)
    bits = torch.randint(0, 2, (600, 84), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    symbols = Symbols(modulate(code.encode(bits), "qpsk")[None], 1200, 10)
    decoded, valid = code.decode(soft_bits(awgn(symbols, -0.5, csi="perfect", seed=4), "qpsk")[0])
    wrong = (decoded != bits).any(dim=1)
    assert 30 < int(wrong.sum()) < 400
    assert int((wrong & valid).sum()) <= 6
    assert int((~wrong & ~valid).sum()) <= 12


def test_code_that_does_not_exist_is_a_stated_error() -> None:
    with pytest.raises(AetherError, match="no 5G LDPC code of 288 bits in 240"):
        ldpc_code(288, 240, 2)
