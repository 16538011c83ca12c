"""Speech in, bits out; soft bits in, speech out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from aether_lite.codec.bit_model import SpiHash
from aether_lite.codec.chain import SpeechChain, decoded_in_blocks
from aether_lite.codec.loading import DEFAULT_HASH_CODEC, codec_path, load_hash_codec
from aether_lite.hash import checked_bit_rate
from aether_lite.payload import Bits, ReceivedBits
from aether_lite.spi import State

if TYPE_CHECKING:
    from aether_lite.codec.bit_search import BitSearch

DEFAULT_RATE = 600  # bit/s


class HashCodec(SpeechChain):
    """The whole chain around a binary channel.

    Args:
        model: the learned hash codec.
        provenance: where its weights come from.
        vocoder: vocoder weights: a file (``.pth`` or ``.safetensors``) or a released name; None for ``fargan``.
    """

    model: SpiHash

    def __init__(self, model: SpiHash, provenance: dict[str, Any] | None = None, vocoder: Path | None = None) -> None:
        super().__init__(model, provenance, vocoder)

    def searching(self, rate: int, steps: int) -> BitSearch:
        """A stream of features to bits found in ``steps`` steps of search, see :mod:`aether_lite.codec.search`."""
        from aether_lite.codec.bit_search import BitSearch

        return BitSearch(self.model, self.listener, rate, steps)

    def encode(
        self, speech: ArrayLike | Tensor, rate: int = DEFAULT_RATE, search: int = 0, condition: bool = True
    ) -> Bits:
        """Bits of speech.

        Args:
            speech: ``[N]`` or ``[B, N]`` at 16 kHz, float in [-1, 1] or int16.
            rate: bit/s, one of 300, 600, 1200, 2400.
            search: steps of a search for better bits, see :mod:`aether_lite.codec.search`; 0 for none.
            condition: remove DC and rumble first, see :mod:`aether_lite.features.conditioning`.

        Returns:
            ``[B, K, n]``, +1 and -1, with K = ceil(N / 1280) tokens of 80 ms; the same for an item alone or in a batch.
        """
        return self.encode_features(self.features(speech, condition), rate, search)

    def encode_features(self, features: Tensor, rate: int = DEFAULT_RATE, search: int = 0) -> Bits:
        """Bits of features ``[B, F, 20 or more]``; a last part token is filled by repeating the last row.

        The encoder runs token by token and item by item. The size of a matrix product decides how its sums are rounded,
        and a latent within rounding of its threshold would change its bit with the size of the batch or the length of
        the clip; here the sizes are always the same. Bits of a search have no such guarantee.
        """
        checked_bit_rate(rate)
        whole = self.whole_tokens(features)
        if search:
            return Bits(self.searching(rate, search).each(whole), rate, self.token_frames)
        rows = []
        for item in torch.split(whole, 1):
            state: State | None = None
            tokens = []
            for frames in torch.split(item, self.token_frames, dim=1):
                bits, state = self.model.encode(frames, rate, state)
                tokens.append(bits.values)
            rows.append(torch.cat(tokens, dim=1))
        return Bits(torch.cat(rows), rate, self.token_frames)

    def decode(self, received: ReceivedBits) -> Tensor:
        """Speech ``[B, 1280 K] float32`` in [-1, 1] of whole received tokens, aligned with the speech sent."""
        return self.speak(self.decode_features(received))

    def decode_features(self, received: ReceivedBits) -> Tensor:
        """Features ``[B, F, 20]`` of whole received tokens."""
        return decoded_in_blocks(self.model.decode, received, self.model.config)


def load_hash(model: str | Path = DEFAULT_HASH_CODEC, vocoder: str | Path | None = None) -> HashCodec:
    """A hash codec by released name or file.

    Args:
        model: name of released weights (``aether-lite info`` lists them) or a codec file.
        vocoder: FARGAN weights, public ``.pth`` or ``.safetensors``, or a released name; None for ``fargan``.

    Raises:
        AetherError: no such file, or not a hash codec.
    """
    weights, provenance = load_hash_codec(codec_path(model))
    return HashCodec(weights, provenance, Path(vocoder) if vocoder is not None else None)
