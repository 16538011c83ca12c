"""Layers of the codec as numba compiles them, with weights as :mod:`aether_lite.codec.native.packing` lays them out.

Arrays are float32 and contiguous: tokens ``[1, n]``, images ``[frames, rows, channels]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aether_lite.features.layout import NUM_FREE
from aether_lite.native.activations import sigmoid, tanh
from aether_lite.native.compiling import called, compiled
from aether_lite.native.panels import product

NORM_EPSILON = np.finfo(np.float32).eps  # of nn.RMSNorm where none is given
ROW_PADDING = 1
ONE = np.float32(1)


class Sizes(NamedTuple):
    """Numbers handed to functions. Plain constants would make numba compile a function for each of them."""

    first_layer: int = 0
    free: int = NUM_FREE
    kernel: int = 3  # rows and frames of a convolution that keeps the resolution
    keeping: int = 1  # its stride; and channels of the image
    halving: int = 2  # row stride of a level


SIZE = Sizes()


@compiled
def dense(w, layer, outputs, x):  # type: ignore[no-untyped-def]
    """``[n, outputs]``: matrix times each of ``x [n, inputs]``, plus bias."""
    called()
    bias_at, count = w.places[layer, 1], len(x)
    padded = np.empty((count, w.places[layer, 3]), np.float32)
    for first in range(0, count - 1, 2):  # two share a pass over the weights
        pair, sums = x[first : first + 2], padded[first : first + 2]
        product(w.matrices, w.scales, w.places, layer, pair, 0, sums, 0, (0, 0))
    if count % 2:
        product(w.matrices, w.scales, w.places, layer, x[count - 1 :], 0, padded[count - 1 :], 0, (0,))
    y, bias = np.empty((count, outputs), np.float32), w.biases[bias_at : bias_at + outputs]
    for n in range(count):
        row, sums = y[n], padded[n]
        for i in range(outputs):
            row[i] = sums[i] + bias[i]
    return y


@compiled
def silu(x):  # type: ignore[no-untyped-def]
    """``x * sigmoid(x)`` in place."""
    called()
    flat = x.reshape(-1)
    for i in range(len(flat)):
        flat[i] = flat[i] * sigmoid(flat[i])


@compiled
def add(x, y):  # type: ignore[no-untyped-def]
    """``x += y`` for arrays of the same number of values."""
    called()
    total, given = x.reshape(-1), y.reshape(-1)
    for i in range(len(total)):
        total[i] += given[i]


@compiled
def causal_convolution(w, layer, channels, x, state, kernel_rows, kernel_frames, row_stride, frame_stride):  # type: ignore[no-untyped-def]
    """:class:`aether_lite.spi.layers.CausalConv2d`; a new image.

    Args:
        channels: of the result.
        state: ``[channels, rows, frames]`` of the last frames as one row; replaced.
    """
    called()
    frames, rows, incoming = x.shape
    context = kernel_frames - frame_stride
    height, row_values = rows + 2 * ROW_PADDING, rows * incoming
    first = ROW_PADDING * incoming
    seen, flat = np.zeros((context + frames, height * incoming), np.float32), x.reshape(frames, row_values)
    for t in range(context):
        for i in range(row_values):
            seen[t, first + i] = state[(i % incoming * rows + i // incoming) * context + t]
    for t in range(frames):
        source, target = flat[t], seen[context + t, first : first + row_values]
        for i in range(row_values):
            target[i] = source[i]
    for t in range(context):
        for i in range(row_values):
            state[(i % incoming * rows + i // incoming) * context + t] = seen[frames + t, first + i]
    made_frames, made_rows = frames // frame_stride, (height - kernel_rows) // row_stride + 1
    run = kernel_rows * incoming
    patches = np.empty((made_frames * made_rows, kernel_frames * run), np.float32)
    for t in range(made_frames):
        for r in range(made_rows):
            patch, start = patches[t * made_rows + r], r * row_stride * incoming
            for tap in range(kernel_frames):
                source, target = seen[t * frame_stride + tap, start : start + run], patch[tap * run : (tap + 1) * run]
                for i in range(run):
                    target[i] = source[i]
    return dense(w, layer, channels, patches).reshape(made_frames, made_rows, channels)


@compiled
def residual(w, layer, x, state):  # type: ignore[no-untyped-def]
    """:class:`aether_lite.spi.layers.ResidualConv` in place; of two layers."""
    called()
    channels, size, step = x.shape[2], SIZE.kernel, SIZE.keeping
    inner = x.copy()
    silu(inner)
    inner = causal_convolution(w, layer, channels, inner, state, size, size, step, step)
    silu(inner)
    add(x, dense(w, layer + 1, channels, inner.reshape(-1, channels)))


@compiled
def joined(x, y):  # type: ignore[no-untyped-def]
    """All values of two arrays as one token ``[1, n]``."""
    called()
    first, second = x.reshape(-1), y.reshape(-1)
    z = np.empty((1, len(first) + len(second)), np.float32)
    for i in range(len(first)):
        z[0, i] = first[i]
    for i in range(len(second)):
        z[0, len(first) + i] = second[i]
    return z


@compiled
def upsampled(w, layer, channels, x, rows, kernel_rows, stride):  # type: ignore[no-untyped-def]
    """A transposed convolution to ``rows`` rows and ``stride`` times the frames, without overlap of frames."""
    called()
    frames, old_rows, incoming = x.shape
    given = dense(w, layer, stride * kernel_rows * channels, x.reshape(frames * old_rows, incoming))
    y = np.zeros((frames * stride, rows, channels), np.float32)
    for t in range(frames):
        for r in range(old_rows):
            parts = given[t * old_rows + r]
            for step in range(stride):
                for k in range(kernel_rows):
                    row = 2 * r + k - ROW_PADDING
                    if 0 <= row < rows:
                        start = (step * kernel_rows + k) * channels
                        target, part = y[t * stride + step, row], parts[start : start + channels]
                        for c in range(channels):
                            target[c] += part[c]
    return y


@compiled
def normalised(tokens):  # type: ignore[no-untyped-def]
    """Divided by the root of the mean square; the weights are part of the layer that follows."""
    called()
    total = np.float32(0)
    for i in range(tokens.shape[1]):
        total += tokens[0, i] * tokens[0, i]
    factor = ONE / np.sqrt(total / np.float32(tokens.shape[1]) + NORM_EPSILON)
    y = np.empty_like(tokens)
    for i in range(tokens.shape[1]):
        y[0, i] = tokens[0, i] * factor
    return y


@compiled
def modulated(w, layer, tokens, conditions):  # type: ignore[no-untyped-def]
    """:class:`aether_lite.jscc.conditioning.FiLM`, of two layers; a new array."""
    called()
    width = tokens.shape[1]
    hidden = dense(w, layer, w.places[layer + 1, 2], conditions)
    silu(hidden)
    factors = dense(w, layer + 1, 2 * width, hidden)[0]
    y = np.empty((1, width), np.float32)
    for i in range(width):
        y[0, i] = tokens[0, i] * factors[i] + factors[width + i]
    return y


@compiled
def advance_block(w, layer, tokens, state):  # type: ignore[no-untyped-def]
    """:class:`aether_lite.spi.layers.TokenBlock` in place, of four layers; ``state [width]`` is the GRU's."""
    called()
    width = tokens.shape[1]
    new = dense(w, layer, 3 * width, normalised(tokens))[0]
    old = dense(w, layer + 1, 3 * width, state.reshape(1, width))[0]
    for i in range(width):
        reset = sigmoid(new[i] + old[i])
        update = sigmoid(new[width + i] + old[width + i])
        candidate = tanh(new[2 * width + i] + reset * old[2 * width + i])
        state[i] = candidate + update * (state[i] - candidate)
        tokens[0, i] += state[i]
    wide = dense(w, layer + 2, 2 * w.hidden, normalised(tokens))[0]
    gated = np.empty((1, w.hidden), np.float32)
    for i in range(w.hidden):
        gate = wide[w.hidden + i]
        gated[0, i] = wide[i] * (gate * sigmoid(gate))
    add(tokens, dense(w, layer + 3, width, gated))
