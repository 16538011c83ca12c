"""Running penalties: values on known bits, gradients, memory, several processes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from aether_lite.hash import PENALTIES, HashPenalties, hard_bits

FIRST_WEIGHT = 0.9  # of the first batch in the running means


def penalties(latents: Tensor, steps: int = 1, module: HashPenalties | None = None) -> dict[str, float]:
    module = module or HashPenalties(latents.shape[-1])
    for _ in range(steps):
        found = module(latents, hard_bits(latents))
    assert set(found) == set(PENALTIES)
    return {name: float(value) for name, value in found.items()}


def all_words(bits: int) -> Tensor:
    """Every word of this length once: balanced, independent bits ``[1, 2^bits, bits]``."""
    numbers = torch.arange(2**bits)[:, None] >> torch.arange(bits)
    return (2.0 * (numbers % 2) - 1)[None]


def test_balanced_independent_confident_bits_cost_nothing() -> None:
    assert penalties(all_words(5)) == pytest.approx({"balance": 0, "decorrelation": 0, "confidence": 0}, abs=1e-9)


def test_a_constant_bit_costs_its_share_of_balance() -> None:
    z = all_words(4)
    z[..., 0] = 1.0
    found = penalties(z)
    assert found["balance"] == pytest.approx(FIRST_WEIGHT**2 / 4)
    assert found["decorrelation"] == pytest.approx(0, abs=1e-9)


def test_a_repeated_bit_costs_its_pairs_of_decorrelation() -> None:
    z = all_words(4)
    z[..., 1] = -z[..., 0]
    found = penalties(z)
    assert found["decorrelation"] == pytest.approx(FIRST_WEIGHT**2 * 2 / 12)
    assert found["balance"] == pytest.approx(0, abs=1e-9)


def test_latents_at_the_threshold_or_far_from_it_cost_confidence() -> None:
    assert penalties(0.5 * all_words(3))["confidence"] == pytest.approx(FIRST_WEIGHT * 0.25)
    assert penalties(3.0 * all_words(3))["confidence"] == pytest.approx(FIRST_WEIGHT * 4.0)


def test_the_running_mean_reaches_a_constant_value_and_forgets_slowly() -> None:
    one = torch.ones(1, 8, 3)
    module = HashPenalties(3, decay=0.9)
    assert penalties(one, 200, module)["balance"] == pytest.approx(1.0, abs=1e-6)
    assert penalties(-one, 1, module)["balance"] == pytest.approx(0.8**2, abs=1e-5)  # 0.9 - 0.1


@pytest.mark.parametrize("name", PENALTIES)
def test_the_gradient_lowers_the_penalty(name: str) -> None:
    z = torch.randn(2, 40, 6, generator=torch.Generator().manual_seed(1)) + 0.5
    z[..., 1] = z[..., 0] + 0.1
    z.requires_grad_()
    found = HashPenalties(6)(z, hard_bits(z))
    (gradient,) = torch.autograd.grad(found[name], z)
    assert gradient.abs().sum() > 0
    with torch.no_grad():
        before, after = penalties(z)[name], penalties(z - 10 * gradient)[name]
    assert after < before


def test_penalties_change_no_bit_and_carry_no_weight() -> None:
    module = HashPenalties(4)
    assert not list(module.parameters())
    z = torch.randn(1, 10, 4, generator=torch.Generator().manual_seed(2))
    bits = hard_bits(z)
    kept = bits.clone()
    module(z, bits)
    assert torch.equal(bits, kept)


def test_processes_together_have_the_statistics_and_gradient_of_the_joined_batch() -> None:
    z = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64) + 0.3
    shares = [z[:2], z[2:]]  # of different size

    def gradients(parts: list[Tensor]) -> tuple[list[Tensor], list[float], Tensor]:
        """Two processes in turn: the first run records what is summed, the second sums it."""
        sums: list[Tensor] = []
        for summing in (False, True):
            found, values = [], []
            for part in parts:
                record = None if summing else sums
                module = HashPenalties(4, reduce=_reducer(record, sums)).double()
                own = part.clone().requires_grad_()
                terms = module(own, hard_bits(own))
                total = sum(terms.values(), torch.zeros((), dtype=torch.float64))
                found.append(torch.autograd.grad(total, own)[0] / len(parts))
                values.append(float(total.detach()))
        return found, values, module.product

    joined, value, product = gradients([z])
    split, values, split_product = gradients(shares)
    assert torch.allclose(torch.cat(split), joined[0])
    assert values == pytest.approx([value[0]] * 2)
    assert torch.allclose(product, split_product)


def _reducer(record: list[Tensor] | None, sums: list[Tensor]):  # type: ignore[no-untyped-def]
    """Either note what a process contributes (three calls each), or give the sum of the notes."""
    calls = [0]

    def reduce(total: Tensor) -> Tensor:
        if record is not None:
            record.append(total.clone())
            return total
        position = calls[0]
        calls[0] += 1
        return torch.stack(sums[position::3]).sum(0)

    return reduce
