"""One token, or one frame, at a time with all state in the open, and their ONNX graphs in float32 or with int8 weights.

The steps wrap the codec's and the vocoder's own modules; shapes are fixed and there is no batch dimension except in
the states, which are those of the modules.

ONNX Runtime computes with real numbers only. The exporter already writes complex products, sums, conjugates and
views as real ones; the two operations it lacks are rewritten here, in the exported program.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from aether_lite.codec import SpiCodec
from aether_lite.export.runner import NEW_STATE
from aether_lite.features.layout import FRAME, NUM_FREE
from aether_lite.jscc import SymbolBottleneck, held, paired, scaled
from aether_lite.optional import disable_onnxruntime_telemetry
from aether_lite.payload import RATES, ChannelState, Received, elements_per_token
from aether_lite.reception import accepted, level_tokens
from aether_lite.vocoder import FARGAN, SubframeState, deemphasize, periods_from_features
from aether_lite.vocoder.fargan import PRIMING_ROWS, SUBFRAME, SUBFRAMES, NormedWeights, gather_indices

OPSET = 18  # ONNX operator set: onnxruntime 1.14 and later
MIN_INPUTS, MIN_OUTPUTS = 32, 64  # a smaller matrix stays in float32


@dataclass(frozen=True)
class Port:
    """A tensor that enters or leaves a graph; ``meaning`` says what it holds, with unit and range."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    meaning: str

    def zeros(self) -> Tensor:
        """The initial value, where this is a state."""
        return torch.zeros(self.shape, dtype=self.dtype)

    def record(self) -> dict[str, Any]:
        dtype = str(self.dtype).removeprefix("torch.")
        return {"name": self.name, "shape": list(self.shape), "dtype": dtype, "meaning": self.meaning}


