"""FARGAN, a small autoregressive vocoder: 20 features every 10 ms in, speech at 16 kHz out.

A conditioning network runs once per frame (10 ms, 160 samples), a signal network four times per frame (2.5 ms, 40
samples). The signal network sees its own past: the 40 samples just made, and 44 samples one pitch period ago::

    rows t-1, t, t+1 -> cond_net -> c [4 x 80] -> sig_net -> 40 samples -+-> de-emphasis
                                                     ^                   |
                                                     +-- memory [256] <--+

All signals in here are pre-emphasised (``y[n] = x[n] - 0.85 x[n-1]``) and on the scale +-1 = int16 / 32768.
Parameter names and shapes are those of the checkpoints of the Opus project, which load unchanged.

Reference: J.-M. Valin, A. Mustafa, J. Buethe, "Very Low Complexity Speech Synthesis Using Framewise
Autoregressive GAN (FARGAN) with Pitch Prediction", arXiv:2405.21069.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aether_lite.features.layout import FRAME, LAG_MAX, LAG_MIN, NUM_FREE, PERIOD_MAX, PITCH, PREEMPHASIS
from aether_lite.vocoder.network import VocoderNetwork

SUBFRAME = 40  # samples (2.5 ms)
SUBFRAMES = FRAME // SUBFRAME
MEMORY = LAG_MAX  # samples of past output that the pitch prediction can reach
GUARD = 2  # samples gathered on either side of the pitch prediction
GATHERED = SUBFRAME + 2 * GUARD
COND = 80  # conditioning values per sub-frame
CONV_INPUT = COND + GATHERED + SUBFRAME  # one tap of the framewise convolution
CONV_OUTPUT, GRU1, GRU2, GRU3, SKIP = 192, 160, 128, 128, 128
PERIOD_CLASSES, PERIOD_EMBEDDING = 224, 12
PRIMING_ROWS = 2  # rows before the newest one that the conditioning sees
FIRST_ROW = 3  # feature row that frame 0 of :meth:`FARGAN.forward` belongs to
LOOKAHEAD_FRAMES = 1  # rows beyond its own that a frame needs
DELAY = FRAME + FRAME // 2  # samples from the oldest one that comes with row r to the row's centre; 15 ms
CONTEXT_ROWS = 4  # rows that :meth:`FARGAN.forward` needs beyond the frames it makes
GAIN_FLOOR = 1e-5
NOISE_STEP = 1 / 127  # training noise is uniform over one step of an int8 activation


def periods_from_features(features: Tensor) -> Tensor:
    """Integer pitch periods ``[..., T] int64`` in 32..255 samples of features ``[..., T, 20 or 36]``."""
    period = LAG_MAX / torch.exp2(features[..., PITCH].to(torch.float64) + 1.5)
    return period.clamp(LAG_MIN, PERIOD_MAX).round().to(torch.int64)


def gather_indices(period: Tensor) -> Tensor:
    """Where in the memory the pitch prediction of ``period [...] int64`` [samples] lies: ``[..., 44] int64`` in 0..255.

    Positions from ``256 - period - 2`` on; past the end of the memory the last period repeats; before its start
    (periods 255 and 256) the first sample does.
    """
    index = torch.arange(MEMORY - GUARD, MEMORY - GUARD + GATHERED, device=period.device) - period[..., None]
    return torch.where(index >= MEMORY, index - period[..., None], index).clamp_min(0)


def with_activation_noise(x: Tensor, noisy: bool) -> Tensor:
    """Clip to +-1; when ``noisy`` first add uniform noise of +-1/254, which imitates int8 activations."""
    if noisy:
        x = x + NOISE_STEP * (torch.rand_like(x) - 0.5)
    return x.clamp(-1.0, 1.0)


class NormedLinear(nn.Module):
    """Weight-normalised linear layer without bias: weights ``g v / |v|``, one length ``g`` per output."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        direction = nn.init.orthogonal_(torch.empty(outputs, inputs))
        self.weight_g = nn.Parameter(torch.linalg.vector_norm(direction, dim=1, keepdim=True))
        self.weight_v = nn.Parameter(direction)

    def weight(self) -> Tensor:
        """The weights in effect, ``[outputs, inputs]``."""
        length: Tensor = torch.linalg.vector_norm(self.weight_v, dim=1, keepdim=True)
        weight: Tensor = self.weight_v * (self.weight_g / length)
        return weight


