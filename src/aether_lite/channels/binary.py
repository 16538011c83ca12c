"""Binary channels: the binary symmetric channel, and losses of single bits and of whole tokens.

Model of the binary symmetric channel (BSC), bits b = +1 or -1::

    y = b e,    P(e = -1) = p  (the error rate),    s = E[b | y] = (1 - 2 p') y

p' is what the receiver knows of p:

``exact``
    p' = p.
``estimated`` (default)
    From known bits, one for every ``pilot_spacing`` (default 10) of the payload, of the last second (a sliding window
    of whole tokens that was full before the clip began): with e errors among P of them p' = (e + 1/2) / (P + 1), the
    mean after Jeffreys' prior, so that a second without errors is not taken for an error-free link. Not above 1/2.
    (Pilots are not counted in the rate.)
``withheld``
    p' = 0.05, a constant.

Bits over modulated symbols are in :mod:`~aether_lite.channels.keying`. The bit errors of a stream and those of its
prefix at a lower rate are the same for the same seeds per item.

Source of the model: T. M. Cover, J. A. Thomas, "Elements of Information Theory", ch. 7; of the prior: H. Jeffreys,
"Theory of Probability" (3rd ed. 1961), 3.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from aether_lite.channels.erasure import erasure_pattern
from aether_lite.channels.randomness import Draws, Generator, Seed
from aether_lite.channels.state import NOISE_WINDOW_S, PILOT_SPACING, StateKind, check_state
from aether_lite.errors import AetherError
from aether_lite.payload import FRAMES_PER_SECOND, Bits, ReceivedBits

BSC = "bsc"  # name of the binary symmetric channel
WITHHELD_ERROR_RATE = 0.05
PROBABILITY_RANGE = (0.0, 1.0)
ERROR_RATE_RANGE = (0.0, 0.5)

Probability = float | Sequence[float] | Tensor
"""A probability: one number, or one per item (``[B]``)."""


def bsc(
    bits: Bits,
    error_rate: Probability,
    *,
    state: StateKind = "estimated",
    seed: Seed = None,
    generator: Generator | None = None,
    pilot_spacing: int = PILOT_SPACING,
) -> ReceivedBits:
    """Binary symmetric channel: every bit is turned with probability p.

    Args:
        bits: ``[B, K, n]``, what the transmitter sends.
        error_rate: p, 0..0.5, a number or ``[B]``.
        state: what the receiver knows of p, see the module's text.
        seed: one integer, or one per item (the item then gets the errors it would get alone).
        generator: a generator instead of a seed.
        pilot_spacing: payload bits for each known bit, for the estimated state.

    Raises:
        AetherError: an option is out of range.
    """
    check_state(state, pilot_spacing)
    batch, tokens, n = bits.values.shape
    p = _probabilities("error_rate", error_rate, bits.values, ERROR_RATE_RANGE)
    draws = Draws(batch, bits.values.device, seed, generator)
    turned = _by_position(draws, tokens, n) < p[:, None, None]
    arrived = torch.where(turned, -bits.values, bits.values)
    pilots = Draws(batch, bits.values.device, seed, generator, stream=3)
    known = _known_error_rate(state, p, bits, pilots, pilot_spacing)
    confidence = (1 - 2 * known).to(bits.values.dtype)[:, :, None]
    return delivered(bits, confidence * arrived, confidence.square())


def lose_bits(
    received: ReceivedBits,
    probability: Probability,
    *,
    seed: Seed = None,
    generator: Generator | None = None,
) -> ReceivedBits:
    """Lose single bits: their soft bits become 0, and nothing else tells of it.

    Args:
        received: what another channel gave.
        probability: share of bits lost, 0..1, a number or ``[B]``.
        seed: one integer, or one per item.
        generator: a generator instead of a seed.

    Raises:
        AetherError: an option is out of range.
    """
    batch, tokens, n = received.values.shape
    p = _probabilities("probability", probability, received.values, PROBABILITY_RANGE)
    draws = Draws(batch, received.values.device, seed, generator, stream=2)
    lost = _by_position(draws, tokens, n) < p[:, None, None]
    return replace(received, values=received.values.masked_fill(lost, 0))


def lose_tokens(
    received: ReceivedBits,
    probability: float,
    burst_tokens: float | None = None,
    *,
    seed: Seed = None,
    generator: Generator | None = None,
) -> ReceivedBits:
    """Lose whole tokens, alone or in bursts; the link layer marks them (:attr:`ReceivedBits.erased`).

    Args:
        received: what another channel gave; tokens already lost stay so.
        probability: share of tokens lost, 0..1.
        burst_tokens: mean length of a burst [tokens]; None for independent losses.
        seed: one integer, or one per item.
        generator: a generator instead of a seed.

    Raises:
        AetherError: an option is out of range, see :func:`~aether_lite.channels.erasure.erasure_pattern`.
    """
    draws = Draws(received.values.shape[0], received.values.device, seed, generator, stream=1)
    lost = erasure_pattern(received.values.shape[1], probability, burst_tokens, draws)
    return replace(received, values=received.values.masked_fill(lost[:, :, None], 0), erased=received.erased | lost)


def delivered(bits: Bits, soft: Tensor, reliability: Tensor, erased: Tensor | None = None) -> ReceivedBits:
    """Soft bits of a channel with the gradient that training takes through it.

    A symmetric channel is s = b m with m independent of b. Its derivative by b, averaged over what the receiver cannot
    see, is E[m | received] = E[b s | received] = s^2: a bit that came through clearly passes its gradient, a lost one
    passes none, and a saturated tanh hides nothing.

    Args:
        bits: what was sent.
        soft: ``[B, K, n]`` s, used without its own gradient.
        reliability: ``[B, K, n]`` or broadcastable, the derivative: s^2.
        erased: ``[B, K] bool``; None for no token lost.
    """
    silent = ~bits.used
    if erased is None:
        erased = torch.zeros(bits.values.shape[:2], dtype=torch.bool, device=bits.values.device)
    silent = silent | erased[:, :, None]
    path = reliability.detach() * (bits.values - bits.values.detach())
    return ReceivedBits((soft.detach() + path).masked_fill(silent, 0), bits.rate, erased, bits.token_frames)


def _probabilities(name: str, value: Probability, like: Tensor, limits: tuple[float, float]) -> Tensor:
    """``[B] float64`` within the limits."""
    try:
        p = torch.as_tensor(value, dtype=torch.float64, device=like.device).detach()
    except (TypeError, ValueError, RuntimeError):
        raise AetherError(f"{name} must be a number or one per item, not {value!r}") from None
    batch = like.shape[0]
    if p.ndim > 1 or (p.ndim == 1 and p.shape[0] != batch):
        raise AetherError(f"{name} must be one number or [{batch}], one per item, not {list(p.shape)}")
    inside = (p >= limits[0]) & (p <= limits[1])
    if not bool(inside.all()):
        bad = p.reshape(-1)[~inside.reshape(-1)][0].item()
        raise AetherError(f"{name} must be in {limits[0]:g}..{limits[1]:g}, not {bad:g}")
    return p.expand(batch)


def _by_position(draws: Draws, tokens: int, n: int) -> Tensor:
    """``[B, tokens, n] float64`` uniform; drawn bit position by bit position, so that fewer positions get the same
    numbers (an item's do not depend on the widest of its batch)."""
    return draws.uniform(n, tokens).transpose(1, 2)


def _known_error_rate(kind: StateKind, p: Tensor, bits: Bits, draws: Draws, pilot_spacing: int) -> Tensor:
    """``[B, K] float64``: p' of every token; see the module's text."""
    batch, tokens, _ = bits.values.shape
    if kind == "exact":
        return p[:, None].expand(batch, tokens)
    if kind == "withheld":
        return torch.full((batch, tokens), WITHHELD_ERROR_RATE, dtype=p.dtype, device=p.device)
    window = max(1, round(NOISE_WINDOW_S * FRAMES_PER_SECOND / bits.token_frames))
    pilots = torch.round(bits.counts / pilot_spacing).long().clamp(min=1)
    widest = int(pilots.max()) if batch else 1
    wrong = _by_position(draws, tokens + window, widest) < p[:, None, None]
    counted = wrong & (torch.arange(widest, device=p.device) < pilots[:, None, None])
    errors = counted.sum(-1).unfold(1, window, 1).sum(-1)[:, 1:]
    seen = (pilots * window)[:, None]
    return ((errors + 0.5) / (seen + 1)).clamp(max=ERROR_RATE_RANGE[1])
