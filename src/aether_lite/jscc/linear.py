"""The linear path: a token of the speech image straight to latents, and what arrives straight to an image.

Both matrices start as the Karhunen-Loeve transform of tokens, the image's patches of 20 rows by ``token_frames``
frames, in the metric of the feature loss; the power of a component is proportional to the root of its variance, as in
the linear code that is best at high SNR (K.-H. Lee and D. P. Petersen, "Optimal linear coding for vector
channels", IEEE Trans. Commun. 24, 1976). Fine detail, which networks learn last, then crosses the channel from the
first step, and the networks beside the path learn what a linear code cannot do: prediction, memory, protection.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aether_lite.features.layout import PITCH
from aether_lite.spi.image import NUM_ROWS, SpeechImage, patches

PITCH_METRIC = 3.0  # an octave of pitch counts like so many log10 units of one band; the loss of pitch is no square
LEAST_VARIANCE = 1e-6  # of a component, relative to the greatest


class LinearPath(nn.Module):
    """One matrix each way.

    Args:
        token_frames: frames per token.
        latents: real latents per token, 2 n_max.
    """

    def __init__(self, token_frames: int, latents: int) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.down = nn.Linear(NUM_ROWS * token_frames, latents, bias=False)
        self.up = nn.Linear(latents, NUM_ROWS * token_frames, bias=False)

    def latents(self, image: Tensor) -> Tensor:
        """``[B, K, 2 n_max]`` of a normalised image ``[B, F, 20]``."""
        made: Tensor = self.down(patches(image, self.token_frames))
        return made

    def image(self, inputs: Tensor) -> Tensor:
        """Normalised image ``[B, F, 20]`` of the decoder's inputs ``[B, K, 3 n_max]``; reliabilities are not read."""
        made: Tensor = self.up(torch.unflatten(inputs, -1, (-1, 3))[..., :2].flatten(-2))
        return made.reshape(inputs.shape[0], -1, NUM_ROWS)

    @torch.no_grad()
    def fit(self, image: SpeechImage, features: Tensor) -> None:
        """Set both matrices from ``features [B, F, 20]`` of whole tokens (training data); ``up`` takes unit latents."""
        tokens = image(features).double().reshape(-1, self.down.in_features)
        metric = image.scale.double().clone()
        metric[PITCH] *= PITCH_METRIC
        metric = metric.repeat(self.token_frames)
        weighted = tokens * metric
        variance, basis = torch.linalg.eigh(weighted.T @ weighted / len(weighted))
        kept = min(self.up.in_features, len(variance))
        variance, basis = variance.flip(0)[:kept], basis.flip(1)[:, :kept]
        variance = variance.clamp_min(LEAST_VARIANCE * float(variance[0]))
        down, up = torch.zeros_like(self.down.weight), torch.zeros_like(self.up.weight)
        down[:kept] = (basis * metric[:, None] * variance**-0.25).T.to(down)
        up[:, :kept] = (basis / metric[:, None] * variance.sqrt()).to(up)
        self.down.weight.copy_(down)
        self.up.weight.copy_(up)