class Step(nn.Module):
    """A step and its signature: ``forward(*inputs, *states) -> (*outputs, *new states)``; states start at zero."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    states: tuple[Port, ...]


class EncoderStep(Step):
    """Features of one token -> symbols of one token."""

    def __init__(self, model: SpiCodec) -> None:
        super().__init__()
        model.check_targets()
        self.model, self.jscc = model, model.jscc_encoder
        frames = model.config.token_frames
        self.inputs = (
            Port("features", (frames, NUM_FREE), torch.float32, "feature rows of the token, columns 0..19"),
            _rate_port(),
            Port("target_snr_db", (1,), torch.float32, "Es/N0 the link is designed for [dB]; NaN encodes blind"),
        )
        meaning = "I and Q; the first uses_per_token[rate] are sent, at nominal energy 1; the others are 0"
        self.outputs = (Port("symbols", (self.jscc.max_uses, 2), torch.float32, meaning),)
        with torch.no_grad():
            _, states = model.spi_encoder(torch.zeros(1, frames, NUM_FREE))
        saved = (torch.zeros(1),) if model.holds else ()
        self.states = _state_ports((*saved, *states))

    def forward(self, features: Tensor, rate: Tensor, target_snr_db: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """``features [8, 20]``, ``rate [1] int64``, ``target_snr_db [1]`` -> ``symbols [96, 2]`` and states."""
        image, saved = self.model.image(features[None]), states[: self.model.holds]
        tokens, new_states = self.model.spi_encoder(image, states[self.model.holds :])
        latents = paired(self.model.map_tokens(image, tokens, target_snr_db[None]))
        used = _used(rate, self.jscc.max_uses, self.jscc.token_frames)
        symbols = scaled(latents, used, self.model.power_constraint(target_snr_db[0]))
        if self.model.holds:
            symbols, left = held(symbols, used, self.jscc.token_frames, *saved)
            new_states = (left, *new_states)
        return torch.view_as_real(symbols)[0, 0], *new_states


class DecoderStep(Step):
    """Received symbols of one token and channel state -> features of one token (with look-ahead: of the one before)."""

    def __init__(self, model: SpiCodec) -> None:
        super().__init__()
        self.model, self.jscc = model, model.jscc_decoder
        uses = self.jscc.max_uses
        self.inputs = (
            Port("received", (uses, 2), torch.float32, "I and Q; positions from uses_per_token[rate] on are ignored"),
            _rate_port(),
            Port("gain", (uses, 2), torch.float32, "estimate of each symbol's complex gain h; NaN where unknown"),
            Port("noise_variance", (1,), torch.float32, "estimate of N0, in units of received energy; NaN if unknown"),
            Port("erased", (1,), torch.bool, "the token was lost; received and gain are then ignored"),
        )
        self.outputs = (
            Port("features", (model.config.token_frames, NUM_FREE), torch.float32, "feature rows, columns 0..19"),
        )
        with torch.no_grad():
            inputs = torch.zeros(1, 1, self.jscc.linear.in_features)
            *_, states = model.decode_image(inputs, inputs.new_zeros(1, 1, self.jscc.CONDITIONS))
        levels = Port("levels", (1, level_tokens(self.jscc.token_frames)), torch.float32, "power gains of past tokens")
        self.states = (levels, *_state_ports(states))

    def forward(
        self,
        received: Tensor,
        rate: Tensor,
        gain: Tensor,
        noise_variance: Tensor,
        erased: Tensor,
        levels: Tensor,
        *states: Tensor,
    ) -> tuple[Tensor, ...]:
        """``received [96, 2]``, ``rate [1] int64``, channel state -> ``features [8, 20]`` and states."""
        known = ChannelState(torch.view_as_complex(gain[None, None]), noise_variance[None], erased[None])
        everything = Received(torch.view_as_complex(received[None, None]), RATES[-1], known, self.jscc.token_frames)
        used = _used(rate, self.jscc.max_uses, self.jscc.token_frames)
        known_units, new_levels = accepted(everything, levels, used)
        estimates = replace(SymbolBottleneck().estimates(known_units, self.model.power, used), rates=rate)
        inputs, conditions = self.jscc.decoder_inputs(estimates)
        image, _, new_states = self.model.decode_image(inputs, conditions, states)
        return self.model.image.to_features(image)[0], new_levels, *new_states


class VocoderFrame(Step):
    """The next feature row -> the frame that belongs to the row before, de-emphasised."""

    def __init__(self, model: FARGAN) -> None:
        super().__init__()
        self.cond_net, self.sig_net = model.cond_net, model.sig_net
        for name, weight in model.sig_net.normed_weights()._asdict().items():
            self.register_buffer(f"normed_{name}", weight.detach().clone())
        self.inputs = (
            Port("row", (NUM_FREE,), torch.float32, "feature row t + 1, columns 0..19"),
            Port("audible", (1,), torch.float32, "1; 0 primes with the first row (from zero states; gives silence)"),
        )
        self.outputs = (Port("samples", (FRAME,), torch.float32, "frame t at 16 kHz in -1..1: samples 160 t - 80 on"),)
        signal = SubframeState.zeros(1, torch.zeros(()))
        self.states = (
            Port("rows", (1, PRIMING_ROWS, NUM_FREE), torch.float32, "the two newest rows"),
            *(
                Port(name, tuple(value.shape), torch.float32, f"{name} of the signal network")
                for name, value in vars(signal).items()
            ),
        )
        deemphasize(torch.zeros(1, FRAME))  # its cached constants must be made outside of the exporter's tracing

    def forward(self, row: Tensor, audible: Tensor, rows: Tensor, *signal: Tensor) -> tuple[Tensor, ...]:
        """``row [20]``, ``audible [1]`` -> ``samples [160]`` and states."""
        newest = row[None, None]
        past = torch.where(audible > 0, rows, newest)
        seen = torch.cat((past, newest), dim=1)
        period = periods_from_features(seen)
        cond = self.cond_net(seen, period)
        index = gather_indices(period[:, 1])
        weights = NormedWeights(*(self.get_buffer(f"normed_{name}") for name in NormedWeights._fields))
        state, made = SubframeState(*signal), []
        for number in range(SUBFRAMES):
            samples, after = self.sig_net(cond[:, 0, number], index, state, weights)
            made.append(samples * audible)
            memory = torch.cat((state.memory[:, SUBFRAME:], made[-1]), dim=1)
            state = replace(after, memory=memory)
        speech = deemphasize(torch.cat(made, dim=1), state.deemphasis)
        state = replace(state, deemphasis=speech[:, -1])
        return speech[0].clamp(-1.0, 1.0), seen[:, -PRIMING_ROWS:], *vars(state).values()


def codec_and_vocoder_steps(codec: SpiCodec, vocoder: FARGAN) -> dict[str, Step]:
    """All steps by the name of their graph, in evaluation mode."""
    steps: dict[str, Step] = {
        "encoder": EncoderStep(codec),
        "decoder": DecoderStep(codec),
        "vocoder": VocoderFrame(vocoder),
    }
    return {name: step.eval().requires_grad_(False) for name, step in steps.items()}


def _rate_port() -> Port:
    return Port("rate", (1,), torch.int64, f"channel uses per second, one of {', '.join(map(str, RATES))}")


def _state_ports(states: Sequence[Tensor]) -> tuple[Port, ...]:
    return tuple(
        Port(f"state_{number}", tuple(value.shape), value.dtype, "what the network remembers")
        for number, value in enumerate(states)
    )


def _used(rate: Tensor, positions: int, token_frames: int) -> Tensor:
    """``[1, 1, positions] bool``: what is sent at ``rate [1] int64`` [uses/s]."""
    return torch.arange(positions) < torch.as_tensor(elements_per_token(rate, token_frames))[:, None, None]


def to_onnx(step: Step) -> Any:
    """The step as an ``onnx.ModelProto``: one self-contained graph of fixed shapes.

    Inputs are the step's inputs and states, outputs its outputs and its states under ``new_NAME``. No path or stack
    trace of the exporting machine is kept.
    """
    ports = (*step.inputs, *step.states)
    outputs = [port.name for port in step.outputs] + [NEW_STATE + port.name for port in step.states]
    with _quiet(), torch.no_grad():
        exported = torch.export.export(step, tuple(port.zeros() for port in ports), strict=False)
        aten = torch.ops.aten
        rules = {aten.where.self: _complex_where, aten.zeros.default: _complex_zeros}
        gru = {aten.gru.input: torch.export.default_decompositions()[aten.gru.input]}
        exported = exported.run_decompositions({**rules, **gru})
        names = [port.name for port in ports]
        program = torch.onnx.export(
            exported, dynamo=True, verbose=False, opset_version=OPSET, input_names=names, output_names=outputs
        )
    assert program is not None
    model = program.model_proto
    _forget_origin(model)
    return model


def _complex_where(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    if not (yes.is_complex() and no.is_complex()):
        return cast(Tensor, NotImplemented)  # the exporter's own rule applies
    parts = torch.where(condition[..., None], torch.view_as_real(yes), torch.view_as_real(no))
    return torch.view_as_complex(parts)


def _complex_zeros(size: Sequence[int], *, dtype: torch.dtype | None = None, **_: object) -> Tensor:
    if dtype is None or not dtype.is_complex:
        return cast(Tensor, NotImplemented)  # the exporter's own rule applies
    return torch.view_as_complex(torch.zeros(*size, 2, dtype=dtype.to_real()))


def _forget_origin(model: Any) -> None:
    """Delete notes that name files and lines of the exporting machine."""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    model.graph.doc_string = ""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings of packages it can do without and of its own deprecations."""
    with _errors_only(logging.getLogger("torch.onnx")), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "The tensor attributes", UserWarning)  # nn.GRU's list of its weights
        yield


