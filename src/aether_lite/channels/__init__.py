"""Channels between transmitter and receiver, for symbols and for bits.

Every channel takes what was sent and its quality, and gives what is received::

    received = channels.mpp(symbols, snr_db=6.0, csi="estimated", seed=1)
    received = channels.bsc(bits, error_rate=0.01, seed=1)
    received = channels.keyed(bits, lambda symbols: channels.mpp(symbols, snr_db=6.0, seed=1))
    received = channels.erase(received, probability=0.05, burst_tokens=3, seed=1)

=====================  ==================================================================
:func:`awgn`           white Gaussian noise
:func:`rayleigh`       Rayleigh fading, by blocks or with Jakes' Doppler spectrum
:func:`rician`         the same with a line of sight
:func:`watterson`      two HF paths; profiles :func:`mpg`, :func:`mpp`, :func:`mpd`
:func:`erasure`        lost tokens after noise, alone or in bursts
:func:`clean`          no noise, of symbols or bits
:func:`bsc`            binary symmetric channel: bits flipped with a probability
:func:`keyed`          bits as BPSK or QPSK over a channel of symbols, with soft decisions
:func:`erase`          lost tokens, on top of any other channel
:func:`lose_bits`      lost bits, on top of any other channel of bits
=====================  ==================================================================

Options of every channel are those of :class:`~aether_lite.channels.channel.Options`; every function here raises
AetherError where an option is out of range. A new channel is one module of this package, see
:mod:`aether_lite.channels.channel`.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from aether_lite.channels.binary import Modulation, bsc, keyed, lose_bits
from aether_lite.channels.channel import BIT_CHANNELS, CHANNELS, CSI, Csi, Options, SnrDb, apply_channel, awgn
from aether_lite.channels.erasure import clean, erase, erasure, lose_tokens
from aether_lite.channels.fading import rayleigh, rician
from aether_lite.channels.watterson import mpd, mpg, mpp, watterson
from aether_lite.payload import Bits, ChannelState, Received, ReceivedBits, Symbols

__all__ = [
    "BIT_CHANNELS", "CHANNELS", "CSI", "NOISELESS", "Bits", "ChannelState", "Csi", "Modulation", "Options", "Received",
    "ReceivedBits", "SnrDb", "Symbols", "apply_channel", "awgn", "bsc", "clean", "erase", "erasure", "keyed",
    "lose_bits", "lose_tokens", "mpd", "mpg", "mpp", "rayleigh", "rician", "watterson",
]

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")  # a channel registers itself
NOISELESS = tuple(name for name, each in CHANNELS.items() if not each.needs_snr)
"""Channels of symbols that need no SNR."""
