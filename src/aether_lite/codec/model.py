"""The learned part of the chain: features -> what crosses the channel, what arrives -> features.

    features -> speech image -> SPI encoder -> JSCC encoder -> Symbols ~ channel ~ Received
    features <- speech image <- SPI decoder <- JSCC decoder <---------------------------'

A hash codec has the same parts around one bit per latent: ``Bits ~ binary channel ~ ReceivedBits``. This module has
what both share; :mod:`~aether_lite.codec.symbol_model` and :mod:`~aether_lite.codec.bit_model` have the rest.

``forward`` is training (both directions through a given channel); ``encode`` and ``decode`` are the wire, and
nothing passes between them but :class:`~aether_lite.payload.Symbols` (or
:class:`~aether_lite.payload.Bits`) through a channel. What these two spend their time on, the networks between
features and latents, can be lent to other code that computes the same (:class:`Steps`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from aether_lite.codec.presets import CodecConfig
from aether_lite.jscc.linear import LinearPath
from aether_lite.jscc.mapping import MappingDecoder, MappingEncoder
from aether_lite.payload import Bits, Received, ReceivedBits, Symbols
from aether_lite.spi import (
    FlatDecoder,
    FlatEncoder,
    SemanticHead,
    Semantics,
    SpeechImage,
    SpiDecoder,
    SpiEncoder,
    State,
)
from aether_lite.spi.lookahead import KEPT, Lookahead

BESIDE_LINEAR = 0.1  # initial weights of the networks' last layers where a linear path lies beside them

Sent = TypeVar("Sent", Symbols, Bits)
Arrived = TypeVar("Arrived", Received, ReceivedBits)

Mapping = Callable[[CodecConfig], tuple[MappingEncoder, MappingDecoder]]


class Steps(Protocol):
    """The networks between features and latents, the same for symbols and bits.

    States mean the same in every implementation: one can go on where another stopped. Inputs and states are left
    unchanged.
    """

    def latents(
        self, features: Tensor, target_snr_db: float | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Ordered latents ``[B, K, 2 n_max]`` of ``features [B, F, 20]``, and the state after them.

        Args:
            features: of whole tokens.
            target_snr_db: Es/N0 the link is designed for [dB]; None encodes blind.
            state: of the last call; None at the beginning.
        """

    def heard(self, planes: Tensor, conditions: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Features ``[B, F, 20]`` of what was received, and the state after them.

        A codec that looks ahead gives the features of the token before: from the beginning the first token's are of
        nothing.

        Args:
            planes: ``[B, K, 3 n_max]``, see :meth:`aether_lite.jscc.mapping.MappingDecoder.planes`.
            conditions: ``[B, K, 4]``.
            state: of the last call; None at the beginning.
        """


@dataclass(frozen=True)
class Transmission(Generic[Sent]):
    """What training sees of one pass.

    Attributes:
        features: decoded features ``[B, F, 20]``, within their ranges.
        image: decoded normalised speech image ``[B, F, 20]``, unbounded.
        target_image: normalised image of the input ``[B, F, 20]``.
        symbols: what was sent.
        encoder_semantics, decoder_semantics: semantic read-outs on both sides.
        hashed: latents and all their bits, each ``[B, K, d]``, of a hash codec; for the penalties of training.
    """

    features: Tensor
    image: Tensor
    target_image: Tensor
    symbols: Sent
    encoder_semantics: Semantics
    decoder_semantics: Semantics
    hashed: tuple[Tensor, Tensor] | None = None


class SpeechImageCodec(nn.Module):
    """What codecs of symbols and of bits share, over features ``[B, F, 20]``; F is a whole number of tokens.

    Its own layers are the plain :class:`Steps`.

    Args:
        config: sizes.
        mapping: makes encoder and decoder between tokens and the channel.
    """

    spi_encoder: SpiEncoder | FlatEncoder
    spi_decoder: SpiDecoder | FlatDecoder
    jscc_encoder: MappingEncoder
    jscc_decoder: MappingDecoder

    def __init__(self, config: CodecConfig, mapping: Mapping) -> None:
        super().__init__()
        self.config = config
        width, frames = config.width, config.token_frames
        self.image = SpeechImage()
        self.spi_encoder, self.spi_decoder = _spi(config)
        self.jscc_encoder, self.jscc_decoder = mapping(config)
        self.encoder_head = SemanticHead(width, frames)
        self.decoder_head = SemanticHead(width, frames)
        self.linear = LinearPath(frames, 2 * self.jscc_encoder.max_uses) if config.linear else None
        self.ahead = Lookahead(width) if config.lookahead else None

    @torch.no_grad()
    def start(self, features: Tensor) -> None:
        """Set from ``features [B, F, 20]`` (training data) what begins as measured and not as random."""
        self.image.set_constants(features.flatten(0, 1))
        if self.linear is not None:
            self.linear.fit(self.image, features)
            decoder = self.spi_decoder
            out = decoder.out if isinstance(decoder, FlatDecoder) else decoder.out.conv
            for layer in (self.jscc_encoder.linear, self.jscc_encoder.contract, decoder.patch, out):
                layer.weight.mul_(BESIDE_LINEAR)
                if layer.bias is not None:
                    layer.bias.zero_()

    @torch.no_grad()
    def latents(
        self, features: Tensor, target_snr_db: float | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """See :class:`Steps`."""
        image = self.image(features)
        tokens, new_state = self.spi_encoder(image, state)
        target = None
        if target_snr_db is not None:
            target = torch.full(tokens.shape[:2], float(target_snr_db), device=tokens.device)
        return self.coded(image, tokens, target), new_state

    @torch.no_grad()
    def heard(self, planes: Tensor, conditions: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See :class:`Steps`."""
        image, _, new_state = self.decoded(planes, conditions, state)
        return self.image.to_features(image), new_state

    def coded(self, image: Tensor, tokens: Tensor, target_snr_db: Tensor | None = None) -> Tensor:
        """Ordered latents ``[B, K, 2 n_max]`` of a normalised image ``[B, F, 20]`` and its tokens ``[B, K, d]``.

        Args:
            target_snr_db: ``[B, K]`` Es/N0 the link is designed for [dB]; None (or NaN) encodes blind.
        """
        latents = self.jscc_encoder.real_latents(tokens, target_snr_db)
        return latents if self.linear is None else latents + self.linear.latents(image)

    def decoded(self, planes: Tensor, conditions: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """Normalised image ``[B, F, 20]``, refined tokens ``[B, K, d]`` and new state; arguments as :meth:`heard`."""
        tokens = self.jscc_decoder.tokens(planes, conditions)
        waiting: State = ()
        if self.ahead is not None:
            tokens, planes, waiting = self.ahead(tokens, planes, state)
            state = None if state is None else state[KEPT:]
        image, refined, new_state = self.spi_decoder(tokens, state)
        image = image if self.linear is None else image + self.linear.image(planes)
        return image, refined, waiting + new_state

    def _transmission(
        self,
        target_image: Tensor,
        tokens: Tensor,
        symbols: Sent,
        heard: tuple[Tensor, Tensor],
        hashed: tuple[Tensor, Tensor] | None = None,
    ) -> Transmission[Sent]:
        """What training sees, from the encoder's tokens and the planes and conditions after the channel."""
        decoded, refined, _ = self.decoded(*heard)
        ahead = self.config.lookahead
        decoded, refined = decoded[:, ahead * self.config.token_frames :], refined[:, ahead:]
        return Transmission(
            features=self.image.to_features(decoded),
            image=decoded,
            target_image=target_image,
            symbols=symbols,
            encoder_semantics=self.encoder_head(tokens),
            decoder_semantics=self.decoder_head(refined),
            hashed=hashed,
        )


def repeated(items: Tensor, rate: int | Tensor) -> Tensor:
    """Items ``[B, ...]``, each as often as ``rate [B N]`` has one for it: ``[B N, ...]``, one item after the other."""
    times = rate.numel() // len(items) if isinstance(rate, Tensor) and rate.ndim else 1
    return items if times == 1 else items.repeat_interleave(times, 0)


def ended(received: Arrived, lookahead: int) -> Arrived:
    """What a decoder that looks ``lookahead`` tokens ahead is given of a whole clip: lost tokens behind the last."""
    for _ in range(lookahead):
        received = received.with_lost_token()
    return received


def whole(decode: Callable[..., tuple[Tensor, State]], received: Arrived, config: CodecConfig) -> Tensor:
    """Features ``[B, K * token_frames, 20]`` of a whole clip, in line with those sent.

    Args:
        decode: of the codec's model.
    """
    features, _ = decode(ended(received, config.lookahead))
    return features[:, config.lookahead * config.token_frames :]


def _spi(config: CodecConfig) -> tuple[SpiEncoder, SpiDecoder] | tuple[FlatEncoder, FlatDecoder]:
    width, frames = config.width, config.token_frames
    if config.flat:
        return (
            FlatEncoder(width, config.flat, config.encoder_blocks, frames, config.expansion),
            FlatDecoder(width, config.flat, config.decoder_blocks, frames, config.expansion),
        )
    return (
        SpiEncoder(width, config.channels, config.encoder_blocks, frames, config.expansion),
        SpiDecoder(width, config.channels, config.decoder_blocks, frames, config.expansion),
    )
