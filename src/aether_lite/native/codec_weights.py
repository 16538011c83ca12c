"""The weights of a codec in the order in which the compiled kernels read them.

Every layer is a matrix ``[outputs, inputs]`` and a bias; how a matrix is laid out is in
:mod:`aether_lite.native`. Activations lie as ``[frames, rows, channels]``, so the inputs of a convolution
come in the order (frame, row, channel). Constants are folded into their neighbours: the weights of an RMS norm, the
1 of ``1 + scale``, the image's constants and its cosine transform; layers whose results are added are one matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aether_lite.codec.model import SpiCodec
from aether_lite.jscc import FiLM
from aether_lite.native import pack_matrices, plain_array
from aether_lite.spi import ResidualConv, SpeechImage, TokenBlock

Layer = tuple[Tensor, Tensor]  # matrix [outputs, inputs] and bias [outputs]


class CodecWeights(NamedTuple):
    """All that the kernel of one direction reads.

    Attributes:
        places: ``[layers, 4] int64``: start in ``matrices``, start in ``biases``, inputs, outputs with padding.
        channels, strides: ``[4] int64`` feature maps and ``[3] int64`` frame strides of levels, in the order of use.
        width, hidden, blocks: of tokens, of the gated layer of a block, and blocks over tokens.
    """

    matrices: NDArray[np.float32]  # ``[N] float32``, packed, in the order of use
    places: NDArray[np.int64]
    biases: NDArray[np.float32]  # ``[outputs of all layers] float32``, zero in the padding
    row_bias: NDArray[np.float32]  # ``[20, channels] float32`` of the encoder's stem; empty in a decoder
    channels: NDArray[np.int64]
    strides: NDArray[np.int64]
    width: int
    hidden: int
    blocks: int
    outputs: int  # values of a token that come out
    linear: bool  # whether the last layer of tokens sees what the linear path sees, too
    ahead: bool  # whether tokens wait for the next one


@torch.no_grad()
def pack_encoder(model: SpiCodec) -> CodecWeights:
    """Copy and pack what leads from features to latents; ``model`` may lie on any device."""
    spi, mapping, image = model.spi_encoder, model.jscc_encoder, model.image
    last = cast(ResidualConv, spi.residual[-1]).conv.in_channels
    project = torch.unflatten(spi.project.weight, 1, (last, -1)).transpose(1, 2).flatten(1)
    layers = [_image(image), _convolution(spi.stem.conv)]
    for down, residual in zip(spi.down, spi.residual, strict=True):
        layers += [_convolution(cast(nn.Conv2d, down.conv)), *_residual(cast(ResidualConv, residual))]
    layers.append((torch.cat((project, spi.patch.weight), 1), spi.project.bias + spi.patch.bias))
    layers += _blocks(spi.blocks)
    layers += _film(mapping.film, spi.norm.weight)
    last_inputs = [mapping.linear.weight, mapping.contract.weight]
    if model.linear is not None:
        last_inputs.append(model.linear.down.weight)
    layers += [(mapping.expand.weight, mapping.expand.bias), (torch.cat(last_inputs, 1), mapping.linear.bias)]
    channels = [spi.stem.conv.out_channels, *(cast(ResidualConv, r).conv.in_channels for r in spi.residual)]
    strides = [cast(nn.Conv2d, down.conv).stride[1] for down in spi.down]
    return _packed(model, layers, spi.row_bias[..., 0].T, channels, strides, spi.blocks, mapping.linear.out_features)


@torch.no_grad()
def pack_decoder(model: SpiCodec) -> CodecWeights:
    """Copy and pack what leads from estimated latents to features; ``model`` may lie on any device."""
    spi, mapping, image = model.spi_decoder, model.jscc_decoder, model.image
    layers = [(mapping.expand.weight, mapping.expand.bias), *_film(mapping.film_hidden)]
    layers.append((torch.cat((mapping.linear.weight, mapping.contract.weight), 1), mapping.linear.bias))
    layers += _film(mapping.film_token)
    if model.ahead is not None:
        layers.append((model.ahead.next.weight, model.ahead.next.weight.new_zeros(model.config.width)))
    layers += _blocks(spi.blocks)
    project, bias = (_rows_first(value, spi.top) for value in _linear(spi.project))
    layers.append((project * spi.norm.weight, bias))
    for residual, up in zip(spi.residual, spi.up, strict=True):
        layers += [*_residual(cast(ResidualConv, residual)), _transposed(cast(nn.ConvTranspose2d, up))]
    patch = spi.patch.weight * spi.norm.weight
    if model.linear is not None:
        pairs = torch.unflatten(model.linear.up.weight, 1, (-1, 2))  # inputs hold a reliability after every pair
        patch = torch.cat((patch, torch.cat((pairs, torch.zeros_like(pairs[..., :1])), -1).flatten(1)), 1)
    layers += [_convolution(spi.out.conv), (patch, spi.patch.bias), _image(image, inverse=True)]
    ups = [cast(nn.ConvTranspose2d, up) for up in spi.up]
    channels = [spi.top, *(up.out_channels for up in ups)]
    none = spi.patch.weight.new_zeros(0, 0)
    return _packed(model, layers, none, channels, [up.stride[1] for up in ups], spi.blocks, spi.patch.out_features)


def _packed(
    model: SpiCodec, layers: Sequence[Layer], row_bias: Tensor, channels: Sequence[int], strides: Sequence[int],
    blocks: nn.ModuleList, outputs: int,
) -> CodecWeights:  # fmt: skip
    matrices, places = pack_matrices([matrix for matrix, _ in layers])
    biases = np.zeros(places[:, 3].sum(), np.float32)
    for (_, bias), (_, at, _, _) in zip(layers, places, strict=True):
        biases[at : at + len(bias)] = plain_array(bias)
    sizes = model.config.width, cast(TokenBlock, blocks[0]).contract.in_features, len(blocks), outputs
    maps = plain_array(row_bias), np.array(channels, np.int64), np.array(strides, np.int64)
    return CodecWeights(matrices, places, biases, *maps, *sizes, model.linear is not None, model.ahead is not None)


def _linear(layer: nn.Linear) -> Layer:
    return layer.weight, layer.bias


def _rows_first(value: Tensor, channels: int) -> Tensor:
    """Outputs in the order (row, channel) of outputs in the order (channel, row)."""
    return torch.unflatten(value, 0, (channels, -1)).transpose(0, 1).flatten(0, 1)


def _convolution(layer: nn.Conv2d) -> Layer:
    """Inputs in the order (frame, row, channel)."""
    return layer.weight.permute(0, 3, 2, 1).flatten(1), cast(Tensor, layer.bias)


def _transposed(layer: nn.ConvTranspose2d) -> Layer:
    """What one input gives to its outputs, in the order (frame, row, channel).

    With a stride of 2, padding of 1 and 3 or 4 rows exactly one of the kernel's rows 1 and 2 reaches each output row:
    these carry the bias.
    """
    matrix = layer.weight.permute(3, 2, 1, 0)  # frame, row, out, in
    bias = matrix.new_zeros(matrix.shape[:3])
    bias[:, 1:3] = cast(Tensor, layer.bias)
    return matrix.flatten(0, 2), bias.flatten()


def _residual(layer: ResidualConv) -> list[Layer]:
    return [_convolution(layer.conv.conv), _convolution(layer.mix)]


def _blocks(blocks: nn.ModuleList) -> list[Layer]:
    layers: list[Layer] = []
    for block in blocks:
        assert isinstance(block, TokenBlock)
        gru = dict(block.gru.named_parameters())
        layers += [
            (gru["weight_ih_l0"] * block.norm_time.weight, gru["bias_ih_l0"]),
            (gru["weight_hh_l0"], gru["bias_hh_l0"]),
            (block.expand.weight * block.norm_mlp.weight, block.expand.bias),
            _linear(block.contract),
        ]
    return layers


def _film(film: FiLM, norm: Tensor | None = None) -> list[Layer]:
    """``1 + scale`` and shift; with ``norm``, the scale of tokens that are not yet multiplied by it."""
    matrix, bias = _linear(film.outer)
    scale, shift = matrix.chunk(2)
    scale_bias, shift_bias = bias.chunk(2)
    factor = torch.ones_like(shift_bias) if norm is None else norm
    return [
        _linear(film.inner),
        (torch.cat((scale * factor[:, None], shift)), torch.cat(((1 + scale_bias) * factor, shift_bias))),
    ]


def _image(image: SpeechImage, inverse: bool = False) -> Layer:
    """Features to normalised rows, or back and not yet bounded: affine, so zero and the unit vectors tell all."""
    double = SpeechImage().double()
    double.load_state_dict(image.state_dict())
    function = partial(double.to_features, bounded=False) if inverse else double
    unit = torch.eye(len(double.mean), dtype=torch.float64)
    bias = function(torch.zeros_like(unit[:1]))[0]
    return (function(unit) - bias).T, bias
