"""A larger codec that computes what a smaller one computes, to train on from there.

Sequence blocks may be added, their gated units may become more, and the decoder may begin to look a token ahead;
everything else has the same size. New units are random and read by zeros, new blocks add zero, the next token is read
by zeros, so that the features that come out stay the same, and all of it has a gradient: first the zeros, then what
they read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from aether_lite.codec.model import CodecConfig, SpiCodec
from aether_lite.errors import AetherError
from aether_lite.spi import Lookahead, TokenBlock

GROWING = ("encoder_blocks", "decoder_blocks", "expansion", "lookahead")
"""Sizes of a configuration that may become larger."""
_CANDIDATE = slice(-1, None)  # of the three parts of a GRU's weights: reset, update, candidate


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
