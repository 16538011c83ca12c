"""Training steps, or the vocoder within one, recorded once on the GPU and replayed.

FARGAN makes 400 sub-frames a second one after another, each of some dozen small kernels: launching them one by one is
what takes the time. A CUDA graph launches them all at once. What is recorded must keep its shapes, its addresses and
its course: fixed crops, learning rates in tensors, nothing that asks the GPU for a value. The vocoder's own training
is recorded as a whole (:class:`CapturedStep`). The codec's step changes its course from batch to batch (channels,
rates), so of it the vocoder alone is (:func:`captured_vocoder`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from aether_lite.features.layout import LAG_MIN, NUM_FREE
from aether_lite.vocoder import FARGAN
from aether_lite.vocoder.fargan import CONTEXT_ROWS

WARM_UP = 3  # runs before the recording, in which libraries choose kernels and make their workspaces

Speak = Callable[[Tensor, Tensor], Tensor]
"""Features ``[A, T, 20]`` and periods ``[A, T] int64`` to pre-emphasised audio ``[A, 160 (T - 4)]``."""
Step = Callable[..., Mapping[str, Tensor]]
Recorder = Callable[[Callable[[], None]], Callable[[], None]]
"""Runs a function some times, records it, and returns what replays it."""


class CapturedStep:
    """Calls a step as it is recorded with the first inputs; same results, fewer launches.

    Weights, optimiser states and random generators are put back after the recording, so that the first call is one
    step, not several.

    Args:
        step: takes tensors of fixed shapes, changes networks and optimisers in place, returns named tensors.
        networks, optimisers: all that the step changes. The optimisers must be ``capturable``.
        record: how to record; a CUDA graph by default.
    """

    def __init__(
        self,
        step: Step,
        networks: Sequence[nn.Module],
        optimisers: Sequence[Optimizer],
        record: Recorder | None = None,
    ) -> None:
        self._step, self._networks, self._optimisers = step, networks, optimisers
        self._record = record or record_cuda_graph
        self._replay: Callable[[], None] | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._outputs: dict[str, Tensor] = {}

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        """One step; the returned tensors are the caller's own.

        Raises:
            ValueError: inputs of other shapes than those recorded.
        """
        if self._replay is None:
            self._inputs = tuple(value.clone() for value in inputs)
            self._replay = self._recorded()
        shapes = [tuple(value.shape) for value in inputs]
        if shapes != [tuple(value.shape) for value in self._inputs]:
            raise ValueError(f"the step was recorded with {[tuple(v.shape) for v in self._inputs]}, not {shapes}")
        for mine, given in zip(self._inputs, inputs, strict=True):
            mine.copy_(given)
        self._replay()
        return {name: value.clone() for name, value in self._outputs.items()}

    def _recorded(self) -> Callable[[], None]:
        weights = [{name: value.clone() for name, value in n.state_dict().items()} for n in self._networks]
        moments = [_moments(optimiser, clone=True) for optimiser in self._optimisers]

        def run() -> None:
            self._outputs = dict(self._step(*self._inputs))

        gpus = {p.device.index for network in self._networks for p in network.parameters() if p.device.type == "cuda"}
        with torch.random.fork_rng(sorted(gpus)):
            replay = self._record(run)
        for network, before in zip(self._networks, weights, strict=True):
            network.load_state_dict(before)
        with torch.no_grad():
            for optimiser, old in zip(self._optimisers, moments, strict=True):
                for key, value in _moments(optimiser, clone=False).items():
                    value.copy_(old[key]) if key in old else value.zero_()
        return replay


def record_cuda_graph(run: Callable[[], None]) -> Callable[[], None]:
    """Warm up on a stream of its own, record, and give the function that replays."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    replay: Callable[[], None] = graph.replay
    return replay


def _moments(optimiser: Optimizer, clone: bool) -> dict[tuple[int, str], Tensor]:
    """State tensors by (parameter number, name)."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    return {
        (number, name): value.clone() if clone else value
        for number, parameter in enumerate(parameters)
        for name, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


class Vocode(nn.Module):
    """A vocoder that makes all frames its rows allow, starting from silence.

    Args:
        vocoder: runs in the mode it is in.
    """

    def __init__(self, vocoder: FARGAN) -> None:
        super().__init__()
        self.vocoder = vocoder

    def forward(self, features: Tensor, period: Tensor) -> Tensor:
        """See :data:`Speak`."""
        made: Tensor = self.vocoder(features, period, features.shape[1] - CONTEXT_ROWS)
        return made


def captured_vocoder(vocoder: FARGAN, items: int, rows: int) -> Speak:
    """The vocoder for inputs of one size, recorded on the GPU it is on.

    Record again when the vocoder is frozen or unfrozen, or changes between training and evaluation mode.

    Args:
        vocoder: on a GPU; its parameters require gradients as they will when it is used.
        items, rows: the size A and T of all inputs.

    Returns:
        A function of features that may require gradients; its output must be used in a backward pass before the
        next call.
    """
    device = next(vocoder.parameters()).device
    features = torch.zeros(items, rows, NUM_FREE, device=device, requires_grad=True)
    period = torch.full((items, rows), LAG_MIN, dtype=torch.int64, device=device)
    return cast(Speak, torch.cuda.make_graphed_callables(Vocode(vocoder), (features, period)))
