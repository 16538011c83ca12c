"""FARGAN's features: 36 numbers for each 10 ms of speech, from samples and from files."""

from aether_lite.features.analysis import (
    Conditioner,
    StreamingExtractor,
    condition,
    extract_features,
)
from aether_lite.features.files import PcmKind, detect_pcm_kind, f32_columns, read_f32, read_pcm, write_f32, write_pcm
from aether_lite.features.layout import (
    CEPSTRA,
    FRAME,
    LPC,
    NUM_ALL,
    NUM_FREE,
    PITCH,
    SAMPLE_RATE,
    VOICING,
    bands_from_cepstrum,
    cepstrum_from_bands,
    f0_from_pitch,
    lpc_from_cepstrum,
    period_from_pitch,
    pitch_from_f0,
    pitch_from_period,
)
from aether_lite.features.pitch import ROW_LOOKAHEAD_SAMPLES, TRACKER_LOOKAHEAD_FRAMES
from aether_lite.features.yin import yin

__all__ = [
    "CEPSTRA", "FRAME", "LPC", "NUM_ALL", "NUM_FREE", "PITCH", "ROW_LOOKAHEAD_SAMPLES", "SAMPLE_RATE",
    "TRACKER_LOOKAHEAD_FRAMES", "VOICING", "Conditioner", "PcmKind", "StreamingExtractor", "bands_from_cepstrum",
    "cepstrum_from_bands", "condition", "detect_pcm_kind", "extract_features", "f0_from_pitch", "f32_columns",
    "lpc_from_cepstrum", "period_from_pitch", "pitch_from_f0", "pitch_from_period", "read_f32",
    "read_pcm", "write_f32", "write_pcm", "yin",
]
