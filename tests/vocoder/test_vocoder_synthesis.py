"""Sound from features: ends, blocks, streams, batches, alignment, quality."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest
import torch
from torch import Tensor

from aether_lite.audio import read_audio
from aether_lite.core.files import vocoder_in_memory
from aether_lite.errors import AetherError
from aether_lite.features import extract_features
from aether_lite.vocoder import (
    FARGAN,
    StreamingVocoder,
    deemphasize,
    periods_from_features,
    synthesize,
)
from aether_lite.vocoder.fargan import DELAY, LOOKAHEAD_FRAMES
from aether_lite.vocoder.synthesis import BLOCK_FRAMES

TOLERANCE = 1e-5
CLIPS = ["en_f_intro", "en_f_queue", "es_f_intro", "fr_f_intro", "it_m_intro", "ru_f_intro"]
LAG_STEP, LAG_MAX = 4, 160  # samples
LAG_LIMIT = 8  # samples (0.5 ms)


@pytest.fixture(scope="module")
def whole(ready, features):
    return synthesize(features, ready)


def test_fused_equals_the_network_run_as_the_reference_demo_does(vocoder, ready, features):
    clip = features[:120]
    rows = clip[:, :20]
    rows = torch.cat((rows[:1].expand(6, -1), rows[1:], rows[-1:].expand(2, -1)))[None]
    signal = vocoder(rows, periods_from_features(rows), len(clip) + 1, pre=torch.zeros(1, 320))
    expected = deemphasize(signal)[0, 80:-80].clamp(-1, 1)
    torch.testing.assert_close(synthesize(clip, ready), expected, atol=TOLERANCE, rtol=0)


def test_length_type_and_range(ready, features, whole):
    assert whole.shape == (160 * len(features),)
    assert whole.dtype == torch.float32
    loud = features[100:160].clone()
    loud[:, 0] += 40.0  # far beyond full scale
    assert synthesize(loud, ready).abs().max() == 1.0


def test_twenty_columns_are_enough(ready, features):
    assert torch.equal(synthesize(features[:30, :20], ready), synthesize(features[:30], ready))


def test_arrays_give_arrays(ready, features):
    samples = synthesize(features[:30].numpy(), ready)
    assert isinstance(samples, np.ndarray)
    assert samples.dtype == np.float32
    assert np.array_equal(samples, synthesize(features[:30], ready).numpy())
    assert np.array_equal(samples, synthesize(features[:30].numpy().astype(np.float64), ready))


def test_two_runs_are_identical_even_in_training_mode(vocoder, features):
    first = synthesize(features[:30], vocoder)
    vocoder.train()
    try:
        second = synthesize(features[:30], vocoder)
    finally:
        vocoder.eval()
    assert torch.equal(first, second)


@pytest.mark.parametrize("frames", [0, 1, 2, 3])
def test_short_inputs(ready, features, frames):
    assert synthesize(features[:frames], ready).shape == (160 * frames,)
    assert synthesize(features[None, :frames], ready).shape == (1, 160 * frames)


@pytest.mark.parametrize("frames", [BLOCK_FRAMES - 1, BLOCK_FRAMES, BLOCK_FRAMES + 1, 2 * BLOCK_FRAMES])
def test_a_prefix_of_the_features_gives_a_prefix_of_the_samples(ready, features, whole, frames):
    samples = synthesize(features[:frames], ready)
    settled = 160 * (frames - LOOKAHEAD_FRAMES) - 80
    torch.testing.assert_close(samples[:settled], whole[:settled], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("sizes", [[1], [7], [1, 0, 3, 250], [561]])
def test_streaming_equals_offline(ready, features, whole, sizes):
    stream = StreamingVocoder(ready)
    pieces, start = [], 0
    while start < len(features):
        for size in sizes:
            pieces.append(stream.push(features[start : start + size]))
            start += size
    pieces.append(stream.flush())
    torch.testing.assert_close(torch.cat(pieces), whole, atol=TOLERANCE, rtol=0)


def test_rows_release_samples_with_the_stated_delay(ready, features, whole):
    stream = StreamingVocoder(ready)
    released = 0
    for row in range(6):
        released += len(stream.push(features[row : row + 1]))
        assert released == max(0, 160 * (row + 1) - DELAY)
    assert len(stream.flush()) == DELAY
    assert released + DELAY == 6 * 160


def test_samples_depend_on_one_row_ahead_only(ready, features, whole):
    changed = features.clone()
    changed[50, 0] += 3.0
    difference = (synthesize(changed[:60], ready) - synthesize(features[:60], ready)).abs()
    first = int((difference > 0).nonzero()[0])
    assert 160 * (50 - LOOKAHEAD_FRAMES) - 80 <= first < 160 * (50 - LOOKAHEAD_FRAMES) - 40


def test_a_stream_can_be_used_again(ready, features):
    stream = StreamingVocoder(ready)
    runs = [torch.cat((stream.push(features[:20]), stream.flush())) for _ in range(2)]
    assert torch.equal(*runs)
    assert len(stream.flush()) == 0


def test_batch_equals_single(ready, features):
    clips = torch.stack([features[start : start + 150] for start in (0, 130, 260, 390)])
    together = synthesize(clips, ready)
    for clip, samples in zip(clips, together, strict=True):
        torch.testing.assert_close(samples, synthesize(clip, ready), atol=TOLERANCE, rtol=0)


def test_padding_by_the_last_row_gives_the_item_alone(ready, features):
    short = features[200:260]
    padded = torch.cat((short, short[-1:].expand(30, -1)))
    together = synthesize(torch.stack((features[:90], padded)), ready)
    torch.testing.assert_close(together[1, : 160 * 60], synthesize(short, ready), atol=TOLERANCE, rtol=0)


def test_batch_streams(ready, features):
    clips = torch.stack((features[:40], features[100:140]))
    stream = StreamingVocoder(ready)
    pieces = [stream.push(clips[:, start : start + 9]) for start in range(0, 40, 9)]
    torch.testing.assert_close(
        torch.cat((*pieces, stream.flush()), dim=1), synthesize(clips, ready), atol=TOLERANCE, rtol=0
    )


def test_progress_counts_rows(ready, features):
    done: list[int] = []
    synthesize(features[: 2 * BLOCK_FRAMES + 7], ready, progress=done.append)
    assert done == [BLOCK_FRAMES, 2 * BLOCK_FRAMES, 2 * BLOCK_FRAMES + 7]


def test_later_changes_of_the_model_do_not_reach_a_frozen_one(features):
    model = FARGAN().eval()
    frozen = vocoder_in_memory(model.kind, model.state_dict())
    before = synthesize(features[:5], frozen)
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(1.5)
    assert torch.equal(synthesize(features[:5], frozen), before)
    assert not torch.equal(synthesize(features[:5], model), before)


@pytest.mark.parametrize("shape", [(20,), (5, 21), (2, 3, 5, 20), (5, 0)])
def test_wrong_shapes_are_refused(ready, shape):
    with pytest.raises(AetherError, match="features must have the shape"):
        synthesize(torch.zeros(shape), ready)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused_with_their_row(ready, features, value):
    broken = features[:150].clone()
    broken[123, 4] = value
    with pytest.raises(AetherError, match="row 123 "):
        synthesize(broken, ready)


def test_another_number_of_streams_needs_a_flush(ready, features):
    stream = StreamingVocoder(ready)
    stream.push(features[None, :3].expand(2, -1, -1))
    with pytest.raises(AetherError, match="3 streams after 2"):
        stream.push(features[None, :3].expand(3, -1, -1))


def test_silence_is_silent(ready):
    rows = torch.zeros(100, 20)
    rows[:, 0], rows[:, 19] = -12.485, -0.498
    assert synthesize(rows, ready).abs().max() < 1e-4


def band_levels(samples: Tensor) -> Tensor:
    """Log spectrum in 40 bands of 200 Hz every 4 samples, each band with zero mean."""
    spectrum = torch.stft(samples, 320, LAG_STEP, window=torch.hann_window(320), return_complex=True)
    levels = torch.log10(1e-6 + spectrum.abs().square()[:160].view(40, 4, -1).sum(dim=1))
    return levels - levels.mean(dim=1, keepdim=True)


def lag_of(output: Tensor, original: Tensor) -> int:
    """Samples by which ``output`` is late: where the spectrograms correlate best."""
    late, reference = band_levels(output), band_levels(original)
    reach, frames = LAG_MAX // LAG_STEP, late.shape[1]
    middle = reference[:, reach : frames - reach]
    scores = []
    for lag in range(-reach, reach + 1):
        shifted = late[:, reach + lag : frames - reach + lag]
        scores.append(float((shifted * middle).sum() / torch.linalg.vector_norm(shifted)))
    return (int(np.argmax(scores)) - reach) * LAG_STEP


@pytest.mark.parametrize("name", CLIPS)
def test_output_is_aligned_with_the_analysed_speech(ready, name):
    original = read_audio(str(files("aether_lite").joinpath("assets", "samples", f"{name}.flac")))[:48_000]
    output = torch.from_numpy(synthesize(extract_features(original), ready))
    original = torch.from_numpy(original)[: len(output)]
    assert abs(lag_of(output, original)) <= LAG_LIMIT


def test_the_alignment_measure_finds_a_shift(speech):
    assert lag_of(speech[1000:40_000], speech[1040:40_040]) == 40


def test_resynthesis_is_intelligible(whole, speech):
    stoi = pytest.importorskip("pystoi").stoi
    assert stoi(speech.numpy(), whole.numpy(), 16_000, extended=True) > 0.90


def test_resynthesis_keeps_the_spectral_envelope(ready, features, whole):
    resynthesised = torch.from_numpy(extract_features(whole.numpy()))
    voiced = features[:, 19] > 0.2
    error = (resynthesised[: len(features), :18] - features[:, :18])[voiced]
    assert error.square().mean().sqrt() < 0.35


def test_importing_the_package_does_not_load_the_vocoder():
    code = "import sys, aether_lite; sys.exit('aether_lite.vocoder' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
