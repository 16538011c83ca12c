"""FARGAN frame by frame, compiled by numba, for S streams side by side.

All that a sub-frame needs lies in two rows a stream, see :mod:`aether_lite.native.fargan_weights`.
"""

from __future__ import annotations

import numpy as np

from aether_lite.features import layout
from aether_lite.features.layout import FRAME, LAG_MAX, LAG_MIN, NUM_FREE, PERIOD_MAX, PITCH, PREEMPHASIS
from aether_lite.native.fargan_weights import (
    COND_HIDDEN,
    COND_ROWS,
    EXACT_LAYERS,
    INPUT,
    LAYERS,
    PITCH_GATES,
    SIZE,
    VALUE,
)
from aether_lite.native.primitives import as_input, cached, called, clip, compiled, exp, product, sigmoid, tanh
from aether_lite.vocoder import fargan
from aether_lite.vocoder.fargan import (
    COND,
    CONV_OUTPUT,
    GAIN_FLOOR,
    GATHERED,
    GUARD,
    MEMORY,
    PERIOD_CLASSES,
    PERIOD_EMBEDDING,
    SUBFRAME,
    SUBFRAMES,
)

ONE, FLOOR, DEEMPHASIS = np.float32(1), np.float32(GAIN_FLOOR), np.float32(PREEMPHASIS)


@compiled
def _period(pitch):  # type: ignore[no-untyped-def]
    """Samples, as :func:`aether_lite.vocoder.fargan.periods_from_features` rounds; in range whatever the feature."""
    period = LAG_MAX / 2.0 ** (np.float64(pitch) + 1.5)
    if not period > LAG_MIN:  # or not a number
        return LAG_MIN
    return int(np.rint(min(period, PERIOD_MAX)))


@compiled
def _multiply(w, layer, inputs, at, values, result, streams):  # type: ignore[no-untyped-def]
    """A product with one of the large matrices."""
    product(w.matrices, w.scales, w.places, layer, inputs, at, values, result, streams)


@compiled
def _multiply_exactly(w, layer, values, at, result, streams):  # type: ignore[no-untyped-def]
    """A product with one of the two small matrices that stay float32."""
    product(w.exact, w.scales, w.exact_places, layer, values, at, values, result, streams)


@compiled
def _store(values, at, inputs, target, size, streams):  # type: ignore[no-untyped-def]
    """Round values to the operands of a product."""
    called()
    for s in range(len(streams)):
        source, stored = values[s, at : at + size], inputs[s, target : target + size]
        for i in range(size):
            stored[i] = as_input(stored, source[i])


@compiled
def _copy(inputs, at, target, size, streams):  # type: ignore[no-untyped-def]
    """Copy operands."""
    called()
    for s in range(len(streams)):
        source, stored = inputs[s, at : at + size], inputs[s, target : target + size]
        for i in range(size):
            stored[i] = source[i]


@compiled
def _squash(values, at, size, streams):  # type: ignore[no-untyped-def]
    """tanh in place."""
    called()
    for s in range(len(streams)):
        part = values[s, at : at + size]
        for i in range(size):
            part[i] = tanh(part[i])


@compiled
def _gate(values, at, gate, inputs, target, size, streams):  # type: ignore[no-untyped-def]
    """Gated linear unit: multiply by the sigmoid of ``gate`` in place, and store as operands."""
    called()
    for s in range(len(streams)):
        x, g = values[s, at : at + size], values[s, gate : gate + size]
        stored = inputs[s, target : target + size]
        for i in range(size):
            stored[i] = as_input(stored, x[i] * sigmoid(g[i]))


@compiled
def _condition(w, rows, frame, values, inputs, streams):  # type: ignore[no-untyped-def]
    """The conditioning of a frame, from three feature rows, the oldest at ``frame``."""
    called()
    for tap in range(COND_ROWS):
        for s in range(len(streams)):
            for i in range(NUM_FREE):
                values[s, VALUE.features + i] = rows[s, frame + tap, i]
            known = min(max(_period(rows[s, frame + tap, PITCH]) - LAG_MIN, 0), PERIOD_CLASSES - 1)
            for i in range(PERIOD_EMBEDDING):
                values[s, VALUE.features + NUM_FREE + i] = w.embedding[known, i]
        _multiply_exactly(w, EXACT_LAYERS.cond_in, values, VALUE.features, VALUE.first, streams)
        _squash(values, VALUE.first, SIZE.cond_hidden, streams)
        _store(values, VALUE.first, inputs, INPUT.cond_taps + tap * COND_HIDDEN, SIZE.cond_hidden, streams)
    _multiply(w, LAYERS.cond_conv, inputs, INPUT.cond_taps, values, VALUE.first, streams)
    _squash(values, VALUE.first, SIZE.cond_channels, streams)
    _store(values, VALUE.first, inputs, INPUT.cond_channels, SIZE.cond_channels, streams)
    _multiply(w, LAYERS.cond_out, inputs, INPUT.cond_channels, values, VALUE.cond, streams)
    _squash(values, VALUE.cond, SIZE.cond, streams)


