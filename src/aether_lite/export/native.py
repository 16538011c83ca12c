"""Weights of a codec and a vocoder for the native core: which of their layers make which sections of a file.

Values stay those of the torch modules, so that float16 weights are stored as they are: what scales an output (weight
normalisation) is a column beside its matrix. Layers whose results are added are one matrix.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from aether_lite.codec.loading import DEFAULT_CODEC, codec_path, load_codec
from aether_lite.codec.model import SpiCodec
from aether_lite.core.weights import Kind, Section, dense, values, write
from aether_lite.jscc import FiLM
from aether_lite.spi import ResidualConv, SpeechImage, TokenBlock
from aether_lite.vocoder import load_fargan, load_vocoder, vocoder_path
from aether_lite.vocoder.fargan import FARGAN, NormedLinear
from aether_lite.vocoder.hnsf import HarmonicNoise

Sections = dict[str, Section]


def export_native(
    path: str | Path, model: str | Path = DEFAULT_CODEC, vocoder: str | Path | None = None, *, int8: bool = False
) -> dict[str, Any]:
    """Write a codec and a vocoder as native weights (``.aether``), float16 or int8.

    Args:
        path: the file to write; whole or not at all.
        model: name of released weights or a codec file, of symbols or bits.
        vocoder: file of a vocoder's weights or a released name; None for ``fargan``.
        int8: large matrices of 8 bits, with a scale for each output.

    Returns:
        What was written: name, bytes and SHA-256 of the file, and the weights it was made of.

    Raises:
        AetherError: weights that cannot be read or do not fit float16, or a file that cannot be written.
    """
    kind = Kind.PANELS_I8 if int8 else Kind.PANELS_F16
    codec_file, vocoder_file = codec_path(model), vocoder_path(vocoder)
    codec, provenance = load_codec(codec_file)
    write(path, codec_sections(codec, kind) | vocoder_sections(vocoder_file, kind))
    content = Path(path).read_bytes()
    return {
        "file": {"name": str(path), "bytes": len(content), "sha256": sha256(content).hexdigest()},
        "precision": "int8" if int8 else "float16",
        "codec": {"name": str(model), "provenance": provenance},
        "vocoder": {"name": vocoder_file.name},
    }


def vocoder_sections(path: Path, kind: Kind = Kind.PANELS_F16) -> Sections:
    """Sections of a file of a vocoder's weights, the large matrices in panels of this kind."""
    vocoder = load_vocoder(path)
    if isinstance(vocoder, HarmonicNoise):
        return hnsf_sections(vocoder, kind)
    return fargan_sections(load_fargan(path), kind)


@torch.no_grad()
def hnsf_sections(model: HarmonicNoise, kind: Kind = Kind.PANELS_F16) -> Sections:
    """Sections ``hnsf.*``, the large matrices in panels of this kind; inputs of a convolution oldest row first."""
    sections = _layer("hnsf.first", model.first.weight.transpose(1, 2).flatten(1), model.first.bias, kind=kind)
    for number, layer in enumerate(model.layers):
        convolution = cast(nn.Conv1d, layer)
        matrix = convolution.weight.transpose(1, 2).flatten(1)
        sections |= _layer(f"hnsf.layer{number}", matrix, convolution.bias, kind=kind)
    return sections | _layer("hnsf.head", model.head.weight, model.head.bias, kind=kind)


