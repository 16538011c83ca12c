"""The weights of a FARGAN in the order in which the compiled kernels read them.

How a matrix is laid out: :mod:`aether_lite.native.matrices`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from aether_lite.errors import AetherError
from aether_lite.native.matrices import PRECISIONS, Precision, Weights, pack_matrices, plain_array
from aether_lite.vocoder.fargan import FARGAN


class Layers(NamedTuple):
    """The matrices in the precision asked for, in the order of use."""

    cond_conv: int
    cond_out: int
    conv: int
    conv_gate: int
    gru1_input: int
    gru1_state: int
    gru1_gate: int
    gru2_input: int
    gru2_state: int
    gru2_gate: int
    gru3_input: int
    gru3_state: int
    gru3_gate: int
    skip: int
    skip_gate: int
    out: int


class ExactLayers(NamedTuple):
    """The two small matrices that stay float32 (so they do in the public int8 tables)."""

    cond_in: int
    pitch_gates: int


LAYERS = Layers(*range(len(Layers._fields)))  # rows in the table of places
EXACT_LAYERS = ExactLayers(*range(len(ExactLayers._fields)))


class PackedWeights(NamedTuple):
    """All that the kernels read.

    Attributes:
        matrices: ``[N] float32 or int8``, packed.
        scales: ``[outputs of all layers] float32``: value of a sum of int8 products; 1 for float32.
        places: ``[layers, 4] int64`` in the order of :data:`LAYERS`: start in ``matrices``, start in ``scales``,
            inputs, outputs with their padding.
        exact, exact_places: the same for the matrices that stay float32.
        embedding: ``[224, 12] float32``, of the period.
        gain, gain_bias: ``[80] float32`` and its bias.
        pitch_gates_bias: ``[4] float32``.
        product_input: empty array of the type of the inputs of ``matrices``: float32 or int16.
    """

    matrices: Weights
    scales: NDArray[np.float32]
    places: NDArray[np.int64]
    exact: Weights
    exact_places: NDArray[np.int64]
    embedding: NDArray[np.float32]
    gain: NDArray[np.float32]
    gain_bias: float
    pitch_gates_bias: NDArray[np.float32]
    product_input: NDArray[np.float32] | NDArray[np.int16]


@torch.no_grad()
def pack(model: FARGAN, precision: Precision) -> PackedWeights:
    """Copy and pack the weights of ``model``.

    Args:
        model: on any device.
        precision: ``"float32"``, or ``"int8"`` with one scale for each output.

    Raises:
        AetherError: no such precision.
    """
    if precision not in PRECISIONS:
        raise AetherError(f"vocoder weights {precision!r}: choose one of {', '.join(PRECISIONS)}")
    cond, net, normed = model.cond_net, model.sig_net, model.sig_net.normed_weights()
    matrices = {
        "cond_conv": cond.fconv1.weight.transpose(1, 2).flatten(1),  # oldest row first
        "cond_out": cond.fdense2.weight,
        "conv": normed.conv,
        "conv_gate": normed.conv_gate,
        "gru1_input": net.gru1.weight_ih,
        "gru1_state": net.gru1.weight_hh,
        "gru1_gate": normed.gru1_gate,
        "gru2_input": net.gru2.weight_ih,
        "gru2_state": net.gru2.weight_hh,
        "gru2_gate": normed.gru2_gate,
        "gru3_input": net.gru3.weight_ih,
        "gru3_state": net.gru3.weight_hh,
        "gru3_gate": normed.gru3_gate,
        "skip": net.skip_dense.weight,
        "skip_gate": normed.skip_gate,
        "out": net.sig_dense_out.weight,
    }
    packed, scales, places = pack_matrices([matrices[name] for name in Layers._fields], precision)
    exact, _, exact_places = pack_matrices([cond.fdense1.weight, net.gain_dense_out.weight], "float32")
    return PackedWeights(
        packed,
        scales,
        places,
        exact,
        exact_places,
        plain_array(cond.pembed.weight),
        plain_array(net.cond_gain_dense.weight[0]),
        float(net.cond_gain_dense.bias[0]),
        plain_array(net.gain_dense_out.bias),
        np.empty(0, np.int16) if precision == "int8" else np.empty(0, np.float32),
    )