@compiled
def _predict(w, subframe, signal, at, period, values, s):  # type: ignore[no-untyped-def]
    """Of one stream: the gain, and the newest input of the convolution, from the 256 samples at ``at``."""
    total = w.gain_bias
    for i in range(COND):
        c = values[s, VALUE.cond + COND * subframe + i]
        values[s, VALUE.tap + i] = c
        total += w.gain[i] * c
    gain = exp(np.float32(total))
    values[s, VALUE.gain] = gain
    scale = ONE / (gain + FLOOR)
    for i in range(GATHERED):
        index = MEMORY - GUARD + i - period
        index = max(index - period if index >= MEMORY else index, 0)
        values[s, VALUE.tap + COND + i] = clip(scale * signal[s, at + index])
    for i in range(SUBFRAME):
        values[s, VALUE.tap + COND + GATHERED + i] = clip(scale * signal[s, at + MEMORY - SUBFRAME + i])


@compiled
def _convolve(w, values, inputs, streams):  # type: ignore[no-untyped-def]
    """The gated convolution over the previous and the current sub-frame, and from it the four pitch gates."""
    called()
    _store(values, VALUE.tap, inputs, INPUT.tap, SIZE.conv_input, streams)
    _multiply(w, LAYERS.conv, inputs, INPUT.tap_before, values, VALUE.first, streams)
    _copy(inputs, INPUT.tap, INPUT.tap_before, SIZE.conv_input, streams)
    _squash(values, VALUE.first, SIZE.conv_output, streams)
    _store(values, VALUE.first, inputs, INPUT.hidden, SIZE.conv_output, streams)
    _multiply(w, LAYERS.conv_gate, inputs, INPUT.hidden, values, VALUE.second, streams)
    for s in range(len(streams)):
        for i in range(CONV_OUTPUT):
            values[s, VALUE.y + i] = values[s, VALUE.first + i] * sigmoid(values[s, VALUE.second + i])
    _store(values, VALUE.y, inputs, INPUT.y, SIZE.conv_output, streams)
    _multiply_exactly(w, EXACT_LAYERS.pitch_gates, values, VALUE.y, VALUE.pitch_gates, streams)
    for s in range(len(streams)):
        for i in range(PITCH_GATES):
            gate = VALUE.pitch_gates + i
            values[s, gate] = sigmoid(values[s, gate] + w.pitch_gates_bias[i])


@compiled
def _set_past(values, gate, inputs, target, streams):  # type: ignore[no-untyped-def]
    """Operands ``[gated pitch prediction | previous samples]``."""
    called()
    for s in range(len(streams)):
        q = values[s, gate]
        stored = inputs[s, target : target + SUBFRAME]
        for i in range(SUBFRAME):
            stored[i] = as_input(stored, q * values[s, VALUE.tap + COND + GUARD + i])
    _store(values, VALUE.tap + COND + GATHERED, inputs, target + SUBFRAME, SIZE.subframe, streams)


@compiled
def _gru(w, layer, inputs, x, h_input, o, values, h, size, streams):  # type: ignore[no-untyped-def]
    """Advance a gated GRU.

    ``layer`` is the first of its three; ``x``, ``h_input``, ``o`` say where its operands are: input, state, gated
    new state (the result); ``h`` where its state is.
    """
    called()
    _multiply(w, layer, inputs, x, values, VALUE.first, streams)
    _multiply(w, layer + 1, inputs, h_input, values, VALUE.second, streams)
    for s in range(len(streams)):
        new, old, state = values[s, VALUE.first :], values[s, VALUE.second :], values[s, h : h + size]
        new_reset, new_update, new_candidate = new[:size], new[size : 2 * size], new[2 * size : 3 * size]
        old_reset, old_update, old_candidate = old[:size], old[size : 2 * size], old[2 * size : 3 * size]
        for i in range(size):
            reset = sigmoid(new_reset[i] + old_reset[i])
            update = sigmoid(new_update[i] + old_update[i])
            candidate = tanh(new_candidate[i] + reset * old_candidate[i])
            state[i] = candidate + update * (state[i] - candidate)
    _store(values, h, inputs, h_input, size, streams)
    _multiply(w, layer + 2, inputs, h_input, values, VALUE.first, streams)
    _gate(values, h, VALUE.first, inputs, o, size, streams)


