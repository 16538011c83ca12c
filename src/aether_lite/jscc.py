"""Joint source-channel mapping: tokens to power-constrained, rate-nested complex symbols and back.

The networks between tokens and ordered latents are the same for symbols and for bits (:mod:`aether_lite.hash`). The
encoder maps every token to 2 n_max ordered real latents: pairs are the I and Q of complex symbols, or each is one bit.
A rate sends a prefix; the latents do not depend on the rate, so any prefix of a stream is the stream of a lower rate
(of symbols: up to one positive gain per token). The decoder is conditioned (FiLM: feature-wise scale and shift) on the
receiver's SNR estimate, the rate and which tokens are erased, and sees the reliability of every pair.

With the receiver's estimates h and N0 and unit symbol energy the linear MMSE equaliser and its reliability are

    r = conj(h) y / (|h|^2 + N0),   rho = |h|^2 / (|h|^2 + N0)

Where the mean squares of the latents are known, r is refined to the posterior mean of each real part x under a
Gaussian prior of variance v (in units of Es), in units of sqrt(v)::

    E[x | r] / sqrt(v) = r sqrt(v) / (v rho + (1 - rho) / 2)

Unknown entries are replaced by constants of the link (h = 1, N0 = 0.1) and flagged as unknown.
The nominal symbol energy is Es = 1. A token's first n symbols are scaled in one of three ways. ``token``, per-token
power: the mean energy of every token that is sent is exactly 1::

    x_j = z_j * sqrt(n / sum_{i < n} |z_i|^2),   j = 0 .. n - 1

``session``, long-term average power: the mean energy over speech is 1. The scale is a constant of the rate, from mean
squares of the latents over speech, part of the checkpoint; a token with little to say costs less::

    x_j = z_j * sqrt(n / sum_{i < n} E|z_i|^2)

``held``, long-term average power that holds for any voice and level: the symbols of ``session`` times a slow gain,
which spends or saves what was sent too little or too much. With e_k the mean energy of token k before the gain and H
tokens in :data:`HORIZON_S`::

    g_k^2 = 1 + s_k / H,   s_{k+1} = s_k + 1 - g_k^2 e_k,   s_0 = 0,   g^2 within :data:`HELD_RANGE`

The sender needs its past alone and the receiver nothing. A voice that ``session`` would send at r times the power ends
with s = H (1/r - 1), so its mean power over T seconds comes to 1 + (1 - 1/r) HORIZON_S / T.

Each scale is one positive number, never taken over a clip or a batch. An encoder with a target SNR has other latents,
so the mean squares are measured for a grid of target SNRs too: the mean energy is 1 for every link by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aether_lite.errors import AetherError
from aether_lite.payload import (
    DEFAULT_RATE,
    FRAMES_PER_SECOND,
    RATES,
    TARGET_SNRS_DB,
    Received,
    Symbols,
    elements_per_token,
    widest_token,
)
from aether_lite.reception import UNKNOWN_NOISE_VARIANCE
from aether_lite.spi import NUM_ROWS, patches

SNR_RANGE_DB = (-10.0, 30.0)  # SNRs outside it are clamped before the networks see them
FILM_HIDDEN = 32  # units
REFERENCE_RATE = 600.0  # uses/s whose logarithm is the zero of the rate input


def snr_inputs(snr_db: Tensor | None, like: Tensor) -> Tensor:
    """``[B, K, 2]``: SNR ``[B, K]`` [dB] / 10 dB and a flag that it is known; zeros where it is not (None or NaN)."""
    if snr_db is None:
        return like.new_zeros(*like.shape[:2], 2)
    known = torch.isfinite(snr_db)
    value = torch.nan_to_num(snr_db.clamp(*SNR_RANGE_DB)) / 10
    value = torch.where(known, value, torch.zeros_like(value))
    return torch.stack((value, known.to(value.dtype)), dim=-1).to(like.dtype)


class FiLM(nn.Module):
    """``x * (1 + scale) + shift``, scale and shift from a small network of the conditions; starts as identity."""

    def __init__(self, conditions: int, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(conditions, FILM_HIDDEN)
        self.outer = nn.Linear(FILM_HIDDEN, 2 * width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor, conditions: Tensor) -> Tensor:
        """``x [B, K, width]``, ``conditions [B, K, C]``."""
        scale, shift = self.outer(F.silu(self.inner(conditions))).chunk(2, dim=-1)
        return x * (1 + scale) + shift  # type: ignore[no-any-return]


class MappingEncoder(nn.Module):
    """Tokens ``[B, K, width]`` to ordered latents."""

    def __init__(self, width: int, token_frames: int) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.max_uses = elements_per_token(RATES[-1], token_frames)
        self.film = FiLM(2, width)
        self.expand = nn.Linear(width, 2 * width)
        self.linear = nn.Linear(width, 2 * self.max_uses)
        self.contract = nn.Linear(2 * width, 2 * self.max_uses, bias=False)

    def forward(self, tokens: Tensor, target_snr_db: Tensor | None = None) -> Tensor:
        """All ordered latents ``[B, K, 2 n_max]``; ``target_snr_db [B, K]`` [dB] as :func:`snr_inputs` takes it."""
        conditioned = self.film(tokens, snr_inputs(target_snr_db, tokens))
        latents: Tensor = self.linear(conditioned) + self.contract(F.silu(self.expand(conditioned)))
        return latents


@dataclass(frozen=True)
class Estimates:
    """Received payload behind the receiver's front end, in pairs of latents.

    Attributes:
        first, second: ``[B, K, n]``, estimates of the two latents of every pair.
    """

    first: Tensor
    second: Tensor
    reliability: Tensor  # ``[B, K, n]``, 0 (nothing known) .. 1 (noise-free).
    snr_db: Tensor | None  # ``[B, K]``, quality of the token as Es/N0 [dB]; None (or NaN) where unknown
    rates: Tensor  # ``[B]`` [uses/s]
    erased: Tensor  # ``[B, K] bool``


class MappingDecoder(nn.Module):
    """Decoder inputs, and the conditions of the channel, to tokens ``[B, K, width]``."""

    CONDITIONS = 4  # SNR and its flag, rate, erasure

    def __init__(self, width: int, token_frames: int) -> None:
        super().__init__()
        self.token_frames = token_frames
        self.max_uses = elements_per_token(RATES[-1], token_frames)
        inputs = 3 * self.max_uses
        self.linear = nn.Linear(inputs, width)
        self.expand = nn.Linear(inputs, 2 * width)
        self.film_hidden = FiLM(self.CONDITIONS, 2 * width)
        self.contract = nn.Linear(2 * width, width, bias=False)
        self.film_token = FiLM(self.CONDITIONS, width)

    def decoder_inputs(self, estimates: Estimates) -> tuple[Tensor, Tensor]:
        """Inputs ``[B, K, 3 n_max]`` (two estimates and their reliability a pair) and conditions ``[B, K, 4]``."""
        batch, count, n = estimates.first.shape
        stacked = torch.stack((estimates.first, estimates.second, estimates.reliability), dim=-1)
        inputs = F.pad(stacked, (0, 0, 0, self.max_uses - n)).reshape(batch, count, -1).to(self.linear.weight.dtype)
        rates = torch.log2(estimates.rates.to(inputs) / REFERENCE_RATE)[:, None, None].expand(batch, count, 1)
        conditions = (snr_inputs(estimates.snr_db, inputs), rates, estimates.erased[..., None].to(inputs.dtype))
        return inputs, torch.cat(conditions, dim=-1)

    def forward(self, inputs: Tensor, conditions: Tensor) -> Tensor:
        """Tokens of inputs ``[B, K, 3 n_max]`` under ``conditions [B, K, 4]``."""
        hidden = self.film_hidden(self.expand(inputs), conditions)
        tokens: Tensor = self.film_token(self.linear(inputs) + self.contract(F.silu(hidden)), conditions)
        return tokens


class LinearPath(nn.Module):
    """One matrix each way, between tokens of ``token_frames`` frames and real latents (``latents``: 2 n_max).

    Fine detail, which networks learn last, crosses the channel by it from the first step
    (:func:`aether_lite.codec.growth.start`).
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


