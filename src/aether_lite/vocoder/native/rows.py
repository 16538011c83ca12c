"""Where the numbers of a stream lie while the compiled kernels work on it.

Two rows a stream: values (float32), and inputs, the operands of products in the type that goes with the weights
(float32, or int16 for int8 weights). :data:`VALUE` and :data:`INPUT` hold the places, ``_SIZES`` the lengths.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from aether_lite.features.layout import NUM_FREE
from aether_lite.native.matrices import PANEL
from aether_lite.vocoder.fargan import (
    COND,
    CONV_INPUT,
    CONV_OUTPUT,
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


class Values(NamedTuple):
    """Parts of a stream's row of float32."""

    tap: int  # [conditioning | pitch prediction | previous samples], the input of the convolution
    state1: int
    state2: int
    state3: int
    heard: int  # last sample after de-emphasis
    gain: int
    features: int  # and embedded period
    cond: int
    y: int
    pitch_gates: int
    first: int  # results of products
    second: int


class Inputs(NamedTuple):
    """Parts of a stream's row of operands; those of one product are neighbours, in the order of its weights."""

    cond_taps: int
    cond_channels: int
    tap_before: int
    tap: int
    gru1: int
    gru1_past: int
    gru2: int
    gru2_past: int
    gru3: int
    gru3_past: int
    state1: int
    state2: int
    state3: int
    o1: int
    o2: int
    o3: int
    y: int
    skip_past: int
    hidden: int


class Sizes(NamedTuple):
    """Lengths handed to functions. Plain constants would make numba compile a function for each of them."""

    cond_hidden: int
    cond_channels: int
    cond: int
    conv_input: int
    conv_output: int
    gru1: int
    gru2: int
    gru3: int
    skip: int
    subframe: int


VALUE_SIZES = Values(
    tap=CONV_INPUT,
    state1=GRU1,
    state2=GRU2,
    state3=GRU3,
    heard=1,
    gain=1,
    features=NUM_FREE + PERIOD_EMBEDDING,
    cond=SUBFRAMES * COND,
    y=CONV_OUTPUT,
    pitch_gates=PANEL,
    first=WIDEST,
    second=WIDEST,
)
INPUT_SIZES = Inputs(
    cond_taps=COND_ROWS * COND_HIDDEN,
    cond_channels=COND_CONV,
    tap_before=CONV_INPUT,
    tap=CONV_INPUT,
    gru1=CONV_OUTPUT,
    gru1_past=PAST,
    gru2=GRU1,
    gru2_past=PAST,
    gru3=GRU2,
    gru3_past=PAST,
    state1=GRU1,
    state2=GRU2,
    state3=GRU3,
    o1=GRU1,
    o2=GRU2,
    o3=GRU3,
    y=CONV_OUTPUT,
    skip_past=PAST,
    hidden=CONV_OUTPUT,
)
VALUE = Values(*accumulate(VALUE_SIZES[:-1], initial=0))
INPUT = Inputs(*accumulate(INPUT_SIZES[:-1], initial=0))
SIZE = Sizes(
    cond_hidden=COND_HIDDEN,
    cond_channels=COND_CONV,
    cond=SUBFRAMES * COND,
    conv_input=CONV_INPUT,
    conv_output=CONV_OUTPUT,
    gru1=GRU1,
    gru2=GRU2,
    gru3=GRU3,
    skip=SKIP,
    subframe=SUBFRAME,
)
VALUES_LENGTH, INPUTS_LENGTH = sum(VALUE_SIZES), sum(INPUT_SIZES)
CARRIED = {  # parts of the values that pass from one sub-frame to the next, by their name in SubframeState
    "conv_input": slice(VALUE.tap, VALUE.state1),
    "gru1": slice(VALUE.state1, VALUE.state2),
    "gru2": slice(VALUE.state2, VALUE.state3),
    "gru3": slice(VALUE.state3, VALUE.heard),
    "deemphasis": slice(VALUE.heard, VALUE.heard + 1),
}
