"""One token of one stream through the codec's networks, as numba compiles it.

The layers are those of :mod:`aether_lite.spi` and :mod:`aether_lite.jscc`, for codecs of every size; see
:mod:`aether_lite.codec.native.packing` for the order of weights. States lie one after the other in the order and
layout of the modules, and are advanced in place.
"""

from __future__ import annotations

import numpy as np

from aether_lite.codec.native.layers import (
    SIZE,
    add,
    advance_block,
    causal_convolution,
    dense,
    joined,
    modulated,
    normalised,
    residual,
    silu,
    upsampled,
)
from aether_lite.features import layout
from aether_lite.features.layout import CORRELATION_MAX, NUM_FREE, PITCH, PITCH_MAX, VOICING
from aether_lite.native.activations import tanh
from aether_lite.native.compiling import cached, called, compiled
from aether_lite.spi import encoder
from aether_lite.spi.encoder import PYRAMID_ROWS

LEVELS = len(PYRAMID_ROWS) - 1
PITCH_BOUND, VOICING_BOUND = np.float32(PITCH_MAX), np.float32(CORRELATION_MAX)
STEM_CONTEXT = RESIDUAL_CONTEXT = 2  # frames
BLOCK_LAYERS, FILM_LAYERS, RESIDUAL_LAYERS = 4, 2, 2


@compiled
def _kernel_rows(rows):  # type: ignore[no-untyped-def]
    """Rows of the kernel between ``rows`` and half as many: 5 rows and 3 need an odd one."""
    return 3 if rows == PYRAMID_ROWS[2] else 4


@cached(encoder, layout)
def encode_token(w, features, conditions, state):  # type: ignore[no-untyped-def]
    """Latents ``[1, 2 n_max]`` of one token.

    Args:
        w: :class:`~aether_lite.codec.native.packing.StepWeights` of an encoder.
        features: ``[frames, 20] float32``.
        conditions: ``[1, 2] float32``, as :func:`aether_lite.jscc.conditioning.snr_inputs` makes them.
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


@cached(encoder, layout)
def decode_token(w, planes, conditions, state):  # type: ignore[no-untyped-def]
    """Features ``[frames, 20]`` of one token.

    Args:
        w: :class:`~aether_lite.codec.native.packing.StepWeights` of a decoder.
        planes: ``[1, 3 n_max] float32``, see :meth:`aether_lite.jscc.mapping.MappingDecoder.planes`.
        conditions: ``[1, 4] float32``.
        state: ``[M] float32``.
    """
    layer = SIZE.first_layer
    hidden = modulated(w, layer + 1, dense(w, layer, 2 * w.width, planes), conditions)
    silu(hidden)
    layer += 1 + FILM_LAYERS
    tokens = dense(w, layer, w.width, joined(planes, hidden))
    tokens = modulated(w, layer + 1, tokens, conditions)
    layer += 1 + FILM_LAYERS
    at = 0
    if w.ahead:
        said = dense(w, layer, w.width, tokens)
        tokens = _swapped(tokens, state[: w.width])
        at = w.width + planes.size
        planes = _swapped(planes, state[w.width : at])
        add(tokens, said)
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
        tokens = joined(tokens, planes)
    add(image, dense(w, layer + 1, w.outputs, tokens))
    features = dense(w, layer + 2, SIZE.free, image)
    for t in range(len(features)):
        features[t, PITCH] = PITCH_BOUND * tanh(features[t, PITCH] / PITCH_BOUND)
        features[t, VOICING] = VOICING_BOUND * tanh(features[t, VOICING] / VOICING_BOUND)
    return features
