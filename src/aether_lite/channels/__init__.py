"""Channels between the transmitter and the receiver.

Every channel takes :class:`Symbols` and Es/N0 in dB and gives :class:`Received`::

    received = channels.mpp(symbols, snr_db=6.0, seed=1)
    received = channels.erase(received, probability=0.05, burst_tokens=3, seed=1)

=====================  ==================================================================
:func:`awgn`           white Gaussian noise
:func:`rayleigh`       Rayleigh fading, by blocks or with Jakes' Doppler spectrum
:func:`rician`         the same with a line of sight
:func:`watterson`      two HF paths; profiles :func:`mpg`, :func:`mpp`, :func:`mpd`
:func:`erasure`        lost tokens, alone or in bursts; :func:`erase` adds them to any other
:func:`clean`          no noise
=====================  ==================================================================

Binary channels take :class:`Bits` and give :class:`ReceivedBits`, soft bits::

    received = channels.bsc(bits, error_rate=0.01, seed=1)
    received = channels.lose_tokens(received, probability=0.05, burst_tokens=3, seed=1)
    received = channels.keyed(bits, lambda symbols: channels.mpp(symbols, snr_db=6.0, seed=1))

=====================  ==================================================================
:func:`bsc`            bits turned with a probability
:func:`keyed`          BPSK or QPSK over any channel above, with soft decisions
:func:`lose_bits`      lost bits, on top of any other
:func:`lose_tokens`    lost tokens, alone or in bursts, on top of any other
=====================  ==================================================================
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

from aether_lite.channels.awgn import awgn, clean
from aether_lite.channels.binary import bsc, lose_bits, lose_tokens
from aether_lite.channels.erasure import erase, erasure
from aether_lite.channels.fading import rayleigh, rician
from aether_lite.channels.keying import Modulation, keyed
from aether_lite.channels.parameters import SnrDb
from aether_lite.channels.state import StateKind
from aether_lite.channels.watterson import mpd, mpg, mpp, watterson
from aether_lite.errors import AetherError
from aether_lite.payload import Bits, ChannelState, Received, ReceivedBits, Symbols

__all__ = [
    "CHANNELS",
    "Bits",
    "ChannelState",
    "Modulation",
    "Received",
    "ReceivedBits",
    "SnrDb",
    "StateKind",
    "Symbols",
    "apply_channel",
    "awgn",
    "bsc",
    "clean",
    "erase",
    "erasure",
    "keyed",
    "lose_bits",
    "lose_tokens",
    "mpd",
    "mpg",
    "mpp",
    "rayleigh",
    "rician",
    "watterson",
]

CHANNELS: dict[str, Callable[..., Received]] = {
    "awgn": awgn,
    "rayleigh": rayleigh,
    "rician": rician,
    "mpg": mpg,
    "mpp": mpp,
    "mpd": mpd,
    "erasure": erasure,
    "clean": clean,
}
"""Channels by the name that the command line knows."""


def apply_channel(name: str, symbols: Symbols, snr_db: SnrDb | None = None, **options: object) -> Received:
    """Send symbols over the channel of this name.

    Args:
        name: a key of :data:`CHANNELS`.
        symbols: ``[B, K, n]``, what the transmitter sends.
        snr_db: Es/N0 [dB]; may be None for ``erasure`` and ``clean``.
        options: keyword options of that channel.

    Raises:
        AetherError: the name or an option is unknown, or a value is out of range.
    """
    if name not in CHANNELS:
        raise AetherError(f"unknown channel {name!r}; known: {', '.join(CHANNELS)}")
    channel = CHANNELS[name]
    known = list(inspect.signature(channel).parameters)[2:]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise AetherError(f"channel {name} has no option {unknown[0]!r}; it has {', '.join(known)}")
    return channel(symbols, snr_db, **options)
