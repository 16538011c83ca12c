"""The listener: what a speech recogniser hears in features, predicted from the features themselves.

A small network, learned from the hidden states of a recogniser's encoder on speech
(:mod:`aether_lite.training.listener`). It tells a codec which errors of its features cost words, with gradients,
without a vocoder and without the recogniser.
"""

from aether_lite.listener.network import FRAMES_PER_STATE, STATES, Listener
from aether_lite.listener.weights import (
    DEFAULT_LISTENER,
    listener_path,
    load_listener,
    save_listener,
)

__all__ = [
    "DEFAULT_LISTENER",
    "FRAMES_PER_STATE",
    "STATES",
    "Listener",
    "listener_path",
    "load_listener",
    "save_listener",
]