class GatedUnit(nn.Module):
    """Holds the gate of a gated linear unit; :func:`gated` applies it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gate = NormedLinear(size, size)


def gated(x: Tensor, gate_weight: Tensor) -> Tensor:
    """Gated linear unit ``x * sigmoid(G x)``; ``x [..., n]``, ``gate_weight [n, n]``."""
    return x * torch.sigmoid(F.linear(x, gate_weight))


class FramewiseConv(nn.Module):
    """Holds a convolution over the previous and the current sub-frame, and the gate behind it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = NormedLinear(2 * inputs, outputs)
        self.glu = GatedUnit(outputs)


class ConditioningNet(nn.Module):
    """Frame-rate part: feature rows to one 80-vector per sub-frame."""

    def __init__(self) -> None:
        super().__init__()
        self.pembed = nn.Embedding(PERIOD_CLASSES, PERIOD_EMBEDDING)
        self.fdense1 = nn.Linear(NUM_FREE + PERIOD_EMBEDDING, 64, bias=False)
        self.fconv1 = nn.Conv1d(64, 128, kernel_size=3, bias=False)
        self.fdense2 = nn.Linear(128, COND * SUBFRAMES, bias=False)

    def forward(self, features: Tensor, period: Tensor) -> Tensor:
        """Condition every row of ``features [B, T, 20]`` that has two neighbours; ``period [B, T] int64`` [samples].

        Returns ``[B, T-2, 4, 80]`` in [-1, 1]; entry ``i`` belongs to row ``i + 1``.
        """
        embedded = self.pembed((period - LAG_MIN).clamp(0, PERIOD_CLASSES - 1))
        hidden = torch.tanh(self.fdense1(torch.cat((features, embedded), dim=-1)))
        hidden = torch.tanh(self.fconv1(hidden.transpose(1, 2))).transpose(1, 2)
        return torch.unflatten(torch.tanh(self.fdense2(hidden)), -1, (SUBFRAMES, COND))


@dataclass
class SubframeState:
    """All that passes from one sub-frame to the next.

    Attributes:
        memory: ``[B, 256]``, the newest output samples, pre-emphasised.
        conv_input: ``[B, 164]``, the previous sub-frame's input of the framewise convolution.
        gru1, gru2, gru3: ``[B, 160]``, ``[B, 128]``, ``[B, 128]``.
        deemphasis: ``[B]``, the last sample after de-emphasis (the network itself does not use it).
    """

    memory: Tensor
    conv_input: Tensor
    gru1: Tensor
    gru2: Tensor
    gru3: Tensor
    deemphasis: Tensor

    @classmethod
    def zeros(cls, batch: int, like: Tensor) -> SubframeState:
        """Silence before the start, for ``batch`` streams, with the dtype and device of ``like``."""
        memory, conv_input, gru1, gru2, gru3 = (
            like.new_zeros(batch, size) for size in (MEMORY, CONV_INPUT, GRU1, GRU2, GRU3)
        )
        return cls(memory, conv_input, gru1, gru2, gru3, like.new_zeros(batch))


class NormedWeights(NamedTuple):
    """The weight-normalised matrices in effect, computed once for many sub-frames."""

    conv: Tensor
    conv_gate: Tensor
    gru1_gate: Tensor
    gru2_gate: Tensor
    gru3_gate: Tensor
    skip_gate: Tensor


