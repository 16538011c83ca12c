"""Muon: orthogonal steps for matrices, AdamW for the rest."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from aether_lite.codec import SpiCodec, preset
from aether_lite.training import optimiser as muon
from aether_lite.training.distributed import DistributedContext
from aether_lite.training.optimiser import Muon, matrices_and_rest, orthogonalised


@pytest.mark.parametrize("shape", [(1, 40, 16), (3, 16, 16), (1, 16, 40)])
def test_factors_are_nearly_orthogonal_and_turn_nothing(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    given = torch.randn(shape)
    made = orthogonalised(given)
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.6
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(given, full_matrices=False)
    assert float((made * (u @ v)).sum() / (u @ v).square().sum()) == pytest.approx(0.95, abs=0.15)


def test_every_weight_of_a_codec_is_trained_by_one_of_both() -> None:
    model = SpiCodec(preset("small"))
    matrices, rest = matrices_and_rest(model)
    assert len({id(p) for p in (*matrices, *rest)}) == len(list(model.parameters()))
    ids = {id(p) for p in matrices}
    named = {name: id(p) in ids for name, p in model.named_parameters()}
    assert named["spi_encoder.blocks.0.gru.weight_hh_l0"]
    assert named["linear.down.weight"]
    assert not named["jscc_encoder.film.outer.weight"]
    assert not named["spi_encoder.norm.weight"]


def test_a_first_step_has_the_size_of_adamw_and_parts_of_a_gru_are_their_own() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(32, 96)
    before = layer.weight.detach().clone()
    optimiser = Muon([{"params": [layer.weight], "weight_decay": 0.0, "muon": True}], lr=1e-2, betas=(0.9, 0.98))
    layer.weight.grad = torch.randn(96, 32) * torch.tensor([1.0, 1e-3, 1e3]).repeat_interleave(32)[:, None]
    optimiser.step()
    steps = (before - layer.weight.detach()).chunk(3)
    for step in steps:  # however different their gradients are in size
        assert float(step.square().mean().sqrt()) == pytest.approx(0.2 * 1e-2, rel=0.25)
    assert len(optimiser.param_groups) == 1


def test_the_second_step_follows_nesterov_momentum() -> None:
    torch.manual_seed(0)
    layer, first, second = nn.Linear(16, 16), torch.randn(16, 16), torch.randn(16, 16)
    optimiser = Muon([{"params": [layer.weight], "weight_decay": 0.0, "muon": True}], lr=1e-2)
    for gradient in (first, second):
        before = layer.weight.detach().clone()
        layer.weight.grad = gradient.clone()
        optimiser.step()
    momentum = 0.95 * 0.05 * first + 0.05 * second
    ahead = 0.95 * momentum + 0.05 * second
    expected = 1e-2 * 0.2 * 16**0.5 * orthogonalised(ahead[None])[0]
    torch.testing.assert_close(before - layer.weight.detach(), expected, atol=1e-6, rtol=1e-3)


def test_a_stored_state_continues_to_the_same_bits() -> None:
    def made() -> tuple[nn.Linear, Muon]:
        torch.manual_seed(0)
        layer = nn.Linear(16, 16)
        groups = [{"params": [layer.weight], "muon": True}, {"params": [layer.bias]}]
        return layer, Muon(groups, lr=1e-2, betas=(0.9, 0.98))

    def step(layer: nn.Linear, optimiser: Muon, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        layer.weight.grad = torch.randn(16, 16, generator=generator)
        layer.bias.grad = torch.randn(16, generator=generator)
        optimiser.step()

    whole, first = made()
    for seed in range(4):
        step(whole, first, seed)
    part, second = made()
    for seed in range(2):
        step(part, second, seed)
    again, third = made()
    again.load_state_dict(part.state_dict())
    third.load_state_dict(second.state_dict())
    for seed in range(2, 4):
        step(again, third, seed)
    assert torch.equal(again.weight, whole.weight)
    assert torch.equal(again.bias, whole.bias)


def test_long_matrices_are_iterated_to_the_same_by_less_work(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    given = torch.randn(2, 16, 80) * torch.logspace(0, -3, 80)
    made = orthogonalised(given)
    monkeypatch.setattr(muon, "_LONG", 1000)
    torch.testing.assert_close(made, orthogonalised(given), rtol=1e-4, atol=1e-5)


@dataclass(frozen=True)
class Half(DistributedContext):
    """One of two processes that hears nothing of the other; what it would have sent is kept."""

    sent: list[Tensor] = field(default_factory=list)

    def total(self, value: Tensor) -> Tensor:
        self.sent.append(value.clone())
        return value


def test_processes_share_the_work_and_miss_no_matrix() -> None:
    torch.manual_seed(0)
    given = [torch.randn(shape) for shape in ((3, 16, 16), (1, 40, 16), (1, 16, 16), (1, 12, 9))]
    team = [Half(rank, 2, torch.device("cpu")) for rank in (0, 1)]
    alone, *shared = (Muon([{"params": [nn.Parameter(torch.zeros(1))]}], 1e-2, (0.9, 0.98), t) for t in (None, *team))
    whole = alone._orthogonal(given)
    halves = [part._orthogonal(given) for part in shared]
    for matrices, one, other in zip(whole, *halves, strict=True):
        torch.testing.assert_close(one + other, matrices, rtol=1e-4, atol=1e-5)
        assert not torch.equal(one, matrices) or not other.any()  # a process does a part
    assert [len(half.sent) for half in team] == [1, 1]  # in one exchange
