"""How close a vocoder's speech comes to the speech that its features were taken from."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from aether_lite.metrics.spectral import resynthesis_measures, spectral_distance


def test_the_original_itself_is_at_no_distance(speech: np.ndarray) -> None:
    audio = torch.from_numpy(speech[0, :48000])
    assert spectral_distance(audio, audio) == 0
    assert spectral_distance(-audio, audio) < 1e-6
    assert spectral_distance(0.5 * audio, audio) == pytest.approx(1 - math.sqrt(0.5), rel=1e-3)
    assert math.isnan(spectral_distance(audio[:1600], audio[:1600]))
    with pytest.raises(ValueError, match="do not belong"):
        resynthesis_measures(audio, audio, torch.zeros(299, 20), ())
