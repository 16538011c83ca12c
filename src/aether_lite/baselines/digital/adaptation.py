"""Which mode a transmitter takes that knows the channel's kind and its mean SNR, but not what will happen on it.

The rule: of the modes that fit the rate, the fastest speech whose block error rate at this condition is at most
5 %, with the modulation of the lower block error rate; where none is that good, the mode of the lowest block error
rate. Block error rates are measured with random bits and seeds of their own, never on the clip that is to be sent.
Those of the standard conditions come with the package (``mode_bler.tsv``); others are measured when first needed,
once in a process, in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files

import numpy as np
import torch

from aether_lite.baselines.digital.modes import MODES, Mode, send_blocks
from aether_lite.channels.randomness import seeded
from aether_lite.errors import AetherError
from aether_lite.link import LinkConfig

TARGET_BLER = 0.05
TRIALS = (20, 20)  # clips of random bits, and blocks of each: 400 blocks, 48 s or more on the air
SEED = 271_828_182
TABLE = "mode_bler.tsv"

Options = tuple[tuple[str, str | float], ...]


def best_mode(modes: Iterable[Mode], link: LinkConfig, options: Options = ()) -> Mode:
    """The mode for a link by the rule above.

    Args:
        modes: to choose from.
        link: channel, rate and mean SNR; its seed changes nothing.
        options: what the condition asks for beyond channel, rate and SNR; part of the key.

    Raises:
        AetherError: none of the modes fits the rate.
    """
    fitting = [mode for mode in modes if mode.fits(link.rate)]
    if not fitting:
        raise AetherError(f"no digital mode fits {link.rate} uses/s")
    if len(fitting) == 1:
        return fitting[0]
    rates = {mode: block_error_rate(mode, link, options) for mode in fitting}
    good = [mode for mode in fitting if rates[mode] <= TARGET_BLER]
    if not good:
        return min(fitting, key=lambda mode: rates[mode])
    fastest = max(mode.bit_rate for mode in good)
    return min((mode for mode in good if mode.bit_rate == fastest), key=lambda mode: rates[mode])


def block_error_rate(mode: Mode, link: LinkConfig, options: Options = ()) -> float:
    """Share of blocks that fail, from the table or measured; none without a channel."""
    if link.channel == "clean":
        return 0.0
    if not options:
        stored = stored_rates().get((mode.name, link.channel, link.rate, link.snr_db))
        if stored is not None:
            return stored
    return _measured(mode, link.channel, link.rate, link.snr_db, link.erasure, link.burst_tokens, options)


@cache
def stored_rates() -> dict[tuple[str, str, int, float | None], float]:
    """(mode, channel, uses/s, Es/N0 [dB]) -> block error rate, as they come with the package."""
    rates: dict[tuple[str, str, int, float | None], float] = {}
    for line in table_text().splitlines()[1:]:
        mode, channel, rate, snr_db, blocks, failed = line.split("\t")
        rates[mode, channel, int(rate), float(snr_db)] = int(failed) / int(blocks)
    return rates


def table_text() -> str:
    """The stored table: a header, then a line for each mode and condition."""
    return (files("aether_lite.baselines.digital") / TABLE).read_text()


def failed_blocks(mode: Mode, link: LinkConfig, trials: tuple[int, int] = TRIALS) -> tuple[int, int]:
    """Blocks of random bits that fail on a link, and how many were sent; the link's seed decides."""
    generator = seeded(link.seed, stream=5)
    bits = torch.from_numpy(generator.integers(0, 2, (*trials, mode.info_bits), dtype=np.uint8))
    failed = send_blocks(bits, mode, link).failed
    return int(failed.sum()), failed.numel()


def bler_table(links: Iterable[LinkConfig], modes: Iterable[Mode] = MODES) -> str:
    """The text of ``mode_bler.tsv`` for these links (their seeds are replaced): how the stored table was made."""
    lines = ["mode\tchannel\tuses_per_s\tesn0_db\tblocks\tfailed"]
    for link in links:
        for mode in modes:
            if mode.fits(link.rate) and link.snr_db is not None:
                trial = LinkConfig(link.channel, link.rate, link.snr_db, SEED)
                failed, blocks = failed_blocks(mode, trial)
                lines.append(f"{mode.name}\t{link.channel}\t{link.rate}\t{link.snr_db:g}\t{blocks}\t{failed}")
    return "\n".join(lines) + "\n"


@cache
def _measured(
    mode: Mode,
    channel: str,
    rate: int,
    snr_db: float | None,
    erasure: float | None,
    burst_tokens: float | None,
    options: Options,
) -> float:
    given = {name: value for name, value in options if name not in ("probability", "burst_tokens")}
    link = LinkConfig(channel, rate, snr_db, SEED, erasure=erasure, burst_tokens=burst_tokens, options=dict(given))
    failed, blocks = failed_blocks(mode, link)
    return failed / blocks
