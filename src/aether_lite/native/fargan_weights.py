"""Memory layout of the compiled FARGAN: its weights in the order of use, and where a stream's numbers lie.

All numbers of a stream lie in one row of float32; :data:`AT` holds where each part begins. How a matrix is laid out:
:mod:`aether_lite.native`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from aether_lite.features.layout import NUM_FREE
from aether_lite.native import PANEL, pack_matrices, plain_array
from aether_lite.vocoder import fargan
from aether_lite.vocoder.fargan import COND, FARGAN, PERIOD_EMBEDDING, SUBFRAME, SUBFRAMES

COND_HIDDEN, COND_CONV, COND_ROWS = 64, 128, 3  # of the conditioning network: units, channels, rows seen
PAST = 2 * SUBFRAME  # inputs of every layer: gated pitch prediction and previous samples
WIDEST = 3 * fargan.GRU1  # outputs of a layer
PITCH_GATES = 4


def _named(name: str, numbers: Mapping[str, int]) -> Any:
    """Numbers as a named tuple, which numba reads as constants."""
    return namedtuple(name, numbers)(**numbers)  # type: ignore[misc]


_SIZES = {  # operands of one product are neighbours, in the order of its weights
    "tap_before": fargan.CONV_INPUT,
    "tap": fargan.CONV_INPUT,  # [conditioning | pitch prediction | previous samples], the input of the convolution
    "gru1": fargan.CONV_OUTPUT,
    "gru1_past": PAST,
    "gru2": fargan.GRU1,
    "gru2_past": PAST,
    "gru3": fargan.GRU2,
    "gru3_past": PAST,
    "state1": fargan.GRU1,
    "state2": fargan.GRU2,
    "state3": fargan.GRU3,
    "o1": fargan.GRU1,
    "o2": fargan.GRU2,
    "o3": fargan.GRU3,
    "y": fargan.CONV_OUTPUT,
    "skip_past": PAST,
    "output": 1,  # last sample after de-emphasis
    "gain": 1,
    "features": NUM_FREE + PERIOD_EMBEDDING,
    "cond_taps": COND_ROWS * COND_HIDDEN,
    "cond": SUBFRAMES * COND,
    "pitch_gates": PANEL,
    "first": WIDEST,  # results of products
    "second": WIDEST,
}
AT = _named("Places", dict(zip(_SIZES, accumulate(_SIZES.values(), initial=0), strict=False)))
ROW_LENGTH = sum(_SIZES.values())
CARRIED = {  # what passes from one sub-frame to the next, by its name in SubframeState
    "conv_input": slice(AT.tap_before, AT.tap),
    "gru1": slice(AT.state1, AT.state2),
    "gru2": slice(AT.state2, AT.state3),
    "gru3": slice(AT.state3, AT.o1),
    "deemphasis": slice(AT.output, AT.output + 1),
}
SIZE = _named(  # lengths handed to functions; plain constants would make numba compile a function for each of them
    "Sizes",
    {**_SIZES, "cond_hidden": COND_HIDDEN, "cond_channels": COND_CONV, "skip": fargan.SKIP, "subframe": SUBFRAME},
)
Layers = namedtuple(  # in the order of use
    "Layers",
    "cond_in cond_conv cond_out conv conv_gate pitch_gates gru1_input gru1_state gru1_gate gru2_input gru2_state "
    "gru2_gate gru3_input gru3_state gru3_gate skip skip_gate out",
)
LAYERS = Layers(*range(len(Layers._fields)))


class PackedWeights(NamedTuple):
    """All that the kernels read.

    Attributes:
        matrices, places: of :data:`LAYERS`, see :func:`~aether_lite.native.pack_matrices`.
        gain, gain_bias: ``[80] float32`` and its bias.
    """

    matrices: NDArray[np.float32]
    places: NDArray[np.int64]
    embedding: NDArray[np.float32]  # ``[224, 12] float32``, of the period
    gain: NDArray[np.float32]
    gain_bias: float
    pitch_gates_bias: NDArray[np.float32]  # ``[4] float32``


@torch.no_grad()
def pack(model: FARGAN) -> PackedWeights:
    """Copy and pack the weights of ``model``, on any device."""
    cond, net, normed = model.cond_net, model.sig_net, model.sig_net.normed_weights()
    matrices = {
        "cond_in": cond.fdense1.weight,
        "cond_conv": cond.fconv1.weight.transpose(1, 2).flatten(1),  # oldest row first
        "cond_out": cond.fdense2.weight,
        "pitch_gates": net.gain_dense_out.weight,
        "skip": net.skip_dense.weight,
        "out": net.sig_dense_out.weight,
        **normed._asdict(),
    }
    for name, gru in (("gru1", net.gru1), ("gru2", net.gru2), ("gru3", net.gru3)):
        matrices |= {f"{name}_input": gru.weight_ih, f"{name}_state": gru.weight_hh}
    packed, places = pack_matrices([matrices[name] for name in Layers._fields])
    gain, gain_bias = plain_array(net.cond_gain_dense.weight[0]), float(net.cond_gain_dense.bias[0])
    pitch_gates_bias = plain_array(net.gain_dense_out.bias)
    return PackedWeights(packed, places, plain_array(cond.pembed.weight), gain, gain_bias, pitch_gates_bias)
