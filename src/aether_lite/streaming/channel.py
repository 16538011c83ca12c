"""Any simulated channel, token by token.

The channels of :mod:`aether_lite.channels` act on a whole clip. Here the link is simulated ahead, a stretch of a
minute at a time: the channel gets tokens of ones, which makes its gains h and noise w known (y = h + w), and whatever
is sent then is received as y = h x + w, with the state that the channel told. Fading, sliding noise estimates and
bursts of losses go on smoothly within a stretch; the next one is independent of it (seed + 1). Memory is constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from aether_lite.channels import ChannelState, Received, Symbols, apply_channel, erase
from aether_lite.channels.erasure import check_losses
from aether_lite.errors import AetherError
from aether_lite.payload import FRAMES_PER_SECOND, Bits, elements_per_token
from aether_lite.streaming.encoder import checked_rate

STRETCH_S = 60.0  # [s] simulated at a time


def check_fits(sent: Symbols | Bits, rate: int, token_frames: int) -> None:
    """Refuse what was sent at another rate, or in other tokens, than a link carries."""
    if (sent.rate, sent.token_frames) != (rate, token_frames):
        raise AetherError(
            f"the link carries tokens of {10 * token_frames} ms at rate {rate}, "
            f"not tokens of {10 * sent.token_frames} ms at rate {sent.rate}"
        )


class Stretches:
    """Cuts runs of tokens where one simulated stretch ends and the next begins.

    Args:
        token_frames: frames of 10 ms in a token.
        seed: of the first stretch; the next ones have the seeds that follow.
        simulate: told tokens and seed of a stretch that begins now.
    """

    def __init__(self, token_frames: int, seed: int, simulate: Callable[[int, int], None]) -> None:
        self._tokens = max(1, round(STRETCH_S * FRAMES_PER_SECOND / token_frames))
        self._seed, self._simulate, self._place = seed, simulate, 0
        simulate(self._tokens, seed)

    def parts(self, count: int) -> Iterator[tuple[slice, slice]]:
        """Parts of the next ``count`` tokens: which of them, and where they lie in the stretch simulated last."""
        start = 0
        while start < count:
            if self._place == self._tokens:
                self._place, self._seed = 0, (self._seed + 1) % 2**63
                self._simulate(self._tokens, self._seed)
            length = min(count - start, self._tokens - self._place)
            yield slice(start, start + length), slice(self._place, self._place + length)
            start, self._place = start + length, self._place + length


class StreamChannel:
    """One link from a transmitter to a receiver.

    Args:
        name: a key of :data:`aether_lite.channels.CHANNELS`.
        snr_db: Es/N0 [dB]; None for ``clean``, and for ``erasure`` without noise.
        rate: channel uses per second.
        token_frames: frames of 10 ms in a token, those of the codec.
        seed: of noise, fading and losses; the same seed gives the same link.
        erasure: share of tokens lost on top of any channel; None for none (``erasure``: a tenth).
        burst_tokens: mean length of a burst of these losses [tokens]; None for independent losses.
        options: further options of the channel, such as ``state``, ``block_ms`` or ``doppler_hz``.

    Raises:
        AetherError: an unknown channel, rate or option, or a number out of range.
    """

    def __init__(
        self,
        name: str,
        snr_db: float | None,
        rate: int,
        *,
        token_frames: int,
        seed: int = 0,
        erasure: float | None = None,
        burst_tokens: float | None = None,
        **options: Any,
    ) -> None:
        if name != "erasure":
            check_losses(erasure, burst_tokens)
        losses = {"probability": erasure, "burst_tokens": burst_tokens}
        self._losses: dict[str, Any] = {key: value for key, value in losses.items() if value is not None}
        self._loses = name == "erasure" or bool(self._losses)
        if name == "erasure":  # losses after noise, or after none
            name = "clean" if snr_db is None else "awgn"
        self._name, self._snr_db = name, snr_db
        self._rate, self._frames, self._options = checked_rate(rate), token_frames, options
        self._stretches = Stretches(token_frames, seed, self._simulate)

    def send(self, symbols: Symbols) -> Received:
        """What arrives of the next tokens ``[1, K, n]``, K >= 0, and what the receiver knows of their channel.

        Raises:
            AetherError: symbols of another rate or token length than the link's.
        """
        check_fits(symbols, self._rate, self._frames)
        parts = self._stretches.parts(symbols.values.shape[1])
        pieces = [self._received(symbols.values[:, run], part) for run, part in parts]
        return _joined(pieces) if pieces else self._received(symbols.values, slice(0, 0))

    def _simulate(self, tokens: int, seed: int) -> None:
        """The next stretch of the link."""
        uses = elements_per_token(self._rate, self._frames)
        ones = Symbols(torch.ones(1, tokens, uses, dtype=torch.complex64), self._rate, self._frames)
        # The state asked for is drawn after gain and noise, so that both calls meet the same of these.
        self._told = apply_channel(self._name, ones, self._snr_db, **{**self._options, "seed": seed})
        exact = apply_channel(self._name, ones, self._snr_db, **{**self._options, "seed": seed, "state": "exact"})
        assert exact.state.gain is not None
        self._gain = exact.state.gain
        self._noise = exact.values - self._gain
        if self._loses:
            self._told = erase(self._told, **self._losses, seed=seed)

    def _received(self, values: Tensor, part: slice) -> Received:
        """What arrives of tokens sent in a part of the stretch."""
        state = self._told.state
        erased = state.erased[:, part]
        arrived = self._gain[:, part] * values + self._noise[:, part]
        known = ChannelState(
            None if state.gain is None else state.gain[:, part],
            None if state.noise_variance is None else state.noise_variance[:, part],
            erased,
        )
        return Received(arrived.masked_fill(erased[:, :, None], 0), self._rate, known, self._frames)


def _joined(pieces: list[Received]) -> Received:
    def together(name: str) -> Any:
        parts = [getattr(piece.state, name) for piece in pieces]
        return None if parts[0] is None else torch.cat(parts, dim=1)

    state = ChannelState(together("gain"), together("noise_variance"), together("erased"))
    return Received(torch.cat([piece.values for piece in pieces], dim=1), pieces[0].rate, state, pieces[0].token_frames)
