"""Weights of codecs and of FARGAN for the native core: which of their tensors make which sections of a file.

Values stay those of the tensors, so that float16 weights are stored as they are: what scales an output (weight
normalisation) is a column beside its matrix. Layers whose results are added are one matrix. Arrays in, bytes out: torch
is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.codec.config import POWERS, CodecConfig
from aether_lite.core.weights import Kind, Section, dense, values
from aether_lite.features.layout import C0_OFFSET, DCT, NUM_BANDS, NUM_FREE
from aether_lite.payload import BIT_RATES, DEFAULT_BIT_RATE, DEFAULT_RATE, RATES, elements_per_token
from aether_lite.reading import listed

UNDEFINED = "latent_power.told"  # NaN where the power was never measured for target SNRs
TRAINING = ("encoder_head.", "decoder_head.", "latent_power.")  # tensors that no stream needs begin so

Sections = dict[str, Section]
Array = NDArray[Any]
State = Mapping[str, Array]
"""Tensors by their names in a file of weights, of any floating type."""


def fargan_sections(state: State, kind: Kind = Kind.PANELS_F16) -> Sections:
    """Sections ``fargan.*``, the large matrices in panels of this kind; KeyError or ValueError for other tensors."""
    few = Kind.PANELS_F16 if kind == Kind.PANELS_I8 else kind  # as small as to stay in float16 where others are int8
    cond, net = _Tensors(state, "cond_net"), _Tensors(state, "sig_net")
    sections = {"fargan.embedding": values(cond["pembed.weight"])}
    sections |= _layer("fargan.cond_in", cond["fdense1.weight"], kind=few)
    for name, layer in (("gain", "cond_gain_dense"), ("pitch_gates", "gain_dense_out")):
        sections |= _layer(f"fargan.{name}", net[f"{layer}.weight"], net[f"{layer}.bias"], kind=few)
    large = {
        "cond_conv": cond["fconv1.weight"].transpose(0, 2, 1).reshape(len(cond["fconv1.weight"]), -1),
        "cond_out": cond["fdense2.weight"],  # and before it the oldest row first
        "skip": net["skip_dense.weight"],
        "out": net["sig_dense_out.weight"],
    }
    normed = {"conv": "fwc0.conv", "conv_gate": "fwc0.glu.gate", "skip_gate": "skip_glu.gate"}
    for number in (1, 2, 3):
        large[f"gru{number}_input"] = net[f"gru{number}.weight_ih"]
        large[f"gru{number}_state"] = net[f"gru{number}.weight_hh"]
        normed[f"gru{number}_gate"] = f"gru{number}_glu.gate"
    for name, matrix in large.items():
        sections |= _layer(f"fargan.{name}", matrix, kind=kind)
    for name, layer in normed.items():
        direction = net[f"{layer}.weight_v"]
        scale = net[f"{layer}.weight_g"][:, 0] / np.linalg.norm(direction, axis=1)
        sections |= dense(f"fargan.{name}", direction, scale=scale, kind=kind)
    return sections


def hnsf_sections(state: State, kind: Kind = Kind.PANELS_F16) -> Sections:
    """Sections ``hnsf.*``; inputs of a convolution oldest row first, all else as :func:`fargan_sections`."""
    net = _Tensors(state, "")
    sections = _layer("hnsf.first", *_row_convolution(net.below("first")), kind=kind)
    number = 0
    while f"layers.{number}.weight" in state:
        sections |= _layer(f"hnsf.layer{number}", *_row_convolution(net.below(f"layers.{number}")), kind=kind)
        number += 1
    return sections | _named("hnsf.head", net.below("head"), kind)


@dataclass(frozen=True)
class VocoderKind:
    """A kind of vocoder that the core has.

    Attributes:
        sections: of its tensors.
        delay: samples from the oldest one that comes with row r to the row's centre.
    """

    sections: Callable[[State, Kind], Sections]
    delay: int


VOCODERS = {"fargan": VocoderKind(fargan_sections, 240), "hnsf": VocoderKind(hnsf_sections, 432)}
"""Vocoders by the name that their files state."""


def codec_sections(config: CodecConfig, state: State, kind: Kind = Kind.PANELS_F16) -> Sections:
    """Sections ``codec.*``, ``enc.*`` and ``dec.*`` of a codec; arguments and errors as :func:`fargan_sections`."""
    rates, default = (BIT_RATES, DEFAULT_BIT_RATE) if config.hash else (RATES, DEFAULT_RATE)
    power_constraint = 0 if config.hash else POWERS.index(config.power)
    sizes = [
        config.token_frames, config.width, config.expansion * config.width,
        elements_per_token(RATES[-1], config.token_frames), config.lookahead, bool(config.hash), config.linear,
        power_constraint, config.encoder_blocks, config.decoder_blocks, default, *config.channels,
    ]  # fmt: skip
    sections = {"codec.sizes": values(list(map(int, sizes))), "codec.rates": values(list(rates))}
    power = _Tensors(state, "latent_power")
    if "latent_power.values" in state:
        sections["codec.power"] = values(power["values"])
        if UNDEFINED in state and not np.isnan(power["told"]).any():
            sections["codec.target_power"] = values(power["told"])
    return sections | _encoder_sections(config, state, kind) | _decoder_sections(config, state, kind)


class Tensors(dict[str, Array]):
    """Tensors of a file by their names, all finite in float32 but for power constraints; ValueError otherwise."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._used = set[str]()
        most = np.finfo(np.float32).max
        self._check("of another type", [name for name, value in state.items() if value.dtype.kind != "f"])
        bad = [name for name, value in state.items() if not (np.abs(value) <= most).all()]
        self._check("not finite", [name for name in bad if name != UNDEFINED])

    def __getitem__(self, name: str) -> Array:
        self._used.add(name)
        if name not in self:
            self._check("missing", [name])
        return super().__getitem__(name)

    def check_used(self) -> None:
        """ValueError where tensors are left that nothing was made of, but for those of training."""
        self._check("unexpected", [name for name in self if name not in self._used and not name.startswith(TRAINING)])

    @staticmethod
    def _check(what: str, names: list[str]) -> None:
        if names:
            raise ValueError(f"{what}: {listed(names)}")


