"""FARGAN frame by frame, compiled by numba, for S streams side by side.

All that a sub-frame needs lies in one row a stream, ``x [S, ROW_LENGTH]``: :mod:`aether_lite.native.fargan_weights`.
"""

from __future__ import annotations

import numpy as np

from aether_lite.features import layout
from aether_lite.features.layout import FRAME, LAG_MAX, LAG_MIN, NUM_FREE, PERIOD_MAX, PITCH, PREEMPHASIS
from aether_lite.native.fargan_weights import AT, COND_HIDDEN, COND_ROWS, LAYERS, PITCH_GATES, SIZE
from aether_lite.native.primitives import cached, called, clip, compiled, exp, product, sigmoid, tanh
from aether_lite.vocoder import fargan
from aether_lite.vocoder.fargan import COND, GATHERED, GUARD, MEMORY, PERIOD_EMBEDDING, SUBFRAME, SUBFRAMES

ONE, FLOOR, DEEMPHASIS = np.float32(1), np.float32(fargan.GAIN_FLOOR), np.float32(PREEMPHASIS)


@compiled
def _period(pitch):  # type: ignore[no-untyped-def]
    """Samples, as :func:`aether_lite.vocoder.fargan.periods_from_features` rounds; in range whatever the feature."""
    period = LAG_MAX / 2.0 ** (np.float64(pitch) + 1.5)
    if not period > LAG_MIN:  # or not a number
        return LAG_MIN
    return int(np.rint(min(period, PERIOD_MAX)))


@compiled
def _multiply(w, layer, x, at, target, streams):  # type: ignore[no-untyped-def]
    """A layer from the operands at ``at`` to ``target``."""
    product(w.matrices, w.places, layer, x, at, x, target, streams)


@compiled
def _copy(x, at, target, size, streams):  # type: ignore[no-untyped-def]
    called()
    for s in range(len(streams)):
        source, stored = x[s, at : at + size], x[s, target : target + size]
        for i in range(size):
            stored[i] = source[i]


@compiled
def _tanh(x, at, size, streams):  # type: ignore[no-untyped-def]
    called()
    for s in range(len(streams)):
        part = x[s, at : at + size]
        for i in range(size):
            part[i] = tanh(part[i])


@compiled
def _gate(x, at, gate, target, size, streams):  # type: ignore[no-untyped-def]
    """Gated linear unit: what is at ``at`` times the sigmoid of ``gate``."""
    called()
    for s in range(len(streams)):
        source, g, stored = x[s, at : at + size], x[s, gate : gate + size], x[s, target : target + size]
        for i in range(size):
            stored[i] = source[i] * sigmoid(g[i])


@compiled
def _condition(w, rows, frame, x, streams):  # type: ignore[no-untyped-def]
    """The conditioning of a frame, from three feature rows, the oldest at ``frame``."""
    called()
    for tap in range(COND_ROWS):
        for s in range(len(streams)):
            for i in range(NUM_FREE):
                x[s, AT.features + i] = rows[s, frame + tap, i]
            known = min(max(_period(rows[s, frame + tap, PITCH]) - LAG_MIN, 0), fargan.PERIOD_CLASSES - 1)
            for i in range(PERIOD_EMBEDDING):
                x[s, AT.features + NUM_FREE + i] = w.embedding[known, i]
        target = AT.cond_taps + tap * COND_HIDDEN
        _multiply(w, LAYERS.cond_in, x, AT.features, target, streams)
        _tanh(x, target, SIZE.cond_hidden, streams)
    _multiply(w, LAYERS.cond_conv, x, AT.cond_taps, AT.first, streams)
    _tanh(x, AT.first, SIZE.cond_channels, streams)
    _multiply(w, LAYERS.cond_out, x, AT.first, AT.cond, streams)
    _tanh(x, AT.cond, SIZE.cond, streams)


@compiled
def _predict(w, subframe, signal, at, period, x, s):  # type: ignore[no-untyped-def]
    """Of one stream: the gain, and the newest input of the convolution, from the 256 samples at ``at``."""
    total = w.gain_bias
    for i in range(COND):
        c = x[s, AT.cond + subframe * COND + i]
        x[s, AT.tap + i] = c
        total += w.gain[i] * c
    gain = exp(np.float32(total))
    x[s, AT.gain] = gain
    scale = ONE / (gain + FLOOR)
    for i in range(GATHERED):
        index = MEMORY - GUARD + i - period
        index = max(index - period if index >= MEMORY else index, 0)
        x[s, AT.tap + COND + i] = clip(scale * signal[s, at + index])
    for i in range(SUBFRAME):
        x[s, AT.tap + COND + GATHERED + i] = clip(scale * signal[s, at + MEMORY - SUBFRAME + i])


@compiled
def _convolve(w, x, streams):  # type: ignore[no-untyped-def]
    """The gated convolution over the previous and the current sub-frame, and from it the four pitch gates."""
    called()
    _multiply(w, LAYERS.conv, x, AT.tap_before, AT.first, streams)
    _copy(x, AT.tap, AT.tap_before, SIZE.tap, streams)
    _tanh(x, AT.first, SIZE.y, streams)
    _multiply(w, LAYERS.conv_gate, x, AT.first, AT.second, streams)
    _gate(x, AT.first, AT.second, AT.y, SIZE.y, streams)
    _multiply(w, LAYERS.pitch_gates, x, AT.y, AT.pitch_gates, streams)
    for s in range(len(streams)):
        for i in range(PITCH_GATES):
            x[s, AT.pitch_gates + i] = sigmoid(x[s, AT.pitch_gates + i] + w.pitch_gates_bias[i])