HORIZON_S = 3.0
HELD_RANGE = (10**-0.25, 10**0.25)  # +-2.5 dB
ENERGY_FLOOR = 1e-9  # keeps the gradient finite for an all-zero token
_TARGET_STEP_DB = 4.0
_FOLLOW = 0.98  # decay of the running mean squares while training


class LatentPower(nn.Module):
    """Mean squares of the real latents (``latents``: 2 n_max) over speech: constants of the checkpoint.

    Buffer ``values [2 n_max]`` is of the blind encoder, ``told [11, 2 n_max]`` of one with each of
    :data:`TARGET_SNRS_DB`; NaN until they are measured. While training ``values`` follow the batches; at the end both
    are measured. ``total`` sums a tensor over the processes that train together, without gradient.
    """

    values: Tensor
    told: Tensor
    grid_db: Tensor

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.total: Callable[[Tensor], Tensor] = torch.Tensor.detach
        self.register_buffer("values", torch.ones(latents))
        self.register_buffer("told", torch.full((len(TARGET_SNRS_DB), latents), torch.nan))
        self.register_buffer("grid_db", torch.tensor(TARGET_SNRS_DB, dtype=torch.float32), persistent=False)

    @torch.no_grad()
    def set(self, values: Tensor, told: Sequence[Tensor] = ()) -> None:
        """Take measured mean squares ``[2 n_max]`` of the blind encoder, and for each of :data:`TARGET_SNRS_DB`."""
        self.values.copy_(values.clamp_min(ENERGY_FLOOR))
        if told:
            self.told.copy_(torch.stack(list(told)).clamp_min(ENERGY_FLOOR))

    def check_targets(self) -> None:
        """Refuse constants that :meth:`at` cannot interpolate, never measured for target SNRs."""
        if bool(torch.isnan(self.told).any()):
            advice = "encode without a target SNR, or measure it by training/calibrate_power.py"
            raise AetherError(f"this codec's power was never measured for target SNRs: {advice}")

    def at(self, target_snr_db: Tensor) -> Tensor:
        """Mean squares ``[..., 2 n_max]`` of an encoder with ``target_snr_db [...]`` [dB]; NaN: blind."""
        known = torch.isfinite(target_snr_db)
        place = torch.nan_to_num(target_snr_db.clamp(TARGET_SNRS_DB[0], TARGET_SNRS_DB[-1]))
        shares = (1 - (place[..., None] - self.grid_db).abs() / _TARGET_STEP_DB).clamp_min(0)
        return torch.where(known[..., None], torch.exp(shares @ torch.log(self.told)), self.values)

    def followed(self, latents: Tensor) -> Tensor:
        """Move towards the mean squares of a training batch ``[B, K, 2 n_max]`` over all processes.

        Returns the new constants ``[2 n_max]``, with the gradient of the batch's mean squares: what scales by them pays
        for power. The value does not depend on the batch beyond the step taken.
        """
        seen: Tensor = _MeanOverProcesses.apply(latents.square().mean((0, 1)), self.total)  # type: ignore[no-untyped-call]
        self.set(self.values.lerp(seen.detach().to(self.values), 1 - _FOLLOW))
        return self.values + (seen - seen.detach())

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Earlier checkpoints have no ``told``: it stays as it is."""
        super()._load_from_state_dict({f"{prefix}told": self.told, **state_dict}, prefix, *rest)


def first_pairs(power: Tensor, n: int) -> Tensor:
    """Mean squares ``[n, 2]`` of the two parts of the first n latent symbols, of those of all ``[2 n_max]``."""
    return power[: 2 * n].reshape(n, 2)


def scaled(latent: Tensor, used: Tensor, power: Tensor | None) -> Tensor:
    """``latent [B, K, n] complex`` where ``used [B, 1, n] bool``, at mean energy 1 over the prefix, and zero beyond.

    The mean is over speech with ``power``, mean squares of the real latents ``[2 n_max]``; in every token without.
    """
    kept = torch.where(used, latent, torch.zeros((), dtype=latent.dtype, device=latent.device))
    if power is None:
        energy = (kept.real.square() + kept.imag.square()).sum(-1, keepdim=True)
    else:
        energy = (first_pairs(power, latent.shape[-1]).sum(-1) * used).sum(-1, keepdim=True)
    count = used.sum(-1, keepdim=True).to(energy.dtype)
    return kept * torch.sqrt(count / (energy + ENERGY_FLOOR))


def held(values: Tensor, used: Tensor, token_frames: int, saved: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Symbols ``[B, K, n]``, those sent where ``used [B, 1, n] bool``, times the slow gain of ``held``.

    Also the energy saved after them ``[B]``, in tokens; ``saved`` is that before them, None at the beginning.
    """
    horizon = HORIZON_S * FRAMES_PER_SECOND / token_frames
    least, most = (horizon * (gain - 1) for gain in HELD_RANGE)
    energies = (values.real.square() + values.imag.square()).sum(-1) / used.sum(-1)
    now, gains = energies.new_zeros(len(energies)) if saved is None else saved, []
    for energy in energies.unbind(1):
        gains.append(1 + now / horizon)
        now = (now + 1 - gains[-1] * energy).clamp(least, most)
    return (values * torch.stack(gains, 1).sqrt()[..., None] if gains else values), now


