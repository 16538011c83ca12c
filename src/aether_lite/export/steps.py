"""One token, or one frame, at a time with all state in the open.

The steps wrap the codec's and the vocoder's own modules; shapes are fixed and there is no batch dimension except in
the states, which are those of the modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from aether_lite.codec import SpiCodec
from aether_lite.features.layout import FRAME, NUM_FREE
from aether_lite.hash import BITS_PER_SYMBOL, signs
from aether_lite.jscc import held, paired, scaled
from aether_lite.payload import BIT_RATES, RATES, ChannelState, Received, ReceivedBits, elements_per_token
from aether_lite.reception import accepted, level_tokens
from aether_lite.vocoder import FARGAN, SubframeState, deemphasize, periods_from_features
from aether_lite.vocoder.fargan import PRIMING_ROWS, SUBFRAME, SUBFRAMES, NormedWeights, gather_indices


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


class _Encoder(Step):
    """What encoder steps of symbols and of bits share; ``kept``: states before those of the network."""

    def __init__(self, model: SpiCodec, told: tuple[Port, ...], sent: Port, *kept: Tensor) -> None:
        super().__init__()
        self.model, self.kept = model, len(kept)
        features = Port("features", _rows(model), torch.float32, "feature rows of the token, columns 0..19")
        self.inputs, self.outputs = (features, _rate_port(model), *told), (sent,)
        with torch.no_grad():
            _, states = model.spi_encoder(torch.zeros(1, *_rows(model)))
        self.states = _state_ports((*kept, *states))

    def latents(
        self, features: Tensor, target_snr_db: Tensor | None, states: Sequence[Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        image = self.model.image(features[None])
        tokens, new_states = self.model.spi_encoder(image, states[self.kept :])
        return self.model.map_tokens(image, tokens, target_snr_db), new_states


class EncoderStep(_Encoder):
    """Features of one token -> symbols of one token."""

    def __init__(self, model: SpiCodec) -> None:
        model.check_targets()
        meaning = "I and Q; the first uses_per_token[rate] are sent, at nominal energy 1; the others are 0"
        symbols = Port("symbols", (most_elements(model), 2), torch.float32, meaning)
        target = Port("target_snr_db", (1,), torch.float32, "Es/N0 the link is designed for [dB]; NaN encodes blind")
        super().__init__(model, (target,), symbols, *((torch.zeros(1),) if model.holds else ()))

    def forward(self, features: Tensor, rate: Tensor, target_snr_db: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """``features [8, 20]``, ``rate [1] int64``, ``target_snr_db [1]`` -> ``symbols [96, 2]`` and states."""
        latents, new_states = self.latents(features, target_snr_db[None], states)
        used = _used(self.model, rate)
        symbols = scaled(paired(latents), used, self.model.power_constraint(target_snr_db[0]))
        if self.model.holds:
            symbols, left = held(symbols, used, self.model.config.token_frames, states[0])
            new_states = (left, *new_states)
        return torch.view_as_real(symbols)[0, 0], *new_states


class BitEncoderStep(_Encoder):
    """Features of one token -> bits of one token."""

    def __init__(self, model: SpiCodec) -> None:
        meaning = "+1 or -1; the first bits_per_token[rate] are sent, the others are 0"
        super().__init__(model, (), Port("bits", (most_elements(model),), torch.float32, meaning))

    def forward(self, features: Tensor, rate: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """``features [8, 20]``, ``rate [1] int64`` -> ``bits [192]`` and states."""
        latents, new_states = self.latents(features, None, states)
        return (signs(latents) * _used(self.model, rate))[0, 0], *new_states


class _Decoder(Step):
    """What decoder steps of symbols and of bits share; ``levels``: states before those of the network."""

    def __init__(self, model: SpiCodec, received: Port, known: tuple[Port, ...], *levels: Port) -> None:
        super().__init__()
        self.model = model
        self.inputs = (received, _rate_port(model), *known)
        self.outputs = (Port("features", _rows(model), torch.float32, "feature rows, columns 0..19"),)
        with torch.no_grad():
            inputs = torch.zeros(1, 1, model.jscc_decoder.linear.in_features)
            *_, states = model.decode_image(inputs, inputs.new_zeros(1, 1, model.jscc_decoder.CONDITIONS))
        self.states = (*levels, *_state_ports(states))

    def decoded(
        self, everything: Received | ReceivedBits, rate: Tensor, levels: Tensor | None, states: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Features, new levels and states of what arrived at all positions, at ``rate`` [uses/s or bit/s]."""
        used = _used(self.model, rate)
        fit, new_levels = accepted(everything, levels, used)
        estimates = self.model.bottleneck.estimates(fit, self.model.power, used)
        per_second = rate / BITS_PER_SYMBOL if isinstance(fit, ReceivedBits) else rate
        inputs, conditions = self.model.jscc_decoder.decoder_inputs(replace(estimates, rates=per_second))
        image, _, new_states = self.model.decode_image(inputs, conditions, states)
        return self.model.image.to_features(image)[0], new_levels, new_states


