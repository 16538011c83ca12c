"""No vocoder bangs: nothing it makes is far above the original's level nearby, alone or through the codec.

On bad channels the decoded features themselves are too loud in places: that is the codec's error and not looked at.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from aether_lite import channels
from aether_lite.audio import read_audio
from aether_lite.core.codec import CoreCodec
from aether_lite.vocoder import load_vocoder, released_vocoders, synthesize

LOUDER_DB = 6.0  # that a frame of 10 ms may be above the original's loudest within 30 ms
QUIETEST_DB = 40.0  # below the active level: what is quieter counts as this
CLIPS = ("en_f_intro", "en_f_queue", "es_f_intro", "fr_f_intro", "it_m_intro", "ru_f_intro")


def levels_db(samples: np.ndarray) -> np.ndarray:
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(np.float64)
    return np.asarray(10 * np.log10(np.square(frames).mean(1) + 1e-12))


def excess_db(made: np.ndarray, original: np.ndarray) -> float:
    """Largest level of ``made`` above the original's nearby [dB]."""
    own, true = levels_db(made), levels_db(original)
    active = 10 * np.log10(np.mean(10 ** (true[true > true.max() - 40] / 10)))
    floored = np.pad(np.maximum(true, active - QUIETEST_DB), 3, mode="edge")
    return float(np.max(own - np.max([floored[lag : lag + len(true)] for lag in range(7)], axis=0)))


@pytest.fixture(scope="module")
def codec() -> CoreCodec:
    return CoreCodec("base")


def test_the_measure_finds_a_bang() -> None:
    original = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    louder = original.copy()
    louder[8000:8160] *= 4
    assert excess_db(original, original) <= 0
    assert 9 < excess_db(louder, original) < 13


@pytest.mark.parametrize("name", sorted(released_vocoders()))
@pytest.mark.parametrize("clip", CLIPS)
def test_nothing_is_far_above_the_original(clip: str, name: str, codec: CoreCodec) -> None:
    samples = codec.samples(read_audio(str(files("aether_lite").joinpath("assets", "samples", f"{clip}.flac"))))[0]
    rows = codec.features(samples, condition=False)
    assert excess_db(synthesize(rows[0], load_vocoder(name)), samples) < LOUDER_DB
    for rate, snr_db in ((700, 20), (1000, 6)):
        received = channels.awgn(codec.encode_features(rows, rate), snr_db, seed=1)
        spoken = synthesize(codec.decode_features(received)[0], load_vocoder(name))
        assert excess_db(spoken[: len(samples)], samples) < LOUDER_DB, (rate, snr_db)
