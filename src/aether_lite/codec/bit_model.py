"""The learned part of a hash codec: features -> bits, soft bits -> features."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from aether_lite.codec.model import SpeechImageCodec, Steps, Transmission, ended, repeated
from aether_lite.codec.presets import CodecConfig
from aether_lite.hash import HashDecoder, HashEncoder, checked_kind
from aether_lite.payload import Bits, ReceivedBits
from aether_lite.spi import State

BitChannel = Callable[[Bits], ReceivedBits]


class SpiHash(SpeechImageCodec):
    """The same with one bit per latent: a codec of 300 to 2400 bit/s for binary channels.

    Raises:
        AetherError: the configuration names no known kind of hash.
    """

    jscc_encoder: HashEncoder
    jscc_decoder: HashDecoder

    def __init__(self, config: CodecConfig) -> None:
        super().__init__(config, _bit_mapping)

    def forward(self, features: Tensor, rate: int | Tensor, channel: BitChannel) -> Transmission[Bits]:
        """Send ``features [B, F, 20]`` at ``rate`` [bit/s] through ``channel``.

        Args:
            rate: one, or ``[B N] int64``: every item is sent N times, one after the other.

        Returns:
            What is of items as often as they were sent, ``[B N, ...]``; only ``hashed`` once.
        """
        image = self.image(features)
        tokens, _ = self.spi_encoder(image)
        hashed = self.jscc_encoder.all_bits(self.coded(image, tokens))
        image, tokens = (repeated(value, rate) for value in (image, tokens))
        bits = self.jscc_encoder.prefix(repeated(hashed[1], rate), rate)
        received = ended(channel(bits), self.config.lookahead)
        return self._transmission(image, tokens, bits, self.jscc_decoder.inputs(received), hashed)

    @torch.no_grad()
    def encode(
        self, features: Tensor, rate: int, state: State | None = None, steps: Steps | None = None
    ) -> tuple[Bits, State]:
        """Bits of ``features [B, F, 20]`` and the encoder's state after them (pass it on to continue).

        In evaluation mode each is +1 or -1. A latent within rounding of its threshold may fall on the other side in a
        batch of another size or with other ``steps``; :meth:`~aether_lite.codec.hash_codec.HashCodec.encode` rules that
        out.

        Args:
            steps: computes the latents; None for the model's own layers.
        """
        latents, new_state = (steps or self).latents(features, None, state)
        return self.jscc_encoder.bits(latents, rate), new_state

    @torch.no_grad()
    def decode(
        self, received: ReceivedBits, state: State | None = None, steps: Steps | None = None
    ) -> tuple[Tensor, State]:
        """Features ``[B, K * token_frames, 20]`` of whole received tokens, and the decoder's state after them.

        Where the decoder looks ahead they are those of the token before; :func:`~aether_lite.codec.model.whole` gives a
        clip's in line with what was sent.

        Args:
            steps: computes the features; None for the model's own layers.
        """
        return (steps or self).heard(*self.jscc_decoder.inputs(received), state)


def _bit_mapping(config: CodecConfig) -> tuple[HashEncoder, HashDecoder]:
    kind = checked_kind(config.hash)
    return HashEncoder(config.width, config.token_frames, kind), HashDecoder(config.width, config.token_frames)
