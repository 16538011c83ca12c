"""Thresholds at zero, the gradient through them, and codec files of earlier versions."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from aether_lite.codec import SpiCodec, load_codec, save_codec
from aether_lite.errors import AetherError
from aether_lite.hash import BitBottleneck, hard_bits, on_sphere
from aether_lite.payload import ReceivedBits


def latents(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_bits_are_signs() -> None:
    z = latents(2, 3, 8)
    z[0, 0, :3] = torch.tensor([0.0, -0.0, -1e-30])
    bits = hard_bits(z)
    assert set(bits.unique().tolist()) == {-1.0, 1.0}
    assert bits[0, 0, :3].tolist() == [1.0, 1.0, -1.0]
    assert torch.equal(bits, torch.where(z >= 0, 1.0, -1.0).double())


def test_quality_of_a_token_is_the_snr_of_equal_reliability() -> None:
    soft = torch.tensor([0.5**0.5, 1.0, 0.0, 0.1**0.5])[None, :, None].expand(1, 4, 24)
    erased = torch.zeros(1, 4, dtype=torch.bool)
    found = BitBottleneck().estimates(ReceivedBits(soft, 300, erased, token_frames=8)).snr_db
    expected = torch.tensor([[0.0, 30.0, -10.0, 10 * math.log10(1 / 9)]])  # rho / (1 - rho), within -10..30 dB
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_nothing_but_the_token_itself_enters_its_bits() -> None:
    """Fixed thresholds: an offset or a scale of the other tokens changes nothing."""
    z = latents(4, 5, 8)
    whole = hard_bits(z)
    assert torch.equal(hard_bits(z[1:2, 2:3]), whole[1:2, 2:3])
    assert torch.equal(hard_bits(torch.cat((z[1:2], 100 + 9 * z[2:])))[0], whole[1])


def test_the_gradient_passes_through_a_saturating_curve_of_scaled_latents() -> None:
    z = latents(2, 3, 6).requires_grad_()
    weight = torch.arange(1.0, 7.0).double()
    (found,) = torch.autograd.grad((weight * hard_bits(z)).sum(), z)
    u = on_sphere(z)
    (expected,) = torch.autograd.grad((weight * (1 - torch.tanh(u.detach()).square()) * u).sum(), z)
    assert torch.allclose(found, expected)


def test_scaled_latents_have_unit_power_and_a_free_length() -> None:
    z = latents(2, 3, 6).requires_grad_()
    u = on_sphere(z)
    assert torch.allclose(u.square().mean(-1), torch.ones(2, 3).double())
    assert torch.equal(u >= 0, z >= 0)
    (found,) = torch.autograd.grad((torch.arange(1.0, 7.0) * u).sum(), z)
    assert torch.allclose((found * z).sum(-1), torch.zeros(2, 3).double(), atol=1e-12)
    assert torch.equal(on_sphere(torch.zeros(2, 4)), torch.zeros(2, 4))


@pytest.mark.parametrize(("changes", "accepted"), [({"hash": "tanh", "flat": 0}, True), ({"flat": 24}, False)])
def test_configurations_of_earlier_files(
    tiny_hash: SpiCodec, tmp_path: Path, changes: dict[str, object], accepted: bool
) -> None:
    path = tmp_path / "hash.safetensors"
    save_codec(tiny_hash, path, {})
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    metadata["config"] = json.dumps(json.loads(metadata["config"]) | changes)
    path.write_bytes(save(load_file(path), metadata))
    if accepted:
        assert load_codec(path)[0].config == tiny_hash.config
    else:
        with pytest.raises(AetherError, match="flat is not supported any more"):
            load_codec(path)
