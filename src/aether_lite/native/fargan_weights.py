"""Memory layout of the compiled FARGAN: its weights in the order of use, and where a stream's numbers lie.

A stream has two rows: values (float32), and inputs, the operands of products in the type that goes with the weights
(float32, or int16 for int8 weights). :data:`VALUE` and :data:`INPUT` hold where each part begins. How a matrix is
laid out: :mod:`aether_lite.native.matrices`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from aether_lite.errors import AetherError
from aether_lite.features.layout import NUM_FREE
from aether_lite.native.matrices import PANEL, PRECISIONS, Precision, Weights, pack_matrices, plain_array
from aether_lite.vocoder.fargan import (
    COND,
    CONV_INPUT,
    CONV_OUTPUT,
    FARGAN,
    GRU1,
    GRU2,
    GRU3,
    PERIOD_EMBEDDING,
    SKIP,
    SUBFRAME,
    SUBFRAMES,
)

COND_HIDDEN, COND_CONV, COND_ROWS = 64, 128, 3  # of the conditioning network: units, channels, rows seen
PAST = 2 * SUBFRAME  # inputs of every layer: gated pitch prediction and previous samples
WIDEST = 3 * GRU1  # outputs of a layer
PITCH_GATES = 4


def _named(name: str, numbers: Mapping[str, int]) -> Any:
    """Numbers as a named tuple, which numba reads as constants."""
    return namedtuple(name, numbers)(**numbers)  # type: ignore[misc]


def _offsets(name: str, sizes: Mapping[str, int]) -> Any:
    """Where parts of these sizes begin when they lie in a row."""
    return _named(name, dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False)))


VALUE_SIZES = {
    "tap": CONV_INPUT,  # [conditioning | pitch prediction | previous samples], the input of the convolution
    "state1": GRU1,
    "state2": GRU2,
    "state3": GRU3,
    "output": 1,  # last sample after de-emphasis
    "gain": 1,
    "features": NUM_FREE + PERIOD_EMBEDDING,
    "cond": SUBFRAMES * COND,
    "y": CONV_OUTPUT,
    "pitch_gates": PANEL,
    "first": WIDEST,  # results of products
    "second": WIDEST,
}
INPUT_SIZES = {  # operands of one product are neighbours, in the order of its weights
    "cond_taps": COND_ROWS * COND_HIDDEN,
    "cond_channels": COND_CONV,
    "tap_before": CONV_INPUT,
    "tap": CONV_INPUT,
    "gru1": CONV_OUTPUT,
    "gru1_past": PAST,
    "gru2": GRU1,
    "gru2_past": PAST,
    "gru3": GRU2,
    "gru3_past": PAST,
    "state1": GRU1,
    "state2": GRU2,
    "state3": GRU3,
    "o1": GRU1,
    "o2": GRU2,
    "o3": GRU3,
    "y": CONV_OUTPUT,
    "skip_past": PAST,
    "hidden": CONV_OUTPUT,
}
VALUE, INPUT = _offsets("Values", VALUE_SIZES), _offsets("Inputs", INPUT_SIZES)
VALUES_LENGTH, INPUTS_LENGTH = sum(VALUE_SIZES.values()), sum(INPUT_SIZES.values())
SIZE = _named(  # lengths handed to functions; plain constants would make numba compile a function for each of them
    "Sizes",
    {
        "cond_hidden": COND_HIDDEN,
        "cond_channels": COND_CONV,
        "cond": SUBFRAMES * COND,
        "conv_input": CONV_INPUT,
        "conv_output": CONV_OUTPUT,
        "gru1": GRU1,
        "gru2": GRU2,
        "gru3": GRU3,
        "skip": SKIP,
        "subframe": SUBFRAME,
    },
)
CARRIED = {  # parts of the values that pass from one sub-frame to the next, by their name in SubframeState
    "conv_input": slice(VALUE.tap, VALUE.state1),
    "gru1": slice(VALUE.state1, VALUE.state2),
    "gru2": slice(VALUE.state2, VALUE.state3),
    "gru3": slice(VALUE.state3, VALUE.output),
    "deemphasis": slice(VALUE.output, VALUE.output + 1),
}
Layers = namedtuple(  # matrices in the precision asked for, in the order of use
    "Layers",
    "cond_conv cond_out conv conv_gate gru1_input gru1_state gru1_gate gru2_input gru2_state gru2_gate "
    "gru3_input gru3_state gru3_gate skip skip_gate out",
)
ExactLayers = namedtuple("ExactLayers", "cond_in pitch_gates")  # stay float32, as in the public int8 tables
LAYERS, EXACT_LAYERS = Layers(*range(len(Layers._fields))), ExactLayers(0, 1)


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
    """Copy and pack the weights of ``model``, on any device; ``"int8"`` has one scale for each output.

    Raises:
        AetherError: no such precision.
    """
    if precision not in PRECISIONS:
        raise AetherError(f"vocoder weights {precision!r}: choose one of {', '.join(PRECISIONS)}")
    cond, net, normed = model.cond_net, model.sig_net, model.sig_net.normed_weights()
    matrices = {
        "cond_conv": cond.fconv1.weight.transpose(1, 2).flatten(1),  # oldest row first
        "cond_out": cond.fdense2.weight,
        "skip": net.skip_dense.weight,
        "out": net.sig_dense_out.weight,
        **normed._asdict(),
    }
    for name, gru in (("gru1", net.gru1), ("gru2", net.gru2), ("gru3", net.gru3)):
        matrices |= {f"{name}_input": gru.weight_ih, f"{name}_state": gru.weight_hh}
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