class SubframeNet(nn.Module):
    """Sub-frame part: an explicit-state step that makes 40 samples."""

    def __init__(self) -> None:
        super().__init__()
        past = 2 * SUBFRAME  # gated pitch prediction and previous samples, an input of every layer
        self.cond_gain_dense = nn.Linear(COND, 1)
        self.fwc0 = FramewiseConv(CONV_INPUT, CONV_OUTPUT)
        self.gru1 = nn.GRUCell(CONV_OUTPUT + past, GRU1, bias=False)
        self.gru2 = nn.GRUCell(GRU1 + past, GRU2, bias=False)
        self.gru3 = nn.GRUCell(GRU2 + past, GRU3, bias=False)
        self.gru1_glu = GatedUnit(GRU1)
        self.gru2_glu = GatedUnit(GRU2)
        self.gru3_glu = GatedUnit(GRU3)
        self.skip_glu = GatedUnit(SKIP)
        self.skip_dense = nn.Linear(GRU1 + GRU2 + GRU3 + CONV_OUTPUT + past, SKIP, bias=False)
        self.sig_dense_out = nn.Linear(SKIP, SUBFRAME, bias=False)
        self.gain_dense_out = nn.Linear(CONV_OUTPUT, 4)

    def normed_weights(self) -> NormedWeights:
        """Weight-normalised matrices; differentiable. They hold until the parameters change."""
        return NormedWeights(
            self.fwc0.conv.weight(),
            self.fwc0.glu.gate.weight(),
            self.gru1_glu.gate.weight(),
            self.gru2_glu.gate.weight(),
            self.gru3_glu.gate.weight(),
            self.skip_glu.gate.weight(),
        )

    def forward(
        self, cond: Tensor, index: Tensor, state: SubframeState, weights: NormedWeights, noisy: bool = False
    ) -> tuple[Tensor, SubframeState]:
        """Make one sub-frame: 40 pre-emphasised samples ``[B, 40]``; the state after them (``deemphasis`` as before).

        Args:
            cond: ``[B, 80]``.
            index: ``[B, 44] int64`` from :func:`gather_indices`.
            state: after the previous sub-frame; left unchanged.
            weights: of :meth:`normed_weights`.
            noisy: imitate int8 activations by noise.
        """
        cond = with_activation_noise(cond, noisy)
        gain = torch.exp(self.cond_gain_dense(cond))
        scale = 1.0 / (gain + GAIN_FLOOR)
        predicted = with_activation_noise(scale * torch.gather(state.memory, 1, index), noisy)
        previous = with_activation_noise(scale * state.memory[:, -SUBFRAME:], noisy)
        exact_lag = predicted[:, GUARD:-GUARD]

        conv_input = torch.cat((cond, predicted, previous), dim=1)
        y = torch.tanh(F.linear(torch.cat((state.conv_input, conv_input), dim=1), weights.conv))
        y = with_activation_noise(gated(y, weights.conv_gate), noisy)
        pitch_gates = torch.sigmoid(self.gain_dense_out(y))
        past = [torch.cat((pitch_gates[:, i : i + 1] * exact_lag, previous), dim=1) for i in range(4)]

        gru1 = self.gru1(torch.cat((y, past[0]), dim=1), state.gru1)
        o1 = with_activation_noise(gated(with_activation_noise(gru1, noisy), weights.gru1_gate), noisy)
        gru2 = self.gru2(torch.cat((o1, past[1]), dim=1), state.gru2)
        o2 = with_activation_noise(gated(with_activation_noise(gru2, noisy), weights.gru2_gate), noisy)
        gru3 = self.gru3(torch.cat((o2, past[2]), dim=1), state.gru3)
        o3 = with_activation_noise(gated(with_activation_noise(gru3, noisy), weights.gru3_gate), noisy)

        skip = torch.tanh(self.skip_dense(torch.cat((o1, o2, o3, y, past[3]), dim=1)))
        skip = gated(with_activation_noise(skip, noisy), weights.skip_gate)
        samples = gain * torch.tanh(self.sig_dense_out(skip))
        memory = torch.cat((state.memory[:, SUBFRAME:], samples), dim=1)
        return samples, SubframeState(memory, conv_input, gru1, gru2, gru3, state.deemphasis)


