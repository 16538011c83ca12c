"""An exported graph against the step it was made from, on a run of tokens with every rate and kind of knowledge."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from aether_lite.codec.symbol_model import SpiJscc
from aether_lite.export.runner import OnnxStep
from aether_lite.export.steps import Step
from aether_lite.jscc import RATES

TOLERANCE = 1e-4
NOISE_VARIANCE = 0.1

Inputs = dict[str, Tensor]


def probes(codec: SpiJscc) -> dict[str, list[Inputs]]:
    """Inputs for each step: as many tokens (or rows) as there are rates; the same at every call."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    frames, uses = codec.config.token_frames, codec.jscc_encoder.max_uses
    unknown = torch.tensor([torch.nan])
    encoder, decoder = [], []
    for number, rate in enumerate(RATES):
        told = {"rate": torch.tensor([rate])}
        features = codec.image.to_features(normal(1, frames, codec.image.mean.numel()))[0].detach()
        target = torch.tensor([3.0 * number]) if number % 2 else unknown
        encoder.append({"features": features, **told, "target_snr_db": target})
        decoder.append(
            {
                "received": normal(uses, 2),
                **told,
                "gain": normal(uses, 2),
                "noise_variance": unknown if number % 3 == 1 else torch.tensor([NOISE_VARIANCE]),
                "erased": torch.tensor([number == 3]),
            }
        )
    rows = encoder[0]["features"][: len(RATES)]
    vocoder = [{"row": row, "audible": torch.tensor([float(number > 0)])} for number, row in enumerate(rows)]
    return {"encoder": encoder, "decoder": decoder, "vocoder": vocoder}


def run_step(step: Step, inputs: list[Inputs]) -> Iterator[list[Tensor]]:
    """Outputs of a step for each of the inputs in turn, from its initial state on."""
    states = [port.zeros() for port in step.states]
    for given in inputs:
        with torch.no_grad():
            results = step(*(given[port.name] for port in step.inputs), *states)
        states = list(results[len(step.outputs) :])
        yield list(results[: len(step.outputs)])


def largest_difference(step: Step, onnx: OnnxStep, inputs: list[Inputs]) -> float:
    """Largest absolute difference of outputs between a step and its graph, each with its own state; NaN if one is."""
    onnx.reset()
    worst = 0.0
    for given, expected in zip(inputs, run_step(step, inputs), strict=True):
        found = onnx(**{name: value.numpy() for name, value in given.items()})
        differences = [np.abs(a - b.numpy()).max() for a, b in zip(found, expected, strict=True)]
        worst = float(np.max([worst, *differences]))
    return worst