@torch.no_grad()
def fargan_sections(model: FARGAN, kind: Kind = Kind.PANELS_F16) -> Sections:
    """Sections ``fargan.*``, the large matrices in panels of this kind."""
    cond, net = model.cond_net, model.sig_net
    plain = {  # as small as to stay in float16 where others are int8
        "cond_in": (cond.fdense1.weight, None),
        "gain": (net.cond_gain_dense.weight, net.cond_gain_dense.bias),
        "pitch_gates": (net.gain_dense_out.weight, net.gain_dense_out.bias),
    }
    large: dict[str, Tensor | NormedLinear] = {
        "cond_conv": cond.fconv1.weight.transpose(1, 2).flatten(1),  # oldest row first
        "cond_out": cond.fdense2.weight,
        "conv": net.fwc0.conv,
        "conv_gate": net.fwc0.glu.gate,
    }
    grus = ((net.gru1, net.gru1_glu), (net.gru2, net.gru2_glu), (net.gru3, net.gru3_glu))
    for number, (gru, unit) in enumerate(grus, 1):
        large |= {
            f"gru{number}_input": gru.weight_ih,
            f"gru{number}_state": gru.weight_hh,
            f"gru{number}_gate": unit.gate,
        }
    large |= {"skip": net.skip_dense.weight, "skip_gate": net.skip_glu.gate, "out": net.sig_dense_out.weight}
    sections = {"fargan.embedding": values(_array(cond.pembed.weight))}
    for name, (weight, bias) in plain.items():
        few = Kind.PANELS_F16 if kind == Kind.PANELS_I8 else kind
        sections |= dense(f"fargan.{name}", _array(weight), None if bias is None else _array(bias), kind=few)
    for name, layer in large.items():
        if isinstance(layer, NormedLinear):
            direction = _array(layer.weight_v)
            scale = _array(layer.weight_g)[:, 0] / np.linalg.norm(direction, axis=1)
            sections |= dense(f"fargan.{name}", direction, scale=scale, kind=kind)
        else:
            sections |= dense(f"fargan.{name}", _array(layer), kind=kind)
    return sections


@torch.no_grad()
def codec_sections(model: SpiCodec, kind: Kind = Kind.PANELS_F16) -> Sections:
    """Sections ``codec.*``, ``enc.*`` and ``dec.*`` of a codec, the large matrices in panels of this kind."""
    config, pairs = model.config, model.jscc_encoder.max_uses
    sizes = [
        config.token_frames, config.width, config.expansion * config.width, pairs, config.lookahead, bool(config.hash),
        config.linear, model.holds + model.long_term, config.encoder_blocks, config.decoder_blocks,
        model.bottleneck.default_rate, *config.channels,
    ]  # fmt: skip
    sections = {"codec.sizes": values(list(map(int, sizes))), "codec.rates": values(list(model.bottleneck.rates))}
    if model.latent_power is not None:
        sections["codec.power"] = values(_array(model.latent_power.values))
        if not bool(torch.isnan(model.latent_power.told).any()):
            sections["codec.target_power"] = values(_array(model.latent_power.told))
    return sections | _encoder_sections(model, kind) | _decoder_sections(model, kind)


def _encoder_sections(model: SpiCodec, kind: Kind) -> Sections:
    spi, mapping = model.spi_encoder, model.jscc_encoder
    last = cast(ResidualConv, spi.residual[-1]).conv.in_channels
    project = torch.unflatten(spi.project.weight, 1, (last, -1)).transpose(1, 2).flatten(1)
    latents = [mapping.linear.weight, mapping.contract.weight]
    if model.linear is not None:
        latents.append(model.linear.down.weight)
    sections = _image("enc.rows", model.image)
    sections["enc.row_bias"] = values(_array(spi.row_bias[..., 0].T))
    sections |= _layer("enc.stem", *_convolution(spi.stem.conv), kind=kind)
    for level, (down, residual) in enumerate(zip(spi.down, spi.residual, strict=True)):
        sections |= _layer(f"enc.down{level}", *_convolution(cast(nn.Conv2d, down.conv)), kind=kind)
        sections |= _residual(f"enc.residual{level}", cast(ResidualConv, residual), kind)
    project_bias = spi.project.bias + spi.patch.bias
    sections |= _layer("enc.project", torch.cat((project, spi.patch.weight), 1), project_bias, kind=kind)
    sections |= _blocks("enc", spi.blocks, kind)
    sections["enc.norm"] = values(_array(spi.norm.weight))
    sections |= _film("enc.film", mapping.film)
    sections |= _layer("enc.expand", mapping.expand.weight, mapping.expand.bias, kind=kind)
    return sections | _layer("enc.latents", torch.cat(latents, 1), mapping.linear.bias, kind=kind)