@compiled
def _recur(w, values, inputs, streams):  # type: ignore[no-untyped-def]
    """The three GRUs, each with the output of the layer before and the past samples."""
    called()
    _copy(inputs, INPUT.y, INPUT.gru1, SIZE.conv_output, streams)
    _set_past(values, VALUE.pitch_gates + 0, inputs, INPUT.gru1_past, streams)
    _gru(w, LAYERS.gru1_input, inputs, INPUT.gru1, INPUT.state1, INPUT.o1, values, VALUE.state1, SIZE.gru1, streams)
    _copy(inputs, INPUT.o1, INPUT.gru2, SIZE.gru1, streams)
    _set_past(values, VALUE.pitch_gates + 1, inputs, INPUT.gru2_past, streams)
    _gru(w, LAYERS.gru2_input, inputs, INPUT.gru2, INPUT.state2, INPUT.o2, values, VALUE.state2, SIZE.gru2, streams)
    _copy(inputs, INPUT.o2, INPUT.gru3, SIZE.gru2, streams)
    _set_past(values, VALUE.pitch_gates + 2, inputs, INPUT.gru3_past, streams)
    _gru(w, LAYERS.gru3_input, inputs, INPUT.gru3, INPUT.state3, INPUT.o3, values, VALUE.state3, SIZE.gru3, streams)
    _set_past(values, VALUE.pitch_gates + 3, inputs, INPUT.skip_past, streams)


@compiled
def _finish(w, values, inputs, streams):  # type: ignore[no-untyped-def]
    """From all layers to 40 samples in +-1."""
    called()
    _multiply(w, LAYERS.skip, inputs, INPUT.o1, values, VALUE.first, streams)
    _squash(values, VALUE.first, SIZE.skip, streams)
    _store(values, VALUE.first, inputs, INPUT.hidden, SIZE.skip, streams)
    _multiply(w, LAYERS.skip_gate, inputs, INPUT.hidden, values, VALUE.second, streams)
    _gate(values, VALUE.first, VALUE.second, inputs, INPUT.hidden, SIZE.skip, streams)
    _multiply(w, LAYERS.out, inputs, INPUT.hidden, values, VALUE.first, streams)
    _squash(values, VALUE.first, SIZE.subframe, streams)


@cached(layout, fargan)
def render_frames(w, rows, signal, samples, values, inputs, audible, streams):  # type: ignore[no-untyped-def]
    """Make frames.

    Args:
        w: :class:`~aether_lite.native.fargan_weights.PackedWeights`.
        rows: ``[S, 2 + n, 20] float32``, two earlier feature rows and the new ones.
        signal: ``[S, 256 + 160 n] float32``: the memory, then room for the samples before de-emphasis.
        samples: ``[S, 160 n] float32``: room for the samples after de-emphasis.
        values: ``[S, VALUES_LENGTH] float32``; the parts in :data:`CARRIED` are the state, which is advanced.
        inputs: ``[S, INPUTS_LENGTH]``, float32, or int16 for int8 weights; room for work.
        audible: 1.0 float32, or 0.0 to run the network with silence for its samples.
        streams: a tuple of S entries.
    """
    _store(values, VALUE.tap, inputs, INPUT.tap_before, SIZE.conv_input, streams)
    _store(values, VALUE.state1, inputs, INPUT.state1, SIZE.gru1, streams)
    _store(values, VALUE.state2, inputs, INPUT.state2, SIZE.gru2, streams)
    _store(values, VALUE.state3, inputs, INPUT.state3, SIZE.gru3, streams)
    for frame in range(rows.shape[1] - COND_ROWS + 1):
        _condition(w, rows, frame, values, inputs, streams)
        for subframe in range(SUBFRAMES):
            at = FRAME * frame + SUBFRAME * subframe
            for s in range(len(streams)):
                _predict(w, subframe, signal, at, _period(rows[s, frame + 1, PITCH]), values, s)
            _convolve(w, values, inputs, streams)
            _recur(w, values, inputs, streams)
            _finish(w, values, inputs, streams)
            for s in range(len(streams)):
                output, gain = values[s, VALUE.output], audible * values[s, VALUE.gain]
                for i in range(SUBFRAME):
                    sample = gain * values[s, VALUE.first + i]
                    signal[s, at + MEMORY + i] = sample
                    output = sample + DEEMPHASIS * output
                    samples[s, at + i] = output
                values[s, VALUE.output] = output
