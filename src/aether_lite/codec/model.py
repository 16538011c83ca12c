"""Learned codec: features -> what crosses the channel, what arrives -> features.

    features -> speech image -> SPI encoder -> mapping -> bottleneck -> Symbols or Bits ~ channel ~ .
    features <- speech image <- SPI decoder <- mapping <- bottleneck <- Received or ReceivedBits <--'

Codecs of symbols and of bits differ in the bottleneck alone (:mod:`aether_lite.jscc`,
:mod:`aether_lite.hash`). ``forward`` is training (both directions through a given channel); ``encode`` and
``decode`` are the wire, and nothing passes between them but a payload through a channel. What these two spend their
time on, the networks between features and latents, may be computed by another :class:`Backend`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from aether_lite.codec.base import check_received
from aether_lite.codec.config import CodecConfig
from aether_lite.errors import AetherError
from aether_lite.hash import BitBottleneck
from aether_lite.jscc import (
    LatentPower,
    LinearPath,
    MappingDecoder,
    MappingEncoder,
    SymbolBottleneck,
    first_pairs,
    held,
)
from aether_lite.payload import (
    TARGET_SNRS_DB,
    Arrived,
    Bits,
    Received,
    ReceivedBits,
    Symbols,
    elements_per_token,
)
from aether_lite.reception import accepted
from aether_lite.spi import Lookahead, SemanticHead, Semantics, SpeechImage, SpiDecoder, SpiEncoder, State

BLOCK_TOKENS = 250  # decoded at a time, 10 or 20 s: bounds the memory of long speech

Channel = Callable[[Any], Received | ReceivedBits]
"""From the symbols or bits of a codec to what arrives."""


class Backend(Protocol):
    """Networks between features and latents, the same for symbols and bits.

    States mean the same in every implementation: one can go on where another stopped. Inputs and states are left
    unchanged.
    """

    def latents(
        self, features: Tensor, target_snr_db: float | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Ordered latents ``[B, K, 2 n_max]`` of ``features [B, F, 20]`` of whole tokens, and the state after them.

        Args:
            target_snr_db: Es/N0 the link is designed for [dB]; None encodes blind.
            state: of the last call; None at the beginning.
        """

    def reconstruct(self, inputs: Tensor, conditions: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Features ``[B, F, 20]`` of whole tokens, and the state after them.

        A codec that looks ahead gives the features of the token before: from the beginning the first token's are of
        nothing. ``inputs`` and ``conditions`` are those of
        :meth:`aether_lite.jscc.MappingDecoder.decoder_inputs`.
        """


@dataclass(frozen=True)
class Transmission:
    """What training sees of one pass.

    Attributes:
        features: decoded features ``[B, F, 20]``, within their ranges.
        image: decoded normalised speech image ``[B, F, 20]``, unbounded.
        target_image: normalised image of the input ``[B, F, 20]``.
        sent: symbols or bits.
        latents: ``[B, K, 2 n_max]``, which they were made of.
        encoder_semantics, decoder_semantics: semantic read-outs on both sides.
    """

    features: Tensor
    image: Tensor
    target_image: Tensor
    sent: Symbols | Bits
    latents: Tensor
    encoder_semantics: Semantics
    decoder_semantics: Semantics


class SpiCodec(nn.Module):
    """Speech-image codec over features ``[B, F, 20]``; F is a whole number of tokens.

    Args:
        config: sizes, and whether it sends symbols or bits.

    Attributes:
        bottleneck: between latents and payload.
        latent_power: mean squares of the latents of a codec of symbols, where it knows them.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        width, frames = config.width, config.token_frames
        self.image = SpeechImage()
        self.spi_encoder = SpiEncoder(width, config.channels, config.encoder_blocks, frames, config.expansion)
        self.spi_decoder = SpiDecoder(width, config.channels, config.decoder_blocks, frames, config.expansion)
        self.jscc_encoder = MappingEncoder(width, frames)
        self.jscc_decoder = MappingDecoder(width, frames)
        self.encoder_head = SemanticHead(width, frames)
        self.decoder_head = SemanticHead(width, frames)
        latents = 2 * self.jscc_encoder.max_uses
        self.linear = LinearPath(frames, latents) if config.linear else None
        self.ahead = Lookahead(width) if config.lookahead else None
        self.bottleneck: Any = BitBottleneck() if config.hash else SymbolBottleneck()
        self.long_term = config.power != "token" and not config.hash
        self.holds = config.power == "held" and not config.hash
        known = self.long_term or (config.linear and not config.hash)
        self.latent_power = LatentPower(latents) if known else None

    @torch.no_grad()
    def measure_power(self, features: Tensor) -> None:
        """Set the constants of the power constraint from ``features [B, F, 20]`` of whole tokens."""
        if self.latent_power is None:
            return
        image = self.image(features)
        tokens, _ = self.spi_encoder(image)

        def mean_squares(target_snr_db: float) -> Tensor:
            target = torch.full(tokens.shape[:2], target_snr_db, device=tokens.device)
            return self.map_tokens(image, tokens, target).square().mean((0, 1))

        self.latent_power.set(mean_squares(math.nan), [mean_squares(snr_db) for snr_db in TARGET_SNRS_DB])

    def forward(
        self, features: Tensor, rate: int | Tensor, channel: Channel, target_snr_db: Tensor | None = None
    ) -> Transmission:
        """Send ``features [B, F, 20]`` at ``rate`` [uses/s or bit/s] through ``channel``.

        Args:
            rate: one, or ``[B] int64``.
            target_snr_db: ``[B]`` target SNR of the encoder [dB]; NaN items and None encode blind.
        """
        image = self.image(features)
        tokens, _ = self.spi_encoder(image)
        if target_snr_db is not None:
            target_snr_db = target_snr_db[:, None].expand(tokens.shape[:2])
        latents = self.map_tokens(image, tokens, target_snr_db)
        power = self.power
        if self.training and self.latent_power is not None:
            power = self.latent_power.followed(latents)
        sent = self.bottleneck.send(latents, rate, self.config.token_frames, power if self.long_term else None)
        if self.holds:
            sent = replace(sent, values=held(sent.values, sent.used, self.config.token_frames)[0])
        received, _ = accepted(self.ended(channel(sent)))
        inputs = self._decoder_inputs(received, None if power is None else power.detach())
        decoded, refined, _ = self.decode_image(*inputs)
        late = self.config.lookahead
        decoded, refined = decoded[:, late * self.config.token_frames :], refined[:, late:]
        return Transmission(
            features=self.image.to_features(decoded),
            image=decoded,
            target_image=image,
            sent=sent,
            latents=latents,
            encoder_semantics=self.encoder_head(tokens),
            decoder_semantics=self.decoder_head(refined),
        )

    @torch.no_grad()
    def latents(
        self, features: Tensor, target_snr_db: float | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """See :class:`Backend`."""
        image = self.image(features)
        tokens, new_state = self.spi_encoder(image, state)
        target = None
        if target_snr_db is not None:
            target = torch.full(tokens.shape[:2], float(target_snr_db), device=tokens.device)
        return self.map_tokens(image, tokens, target), new_state

    @torch.no_grad()
    def reconstruct(self, inputs: Tensor, conditions: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See :class:`Backend`."""
        image, _, new_state = self.decode_image(inputs, conditions, state)
        return self.image.to_features(image), new_state

    def map_tokens(self, image: Tensor, tokens: Tensor, target_snr_db: Tensor | None = None) -> Tensor:
        """Ordered latents ``[B, K, 2 n_max]`` of a normalised image ``[B, F, 20]`` and its tokens ``[B, K, d]``.

        ``target_snr_db [B, K]`` is the Es/N0 the link is designed for [dB]; None (or NaN) encodes blind.
        """
        latents: Tensor = self.jscc_encoder(tokens, target_snr_db)
        return latents if self.linear is None else latents + self.linear.latents(image)

    def decode_image(
        self, inputs: Tensor, conditions: Tensor, state: State | None = None
    ) -> tuple[Tensor, Tensor, State]:
        """Normalised image ``[B, F, 20]``, refined tokens ``[B, K, d]`` and new state, with a gradient; arguments as
        :meth:`reconstruct`."""
        tokens = self.jscc_decoder(inputs, conditions)
        waiting: State = ()
        if self.ahead is not None:
            tokens, inputs, waiting = self.ahead(tokens, inputs, state)
            state = None if state is None else state[Lookahead.KEPT :]
        image, refined, new_state = self.spi_decoder(tokens, state)
        image = image if self.linear is None else image + self.linear.image(inputs)
        return image, refined, waiting + new_state

    @property
    def power(self) -> Tensor | None:
        """Mean squares ``[2 n_max]`` of the latents, where the codec knows them."""
        return None if self.latent_power is None else self.latent_power.values

    def check_targets(self) -> None:
        """Refuse a codec that sends bits, or whose power was never measured for target SNRs."""
        if self.config.hash:
            raise AetherError("a hash codec encodes for any channel: it has no target SNR")
        if self.long_term and self.latent_power is not None:
            self.latent_power.check_targets()

    def power_constraint(self, target_snr_db: Tensor) -> Tensor | None:
        """Mean squares ``[2 n_max]`` that symbols are scaled by for ``target_snr_db []`` [dB]; NaN: blind."""
        return self.latent_power.at(target_snr_db) if self.long_term and self.latent_power is not None else None

    def symbol_power(self, rate: int) -> Tensor | None:
        """Mean power over speech of every symbol of a token ``[n]`` at ``rate`` [uses/s]; None where tokens hold 1."""
        if not self.long_term or self.power is None:
            return None
        each = first_pairs(self.power, elements_per_token(rate, self.config.token_frames)).sum(-1)
        return each / each.mean()

    @torch.no_grad()
    def encode(
        self,
        features: Tensor,
        rate: int,
        target_snr_db: float | None = None,
        state: State | None = None,
        backend: Backend | None = None,
    ) -> tuple[Any, State]:
        """Symbols or bits of ``features [B, F, 20]`` and the encoder's state after them (pass it on to continue).

        A latent within rounding of its threshold may give the other bit in a batch of another size or with another
        backend; :meth:`~aether_lite.codec.codec.Codec.encode_features` rules that out. A target SNR needs
        :meth:`check_targets`.
        """
        power = self.power if self.long_term else None
        if target_snr_db is not None:
            self.check_targets()
            power = self.power_constraint(torch.tensor(float(target_snr_db)))
        saved: Tensor | None = None
        if self.holds and state is not None:
            saved, state = state[0], state[1:]
        latents, new_state = (backend or self).latents(features, target_snr_db, state)
        sent = self.bottleneck.send(latents, rate, self.config.token_frames, power)
        if self.holds:
            values, saved = held(sent.values, sent.used, self.config.token_frames, saved)
            sent, new_state = replace(sent, values=values), (saved, *new_state)
        return sent, new_state

    @torch.no_grad()
    def decode(
        self, received: Received | ReceivedBits, state: State | None = None, backend: Backend | None = None
    ) -> tuple[Tensor, State]:
        """Features ``[B, K * token_frames, 20]`` of whole received tokens, and the decoder's state after them.

        Where the decoder looks ahead they are those of the token before; :meth:`decode_clip` aligns a whole clip.
        Values and units may be any, see :mod:`aether_lite.reception`, whose levels come first in the state.
        Raises AetherError if what was received is not for this codec, or crossed no channel.
        """
        self.check_received(received)
        received, levels = accepted(received, None if state is None else state[0])
        features, after = self.decode_accepted(received, None if state is None else state[1:], backend)
        return features, (levels, *after)

    @torch.no_grad()
    def decode_accepted(
        self, received: Received | ReceivedBits, state: State | None = None, backend: Backend | None = None
    ) -> tuple[Tensor, State]:
        """:meth:`decode` of what :func:`aether_lite.reception.accepted` gave, with a state that has no levels."""
        return (backend or self).reconstruct(*self._decoder_inputs(received, self.power), state)

    def decode_clip(self, received: Received | ReceivedBits) -> Tensor:
        """Features ``[B, K * token_frames, 20]`` of a whole clip, aligned with those sent; errors as :meth:`decode`."""
        frames, late = self.config.token_frames, self.config.lookahead
        self.check_received(received)
        if received.token_frames != frames:
            raise AetherError(
                f"what was received comes in tokens of {received.token_frames} frames, this codec's are {frames}"
            )
        received, state, pieces = self.ended(received), None, []
        for start in range(0, received.values.shape[1], BLOCK_TOKENS):
            features, state = self.decode(received.tokens(slice(start, start + BLOCK_TOKENS)), state)
            pieces.append(features)
        return torch.cat(pieces, dim=1)[:, late * frames :]

    def ended(self, received: Arrived) -> Arrived:
        """A whole clip for a decoder that looks ahead: a lost token follows the last."""
        return received.with_lost_token() if self.config.lookahead else received

    def _decoder_inputs(self, received: Received | ReceivedBits, power: Tensor | None) -> tuple[Tensor, Tensor]:
        self.check_received(received)
        return self.jscc_decoder.decoder_inputs(self.bottleneck.estimates(received, power))

    def check_received(self, received: object) -> None:
        """Refuse what is not received, or not for this codec."""
        check_received(received, bool(self.config.hash))
