"""The listener: what a speech recogniser makes of features, with gradients.

The encoder of a recogniser (:mod:`~aether_lite.losses.asr.recogniser`) hears the spectrum that an ear
(:mod:`~aether_lite.losses.asr.ear`) guesses from the features. Its decoder
(:mod:`~aether_lite.losses.asr.reader`) tells which words that says. So a codec in training learns which errors cost
words, without a vocoder. The extra ``listener`` brings the recogniser; the ear comes with the package.
"""

from aether_lite.losses.asr.ctranslate import TINY, recogniser_file
from aether_lite.losses.asr.ear import Ear
from aether_lite.losses.asr.listener import Listener
from aether_lite.losses.asr.reader import Reader, load_reader
from aether_lite.losses.asr.recogniser import RecogniserEncoder, load_encoder
from aether_lite.losses.asr.weights import DEFAULT_EAR, ear_path, load_ear, load_listener, save_ear

__all__ = [
    "DEFAULT_EAR",
    "TINY",
    "Ear",
    "Listener",
    "Reader",
    "RecogniserEncoder",
    "ear_path",
    "load_ear",
    "load_encoder",
    "load_listener",
    "load_reader",
    "recogniser_file",
    "save_ear",
]
