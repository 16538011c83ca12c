"""The learned part of the codec of symbols: features -> symbols, what arrives of them -> features."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from aether_lite.codec.model import SpeechImageCodec, Steps, Transmission, ended, repeated
from aether_lite.codec.presets import CodecConfig
from aether_lite.jscc import JsccDecoder, JsccEncoder
from aether_lite.jscc.power import TOLD_SNRS_DB, LatentPower, checked_power, first_pairs
from aether_lite.payload import Received, Symbols, elements_per_token
from aether_lite.spi import State

Channel = Callable[[Symbols], Received]


class SpiJscc(SpeechImageCodec):
    """Speech-image joint source-channel codec over features ``[B, F, 20]``; F is a whole number of tokens.

    Raises:
        ValueError: the configuration is that of a hash codec.
    """

    jscc_encoder: JsccEncoder
    jscc_decoder: JsccDecoder

    def __init__(self, config: CodecConfig) -> None:
        super().__init__(config, _symbol_mapping)
        self.session = checked_power(config.power) == "session"
        known = self.session or config.linear
        self.latent_power = LatentPower(2 * self.jscc_encoder.max_uses) if known else None

    @torch.no_grad()
    def start(self, features: Tensor) -> None:
        """See :meth:`SpeechImageCodec.start`; measures the power of the latents too."""
        super().start(features)
        self.measure_power(features)

    @torch.no_grad()
    def measure_power(self, features: Tensor) -> None:
        """Set the constants of the power constraint from ``features [B, F, 20]`` of whole tokens."""
        if self.latent_power is None:
            return
        image = self.image(features)
        tokens, _ = self.spi_encoder(image)

        def mean_squares(target_snr_db: float) -> Tensor:
            target = torch.full(tokens.shape[:2], target_snr_db, device=tokens.device)
            return self.coded(image, tokens, target).square().mean((0, 1))

        self.latent_power.set(mean_squares(math.nan))
        self.latent_power.set_told([mean_squares(snr_db) for snr_db in TOLD_SNRS_DB])

    def forward(
        self, features: Tensor, rate: int | Tensor, channel: Channel, target_snr_db: Tensor | None = None
    ) -> Transmission[Symbols]:
        """Send ``features [B, F, 20]`` at ``rate`` [uses/s] through ``channel``.

        Args:
            rate: one, or ``[B N] int64``: every item is sent N times, one after the other.
            target_snr_db: ``[B N]`` Es/N0 told to the encoder [dB]; NaN items and None encode blind.

        Returns:
            What is of items as often as they were sent, ``[B N, ...]``.
        """
        image = self.image(features)
        tokens, _ = self.spi_encoder(image)
        image, tokens = (repeated(value, rate) for value in (image, tokens))
        if target_snr_db is not None:
            target_snr_db = target_snr_db[:, None].expand(tokens.shape[:2])
        latents = self.coded(image, tokens, target_snr_db)
        power = self.power
        if self.training and self.latent_power is not None:
            power = self.latent_power.followed(latents)
        symbols = self.jscc_encoder.symbols(latents, rate, power if self.session else None)
        received = ended(channel(symbols), self.config.lookahead)
        heard = self.jscc_decoder.inputs(received, None if power is None else power.detach())
        return self._transmission(image, tokens, symbols, heard)

    @property
    def power(self) -> Tensor | None:
        """Mean squares ``[2 n_max]`` of the latents, where the codec knows them."""
        return None if self.latent_power is None else self.latent_power.values

    @property
    def session_power(self) -> Tensor | None:
        """The same where they are the power constraint."""
        return self.power if self.session else None

    def check_told(self) -> None:
        """Refuse a codec that cannot be told an SNR.

        Raises:
            AetherError: the constants of its power constraint were never measured for told SNRs.
        """
        if self.session and self.latent_power is not None:
            self.latent_power.check_told()

    def power_told(self, target_snr_db: Tensor) -> Tensor | None:
        """The power constraint's constants ``[2 n_max]`` of an encoder told ``target_snr_db []`` [dB]; NaN: blind."""
        return self.latent_power.at(target_snr_db) if self.session and self.latent_power is not None else None

    def symbol_power(self, rate: int) -> Tensor | None:
        """Mean power over speech of every symbol of a token ``[n]`` at ``rate`` [uses/s]; None where tokens hold 1."""
        if self.session_power is None:
            return None
        each = first_pairs(self.session_power, elements_per_token(rate, self.config.token_frames)).sum(-1)
        return each / each.mean()

    @torch.no_grad()
    def encode(
        self,
        features: Tensor,
        rate: int,
        target_snr_db: float | None = None,
        state: State | None = None,
        steps: Steps | None = None,
    ) -> tuple[Symbols, State]:
        """Symbols of ``features [B, F, 20]`` and the encoder's state after them (pass it on to continue).

        Args:
            steps: computes the latents; None for the model's own layers.

        Raises:
            AetherError: a target SNR is told to a codec whose power was never measured for one.
        """
        power = self.session_power
        if target_snr_db is not None:
            self.check_told()
            power = self.power_told(torch.tensor(float(target_snr_db)))
        latents, new_state = (steps or self).latents(features, target_snr_db, state)
        return self.jscc_encoder.symbols(latents, rate, power), new_state

    @torch.no_grad()
    def decode(
        self, received: Received, state: State | None = None, steps: Steps | None = None
    ) -> tuple[Tensor, State]:
        """Features ``[B, K * token_frames, 20]`` of whole received tokens, and the decoder's state after them.

        Where the decoder looks ahead they are those of the token before; :func:`~aether_lite.codec.model.whole` gives a
        clip's in line with what was sent.

        Args:
            steps: computes the features; None for the model's own layers.
        """
        return (steps or self).heard(*self.jscc_decoder.inputs(received, self.power), state)


def _symbol_mapping(config: CodecConfig) -> tuple[JsccEncoder, JsccDecoder]:
    if config.hash:
        raise ValueError("the configuration is that of a hash codec: use SpiHash")
    return JsccEncoder(config.width, config.token_frames), JsccDecoder(config.width, config.token_frames)