def _decoder_sections(model: SpiCodec, kind: Kind) -> Sections:
    spi, mapping = model.spi_decoder, model.jscc_decoder
    sections = _layer("dec.expand", mapping.expand.weight, mapping.expand.bias, kind=kind)
    sections |= _film("dec.film_hidden", mapping.film_hidden)
    tokens = torch.cat((mapping.linear.weight, mapping.contract.weight), 1)
    sections |= _layer("dec.tokens", tokens, mapping.linear.bias, kind=kind)
    sections |= _film("dec.film_token", mapping.film_token)
    if model.ahead is not None:
        sections |= _layer("dec.ahead", model.ahead.next.weight, kind=kind)
    sections |= _blocks("dec", spi.blocks, kind)
    sections["dec.norm"] = values(_array(spi.norm.weight))
    project = (_rows_first(value, spi.top) for value in (spi.project.weight, spi.project.bias))
    sections |= _layer("dec.project", *project, kind=kind)
    for level, (residual, up) in enumerate(zip(spi.residual, spi.up, strict=True)):
        sections |= _residual(f"dec.residual{level}", cast(ResidualConv, residual), kind)
        sections |= _layer(f"dec.up{level}", *_transposed(cast(nn.ConvTranspose2d, up)), kind=kind)
    sections |= _layer("dec.out", *_convolution(spi.out.conv), kind=kind)
    patch = spi.patch.weight if model.linear is None else torch.cat((spi.patch.weight, model.linear.up.weight), 1)
    sections |= _layer("dec.patch", patch, spi.patch.bias, kind=kind)
    return sections | _image("dec.features", model.image, inverse=True)


def _layer(name: str, weight: Tensor, bias: Tensor | None = None, *, kind: Kind) -> Sections:
    return dense(name, _array(weight), None if bias is None else _array(bias), kind=kind)


def _rows_first(value: Tensor, channels: int) -> Tensor:
    """Outputs in the order (row, channel) of outputs in the order (channel, row)."""
    return torch.unflatten(value, 0, (channels, -1)).transpose(0, 1).flatten(0, 1)


def _convolution(layer: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Inputs in the order (frame, row, channel)."""
    return layer.weight.permute(0, 3, 2, 1).flatten(1), cast(Tensor, layer.bias)


def _transposed(layer: nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
    """What one input gives to its outputs, in the order (frame, row, channel).

    With a stride of 2, padding of 1 and 3 or 4 rows exactly one of the kernel's rows 1 and 2 reaches each output row:
    these carry the bias.
    """
    matrix = layer.weight.permute(3, 2, 1, 0)  # frame, row, out, in
    bias = matrix.new_zeros(matrix.shape[:3])
    bias[:, 1:3] = cast(Tensor, layer.bias)
    return matrix.flatten(0, 2), bias.flatten()


def _residual(name: str, layer: ResidualConv, kind: Kind) -> Sections:
    conv = _layer(f"{name}.conv", *_convolution(layer.conv.conv), kind=kind)
    return conv | _layer(f"{name}.point", *_convolution(layer.mix), kind=kind)


def _blocks(prefix: str, blocks: nn.ModuleList, kind: Kind) -> Sections:
    sections: Sections = {}
    for number, block in enumerate(blocks):
        assert isinstance(block, TokenBlock)
        name, gru = f"{prefix}.block{number}", dict(block.gru.named_parameters())
        sections |= {
            f"{name}.norm_time": values(_array(block.norm_time.weight)),
            f"{name}.norm_mlp": values(_array(block.norm_mlp.weight)),
            **_layer(f"{name}.gru_input", gru["weight_ih_l0"], gru["bias_ih_l0"], kind=kind),
            **_layer(f"{name}.gru_state", gru["weight_hh_l0"], gru["bias_hh_l0"], kind=kind),
            **_layer(f"{name}.expand", block.expand.weight, block.expand.bias, kind=kind),
            **_layer(f"{name}.contract", block.contract.weight, block.contract.bias, kind=kind),
        }
    return sections


def _film(name: str, film: FiLM) -> Sections:
    inner = _layer(f"{name}.inner", film.inner.weight, film.inner.bias, kind=Kind.PANELS_F16)
    return inner | _layer(f"{name}.outer", film.outer.weight, film.outer.bias, kind=Kind.PANELS_F16)


def _image(name: str, image: SpeechImage, inverse: bool = False) -> Sections:
    """Features to normalised rows, or back and not yet bounded: affine, so zero and the unit vectors tell all."""
    double = SpeechImage().double()
    double.load_state_dict(image.state_dict())
    function = partial(double.to_features, bounded=False) if inverse else double
    unit = torch.eye(len(double.mean), dtype=torch.float64)
    bias = function(torch.zeros_like(unit[:1]))[0]
    return _layer(name, (function(unit) - bias).T, bias, kind=Kind.PANELS_F32)


def _array(value: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Values in float64, in which float16 and float32 are exact."""
    return value.detach().to("cpu", torch.float64).numpy()