@compiled
def _set_past(x, gate, target, streams):  # type: ignore[no-untyped-def]
    """Operands ``[gated pitch prediction | previous samples]``."""
    called()
    for s in range(len(streams)):
        q, stored = x[s, gate], x[s, target : target + SUBFRAME]
        for i in range(SUBFRAME):
            stored[i] = q * x[s, AT.tap + COND + GUARD + i]
    _copy(x, AT.tap + COND + GATHERED, target + SUBFRAME, SIZE.subframe, streams)


@compiled
def _gru(w, layer, x, operands, h, o, size, streams):  # type: ignore[no-untyped-def]
    """Advance a gated GRU: its three layers from ``layer`` on, its operands, its state, its gated new state."""
    called()
    _multiply(w, layer, x, operands, AT.first, streams)
    _multiply(w, layer + 1, x, h, AT.second, streams)
    for s in range(len(streams)):
        new, old, state = x[s, AT.first :], x[s, AT.second :], x[s, h : h + size]
        new_reset, new_update, new_candidate = new[:size], new[size : 2 * size], new[2 * size : 3 * size]
        old_reset, old_update, old_candidate = old[:size], old[size : 2 * size], old[2 * size : 3 * size]
        for i in range(size):
            reset = sigmoid(new_reset[i] + old_reset[i])
            update = sigmoid(new_update[i] + old_update[i])
            candidate = tanh(new_candidate[i] + reset * old_candidate[i])
            state[i] = candidate + update * (state[i] - candidate)
    _multiply(w, layer + 2, x, h, AT.first, streams)
    _gate(x, h, AT.first, o, size, streams)


@compiled
def _recur(w, x, streams):  # type: ignore[no-untyped-def]
    """The three GRUs, each with the output of the layer before and the past samples."""
    called()
    _copy(x, AT.y, AT.gru1, SIZE.y, streams)
    _set_past(x, AT.pitch_gates + 0, AT.gru1_past, streams)
    _gru(w, LAYERS.gru1_input, x, AT.gru1, AT.state1, AT.o1, SIZE.state1, streams)
    _copy(x, AT.o1, AT.gru2, SIZE.o1, streams)
    _set_past(x, AT.pitch_gates + 1, AT.gru2_past, streams)
    _gru(w, LAYERS.gru2_input, x, AT.gru2, AT.state2, AT.o2, SIZE.state2, streams)
    _copy(x, AT.o2, AT.gru3, SIZE.o2, streams)
    _set_past(x, AT.pitch_gates + 2, AT.gru3_past, streams)
    _gru(w, LAYERS.gru3_input, x, AT.gru3, AT.state3, AT.o3, SIZE.state3, streams)
    _set_past(x, AT.pitch_gates + 3, AT.skip_past, streams)


@compiled
def _finish(w, x, streams):  # type: ignore[no-untyped-def]
    """From all layers to 40 samples in +-1."""
    called()
    _multiply(w, LAYERS.skip, x, AT.o1, AT.first, streams)
    _tanh(x, AT.first, SIZE.skip, streams)
    _multiply(w, LAYERS.skip_gate, x, AT.first, AT.second, streams)
    _gate(x, AT.first, AT.second, AT.first, SIZE.skip, streams)
    _multiply(w, LAYERS.out, x, AT.first, AT.second, streams)
    _tanh(x, AT.second, SIZE.subframe, streams)


@cached(layout, fargan)
def render_frames(w, rows, signal, samples, x, audible, streams):  # type: ignore[no-untyped-def]
    """Make frames.

    Args:
        w: :class:`~aether_lite.native.fargan_weights.PackedWeights`.
        rows: ``[S, 2 + n, 20] float32``, two earlier feature rows and the new ones.
        signal: ``[S, 256 + 160 n] float32``: the memory, then room for the samples before de-emphasis.
        samples: ``[S, 160 n] float32``: room for the samples after de-emphasis.
        x: ``[S, ROW_LENGTH] float32``; the parts in :data:`CARRIED` are the state, which is advanced.
        audible: 1.0 float32, or 0.0 to run the network with silence for its samples.
        streams: a tuple of S entries.
    """
    for frame in range(rows.shape[1] - COND_ROWS + 1):
        _condition(w, rows, frame, x, streams)
        for subframe in range(SUBFRAMES):
            at = FRAME * frame + SUBFRAME * subframe
            for s in range(len(streams)):
                _predict(w, subframe, signal, at, _period(rows[s, frame + 1, PITCH]), x, s)
            _convolve(w, x, streams)
            _recur(w, x, streams)
            _finish(w, x, streams)
            for s in range(len(streams)):
                output, gain = x[s, AT.output], audible * x[s, AT.gain]
                for i in range(SUBFRAME):
                    sample = gain * x[s, AT.second + i]
                    signal[s, at + MEMORY + i] = sample
                    output = sample + DEEMPHASIS * output
                    samples[s, at + i] = output
                x[s, AT.output] = output
