"""PESQ, DNSMOS and speaker similarity against the packages they come from."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.errors import AetherError
from aether_lite.metrics import METRICS, available, dnsmos, pesq_wb, speaker_similarity

needs_pesq = pytest.mark.skipif(not available("pesq_wb"), reason="pesq is not installed")
needs_dnsmos = pytest.mark.skipif(not available("dnsmos_ovrl"), reason="speechmos is not installed")
needs_resemblyzer = pytest.mark.skipif(not available("speaker_similarity"), reason="resemblyzer is not installed")


@pytest.fixture(scope="module")
def noisy(speech: np.ndarray) -> np.ndarray:
    """The speech with white noise at 20 dB below its own level."""
    noise = np.random.default_rng(0).standard_normal(speech.shape)
    return (speech + 0.1 * speech.std(axis=1, keepdims=True) * noise).astype(np.float32)


@needs_pesq
def test_pesq_is_what_the_package_says(speech, noisy):
    from pesq import pesq

    wanted = [pesq(16_000, original, decoded, "wb") for original, decoded in zip(speech, noisy, strict=True)]
    found = pesq_wb(torch.from_numpy(noisy), torch.from_numpy(speech))
    assert found.tolist() == pytest.approx(wanted)
    assert all(1 < score < 4 for score in wanted)


@needs_pesq
def test_pesq_of_the_same_is_the_top_of_its_scale(speech):
    original = torch.from_numpy(speech).reshape(2, 1, -1)
    torch.testing.assert_close(pesq_wb(original, original), torch.full((2, 1), 4.6439), atol=1e-4, rtol=0)


@needs_pesq
def test_pesq_without_an_utterance_is_nan_and_a_silent_link_scores_lowest(speech):
    original = torch.from_numpy(speech[0])
    mute = torch.zeros_like(original)
    assert pesq_wb(original, mute).isnan()
    assert pesq_wb(mute, mute).isnan()
    assert pesq_wb(original[:3000], original[:3000]).isnan()  # shorter than PESQ takes
    assert pesq_wb(mute, original).item() == 1.0


@needs_pesq
def test_pesq_of_a_long_clip_is_the_mean_over_parts(speech, noisy):
    """In one piece, more than 50 utterances end the process."""
    from pesq import pesq

    original = np.tile(np.concatenate((speech[0, :8000], np.zeros(8000, np.float32))), 52)
    decoded = np.tile(np.concatenate((noisy[0, :8000], noisy[0, :8000] - speech[0, :8000])), 52)
    parts = zip(np.array_split(original, 3), np.array_split(decoded, 3), strict=True)
    wanted = np.mean([pesq(16_000, *pair, "wb") for pair in parts])
    assert pesq_wb(torch.from_numpy(decoded), torch.from_numpy(original)).item() == pytest.approx(wanted)


@needs_dnsmos
def test_dnsmos_is_what_the_package_says(speech):
    from speechmos import dnsmos as package

    wanted = package.run(speech[0], 16_000)
    for name in ("ovrl", "sig", "bak", "p808"):
        score = METRICS[f"dnsmos_{name}"](torch.from_numpy(speech[:1]))
        assert score.shape == (1,)
        assert score.item() == pytest.approx(wanted[f"{name}_mos"], abs=1e-3)


@needs_dnsmos
def test_dnsmos_clips_what_is_beyond_full_scale(speech):
    loud = torch.from_numpy(5 * speech[0] / np.abs(speech[0]).max())
    assert dnsmos("ovrl", loud).item() == dnsmos("ovrl", loud.clamp(-1, 1)).item()
    assert dnsmos("ovrl", torch.zeros(2, 0)).isnan().all()


@needs_dnsmos
def test_networks_run_on_one_thread_and_send_nothing():
    import os

    from aether_lite.metrics import perceptual

    scorer = perceptual._scorer()
    for session in (scorer.onnx_sess, scorer.p808_onnx_sess):
        assert session.get_session_options().intra_op_num_threads == 1
    assert os.environ["ORT_DISABLE_TELEMETRY"]
    assert Path(scorer.primary_model_path).exists()


@needs_resemblyzer
def test_speaker_similarity_is_the_cosine_of_the_package(speech, noisy):
    from resemblyzer import VoiceEncoder, preprocess_wav

    encoder = VoiceEncoder("cpu", verbose=False)
    wanted = [
        float(np.dot(*(encoder.embed_utterance(preprocess_wav(clip)) for clip in pair)))
        for pair in zip(noisy, speech, strict=True)
    ]
    found = speaker_similarity(torch.from_numpy(noisy), torch.from_numpy(speech))
    assert found.tolist() == pytest.approx(wanted, abs=1e-5)


@needs_resemblyzer
def test_another_voice_is_less_similar_than_the_same_voice(speech):
    original = torch.from_numpy(speech)
    same = speaker_similarity(original, original)
    torch.testing.assert_close(same, torch.ones(2), atol=1e-5, rtol=0)
    assert (same <= 1).all()
    assert (speaker_similarity(original.flip(0), original) < 0.85).all()


@needs_resemblyzer
def test_a_voice_that_is_gone_is_not_similar(speech):
    original = torch.from_numpy(speech[0])
    mute = torch.zeros_like(original)
    assert speaker_similarity(mute, original).item() == 0
    assert speaker_similarity(original, mute).isnan()


@pytest.mark.parametrize(
    "metric", ["pesq_wb", "pesq_nb", "estoi", "dnsmos_ovrl", "wer", "cer", "phone_change", "speaker_similarity"]
)
def test_absent_packages_are_named_with_what_installs_them(metric, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(AetherError, match=r"needs the packages? .*: pip install '\.\[eval\]'"):
        METRICS[metric](torch.zeros(1000), torch.zeros(1000))


@needs_pesq
def test_audio_must_be_finite_and_aligned():
    with pytest.raises(ValueError, match=r"\(10,\) and \(11,\)"):
        pesq_wb(torch.zeros(10), torch.zeros(11))
    with pytest.raises(ValueError, match="finite"):
        pesq_wb(torch.full((10,), torch.nan), torch.zeros(10))
    with pytest.raises(ValueError, match="int16"):
        pesq_wb(torch.zeros(10, dtype=torch.int16), torch.zeros(10, dtype=torch.int16))
