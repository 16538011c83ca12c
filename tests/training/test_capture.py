"""A recorded step is the plain step, to the bit; the recorder here runs the function instead of a CUDA graph."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from aether_lite.training.capture import WARM_UP, CapturedStep

STEPS = 4


class Learner:
    """Two small networks that learn against each other with noise, one optimiser each."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.network = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 6))
        self.other = nn.Linear(6, 1)
        self.optimisers = [
            torch.optim.AdamW(module.parameters(), 1e-2, (0.8, 0.95)) for module in (self.network, self.other)
        ]

    @property
    def networks(self) -> list[nn.Module]:
        return [self.network, self.other]

    def step(self, given: Tensor, wanted: Tensor) -> Mapping[str, Tensor]:
        made = self.network(given + 0.1 * torch.rand_like(given))
        loss = (made - wanted).square().mean() + self.other(made).mean()
        judged = self.other(made.detach()).square().mean()
        for optimiser, value in zip(self.optimisers, (loss, judged), strict=True):
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            optimiser.step()
        return {"loss": loss.detach(), "judged": judged.detach(), "made": made.detach()}

    def state(self) -> list[Tensor]:
        weights = [p.detach() for module in self.networks for p in module.parameters()]
        moments = [v for o in self.optimisers for s in o.state_dict()["state"].values() for v in s.values()]
        return [*weights, *moments]


def record(run: Callable[[], None]) -> Callable[[], None]:
    """Warms up as a CUDA graph does; replaying is running."""
    for _ in range(WARM_UP):
        run()
    return run


def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    return [(torch.randn(4, 6, generator=generator), torch.randn(4, 6, generator=generator)) for _ in range(STEPS)]


@pytest.mark.parametrize("history", [0, 2])
def test_recorded_steps_are_the_plain_ones_to_the_bit(history: int) -> None:
    plain = Learner()
    for given, wanted in batches()[:history]:
        plain.step(given, wanted)
    recorded = copy.deepcopy(plain)
    step = CapturedStep(recorded.step, recorded.networks, recorded.optimisers, record)
    for number, (given, wanted) in enumerate(batches()):
        torch.manual_seed(number)
        expected = plain.step(given, wanted)
        torch.manual_seed(number)
        found = step(given, wanted)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected), number
        ours, theirs = recorded.state(), plain.state()
        assert len(ours) == len(theirs) == 4 * 6
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)), number


def test_outputs_belong_to_the_caller_and_inputs_are_copied() -> None:
    learner = Learner()
    step = CapturedStep(learner.step, learner.networks, learner.optimisers, record)
    (given, wanted), (other, _) = batches()[:2]
    kept = given.clone()
    first = step(given, wanted)
    made = first["made"].clone()
    step(other, wanted)
    assert torch.equal(first["made"], made)
    assert torch.equal(given, kept)


def test_inputs_of_other_shapes_are_refused() -> None:
    learner = Learner()
    step = CapturedStep(learner.step, learner.networks, learner.optimisers, record)
    given, wanted = batches()[0]
    step(given, wanted)
    with pytest.raises(ValueError, match=r"recorded with \[\(4, 6\), \(4, 6\)\], not \[\(3, 6\), \(3, 6\)\]"):
        step(given[:3], wanted[:3])
    with pytest.raises(ValueError, match="recorded with"):
        step(given)


def test_recording_leaves_no_trace_in_the_random_generator() -> None:
    learner = Learner()
    given, wanted = batches()[0]
    torch.manual_seed(7)
    CapturedStep(learner.step, learner.networks, learner.optimisers, record)(given, wanted)
    after = torch.rand(3)
    torch.manual_seed(7)
    torch.rand_like(given)  # what one step draws
    assert torch.equal(after, torch.rand(3))
