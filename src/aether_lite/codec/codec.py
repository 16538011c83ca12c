"""Speech in, symbols out; received symbols in, speech out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from aether_lite.codec import chain
from aether_lite.codec.chain import SpeechChain, decoded_in_blocks
from aether_lite.codec.loading import DEFAULT_CODEC, codec_path, load_codec
from aether_lite.codec.symbol_model import SpiJscc
from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME
from aether_lite.jscc import RATES
from aether_lite.payload import Received, Symbols
from aether_lite.spi import State

if TYPE_CHECKING:
    from aether_lite.codec.symbol_search import SymbolSearch


class Codec(SpeechChain):
    """The whole chain around a channel, with the released weights or others.

    Args:
        model: the learned codec.
        provenance: where its weights come from.
        vocoder: vocoder weights: a file (``.pth`` or ``.safetensors``) or a released name; None for ``fargan``.

    Example:
        >>> import aether_lite, numpy as np
        >>> codec = aether_lite.load()
        >>> symbols = codec.encode(np.zeros(16000, np.float32), rate=300)
        >>> symbols.values.shape
        torch.Size([1, 25, 12])
    """

    model: SpiJscc

    def __init__(self, model: SpiJscc, provenance: dict[str, Any] | None = None, vocoder: Path | None = None) -> None:
        super().__init__(model, provenance, vocoder)

    def encode(
        self,
        speech: ArrayLike | Tensor,
        rate: int = 1000,
        target_snr_db: float | None = None,
        search: int = 0,
        condition: bool = True,
    ) -> Symbols:
        """Symbols of speech.

        Args:
            speech: ``[N]`` or ``[B, N]`` at 16 kHz, float in [-1, 1] or int16.
            rate: channel uses per second, one of 150, 300, 500, 600, 700, 1000, 1200.
            target_snr_db: Es/N0 the link is designed for [dB]; None encodes for any channel.
            search: steps of a search for better symbols, which needs ``target_snr_db``, see
                :mod:`aether_lite.codec.search`; 0 for none.
            condition: remove DC and rumble first, see :mod:`aether_lite.features.conditioning`.

        Returns:
            ``[B, K, n] complex64`` with K = ceil(N / 640) tokens of 40 ms (of the released codec) and mean power 1 over
            speech.
        """
        samples = self.samples(speech, condition) if search else None
        return self.encode_features(self.features(speech, condition), rate, target_snr_db, search, samples)

    def searching(self, rate: int, target_snr_db: float, steps: int) -> SymbolSearch:
        """A stream of features to symbols found in ``steps`` steps, see :mod:`aether_lite.codec.search`."""
        from aether_lite.codec.symbol_search import SymbolSearch

        return SymbolSearch(self.model, self.listener, rate, target_snr_db, steps)

    def encode_features(
        self,
        features: Tensor,
        rate: int = 1000,
        target_snr_db: float | None = None,
        search: int = 0,
        speech: Tensor | None = None,
    ) -> Symbols:
        """Symbols of features ``[B, F, 20 or more]``; a last part token is filled by repeating the last row.

        ``speech`` ``[B, N]`` in [-1, 1], that the features are of, makes a search better; nothing else asks for it.
        """
        if rate not in RATES:
            raise AetherError(f"rate {rate} uses/s is not one of {', '.join(map(str, RATES))}")
        whole = self.whole_tokens(features)
        if search:
            if target_snr_db is None:
                raise AetherError("a search for symbols needs the SNR that they are for (target_snr_db)")
            found = self.searching(rate, target_snr_db, search).each(whole, self._speech_of(whole, speech))
            return Symbols(found, rate, self.token_frames)
        state: State | None = None
        pieces = []
        for block in torch.split(whole, chain.BLOCK_TOKENS * self.token_frames, dim=1):
            symbols, state = self.model.encode(block, rate, target_snr_db, state)
            pieces.append(symbols.values)
        return Symbols(torch.cat(pieces, dim=1), rate, self.token_frames)

    @staticmethod
    def _speech_of(features: Tensor, speech: Tensor | None) -> Tensor | None:
        """Speech ``[B, 160 F]`` of the features ``[B, F, 20]``, filled up with silence."""
        if speech is None:
            return None
        missing = FRAME * features.shape[1] - speech.shape[-1]
        if speech.ndim != 2 or len(speech) != len(features) or missing < 0:
            raise AetherError(
                f"speech must be [{len(features)}, N] with at most {FRAME * features.shape[1]} samples, those that the "
                f"features are of, not {tuple(speech.shape)}"
            )
        if not speech.isfinite().all():
            raise AetherError("speech has a sample that is not finite")
        return torch.nn.functional.pad(speech.float(), (0, missing))

    def decode(self, received: Received) -> Tensor:
        """Speech ``[B, 160 F] float32`` in [-1, 1] of F frames in whole received tokens, aligned with the input."""
        return self.speak(self.decode_features(received))

    def decode_features(self, received: Received) -> Tensor:
        """Features ``[B, F, 20]`` of whole received tokens."""
        return decoded_in_blocks(self.model.decode, received, self.model.config)


def load(model: str | Path = DEFAULT_CODEC, vocoder: str | Path | None = None) -> Codec:
    """A codec by released name or file.

    Args:
        model: name of released weights (``aether-lite info`` lists them) or a codec file.
        vocoder: FARGAN weights, public ``.pth`` or ``.safetensors``, or a released name; None for ``fargan``.

    Raises:
        AetherError: no such file, or not a codec of symbols (:func:`load_hash` loads hash codecs).
    """
    weights, provenance = load_codec(codec_path(model))
    return Codec(weights, provenance, Path(vocoder) if vocoder is not None else None)
