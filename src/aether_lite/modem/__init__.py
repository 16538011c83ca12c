"""Modem: the codec's symbols as sound for a radio's microphone socket, and back.

:class:`Transmitter` makes audio of a codec's tokens, :class:`Receiver` finds them again in a recording with unknown
start, frequency, clock and fading. Everything here is numpy; a receiver is given nothing but samples.
"""

from aether_lite.modem.over import OverReport, ReceivedFrame
from aether_lite.modem.profiles import NAMES, PROFILES, Profile, find
from aether_lite.modem.receiver import Receiver, Reception
from aether_lite.modem.text import Message
from aether_lite.modem.transmitter import Transmitter

__all__ = [
    "NAMES", "PROFILES", "Message", "OverReport", "Profile", "ReceivedFrame", "Receiver", "Reception", "Transmitter",
    "find",
]  # fmt: skip
