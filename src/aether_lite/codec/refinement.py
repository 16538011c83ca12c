"""Refinement at the sender: symbols or bits of recorded speech, improved by descent through channel and decoder.

The encoder is feed-forward and never sees the decoder's output. Here its output is only the start: it goes through the
channel and the decoder, the decoded features are compared with the true ones, and the gradient moves what is sent
(Adam, with a rate that falls to zero)::

    goal = feature loss + 0.5 envelope loss + 0.1 voicing loss + w ASR loss

(:mod:`aether_lite.losses`). Decoder and formats stay what they are. By features alone a refinement finds less feature
loss and fewer words. Where it is given the speech itself, the recogniser's states of decoded features are compared with
those of the recording (w = 2), so that it makes up for what features leave out and the vocoder loses; with features
alone, with those of the true ones (w = 1). Speech is refined in windows that see a little further than they decide:
memory is bounded, and a stream gets what the whole would get. Results may differ between machines; what a decoder makes
of them does not.

Symbols are refined for white noise of a known level. Every step draws new noise, so the last symbols count and not the
best, and they spend the power of the encoder's own: in every window, or in every token where that is the codec's
constraint. Bits are refined for a channel without errors, and the best bits seen count; what moves are the scaled
latents of the encoder, whose gradient goes straight through the thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aether_lite.channels import awgn
from aether_lite.channels.channel import seeded
from aether_lite.codec.base import AHEAD, WINDOW
from aether_lite.codec.model import SpiCodec
from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME, NUM_FREE
from aether_lite.hash import on_sphere, signs
from aether_lite.losses.asr import AsrLoss, log_mel_spectra, state_distance
from aether_lite.losses.feature import SEGMENT, envelope_loss, feature_loss, voicing_loss
from aether_lite.losses.whisper import FRAMES_PER_STATE
from aether_lite.payload import Received, ReceivedBits, Symbols, checked_rate, elements_per_token
from aether_lite.spi import State

ENVELOPE, VOICING = 0.5, 0.1  # weights of losses, that of features being 1
TO_FEATURES, TO_SPEECH = 1.0, 2.0  # of the ASR loss: distance to the states of true features or of the recording
BEFORE = 96  # decoded frames that are compared before them
NOISE_SEED, NOISE_STREAM = 0, 4  # of the noise that symbols are refined for, which is never that of the channel


@dataclass(frozen=True)
class Settings:
    """How one kind of payload is refined.

    Attributes:
        learning_rate, betas: of Adam.
    """

    steps: int  # where none are asked for
    learning_rate: float
    betas: tuple[float, float]
    noisy: bool  # the same values are received differently at every step, so that the last count and not the best
    every_block: bool  # the states behind every block of the recogniser count, or those behind its last alone


SETTINGS = {
    "uses/s": Settings(100, 0.05, (0.6, 0.9), noisy=True, every_block=True),
    "bit/s": Settings(20, 0.1, (0.8, 0.95), noisy=False, every_block=False),
}
"""By the unit of a codec's rates. 40 steps for bits make the goal 1 % smaller, 40 for symbols leave a tenth more."""


@dataclass(frozen=True)
class Goal:
    """What a refinement minimises, for true features ``[1, F, 20]`` of speech ``[1, 160 F]`` in [-1, 1] or None.

    ``before [1, N, 20]`` are decoded features of the first N of these frames, already decided.
    """

    asr_loss: AsrLoss
    true: Tensor
    speech: Tensor | None
    before: Tensor
    every_block: bool

    @torch.no_grad()
    def wanted(self) -> Tensor:
        """The states to come near to: the recogniser's of the recording or of the true features."""
        if self.speech is None:
            return self.states(self.true)
        frames = self._whole_states
        return self._counted(self.asr_loss.states_of_spectra(log_mel_spectra(self.speech[:, : frames * FRAME], frames)))

    def states(self, features: Tensor) -> Tensor:
        """The recogniser's states of features ``[1, F, 20]``."""
        return self._counted(self.asr_loss.states(features[:, : self._whole_states]))

    def _counted(self, states: Tensor) -> Tensor:
        return states if self.every_block else self.asr_loss.last(states)

    @property
    def _whole_states(self) -> int:
        """Frames that make whole states."""
        return self.true.shape[1] // FRAMES_PER_STATE * FRAMES_PER_STATE

    def distance(self, decoded: Tensor, wanted: Tensor) -> Tensor:
        """The goal, a scalar, of decoded features ``[1, F - N, 20]`` whose states should be those of :meth:`wanted`."""
        made = torch.cat([self.before, decoded], 1)
        loss = feature_loss(made, self.true) + VOICING * voicing_loss(made, self.true)
        weight = TO_FEATURES if self.speech is None else TO_SPEECH
        loss = loss + weight * state_distance(self.states(made), wanted)
        if made.shape[1] >= SEGMENT:
            loss = loss + ENVELOPE * envelope_loss(made, self.true)
        return loss.sum()