class _MeanOverProcesses(torch.autograd.Function):
    """Mean of a tensor over processes, of equal shares; its gradient is the mean of theirs."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, total: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.total = total
        return _mean(value, total)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _mean(gradients[0], ctx.total), None


def _mean(value: Tensor, total: Callable[[Tensor], Tensor]) -> Tensor:
    joined = total(torch.cat((value, value.new_ones(1))))
    return joined[:-1] / joined[-1]


@dataclass(frozen=True)
class Equalised:
    """Receiver front-end output.

    Attributes:
        snr_db: ``[B, K]`` mean Es/N0 estimate of the token [dB]; None where unknown, NaN where unknown for a token.
    """

    symbols: Tensor  # ``[B, K, n] complex``, MMSE estimates of the sent symbols, zero where nothing was received
    reliability: Tensor  # ``[B, K, n]``, 0 (nothing known) .. 1 (noise-free).
    snr_db: Tensor | None


class SymbolBottleneck:
    """Pairs of latents as complex symbols."""

    unit = Symbols.unit
    rates = RATES
    default_rate = DEFAULT_RATE
    received = Received

    def send(self, latents: Tensor, rate: int | Tensor, token_frames: int, power: Tensor | None = None) -> Symbols:
        """Symbols of latents ``[B, K, 2 n_max]`` at ``rate`` [uses/s], an int, or ``[B] int64`` for mixed ones.

        Long-term average power needs the latents' mean squares ``power [2 n_max]``; None for per-token power.
        """
        n = widest_token(rate, token_frames)
        sent = Symbols(paired(latents)[..., :n], rate, token_frames)
        return Symbols(scaled(sent.values, sent.used, power), rate, token_frames)

    def estimates(self, received: Received, power: Tensor | None = None, used: Tensor | None = None) -> Estimates:
        """Estimates of the latents behind the equaliser; posterior means with their mean squares ``power [2 n_max]``.

        ``used [B, 1, n] bool`` marks positions that were sent; None for those of the rate.
        """
        used = received.used if used is None else used
        front = equalise(received, used)
        return Estimates(
            *latent_estimates(front, used, power), front.reliability, front.snr_db, received.rates, received.erased
        )


def paired(latents: Tensor) -> Tensor:
    """Latents ``[B, K, 2 n]`` in pairs, ``[B, K, n] complex``: symbols before the power constraint."""
    return torch.view_as_complex(torch.unflatten(latents, -1, (-1, 2)))


def equalise(received: Received, used: Tensor) -> Equalised:
    """MMSE equalisation; ``used [B, 1, n] bool`` marks the positions that were sent."""
    y, state = received.values, received.state
    real = y.real.dtype
    alive = used & ~state.erased[:, :, None]
    if state.noise_variance is None:
        noise = torch.full(y.shape[:2], UNKNOWN_NOISE_VARIANCE, dtype=real, device=y.device)
        snr_db = None
    else:
        known = torch.isfinite(state.noise_variance)
        noise = torch.where(known, state.noise_variance, UNKNOWN_NOISE_VARIANCE).to(real)
        snr_db = -10 * torch.log10(state.noise_variance.to(real).clamp_min(1e-6))  # NaN stays NaN: unknown
    noise = noise[:, :, None]
    if state.gain is None:
        reliability = (1 / (1 + noise)).expand(y.shape)
        symbols = y * reliability
    else:
        power = state.gain.real.square() + state.gain.imag.square()
        symbols = state.gain.conj() * y / (power + noise + 1e-9)
        reliability = power / (power + noise + 1e-9)
    zero = torch.zeros((), dtype=real, device=y.device)
    return Equalised(
        symbols=torch.where(alive, symbols, zero.to(symbols.dtype)),
        reliability=torch.where(alive, reliability, zero),
        snr_db=snr_db,
    )


def latent_estimates(front: Equalised, used: Tensor, power: Tensor | None) -> tuple[Tensor, Tensor]:
    """Estimates of the two latents of every symbol, each ``[B, K, n]``.

    With ``power``, mean squares ``[2 n_max]`` of the latents before the scale of the rate, posterior means, each in
    units of its own root mean square; without, real and imaginary part of the MMSE estimate.
    """
    first, second = front.symbols.real, front.symbols.imag
    if power is None:
        return first, second
    prior = first_pairs(power, first.shape[2])
    energy = (prior * used[..., None]).sum((-1, -2), keepdim=True)
    prior = prior * (used.sum(-1)[..., None, None] / energy)
    rho = front.reliability[..., None]
    factor = prior.sqrt() / (prior * rho + (1 - rho) / 2 + ENERGY_FLOOR)
    return first * factor[..., 0], second * factor[..., 1]