class _Tensors:
    """Tensors below a name, in float64, in which float16 and float32 are exact."""

    def __init__(self, state: State, prefix: str) -> None:
        self._state, self._prefix = state, f"{prefix}." if prefix else ""

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return np.asarray(self._state[self._prefix + name], np.float64)

    def below(self, name: str) -> _Tensors:
        return _Tensors(self._state, self._prefix + name)


def _encoder_sections(config: CodecConfig, state: State, kind: Kind) -> Sections:
    spi, mapping = _Tensors(state, "spi_encoder"), _Tensors(state, "jscc_encoder")
    width = len(spi["project.weight"])
    project = spi["project.weight"].reshape(width, config.channels[-1], -1).transpose(0, 2, 1).reshape(width, -1)
    latents = [mapping["linear.weight"], mapping["contract.weight"]]
    if config.linear:
        latents.append(_Tensors(state, "linear")["down.weight"])
    sections = _image("enc.rows", state)
    sections["enc.row_bias"] = values(spi["row_bias"][..., 0].T)
    sections |= _layer("enc.stem", *_convolution(spi.below("stem.conv")), kind=kind)
    for level in range(len(config.channels) - 1):
        sections |= _layer(f"enc.down{level}", *_convolution(spi.below(f"down.{level}.conv")), kind=kind)
        sections |= _residual(f"enc.residual{level}", spi.below(f"residual.{level}"), kind)
    bias = spi["project.bias"] + spi["patch.bias"]
    sections |= _layer("enc.project", np.concatenate((project, spi["patch.weight"]), 1), bias, kind=kind)
    sections |= _blocks("enc", spi, config.encoder_blocks, kind)
    sections["enc.norm"] = values(spi["norm.weight"])
    sections |= _film("enc.film", mapping.below("film"))
    sections |= _named("enc.expand", mapping.below("expand"), kind)
    return sections | _layer("enc.latents", np.concatenate(latents, 1), mapping["linear.bias"], kind=kind)


def _decoder_sections(config: CodecConfig, state: State, kind: Kind) -> Sections:
    spi, mapping = _Tensors(state, "spi_decoder"), _Tensors(state, "jscc_decoder")
    sections = _named("dec.expand", mapping.below("expand"), kind)
    sections |= _film("dec.film_hidden", mapping.below("film_hidden"))
    tokens = np.concatenate((mapping["linear.weight"], mapping["contract.weight"]), 1)
    sections |= _layer("dec.tokens", tokens, mapping["linear.bias"], kind=kind)
    sections |= _film("dec.film_token", mapping.below("film_token"))
    if config.lookahead:
        sections |= _layer("dec.ahead", _Tensors(state, "ahead")["next.weight"], kind=kind)
    sections |= _blocks("dec", spi, config.decoder_blocks, kind)
    sections["dec.norm"] = values(spi["norm.weight"])
    project = (_rows_first(spi[f"project.{part}"], config.channels[-1]) for part in ("weight", "bias"))
    sections |= _layer("dec.project", *project, kind=kind)
    for level in range(len(config.channels) - 1):
        sections |= _residual(f"dec.residual{level}", spi.below(f"residual.{level}"), kind)
        sections |= _layer(f"dec.up{level}", *_transposed(spi.below(f"up.{level}")), kind=kind)
    sections |= _layer("dec.out", *_convolution(spi.below("out.conv")), kind=kind)
    patch = spi["patch.weight"]
    if config.linear:
        patch = np.concatenate((patch, _Tensors(state, "linear")["up.weight"]), 1)
    sections |= _layer("dec.patch", patch, spi["patch.bias"], kind=kind)
    return sections | _image("dec.features", state, inverse=True)


