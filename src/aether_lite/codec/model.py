"""The learned part of the chain: features -> symbols, received symbols -> features.

    features -> speech image -> SPI encoder -> JSCC encoder -> Symbols ~ channel ~ Received
    features <- speech image <- SPI decoder <- JSCC decoder <---------------------------'

``forward`` is training (both directions through a given channel); ``encode`` and ``decode`` are the wire, and
nothing passes between them but :class:`~aether_lite.channels.signal.Symbols` through a channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aether_lite.channels.signal import Received, Symbols
from aether_lite.codec.presets import CodecConfig
from aether_lite.jscc import JsccDecoder, JsccEncoder
from aether_lite.spi import SemanticHead, Semantics, SpeechImage, SpiDecoder, SpiEncoder, State

Channel = Callable[[Symbols], Received]


@dataclass(frozen=True)
class Transmission:
    """What training sees of one pass.

    Attributes:
        features: decoded features ``[B, F, 20]``, within their ranges.
        image: decoded normalised speech image ``[B, F, 20]``, unbounded.
        target_image: normalised image of the input ``[B, F, 20]``.
        symbols: what was sent.
        encoder_semantics, decoder_semantics: semantic read-outs on both sides.
    """

    features: Tensor
    image: Tensor
    target_image: Tensor
    symbols: Symbols
    encoder_semantics: Semantics
    decoder_semantics: Semantics


class SpiJscc(nn.Module):
    """Speech-image joint source-channel codec over features ``[B, F, 20]``; F is a whole number of tokens."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        width, frames = config.width, config.token_frames
        self.image = SpeechImage()
        self.spi_encoder = SpiEncoder(width, config.channels, config.encoder_blocks, frames)
        self.jscc_encoder = JsccEncoder(width, frames)
        self.jscc_decoder = JsccDecoder(width, frames)
        self.spi_decoder = SpiDecoder(width, config.channels, config.decoder_blocks, frames)
        self.encoder_head = SemanticHead(width, frames)
        self.decoder_head = SemanticHead(width, frames)

    def forward(
        self, features: Tensor, rate: int | Tensor, channel: Channel, target_snr_db: Tensor | None = None
    ) -> Transmission:
        """Send ``features [B, F, 20]`` at ``rate`` [uses/s] through ``channel``.

        Args:
            target_snr_db: ``[B]`` Es/N0 told to the encoder [dB]; NaN items and None encode blind.
        """
        image = self.image(features)
        tokens, _ = self.spi_encoder(image)
        if target_snr_db is not None:
            target_snr_db = target_snr_db[:, None].expand(tokens.shape[:2])
        symbols = self.jscc_encoder(tokens, rate, target_snr_db)
        decoded, refined, _ = self.spi_decoder(self.jscc_decoder(channel(symbols)))
        return Transmission(
            features=self.image.to_features(decoded),
            image=decoded,
            target_image=image,
            symbols=symbols,
            encoder_semantics=self.encoder_head(tokens),
            decoder_semantics=self.decoder_head(refined),
        )

    @torch.no_grad()
    def encode(
        self, features: Tensor, rate: int, target_snr_db: float | None = None, state: State | None = None
    ) -> tuple[Symbols, State]:
        """Symbols of ``features [B, F, 20]`` and the encoder's state after them (pass it on to continue)."""
        tokens, new_state = self.spi_encoder(self.image(features), state)
        target = None
        if target_snr_db is not None:
            target = torch.full(tokens.shape[:2], float(target_snr_db), device=tokens.device)
        return self.jscc_encoder(tokens, rate, target), new_state

    @torch.no_grad()
    def decode(self, received: Received, state: State | None = None) -> tuple[Tensor, State]:
        """Features ``[B, K * token_frames, 20]`` of whole received tokens, and the decoder's state after them."""
        image, _, new_state = self.spi_decoder(self.jscc_decoder(received), state)
        return self.image.to_features(image), new_state