class Refinement:
    """One stream of features to symbols or bits.

    Args:
        model: the codec, in evaluation mode.
        asr_loss: frozen, see :func:`aether_lite.losses.asr.load_asr_loss`.
        rate: one of the codec's.
        steps: 0 or more, each about as expensive as decoding the speech once; None for those of :data:`SETTINGS`.
        target_snr_db: Es/N0 [dB] that symbols are refined for, the encoder's target too; None for bits.

    Raises:
        AetherError: an unknown rate, symbols without a target SNR, or a codec that has none.
    """

    def __init__(
        self,
        model: SpiCodec,
        asr_loss: AsrLoss,
        rate: int,
        steps: int | None = None,
        target_snr_db: float | None = None,
    ) -> None:
        unit, rates = model.bottleneck.unit, model.bottleneck.rates
        self._bits = unit != Symbols.unit
        self._rate = checked_rate(rate, rates, unit)
        if target_snr_db is not None:
            model.check_targets()
        elif not self._bits:
            raise AetherError("a refinement of symbols needs the SNR that they are for (target_snr_db)")
        self._settings = SETTINGS[unit]
        self._model, self._asr_loss = model, asr_loss
        self._steps = self._settings.steps if steps is None else steps
        self._target_snr_db = target_snr_db
        self._frames = model.config.token_frames
        self._window, self._ahead = WINDOW // self._frames, AHEAD // self._frames
        self._elements = elements_per_token(rate, self._frames)
        dtype = torch.float32 if self._bits else torch.complex64
        self.none = torch.zeros(1, 0, self._elements, dtype=dtype)  # what is sent of no token
        self.reset()

    def reset(self) -> None:
        """Forget all features: the next are the first of a new stream."""
        rows = torch.zeros(1, 0, NUM_FREE + FRAME)  # true features and the samples of their frames, NaN if not known
        self._waiting = rows  # of tokens that are not decided
        self._proposals = self.none  # and what the encoder makes of them
        self._undecoded = rows  # of tokens that are decided, and not yet decoded
        self._before = (rows[..., :NUM_FREE], rows)  # decoded features, and what is true
        self._encoder: State | None = None
        self._decoder: State | None = None
        self._noise = seeded(NOISE_SEED, NOISE_STREAM)

    @torch.inference_mode(False)
    def push(self, features: Tensor, speech: Tensor | None = None) -> Tensor:
        """What is sent ``[1, K, n]`` of the tokens decided now; takes whole tokens of features ``[1, F, 20]``.

        ``speech [1, 160 F]`` in [-1, 1] is what they are of; None where it is not known.
        """
        samples = torch.full((1, features.shape[1], FRAME), torch.nan)
        if speech is not None:
            samples = speech.view(1, -1, FRAME)
        for token in torch.split(torch.cat([features, samples], 2), self._frames, dim=1):
            with torch.no_grad():
                proposal = self._proposed(token[..., :NUM_FREE])
            self._waiting = torch.cat([self._waiting, token], 1)
            self._proposals = torch.cat([self._proposals, proposal], 1)
        decided = [self.none]
        while self._proposals.shape[1] >= self._window + self._ahead:
            decided.append(self._decided())
        return torch.cat(decided, 1)

    @torch.inference_mode(False)
    def flush(self) -> Tensor:
        """What is sent ``[1, K, n]`` of the tokens that are left; the stream ends."""
        values = self.none
        if self._proposals.shape[1]:
            values = self._found(torch.cat([self._undecoded, self._waiting], 1), self._proposals, end=True)
        self.reset()
        return values

    def each(self, features: Tensor, speech: Tensor | None = None) -> Tensor:
        """What is sent ``[B, K, n]`` of whole clips ``[B, F, 20]``, of speech ``[B, 160 F]``, one after the other."""
        found = []
        for item in range(len(features)):
            one = slice(item, item + 1)
            pushed = self.push(features[one], None if speech is None else speech[one])
            found.append(torch.cat([pushed, self.flush()], 1))
        return torch.cat(found)

    def _proposed(self, features: Tensor) -> Tensor:
        """The encoder's proposal ``[1, 1, n]`` for a token: symbols, or scaled latents."""
        if not self._bits:
            sent, self._encoder = self._model.encode(features, self._rate, self._target_snr_db, self._encoder)
            return torch.as_tensor(sent.values)
        latents, self._encoder = self._model.latents(features, None, self._encoder)
        return on_sphere(latents.float())[..., : self._elements]

    def _sent(self, moved: Tensor, proposals: Tensor) -> Tensor:
        """What is sent where proposals have moved, with a gradient: bits, or symbols of the proposals' power."""
        if self._bits:
            smooth = torch.tanh(moved)
            return signs(moved) + (smooth - smooth.detach())
        over = (1, 2) if self._model.long_term else 2
        pieces = []
        for now, first in zip(*(torch.split(each, self._window, 1) for each in (moved, proposals)), strict=True):
            power, allowed = (each.abs().square().mean(over, keepdim=True) for each in (now, first))
            pieces.append(now * (allowed / power.clamp_min(torch.finfo(power.dtype).tiny)).sqrt())
        return torch.cat(pieces, 1)

    def _decoded(self, values: Tensor, end: bool) -> tuple[Tensor, State]:
        """Features that values ``[1, K, n]`` add, with a gradient, and the decoder's state; ``end``: none follow."""
        model = self._model
        received: Received | ReceivedBits
        if self._bits:
            erased = torch.zeros(values.shape[:2], dtype=torch.bool)
            received = ReceivedBits(values, self._rate, erased, self._frames)
        else:
            assert self._target_snr_db is not None
            symbols = Symbols(values, self._rate, self._frames)
            received = awgn(symbols, self._target_snr_db, generator=self._noise)
        estimates = model.bottleneck.estimates(model.ended(received) if end else received, model.power)
        image, _, state = model.decode_image(*model.jscc_decoder.decoder_inputs(estimates), self._decoder)
        first = model.config.lookahead * self._frames if self._decoder is None else 0
        return model.image.to_features(image)[:, first:], state

    def _decided(self) -> Tensor:
        """Refine the tokens of a window and those behind it, and decide the window."""
        late = self._model.config.lookahead * self._frames
        seen = self._window + self._ahead
        true = torch.cat([self._undecoded, self._waiting[:, : seen * self._frames]], 1)
        found = self._found(true[:, : true.shape[1] - late], self._proposals[:, :seen], end=False)
        values = found[:, : self._window]
        with torch.no_grad():
            decoded, self._decoder = self._decoded(values, end=False)
        before, true_before = self._before
        made = torch.cat([before, decoded], 1)
        known = torch.cat([true_before, true], 1)[:, : made.shape[1]]
        self._before = (made[:, -BEFORE:], known[:, -BEFORE:])
        self._undecoded = true[:, decoded.shape[1] : decoded.shape[1] + late]
        self._waiting = self._waiting[:, self._window * self._frames :]
        self._proposals = self._proposals[:, self._window :]
        return values

    @torch.enable_grad()
    def _found(self, true: Tensor, proposals: Tensor, end: bool) -> Tensor:
        """What descent from proposals ``[1, K, n]`` finds for true rows ``[1, F, 180]``."""
        settings, (before, true_before) = self._settings, self._before
        rows = torch.cat([true_before, true], 1)
        features, samples = rows[..., :NUM_FREE], rows[..., NUM_FREE:]
        speech = None if samples.isnan().any() else samples.flatten(1)
        goal = Goal(self._asr_loss, features, speech, before, settings.every_block)
        wanted = goal.wanted()
        moved = proposals.clone().requires_grad_(True)
        adam = torch.optim.Adam([moved], lr=settings.learning_rate, betas=settings.betas)
        least, best = float("inf"), self._sent(moved, proposals).detach()
        for step in range(self._steps + 1):
            values = self._sent(moved, proposals)
            distance = goal.distance(self._decoded(values, end)[0], wanted)
            if (value := float(distance.detach())) < least or settings.noisy:
                least, best = value, values.detach()
            if step == self._steps:
                break
            (moved.grad,) = torch.autograd.grad(distance, moved)
            adam.param_groups[0]["lr"] = settings.learning_rate * (1 - step / self._steps)
            adam.step()
        return best
