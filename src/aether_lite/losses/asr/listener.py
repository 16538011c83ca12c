"""An ear and a recogniser: features in, what the recogniser makes of them out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aether_lite.losses.asr.ear import Ear
from aether_lite.losses.asr.reader import Reader
from aether_lite.losses.asr.recogniser import LONGEST_HEARD, MELS, RecogniserEncoder

SILENCE_AFTER = 32  # frames, an even number, that follow the features, where a reader shall find the end
SILENT_STATES = 128  # states of silence after those, from memory
_FLOOR, _SILENCE = -2.0, -1.0  # of spectra: the lowest value, relative to the highest and of silence alone


class Listener(nn.Module):
    """Features ``[B, F, 20]``, F even, to states ``[B, F / 2, blocks * width]``; with a reader to 16 more, of silence.

    States are those behind every block of the recogniser, the last ones last (docs/notebook/2026-11.md).

    A recogniser is trained on windows of 30 s and its decoder repeats itself where speech fills the window. So where
    there is a decoder, silence follows: first as part of what is encoded, then as states of silence kept from before.

    Args:
        ear: learned for this recogniser.
        encoder: the recogniser's.
        reader: the recogniser's decoder, for the loss of words; None without.
    """

    def __init__(self, ear: Ear, encoder: RecogniserEncoder, reader: Reader | None = None) -> None:
        super().__init__()
        self.ear, self.encoder, self.reader = ear, encoder, reader
        self.spread: Tensor
        self.register_buffer("spread", torch.ones(encoder.sizes.blocks, encoder.sizes.width))  # of states on speech
        self.silence: Tensor | None
        self.register_buffer("silence", None, persistent=False)
        if reader is not None:
            with torch.no_grad():
                self.silence = encoder(torch.full((1, LONGEST_HEARD, MELS), _SILENCE))[0]

    def heard(self, spectra: Tensor) -> Tensor:
        """States of log-mel spectra ``[B, F, 80]``, each dimension with variance 1 on speech."""
        states = self.encoder.depths(spectra) / self.spread[:, None, None]
        return states.permute(1, 2, 0, 3).flatten(2)

    def forward(self, features: Tensor) -> Tensor:
        spectra = self.ear(features)
        if self.reader is not None:
            floor = spectra.amax((1, 2), keepdim=True) + _FLOOR
            spectra = torch.cat([spectra, floor.expand(-1, SILENCE_AFTER, MELS)], 1)
        return self.heard(spectra)

    def last(self, states: Tensor) -> Tensor:
        """The last block's ``[B, S, width]`` of the states ``[B, S, blocks * width]`` of :meth:`forward`."""
        return states[..., -self.encoder.sizes.width :]

    def readable(self, states: Tensor) -> Tensor:
        """The last block's of :meth:`forward`'s states as the reader takes them: unscaled, with states of silence.

        Returns:
            ``[B, S + 128, width]``.

        Raises:
            ValueError: the listener has no reader.
        """
        if self.silence is None:
            raise ValueError("this listener has no reader")
        after = self.silence[states.shape[1] : states.shape[1] + SILENT_STATES]
        return torch.cat([self.last(states) * self.spread[-1], after.expand(len(states), -1, -1)], 1)


def longest(reads: bool) -> int:
    """Frames of features that a listener hears at most, with a reader or without."""
    return LONGEST_HEARD - SILENCE_AFTER if reads else LONGEST_HEARD
