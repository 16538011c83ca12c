"""One token of one stream through the codec's networks, compiled by numba.

The layers are those of :mod:`aether_lite.spi` and :mod:`aether_lite.jscc`, for codecs of every size, with weights in
the order of :mod:`aether_lite.native.codec_weights`. Arrays are float32 and contiguous: tokens ``[1, n]``, images
``[frames, rows, channels]``. States lie one after the other in the order and layout of the modules, and are advanced
in place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aether_lite import spi
from aether_lite.features import layout
from aether_lite.features.layout import CORRELATION_MAX, NUM_FREE, PITCH, PITCH_MAX, VOICING
from aether_lite.native.primitives import cached, called, compiled, product, sigmoid, tanh
from aether_lite.spi import PYRAMID_ROWS

NORM_EPSILON = np.finfo(np.float32).eps  # of nn.RMSNorm where none is given
ROW_PADDING = 1
ONE = np.float32(1)
LEVELS = len(PYRAMID_ROWS) - 1
PITCH_BOUND, VOICING_BOUND = np.float32(PITCH_MAX), np.float32(CORRELATION_MAX)
STEM_CONTEXT = RESIDUAL_CONTEXT = 2  # frames
BLOCK_LAYERS, FILM_LAYERS, RESIDUAL_LAYERS = 4, 2, 2


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
        product(w.matrices, w.places, layer, pair, 0, sums, 0, (0, 0))
    if count % 2:
        product(w.matrices, w.places, layer, x[count - 1 :], 0, padded[count - 1 :], 0, (0,))
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
    """:class:`aether_lite.spi.CausalConv2d`; a new image.

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
    """:class:`aether_lite.spi.ResidualConv` in place; of two layers."""
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
    """:class:`aether_lite.jscc.FiLM`, of two layers; a new array."""
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
    """:class:`aether_lite.spi.TokenBlock` in place, of four layers; ``state [width]`` is the GRU's."""
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


@compiled
def _kernel_rows(rows):  # type: ignore[no-untyped-def]
    """Rows of the kernel between ``rows`` and half as many: 5 rows and 3 need an odd one."""
    return 3 if rows == PYRAMID_ROWS[2] else 4


@cached(spi, layout)
def encode_token(w, features, conditions, state):  # type: ignore[no-untyped-def]
    """Latents ``[1, 2 n_max]`` of one token.

    Args:
        w: :class:`~aether_lite.native.codec_weights.CodecWeights` of an encoder.
        features: ``[frames, 20] float32``.
        conditions: ``[1, 2] float32``, as :func:`aether_lite.jscc.snr_inputs` makes them.
        state: ``[M] float32``.
    """
    layer = SIZE.first_layer
    image = dense(w, layer, SIZE.free, features)
    frames, at = len(image), NUM_FREE * STEM_CONTEXT
    size, step = SIZE.kernel, SIZE.keeping
    plane = image.reshape(frames, NUM_FREE, 1)
    x = causal_convolution(w, layer + 1, w.channels[0], plane, state[:at], size, size, step, step)
    for t in range(frames):
        add(x[t], w.row_bias)
    silu(x)
    layer += 2
    for level in range(LEVELS):
        rows, stride = x.shape[1], w.strides[level]
        size = x.shape[2] * rows * stride
        channels, part, height = w.channels[level + 1], state[at : at + size], _kernel_rows(rows)
        x = causal_convolution(w, layer, channels, x, part, height, 2 * stride, SIZE.halving, stride)
        at += size
        size = x.shape[2] * x.shape[1] * RESIDUAL_CONTEXT
        residual(w, layer + 1, x, state[at : at + size])
        at += size
        layer += 1 + RESIDUAL_LAYERS
    silu(x)
    tokens = dense(w, layer, w.width, joined(x.reshape(1, -1), image))
    layer += 1
    for _ in range(w.blocks):
        advance_block(w, layer, tokens, state[at : at + w.width])
        layer += BLOCK_LAYERS
        at += w.width
    tokens = modulated(w, layer, normalised(tokens), conditions)
    layer += FILM_LAYERS
    hidden = dense(w, layer, 2 * w.width, tokens)
    silu(hidden)
    inputs = joined(tokens, hidden)
    if w.linear:
        inputs = joined(inputs, image)
    return dense(w, layer + 1, w.outputs, inputs)


@compiled
def _swapped(value, state):  # type: ignore[no-untyped-def]
    """What waited in ``state``, in the shape of ``value``, which waits there now."""
    called()
    waited = state.copy().reshape(value.shape)
    state[:] = value.reshape(-1)
    return waited


@cached(spi, layout)
def decode_token(w, inputs, conditions, state):  # type: ignore[no-untyped-def]
    """Features ``[frames, 20]`` of one token.

    Args:
        w: :class:`~aether_lite.native.codec_weights.CodecWeights` of a decoder.
        inputs: ``[1, 3 n_max] float32``, see :meth:`aether_lite.jscc.MappingDecoder.decoder_inputs`.
        conditions: ``[1, 4] float32``.
        state: ``[M] float32``.
    """
    layer = SIZE.first_layer
    hidden = modulated(w, layer + 1, dense(w, layer, 2 * w.width, inputs), conditions)
    silu(hidden)
    layer += 1 + FILM_LAYERS
    tokens = dense(w, layer, w.width, joined(inputs, hidden))
    tokens = modulated(w, layer + 1, tokens, conditions)
    layer += 1 + FILM_LAYERS
    at = 0
    if w.ahead:
        ahead = dense(w, layer, w.width, tokens)
        tokens = _swapped(tokens, state[: w.width])
        at = w.width + inputs.size
        inputs = _swapped(inputs, state[w.width : at])
        add(tokens, ahead)
        layer += 1
    for _ in range(w.blocks):
        advance_block(w, layer, tokens, state[at : at + w.width])
        layer += BLOCK_LAYERS
        at += w.width
    tokens = normalised(tokens)
    top = dense(w, layer, PYRAMID_ROWS[-1] * w.channels[0], tokens)
    x = top.reshape(1, PYRAMID_ROWS[-1], w.channels[0])
    layer += 1
    for level in range(LEVELS):
        size = x.shape[2] * x.shape[1] * RESIDUAL_CONTEXT
        residual(w, layer, x, state[at : at + size])
        at += size
        rows = PYRAMID_ROWS[LEVELS - 1 - level]
        x = upsampled(w, layer + RESIDUAL_LAYERS, w.channels[level + 1], x, rows, _kernel_rows(rows), w.strides[level])
        silu(x)
        layer += RESIDUAL_LAYERS + 1
    size, step = SIZE.kernel, SIZE.keeping
    image = causal_convolution(w, layer, step, x, state[at:], size, size, step, step).reshape(-1, NUM_FREE)
    if w.linear:
        tokens = joined(tokens, inputs)
    add(image, dense(w, layer + 1, w.outputs, tokens))
    features = dense(w, layer + 2, SIZE.free, image)
    for t in range(len(features)):
        features[t, PITCH] = PITCH_BOUND * tanh(features[t, PITCH] / PITCH_BOUND)
        features[t, VOICING] = VOICING_BOUND * tanh(features[t, VOICING] / VOICING_BOUND)
    return features
