"""Figures of a voice that is alive, and of one that has collapsed."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.codec import Codec, SpiCodec, load
from aether_lite.losses.semantic import SILENT_BELOW, frame_level
from aether_lite.metrics import pitch_spike
from aether_lite.training.codec_validation import alarms
from aether_lite.vocoder import load_fargan

FIGURES = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "anti_buzz.py"))
compare, measure = FIGURES["compare"], FIGURES["measure"]


def test_a_perfect_copy_has_perfect_figures(speech_features: torch.Tensor) -> None:
    clips = list(speech_features)
    figures = compare(clips, clips)
    assert figures["feature_loss"] == 0
    assert figures["spread_ratio"] == pytest.approx(1)
    assert figures["f0_correlation"] == pytest.approx(1)
    assert figures["vuv_error"] == 0
    assert figures["pooled_spread_hz"] == figures["original_spread_hz"] > 20
    assert figures["pitch_spike"] < 5


def test_a_monotone_voice_is_seen_by_every_monitor(speech_features: torch.Tensor) -> None:
    flat = speech_features.clone()
    flat[..., 18] = -0.2
    figures = compare(list(flat), list(speech_features))
    assert figures["pooled_spread_hz"] < 1
    assert figures["spread_ratio"] < 0.05
    mask = torch.ones(flat.shape[:2], dtype=torch.bool)
    spike = pitch_spike(flat, speech_features, mask)
    assert spike > 20
    found = alarms({"f0_spread_ratio": figures["spread_ratio"], "vuv_error": 0.5, "pitch_spike": spike})
    assert [word for text in found for word in ("monotone", "voicing", "sticks") if word in text] == [
        "monotone",
        "voicing",
        "sticks",
    ]
    assert not alarms({"f0_spread_ratio": 1.0, "vuv_error": 0.05, "pitch_spike": 1.5})


def test_hissing_silence_is_counted(speech_features: torch.Tensor) -> None:
    original = speech_features.clone()
    original[:, 100:150, :18] = 0
    original[:, 100:150, 0] = -12.485  # digital silence
    decoded = original.clone()
    decoded[0, 100:150, 0] = 10.0  # one of the two clips hisses
    figures = compare(list(decoded), list(original))
    silent = int((frame_level(original) < SILENT_BELOW).sum())
    assert silent >= 100
    assert figures["quiet_silence"] == pytest.approx(1 - 50 / silent)


def test_a_released_codec_is_decoded_with_its_lookahead(speech: np.ndarray) -> None:
    figures, _ = measure(load("small"), load_fargan().eval(), [speech[0][:32000]], 1000, 10.0)
    assert 0.02 < figures["feature_loss"] < 0.1  # 1.9 where every token is taken for the one before it
    assert figures["vuv_error"] < 0.02


def test_measure_hears_what_the_vocoder_says(tiny: SpiCodec, speech: np.ndarray) -> None:
    on_features, on_audio = measure(Codec(tiny), load_fargan().eval(), [speech[0][:32000]], 1200, 0.0)
    assert on_features["feature_loss"] > 0.1  # the codec is untrained
    assert on_audio["feature_loss"] != on_features["feature_loss"]
    assert -0.2 < on_audio["estoi"] < 1