def _layer(name: str, weight: Array, bias: ArrayLike | None = None, *, kind: Kind) -> Sections:
    return dense(name, weight, bias, kind=kind)


def _named(name: str, layer: _Tensors, kind: Kind) -> Sections:
    return _layer(name, layer["weight"], layer["bias"], kind=kind)


def _rows_first(value: Array, channels: int) -> Array:
    """Outputs in the order (row, channel) of outputs in the order (channel, row)."""
    apart = value.reshape(channels, -1, *value.shape[1:])
    return apart.swapaxes(0, 1).reshape(value.shape)


def _convolution(layer: _Tensors) -> tuple[Array, Array]:
    """Inputs in the order (frame, row, channel)."""
    weight = layer["weight"].transpose(0, 3, 2, 1)
    return weight.reshape(len(weight), -1), layer["bias"]


def _row_convolution(layer: _Tensors) -> tuple[Array, Array]:
    """Over rows: inputs in the order (row, channel)."""
    weight = layer["weight"].transpose(0, 2, 1)
    return weight.reshape(len(weight), -1), layer["bias"]


def _transposed(layer: _Tensors) -> tuple[Array, Array]:
    """What one input gives to its outputs, in the order (frame, row, channel).

    With a stride of 2, padding of 1 and 3 or 4 rows exactly one of the kernel's rows 1 and 2 reaches each output row:
    these carry the bias.
    """
    matrix = layer["weight"].transpose(3, 2, 1, 0)  # frame, row, out, in
    bias = np.zeros(matrix.shape[:3])
    bias[:, 1:3] = layer["bias"]
    return matrix.reshape(-1, matrix.shape[3]), bias.ravel()


def _residual(name: str, layer: _Tensors, kind: Kind) -> Sections:
    conv = _layer(f"{name}.conv", *_convolution(layer.below("conv.conv")), kind=kind)
    return conv | _layer(f"{name}.point", *_convolution(layer.below("mix")), kind=kind)


def _blocks(prefix: str, spi: _Tensors, count: int, kind: Kind) -> Sections:
    sections: Sections = {}
    for number in range(count):
        name, block = f"{prefix}.block{number}", spi.below(f"blocks.{number}")
        sections |= {
            f"{name}.norm_time": values(block["norm_time.weight"]),
            f"{name}.norm_mlp": values(block["norm_mlp.weight"]),
            **_layer(f"{name}.gru_input", block["gru.weight_ih_l0"], block["gru.bias_ih_l0"], kind=kind),
            **_layer(f"{name}.gru_state", block["gru.weight_hh_l0"], block["gru.bias_hh_l0"], kind=kind),
            **_named(f"{name}.expand", block.below("expand"), kind),
            **_named(f"{name}.contract", block.below("contract"), kind),
        }
    return sections


def _film(name: str, film: _Tensors) -> Sections:
    inner = _named(f"{name}.inner", film.below("inner"), Kind.PANELS_F16)
    return inner | _named(f"{name}.outer", film.below("outer"), Kind.PANELS_F16)


def _image(name: str, state: State, inverse: bool = False) -> Sections:
    """Features to normalised rows of the speech image (:mod:`aether_lite.spi`), or back and not yet bounded."""
    image = _Tensors(state, "image")
    mean, scale = image["mean"], image["scale"]
    to_rows = np.eye(NUM_FREE)
    to_rows[:NUM_BANDS, :NUM_BANDS] = DCT.astype(np.float32)
    offset = np.zeros(NUM_FREE)
    offset[0] = C0_OFFSET  # of the cepstrum's c0
    if inverse:  # features = (scale image + mean) to_rows^T - offset
        return _layer(name, to_rows * scale, mean @ to_rows.T - offset, kind=Kind.PANELS_F32)
    return _layer(name, (to_rows / scale).T, (offset @ to_rows - mean) / scale, kind=Kind.PANELS_F32)
