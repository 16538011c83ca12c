"""ASR loss: distance of a speech recogniser's states of decoded and true features, with gradients, without a vocoder.

A mel predictor (:mod:`~aether_lite.losses.asr.mel_predictor`) turns features into the log-mel spectrum that the encoder
of Whisper (:mod:`~aether_lite.losses.asr.whisper`) takes. The extra ``listener`` brings the recogniser; the mel
predictor ``ear`` comes with the package.
"""

from aether_lite.losses.asr.asr_loss import AsrLoss, load_asr_loss, log_mel_spectra, state_distance
from aether_lite.losses.asr.mel_predictor import (
    DEFAULT_MEL_PREDICTOR,
    MelPredictor,
    load_mel_predictor,
    save_mel_predictor,
)
from aether_lite.losses.asr.whisper import TINY, WhisperEncoder, load_encoder, model_file

__all__ = [
    "DEFAULT_MEL_PREDICTOR", "TINY", "AsrLoss", "MelPredictor", "WhisperEncoder", "load_asr_loss", "load_encoder",
    "load_mel_predictor", "log_mel_spectra", "model_file", "save_mel_predictor", "state_distance",
]  # fmt: skip