@contextmanager
def _errors_only(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def quantise(source: Path, destination: Path) -> None:
    """Write the int8 variant of the float32 graph ``source``: onnxruntime's dynamic quantisation of the matrices.

    Each output's column of a weight matrix becomes 8-bit numbers with a scale of its own; activations are quantised at
    run time with one scale for each vector. Convolutions, embeddings and everything else stay in float32, and so do
    products too small to gain anything, among them the transforms that make the final features and samples, and the
    de-emphasis: the error of what is quantised last reaches the output directly. Full 8-bit unsigned weights: signed
    ones would need one bit less where a processor adds products of bytes in 16 bits (x86 before VNNI).
    """
    import onnx

    disable_onnxruntime_telemetry()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(source)
    gemm_to_matmul(model)
    with _errors_only(logging.root):  # it advises, on the root logger, to run its preprocessing
        quantize_dynamic(
            model, destination, op_types_to_quantize=["MatMul"], weight_type=QuantType.QUInt8, per_channel=True,
            nodes_to_exclude=_kept_in_float(model), extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )  # fmt: skip


def _kept_in_float(model: Any) -> list[str]:
    """Names of the products that are not quantised; the de-emphasis is known by its triangular matrix."""
    from onnx import numpy_helper

    matrices = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        matrix = matrices.get(node.input[1]) if node.op_type == "MatMul" else None
        if matrix is None:
            continue
        small = matrix.shape[0] < MIN_INPUTS or matrix.shape[1] < MIN_OUTPUTS
        if small or np.array_equal(matrix, np.triu(matrix)):
            kept.append(node.name)
    return kept


def gemm_to_matmul(model: Any) -> None:
    """Turn ``Gemm`` with constant weights into ``MatMul`` (and ``Add``), in place.

    onnxruntime's quantiser would transpose weights anew for each node, and the vocoder's four sub-frames share theirs.
    """
    from onnx import helper, numpy_helper

    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    transposed: dict[str, Any] = {}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Gemm" or node.input[1] not in weights:
            nodes.append(node)
            continue
        options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        if options.get("alpha", 1.0) != 1.0 or options.get("beta", 1.0) != 1.0 or options.get("transA", 0):
            raise ValueError(f"{node.name}: a scaled or transposed product was not expected")
        name = node.input[1]
        if options.get("transB", 0):
            if name not in transposed:
                matrix = np.ascontiguousarray(numpy_helper.to_array(weights[name]).T)
                transposed[name] = numpy_helper.from_array(matrix, f"{name}.T")
            name = transposed[name].name
        biased = len(node.input) == 3
        product = f"{node.output[0]}_product" if biased else node.output[0]
        nodes.append(helper.make_node("MatMul", [node.input[0], name], [product], f"{node.name}_product"))
        if biased:
            nodes.append(helper.make_node("Add", [product, node.input[2]], [node.output[0]], node.name))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(transposed.values())
    still_read = {name for node in nodes for name in node.input}
    for name in transposed:
        if name not in still_read:
            model.graph.initializer.remove(weights[name])