class FARGAN(VocoderNetwork):
    """The vocoder as a differentiable network; :mod:`aether_lite.vocoder.synthesis` synthesises with it.

    Args:
        cond_size, gamma: carried in public checkpoints; without effect on the network.
        softquant: the public trainer's weight noise; kept, without effect here.

    In training mode (:meth:`train`) activations carry the noise of
    :func:`with_activation_noise`; in evaluation mode two runs are identical.
    """

    kind = "fargan"
    first_row = FIRST_ROW
    context_rows = CONTEXT_ROWS

    def __init__(self, cond_size: int = 256, gamma: float | None = 0.9, softquant: bool = False) -> None:
        super().__init__()
        self.model_kwargs = {"cond_size": cond_size, "gamma": gamma, "softquant": softquant}
        self.cond_net = ConditioningNet()
        self.sig_net = SubframeNet()

    def forward(self, features: Tensor, period: Tensor, num_frames: int, pre: Tensor | None = None) -> Tensor:
        """Synthesise frames ``[B, 160 * num_frames]``, pre-emphasised, primed by known samples if there are any.

        Frame ``n`` (0 is the first known frame, or without ``pre`` the first made one) belongs to feature row ``n +
        3``; rows ``n + 2 .. n + 4`` are seen.

        Args:
            features: ``[B, T, 20]`` with ``T >= known frames + num_frames + 4``.
            period: ``[B, T] int64`` in 32..255 [samples], see :func:`periods_from_features`.
            pre: known pre-emphasised samples ``[B, 160 k]``, not part of the result. The first frame only fills the
                memory; in the others the network runs and its samples are replaced by the known ones.

        Raises:
            ValueError: shapes that do not fit each other.
        """
        known = 0 if pre is None else pre.shape[-1] // FRAME
        needed = known + num_frames + CONTEXT_ROWS
        if features.ndim != 3 or features.shape[2] != NUM_FREE or features.shape[1] < needed:
            raise ValueError(
                f"features must be [B, >= {needed}, {NUM_FREE}] for {num_frames} frames, not {tuple(features.shape)}"
            )
        if period.shape != features.shape[:2]:
            raise ValueError(f"period must be {tuple(features.shape[:2])}, not {tuple(period.shape)}")
        if pre is not None and tuple(pre.shape) != (features.shape[0], known * FRAME):
            raise ValueError(f"pre must be [B, a multiple of {FRAME}], not {tuple(pre.shape)}")

        cond = self.cond_net(features[:, 2:needed], period[:, 2:needed])
        index = gather_indices(period[:, 3 : needed - 1])
        weights = self.sig_net.normed_weights()
        state = SubframeState.zeros(features.shape[0], cond)
        if pre is not None and known:
            state.memory = torch.cat((state.memory[:, FRAME:], pre[:, :FRAME]), dim=1)
        made = []
        for n in range(min(known, 1), known + num_frames):
            for k in range(SUBFRAMES):
                samples, state = self.sig_net(cond[:, n, k], index[:, n], state, weights, self.training)
                if pre is not None and n < known:
                    start = n * FRAME + k * SUBFRAME
                    truth = pre[:, start : start + SUBFRAME]
                    state.memory = torch.cat((state.memory[:, :-SUBFRAME], truth), dim=1)
                else:
                    made.append(samples)
        return torch.cat(made, dim=1) if made else cond.new_zeros(features.shape[0], 0)


def deemphasize(signal: Tensor, memory: Tensor | None = None) -> Tensor:
    """Undo the pre-emphasis of ``y[n] = x[n] - 0.85 x[n-1]`` in ``signal [B, N]``; differentiable.

    ``memory [B]`` is the output sample before the first; zero without it. Each frame of 160 samples is a product with a
    triangular matrix, plus the decaying last sample of the frame before. What lies further back has decayed by
    ``0.85^160 = 5e-12``, less than float32 resolves.
    """
    length = signal.shape[1]
    if length == 0:
        return signal
    frames = torch.unflatten(F.pad(signal, (0, -length % FRAME)), 1, (-1, FRAME))
    response, decay = _responses(signal.dtype, signal.device)
    within = frames @ response
    first = signal.new_zeros(signal.shape[0]) if memory is None else memory
    before = torch.cat((first[:, None], within[:, :-1, -1]), dim=1)
    return (within + before[..., None] * decay).flatten(1)[:, :length]


def emphasised_frames(speech: Tensor, row: int, frames: int) -> Tensor:
    """Pre-emphasised speech ``[..., 160 * frames]`` of the frames that belong to feature rows from ``row`` >= 0 on.

    Row t's frame is ``[160 t - 80, 160 t + 80)`` of ``speech [..., N]``, which begins at row 0's centre. Beyond its
    ends there is silence.
    """
    first = row * FRAME - FRAME // 2
    before, after = max(0, 1 - first), max(0, first + frames * FRAME - speech.shape[-1])
    start = first - 1 + before
    piece = F.pad(speech, (before, after))[..., start : start + frames * FRAME + 1]
    return piece[..., 1:] - PREEMPHASIS * piece[..., :-1]


@cache
def _responses(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Effect of each sample on the frame ``[160, 160]``, and of the sample before the frame ``[160]``."""
    with torch.inference_mode(False), torch.no_grad():  # the cached tensors must serve training too
        position = torch.arange(FRAME, device=device)
        age = position - position[:, None]
        response = (PREEMPHASIS ** age.to(dtype)).triu()
        return response, PREEMPHASIS ** (position + 1).to(dtype)
