"""The codec's networks token by token on one core of a plain CPU, in kernels that numba compiles when first used.

A token through the torch modules is a few hundred small operations, whose calls cost more than their arithmetic (two
million multiplications each way). Here it is one call. Chosen by measuring (``benchmarks/codec_steps.py``): least
time [ms] of one token of the ``small`` codec, channel mapping included, the three taking turns on a loaded AMD EPYC
with AVX2:

=============  =======  =======
networks       encoder  decoder
=============  =======  =======
torch modules     2.66     2.97
ONNX Runtime      0.91     1.03
compiled          0.69     0.92
=============  =======  =======

Called again and again with nothing between, the compiled networks alone take 0.25 ms each. ``torch.jit.freeze`` took
1.4 and 1.3 ms where the plain modules took 1.8 and 2.0, and is deprecated; inference mode gained nothing. Compiling
takes about 10 s of processor time once, then the code comes from numba's cache.
"""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aether_lite.codec.model import Backend, SpiCodec
from aether_lite.features.layout import NUM_FREE
from aether_lite.jscc import MappingDecoder, snr_inputs
from aether_lite.native import numba_available, require_numba
from aether_lite.spi import State

Float32 = NDArray[np.float32]


def fastest_backend(model: SpiCodec) -> Backend:
    """The fastest networks for one stream: a :class:`CompiledBackend` on a CPU with numba, else ``model`` itself."""
    on_cpu = next(model.parameters()).device.type == "cpu"
    return CompiledBackend(model) if on_cpu and numba_available() else model


class CompiledBackend:
    """A codec's networks frozen for one stream, one token a call. Later changes of the model are not seen. Needs numba.

    Results equal those of the model within rounding and are the same to the bit in every run on a machine. Inputs and
    states are float32 tensors on the CPU. Several streams, also in several threads, may share one.
    """

    def __init__(self, model: SpiCodec) -> None:
        require_numba("the compiled codec")
        from aether_lite.native.codec_weights import pack_decoder, pack_encoder

        self._encoder, self._decoder = pack_encoder(model), pack_decoder(model)
        first = next(model.parameters())
        features = first.new_zeros(1, model.config.token_frames, NUM_FREE)
        inputs = first.new_zeros(1, 1, model.jscc_decoder.linear.in_features)
        conditions = first.new_zeros(1, 1, MappingDecoder.CONDITIONS)
        self._features_shape, self._inputs_shape = features.shape, inputs.shape
        self._encoder_shapes = [part.shape for part in model.latents(features)[1]]
        self._decoder_shapes = [part.shape for part in model.reconstruct(inputs, conditions)[1]]

    def latents(
        self, features: Tensor, target_snr_db: float | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """See :class:`~aether_lite.codec.model.Backend`; ValueError for more than one token of one stream."""
        from aether_lite.native.codec import encode_token

        _check(features, self._features_shape)
        target = None if target_snr_db is None else torch.full((1, 1), float(target_snr_db))
        conditions = snr_inputs(target, features)
        memory = _joined(state, self._encoder_shapes)
        latents = encode_token(self._encoder, _array(features)[0], _array(conditions)[0], memory)
        return torch.from_numpy(latents)[None], _parted(memory, self._encoder_shapes)

    def reconstruct(self, inputs: Tensor, conditions: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See :class:`~aether_lite.codec.model.Backend`; ValueError for more than one token of one stream."""
        from aether_lite.native.codec import decode_token

        _check(inputs, self._inputs_shape)
        memory = _joined(state, self._decoder_shapes)
        features = decode_token(self._decoder, _array(inputs)[0], _array(conditions)[0], memory)
        return torch.from_numpy(features)[None], _parted(memory, self._decoder_shapes)


def _check(value: Tensor, shape: torch.Size) -> None:
    if value.shape != shape:
        raise ValueError(f"a compiled backend takes one token of one stream, {list(shape)}, not {list(value.shape)}")


def _array(value: Tensor) -> Float32:
    array: Float32 = np.ascontiguousarray(value.detach().numpy(), dtype=np.float32)
    return array


def _joined(state: State | None, shapes: list[torch.Size]) -> Float32:
    """All parts of a state as one new row; zeros at the beginning."""
    if state is None:
        return np.zeros(sum(map(prod, shapes)), np.float32)
    joined: Float32 = torch.cat([part.reshape(-1) for part in state]).numpy()
    return joined


def _parted(memory: Float32, shapes: list[torch.Size]) -> State:
    """The parts of a row, which they share."""
    parts = torch.split(torch.from_numpy(memory), [prod(shape) for shape in shapes])
    return tuple(part.view(shape) for part, shape in zip(parts, shapes, strict=True))
