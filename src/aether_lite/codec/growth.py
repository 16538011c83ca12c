"""Where training starts: constants measured on speech, or a larger codec that computes what a smaller one computes.

The linear path beside the networks starts as the Karhunen-Loeve transform of tokens (patches of 20 rows by
``token_frames`` frames) in the metric of the feature loss; the power of a component is proportional to the root of its
variance, as in the linear code that is best at high SNR (K.-H. Lee, D. P. Petersen, "Optimal linear coding for vector
channels", IEEE Trans. Commun. 24, 1976). The networks beside it learn what a linear code cannot do: prediction, memory,
protection.

In a larger codec sequence blocks may be added, their gated units may become more, and the decoder may begin to look a
token ahead; everything else has the same size. New units are random and read by zeros, new blocks add zero, the next
token is read by zeros, so that the features that come out stay the same, and all of it has a gradient: first the zeros,
then what they read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from aether_lite.codec.config import CodecConfig
from aether_lite.codec.model import SpiCodec
from aether_lite.errors import AetherError
from aether_lite.features.layout import PITCH
from aether_lite.jscc import LinearPath
from aether_lite.spi import Lookahead, SpeechImage, TokenBlock

GROWING = ("encoder_blocks", "decoder_blocks", "expansion", "lookahead")
"""Sizes of a configuration that may become larger."""
PITCH_METRIC = 3.0  # an octave of pitch counts like so many log10 units of one band; the loss of pitch is no square
LEAST_VARIANCE = 1e-6  # of a component, relative to the greatest
BESIDE_LINEAR = 0.1  # initial weights of the networks' last layers where a linear path lies beside them
_CANDIDATE = slice(-1, None)  # of the three parts of a GRU's weights: reset, update, candidate


@torch.no_grad()
def start(model: SpiCodec, features: Tensor) -> None:
    """Set from ``features [B, F, 20]`` of whole tokens (training data) what begins as measured and not as random."""
    model.image.set_constants(features.flatten(0, 1))
    if model.linear is not None:
        _fit(model.linear, model.image, features)
        last = (model.jscc_encoder.linear, model.jscc_encoder.contract, model.spi_decoder.patch)
        for layer in (*last, model.spi_decoder.out.conv):
            layer.weight.mul_(BESIDE_LINEAR)
            if layer.bias is not None:
                layer.bias.zero_()
    model.measure_power(features)


def _fit(path: LinearPath, image: SpeechImage, features: Tensor) -> None:
    """Set both matrices of the path; ``up`` takes latents of unit variance."""
    tokens = image(features).double().reshape(-1, path.down.in_features)
    metric = image.scale.double().clone()
    metric[PITCH] *= PITCH_METRIC
    metric = metric.repeat(path.token_frames)
    weighted = tokens * metric
    variance, basis = torch.linalg.eigh(weighted.T @ weighted / len(weighted))
    kept = min(path.up.in_features, len(variance))
    variance, basis = variance.flip(0)[:kept], basis.flip(1)[:, :kept]
    variance = variance.clamp_min(LEAST_VARIANCE * float(variance[0]))
    down, up = torch.zeros_like(path.down.weight), torch.zeros_like(path.up.weight)
    down[:kept] = (basis * metric[:, None] * variance**-0.25).T.to(down)
    up[:, :kept] = (basis / metric[:, None] * variance.sqrt()).to(up)
    path.down.weight.copy_(down)
    path.up.weight.copy_(up)


@torch.no_grad()
def grown(model: SpiCodec, size: CodecConfig) -> SpiCodec:
    """A codec of ``size`` that gives the features ``model`` gives.

    Where it alone looks ahead they come a token later, and differ a little in the first second: the empty token that a
    delay begins with leaves a trace in the memory.

    Raises:
        AetherError: ``size`` is smaller than the model's in one of :data:`GROWING`, or not the same in all else.
    """
    small = model.config
    larger = all(getattr(size, name) >= getattr(small, name) for name in GROWING)
    if not larger or replace(size, **{name: getattr(small, name) for name in GROWING}) != small:
        raise AetherError(f"a codec of {small} does not grow to {size}: only {', '.join(GROWING)} may differ, and grow")
    made = SpiCodec(size)
    given = dict(model.state_dict())
    if size.lookahead > small.lookahead:
        given |= {f"ahead.{name}": value for name, value in cast(Lookahead, made.ahead).state_dict().items()}
    for side, count in (("spi_encoder", small.encoder_blocks), ("spi_decoder", small.decoder_blocks)):
        blocks = getattr(made, side).blocks
        for index, block in enumerate(blocks):
            block = cast(TokenBlock, block)
            prefix = f"{side}.blocks.{index}."
            if index < count:
                _widen(given, prefix, block)
            else:
                _silence(block)
                given |= {prefix + name: value for name, value in block.state_dict().items()}
    made.load_state_dict(given)
    return made


def _widen(given: dict[str, Tensor], prefix: str, block: TokenBlock) -> None:
    """Replace the MLP's weights by those of more gated units: new ones random, and read by zeros."""
    for name in ("expand.weight", "expand.bias"):
        new, old = block.state_dict()[name].clone(), given[prefix + name]
        halves = zip(new.chunk(2), old.chunk(2), strict=True)  # value and gate
        for into, half in halves:
            into[: len(half)] = half
        given[prefix + name] = new
    new, old = torch.zeros_like(block.contract.weight), given[prefix + "contract.weight"]
    new[:, : old.shape[1]] = old
    given[prefix + "contract.weight"] = new


def _silence(block: TokenBlock) -> None:
    """A block that adds zero: candidates of its GRU and the MLP's outputs are zero."""
    for value in block.gru.parameters():
        torch.unflatten(value, 0, (3, -1))[_CANDIDATE] = 0
    block.contract.weight.zero_()
    block.contract.bias.zero_()