class DecoderStep(_Decoder):
    """Received symbols of one token and channel state -> features of one token (with look-ahead: of the one before)."""

    def __init__(self, model: SpiCodec) -> None:
        pairs, frames = (most_elements(model), 2), model.config.token_frames
        meaning = "I and Q; positions from uses_per_token[rate] on are ignored"
        known = (
            Port("gain", pairs, torch.float32, "estimate of each symbol's complex gain h; NaN where unknown"),
            Port("noise_variance", (1,), torch.float32, "estimate of N0, in units of received energy; NaN if unknown"),
            Port("erased", (1,), torch.bool, "the token was lost; received and gain are then ignored"),
        )
        levels = Port("levels", (1, level_tokens(frames)), torch.float32, "power gains of past tokens")
        super().__init__(model, Port("received", pairs, torch.float32, meaning), known, levels)

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
        symbols = torch.view_as_complex(received[None, None])
        everything = Received(symbols, RATES[-1], known, self.model.config.token_frames)
        features, new_levels, new_states = self.decoded(everything, rate, levels, states)
        return features, new_levels, *new_states


class BitDecoderStep(_Decoder):
    """Soft bits of one token -> features of one token (with look-ahead: of the one before)."""

    def __init__(self, model: SpiCodec) -> None:
        meaning = "soft bits in -1..1, else the token counts as lost; from bits_per_token[rate] on they are ignored"
        erased = Port("erased", (1,), torch.bool, "the token was lost; received is then ignored")
        super().__init__(model, Port("received", (most_elements(model),), torch.float32, meaning), (erased,))

    def forward(self, received: Tensor, rate: Tensor, erased: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """``received [192]``, ``rate [1] int64``, ``erased [1] bool`` -> ``features [8, 20]`` and states."""
        soft, frames = received[None, None], self.model.config.token_frames
        everything = ReceivedBits(soft, BIT_RATES[-1], erased[None], frames)
        features, _, new_states = self.decoded(everything, rate, None, states)
        return features, *new_states


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
    bits = codec.config.hash
    steps: dict[str, Step] = {
        "encoder": BitEncoderStep(codec) if bits else EncoderStep(codec),
        "decoder": BitDecoderStep(codec) if bits else DecoderStep(codec),
        "vocoder": VocoderFrame(vocoder),
    }
    return {name: step.eval().requires_grad_(False) for name, step in steps.items()}


def most_elements(model: SpiCodec) -> int:
    """Symbols or bits of a token at the highest rate."""
    return int(elements_per_token(model.bottleneck.rates[-1], model.config.token_frames))


def _rows(model: SpiCodec) -> tuple[int, int]:
    """Shape of a token's features."""
    return model.config.token_frames, NUM_FREE


def _rate_port(model: SpiCodec) -> Port:
    rates = ", ".join(map(str, model.bottleneck.rates))
    return Port("rate", (1,), torch.int64, f"{model.bottleneck.unit}, one of {rates}")


def _state_ports(states: Sequence[Tensor]) -> tuple[Port, ...]:
    return tuple(
        Port(f"state_{number}", tuple(value.shape), value.dtype, "what the network remembers")
        for number, value in enumerate(states)
    )


def _used(model: SpiCodec, rate: Tensor) -> Tensor:
    """``[1, 1, n_max] bool``: what is sent of a token at ``rate [1] int64`` [uses/s or bit/s]."""
    count = torch.as_tensor(elements_per_token(rate, model.config.token_frames))
    return torch.arange(most_elements(model)) < count[:, None, None]
