"""The listener's network, its files, and the distance it gives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from aether_lite.errors import AetherError
from aether_lite.listener import STATES, Listener, listener_path, load_listener, save_listener
from aether_lite.losses.listening import listening_loss


@pytest.fixture(scope="module")
def listener() -> Listener:
    torch.manual_seed(0)
    model = Listener(width=12, blocks=2)
    for block in model.blocks:
        torch.nn.init.normal_(block.down.weight, std=0.1)  # as if it had learned something
    return model.eval().requires_grad_(False)


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randn(2, 40, 20, generator=torch.Generator().manual_seed(1))


def test_a_state_every_second_frame(listener: Listener, rows: torch.Tensor) -> None:
    assert listener(rows).shape == (2, 20, STATES)
    with pytest.raises(ValueError, match="even number of frames"):
        listener(rows[:, :39])


def test_a_state_is_heard_about_its_own_frames(listener: Listener, rows: torch.Tensor) -> None:
    moved = rows.clone()
    moved[:, 20:22, 3] += 1.0
    change = (listener(moved) - listener(rows)).square().mean((0, 2))
    assert change.argmax() in (9, 10, 11)


def test_speech_is_measured_to_mean_zero_and_spread_one(rows: torch.Tensor) -> None:
    from aether_lite.features.tensors import log_bands

    model = Listener(width=4, blocks=1)
    model.measure(rows)
    levels = (log_bands(rows) - model.mean) / model.scale
    torch.testing.assert_close(levels.mean((0, 1)), torch.zeros(18), atol=1e-5, rtol=0)
    torch.testing.assert_close(levels.flatten(0, 1).std(0), torch.ones(18))


def test_distance_is_zero_only_for_what_sounds_alike(listener: Listener, rows: torch.Tensor) -> None:
    assert listening_loss(listener, rows, rows).tolist() == [0.0, 0.0]
    other = rows.clone()
    other[1, :, 18:] += 1.0  # pitch and correlation are not heard
    assert listening_loss(listener, other, rows).tolist() == [0.0, 0.0]
    other[1, :, 0] += 1.0
    first, second = listening_loss(listener, other, rows).tolist()
    assert first == 0.0
    assert second > 0.0
    with pytest.raises(ValueError, match="one shape"):
        listening_loss(listener, rows, rows[:, :20])


def test_gradient_goes_to_the_decoded_features_alone(listener: Listener, rows: torch.Tensor) -> None:
    decoded = (rows + 0.1).requires_grad_()
    original = rows.clone().requires_grad_()
    listening_loss(listener, decoded, original).sum().backward()
    assert decoded.grad is not None
    assert decoded.grad[..., :18].abs().sum() > 0
    assert decoded.grad[..., 18:].abs().sum() == 0
    assert original.grad is None
    assert all(weight.grad is None for weight in listener.parameters())


def test_a_file_gives_the_same_listener_back(listener: Listener, rows: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "listener.safetensors"
    save_listener(listener, path, {"commit": "abc"})
    again = load_listener(listener_path(path))
    torch.testing.assert_close(again(rows), listener(rows), atol=5e-3, rtol=5e-3)  # stored as float16
    assert not any(weight.requires_grad for weight in again.parameters())
    with safe_open(path, "pt") as file:
        assert file.metadata()["provenance"] == '{"commit": "abc"}'


def test_files_that_are_not_listeners_are_one_clear_error(listener: Listener, tmp_path: Path) -> None:
    with pytest.raises(AetherError, match="no such listener file, nor the released one"):
        listener_path(tmp_path / "nobody.safetensors")
    path = tmp_path / "listener.safetensors"
    path.write_bytes(b"no safetensors")
    with pytest.raises(AetherError, match=r"listener\.safetensors: not a listener file"):
        load_listener(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(AetherError, match="format None"):
        load_listener(path)
    for sizes in ("{}", '{"width": 0, "blocks": 1}', '{"width": 99999999, "blocks": 1}', "[", "3"):
        save_file({"a": torch.zeros(1)}, path, {"format": "aether-lite listener 1", "sizes": sizes})
        with pytest.raises(AetherError, match="sizes cannot be read"):
            load_listener(path)
    save_file({"a": torch.zeros(1)}, path, {"format": "aether-lite listener 1", "sizes": '{"width": 12, "blocks": 2}'})
    with pytest.raises(AetherError, match=r"missing, unexpected or misshapen weights: a, blocks\.0\.depth\.bias"):
        load_listener(path)
