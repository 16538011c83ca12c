"""FARGAN in torch, arranged for speed: weights normalised and laid out once, few and fused operations.

:class:`FusedFargan` computes what :class:`~aether_lite.vocoder.fargan.FARGAN` computes in evaluation mode (up to
rounding), without gradients. What differs:

* everything that depends on features alone is done for a whole block of frames: conditioning, gains, gather
  positions, and the conditioning's share of the framewise convolution;
* the inputs of all layers are slices of one row, so nothing is concatenated (:data:`ROW`);
* the recurrent product of a GRU for the next sub-frame is made together with the gate of its output, from one
  matrix (both are products with the new state);
* the past signal is one growing row, so the memory is never shifted.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional as F

from aether_lite.vocoder.fargan import (
    COND,
    CONV_OUTPUT,
    DELAY,
    FARGAN,
    GAIN_FLOOR,
    GATHERED,
    GRU1,
    GRU2,
    GRU3,
    GUARD,
    MEMORY,
    SKIP,
    SUBFRAME,
    SUBFRAMES,
    SubframeState,
    deemphasize,
    gather_indices,
    periods_from_features,
)

PRIMING_ROWS = 2  # rows before the newest one that the conditioning sees
TAP = GATHERED + SUBFRAME  # signal part of one tap of the framewise convolution
SIZES = {  # inputs of all layers in an order in which each layer reads one contiguous slice
    "pitch1": SUBFRAME,
    "y": CONV_OUTPUT,
    "previous": SUBFRAME,
    "o1": GRU1,
    "pitch2": SUBFRAME,
    "pitch3": SUBFRAME,
    "o2": GRU2,
    "previous_again": SUBFRAME,
    "o3": GRU3,
    "pitch4": SUBFRAME,
}
ROW_LENGTH = sum(SIZES.values())
ROW = {name: slice(stop - SIZES[name], stop) for name, stop in zip(SIZES, accumulate(SIZES.values()), strict=True)}
GRU_INPUTS = (
    slice(ROW["pitch1"].start, ROW["previous"].stop),
    slice(ROW["previous"].start, ROW["pitch2"].stop),
    slice(ROW["pitch3"].start, ROW["previous_again"].stop),
)
GRU_ORDERS = (("y", "pitch1", "previous"), ("o1", "pitch2", "previous"), ("o2", "pitch3", "previous_again"))
SKIP_INPUT = slice(ROW["y"].start, ROW["pitch4"].stop)  # pitch2, pitch3, previous_again get zero weights
SKIP_ORDER = ("o1", "o2", "o3", "y", "pitch4", "previous")


@dataclass
class FrameState:
    """All that passes from one frame to the next, alike for every implementation of FARGAN.

    Attributes:
        rows: ``[B, 2, 20]``, the two newest feature rows.
        signal: the sub-frame state.
    """

    rows: Tensor
    signal: SubframeState

    @classmethod
    def before(cls, first_row: Tensor) -> FrameState:
        """Silence, and the first row ``[B, 20]`` for the rows before it."""
        rows = first_row[:, None].expand(-1, PRIMING_ROWS, -1)
        return cls(rows, SubframeState.zeros(first_row.shape[0], first_row))


class _GatedGru:
    """One GRU and the gate of its output, working in place on fixed buffers."""

    def __init__(self, weights: tuple[Tensor, Tensor], x: Tensor, state: Tensor, output: Tensor) -> None:
        self.input_weight, self.state_weight = weights
        self.x, self.output, self.state = x, output, state.clone()
        size = state.shape[1]
        self.from_input = torch.mm(x, self.input_weight)
        self.from_state = torch.mm(self.state, self.state_weight)
        parts = torch.split(self.from_state, [size, 2 * size, size], dim=1)
        self.gate, self.state_reset_update, self.state_candidate = parts
        self.reset_update, self.candidate = torch.split(self.from_input, [2 * size, size], dim=1)
        self.reset, self.update = self.reset_update.chunk(2, dim=1)

    def step(self) -> None:
        """Advance the state by what stands in ``x`` and write the gated state to ``output``."""
        torch.mm(self.x, self.input_weight, out=self.from_input)
        self.reset_update.add_(self.state_reset_update).sigmoid_()
        self.candidate.addcmul_(self.reset, self.state_candidate).tanh_()
        torch.lerp(self.candidate, self.state, self.update, out=self.state)
        torch.mm(self.state, self.state_weight, out=self.from_state)
        torch.mul(self.state, self.gate.sigmoid_(), out=self.output)


class FusedFargan:
    """FARGAN frozen for synthesis; see :class:`~aether_lite.vocoder.synthesis.FrameVocoder`.

    Args:
        model: on any device, in any mode. Later changes are not seen.
    """

    delay = DELAY

    @torch.inference_mode()
    def __init__(self, model: FARGAN) -> None:
        net, normed = model.sig_net, model.sig_net.normed_weights()
        self.cond_net = copy.deepcopy(model.cond_net)
        self.gain_weight = net.cond_gain_dense.weight.clone()
        self.gain_bias = net.cond_gain_dense.bias.clone()
        taps = torch.unflatten(normed.conv, 1, (2, -1))
        self.conv_cond = taps[:, :, :COND].flatten(1).T.contiguous()
        self.conv_signal = taps[:, :, COND:].flatten(1).T.contiguous()
        self.conv_gate = normed.conv_gate.T.contiguous()
        self.pitch_gates = net.gain_dense_out.weight.T.contiguous()
        self.pitch_gates_bias = net.gain_dense_out.bias.clone()
        self.grus = [
            (_rows(gru.weight_ih, order, span), torch.cat((gate, gru.weight_hh)).T.contiguous())
            for gru, gate, order, span in zip(
                (net.gru1, net.gru2, net.gru3),
                (normed.gru1_gate, normed.gru2_gate, normed.gru3_gate),
                GRU_ORDERS,
                GRU_INPUTS,
                strict=True,
            )
        ]
        self.skip = _rows(net.skip_dense.weight, SKIP_ORDER, SKIP_INPUT)
        self.skip_gate = normed.skip_gate.T.contiguous()
        self.out = net.sig_dense_out.weight.T.contiguous()

    @property
    def device(self) -> torch.device:
        """That of the model."""
        return self.gain_weight.device

    @torch.inference_mode()
    def prime(self, first_row: Tensor) -> FrameState:
        """State before the first frame ``[B, 20]``."""
        first_row = first_row.to(self.gain_weight)
        return self._run(first_row[:, None], FrameState.before(first_row), audible=False)[1]

    @torch.inference_mode()
    def render(self, rows: Tensor, state: FrameState) -> tuple[Tensor, FrameState]:
        """One frame for each new row ``[B, n, 20]``: ``[B, 160 n]``, and the new state."""
        signal, state = self._run(rows, state, audible=True)
        samples = deemphasize(signal, state.signal.deemphasis)
        return samples, replace(state, signal=replace(state.signal, deemphasis=samples[:, -1]))

    def _run(self, rows: Tensor, state: FrameState, audible: bool) -> tuple[Tensor, FrameState]:
        """Pre-emphasised samples ``[B, 160 n]``; zeros (the network still runs) when not ``audible``."""
        rows = torch.cat((state.rows, rows.to(self.gain_weight)), dim=1)
        period = periods_from_features(rows)
        cond = self.cond_net(rows, period).flatten(1, 2)  # [B, N, 80], N sub-frames
        batch, count = cond.shape[:2]
        gain = torch.exp(F.linear(cond, self.gain_weight, self.gain_bias))
        scale = 1.0 / (gain + GAIN_FLOOR)
        before = torch.cat((state.signal.conv_input[:, None, :COND], cond[:, :-1]), dim=1)
        conv_bias = (torch.cat((before, cond), dim=2) @ self.conv_cond).transpose(0, 1).contiguous()
        recent = torch.arange(MEMORY - SUBFRAME, MEMORY, device=rows.device)
        recent = recent.expand(batch, count // SUBFRAMES, -1)
        index = torch.cat((gather_indices(period[:, 1:-1]), recent), dim=2)
        index = index.repeat_interleave(SUBFRAMES, dim=1)
        index += SUBFRAME * torch.arange(count, device=rows.device)[:, None]

        past = state.signal
        signal = torch.cat((past.memory, past.memory.new_empty(batch, SUBFRAME * count)), dim=1)
        taps = torch.cat((past.conv_input[:, None, COND:], signal.new_empty(batch, count, TAP)), dim=1)
        grus = self._loop(signal, taps, conv_bias, index, scale, gain if audible else torch.zeros_like(gain), past)
        memory, conv_input = signal[:, -MEMORY:].clone(), torch.cat((cond[:, -1], taps[:, -1]), dim=1)
        carried = SubframeState(memory, conv_input, grus[0], grus[1], grus[2], past.deemphasis)
        return signal[:, MEMORY:], FrameState(rows[:, -PRIMING_ROWS:].clone(), carried)

    def _loop(
        self,
        signal: Tensor,
        taps: Tensor,
        conv_bias: Tensor,
        index: Tensor,
        scale: Tensor,
        gain: Tensor,
        past: SubframeState,
    ) -> list[Tensor]:
        """Fill ``signal [B, 256 + 40 N]`` and ``taps [B, 1 + N, 84]``; return the GRU states after it."""
        row = signal.new_zeros(signal.shape[0], ROW_LENGTH)
        part = {name: row[:, where] for name, where in ROW.items()}
        y, skip_input = part["y"], row[:, SKIP_INPUT]
        previous = [part["previous"], part["previous_again"]]
        pitch = [part[f"pitch{i}"] for i in (1, 2, 3, 4)]
        grus = [
            _GatedGru(weights, row[:, span], state, part[output])
            for weights, span, state, output in zip(
                self.grus, GRU_INPUTS, (past.gru1, past.gru2, past.gru3), ("o1", "o2", "o3"), strict=True
            )
        ]
        conv, conv_gate = y.new_empty(y.shape), y.new_empty(y.shape)
        skip, skip_gate = y.new_empty(y.shape[0], SKIP), y.new_empty(y.shape[0], SKIP)
        out = y.new_empty(y.shape[0], SUBFRAME)
        gates = y.new_empty(y.shape[0], 4)
        gate = torch.split(gates, 1, dim=1)

        for bias, pair, tap, exact_lag, last, where, inverse, g, made in zip(
            conv_bias.unbind(0),
            taps.flatten(1).unfold(1, 2 * TAP, TAP).unbind(1),
            taps[:, 1:].unbind(1),
            taps[:, 1:, GUARD : GUARD + SUBFRAME].unbind(1),
            taps[:, 1:, GATHERED:].unbind(1),
            index.unbind(1),
            scale.unbind(1),
            gain.unbind(1),
            torch.unflatten(signal[:, MEMORY:], 1, (-1, SUBFRAME)).unbind(1),
            strict=True,
        ):
            torch.gather(signal, 1, where, out=tap)
            tap.mul_(inverse).clamp_(-1.0, 1.0)
            for copy_of_last in previous:
                copy_of_last.copy_(last)
            torch.addmm(bias, pair, self.conv_signal, out=conv).tanh_()
            torch.mm(conv, self.conv_gate, out=conv_gate).sigmoid_()
            torch.mul(conv, conv_gate, out=y)
            torch.addmm(self.pitch_gates_bias, y, self.pitch_gates, out=gates).sigmoid_()
            for q, gated_pitch in zip(gate, pitch, strict=True):
                torch.mul(exact_lag, q, out=gated_pitch)
            for gru in grus:
                gru.step()
            torch.mm(skip_input, self.skip, out=skip).tanh_()
            torch.mm(skip, self.skip_gate, out=skip_gate).sigmoid_()
            torch.mm(skip.mul_(skip_gate), self.out, out=out).tanh_()
            torch.mul(out, g, out=made)
        return [gru.state for gru in grus]


def _rows(weight: Tensor, order: tuple[str, ...], span: slice) -> Tensor:
    """Transpose ``weight [out, in]``, whose inputs come in ``order``, for the slice ``span`` of the row."""
    result = weight.new_zeros(span.stop - span.start, weight.shape[0])
    sizes = [ROW[name].stop - ROW[name].start for name in order]
    for name, columns in zip(order, torch.split(weight, sizes, dim=1), strict=True):
        result[ROW[name].start - span.start : ROW[name].stop - span.start] = columns.T
    return result
