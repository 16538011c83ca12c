"""Input conditioning: the high-pass in front of a codec's features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_lite.audio import read_audio, write_audio
from aether_lite.channels import awgn
from aether_lite.cli.main import main
from aether_lite.codec import load
from aether_lite.errors import AetherError
from aether_lite.features import Conditioner, condition, extract_features, read_f32
from aether_lite.losses.feature import feature_loss
from aether_lite.streaming import Encoder

DC = 0.05  # of full scale


@pytest.fixture(scope="module")
def clip(speech):
    return speech[0]


def gain_db(frequency: float) -> float:
    """Measured on two seconds of a tone, after the first."""
    tone = np.sin(2 * np.pi * frequency * np.arange(48_000) / 16_000 + 0.3)
    return float(10 * np.log10(np.mean(condition(tone)[16_000:] ** 2) / np.mean(tone[16_000:] ** 2)))


def test_response():
    assert np.abs(condition(np.ones(16_000))[8_000:]).max() < 1e-9
    assert gain_db(10) < -50
    assert gain_db(25) == pytest.approx(-22.7, abs=0.1)
    assert gain_db(60) == pytest.approx(-0.67, abs=0.05)
    assert gain_db(100) == pytest.approx(0, abs=0.05)
    for frequency in (200, 1000, 7000):
        assert gain_db(frequency) == pytest.approx(0, abs=0.01)


def test_delay_at_speech_frequencies_is_below_a_tenth_of_a_frame():
    response = np.fft.rfft(condition(np.eye(1, 16_000)[0]))  # bins of 1 Hz
    delay = -np.diff(np.unwrap(np.angle(response))) / (2 * np.pi) * 1000  # [ms]
    assert delay[100] < 4
    assert np.all(np.abs(delay[200:7000]) < 1)


def test_it_is_the_butterworth_filter_of_scipy(clip):
    signal = pytest.importorskip("scipy.signal")
    expected = signal.sosfilt(signal.butter(4, 48, "highpass", fs=16_000, output="sos"), clip.astype(np.float64))
    np.testing.assert_allclose(condition(clip), expected, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 5000), max_size=20), restart=st.integers(0, 20))
def test_every_way_of_cutting_and_restarting_gives_the_same_bits(cuts, restart):
    samples = np.random.default_rng(0).normal(0.05, 0.1, 5000)
    conditioner, pieces = Conditioner(), []
    for place, piece in enumerate(np.split(samples, sorted(cuts))):
        if place == restart:
            state = conditioner.state()
            assert {name: value.shape for name, value in state.items()} == Conditioner.shapes
            conditioner = Conditioner()
            conditioner.load(state)
        pieces.append(conditioner.push(piece))
    assert np.concatenate(pieces).tobytes() == condition(samples).tobytes()


def test_samples_are_taken_as_the_extractor_takes_them(clip):
    pcm = (clip[:4000] * 32_768).astype(np.int16)
    assert condition(pcm).tobytes() == condition(pcm / 32_768).tobytes()
    with pytest.raises(AetherError, match="not finite"):
        condition(np.array([np.nan]))


def test_dc_costs_nothing_through_the_chain(clip):
    stoi = pytest.importorskip("pystoi").stoi
    codec, true = load("small"), torch.from_numpy(extract_features(clip)[None, :, :20])

    def scores(samples: np.ndarray, conditioned: bool) -> tuple[float, float]:
        symbols = codec.encode(samples, 1000, condition=conditioned)
        features = codec.decode_features(awgn(symbols, 15.0, seed=1))
        heard = codec.speak(features)[0, : len(clip)].numpy()
        estoi = float(stoi(clip, heard, 16_000, extended=True))
        return estoi, float(feature_loss(features[:, : true.shape[1]], true))

    estoi, loss = scores(clip, True)
    estoi_dc, loss_dc = scores(clip + np.float32(DC), True)
    assert estoi_dc > estoi - 0.01
    assert loss_dc < 1.1 * loss
    estoi_raw, loss_raw = scores(clip + np.float32(DC), False)
    assert estoi_raw < estoi - 0.03
    assert loss_raw > 2 * loss


@pytest.mark.parametrize("conditioned", [True, False])
def test_a_codec_conditions_unless_told_otherwise(clip, tiny_codec, conditioned):
    samples = clip[:16_000] + np.float32(DC)  # 12.5 tokens of 80 ms
    given = condition(samples) if conditioned else samples
    padded = np.concatenate([given, np.zeros(640, given.dtype)])
    expected = torch.from_numpy(extract_features(padded)[:, :20])
    found = tiny_codec.features(samples, conditioned)[0]
    torch.testing.assert_close(found[:, :18], expected[:, :18], rtol=0, atol=1e-5)
    assert ((found - expected).abs() > 1e-5).any(1).sum() <= 1  # takes another of two equally good pitch periods
    assert torch.equal(tiny_codec.samples(samples, conditioned)[0], torch.from_numpy(padded.astype(np.float32)))
    if conditioned:
        assert torch.equal(tiny_codec.features(samples), tiny_codec.features(samples, True))


@pytest.mark.parametrize("conditioned", [True, False])
@pytest.mark.parametrize("name", ["tiny_codec", "tiny_hash_codec"])
def test_a_stream_conditions_as_its_codec_does(clip, request, name, conditioned):
    codec = request.getfixturevalue(name)
    samples = clip[:20_000] + np.float32(DC)
    encoder = Encoder(codec, 300, condition=conditioned)
    pieces = [encoder.push(samples[:7_777])]
    resumed = Encoder(codec, 300, condition=not conditioned)  # the snapshot has the last word
    resumed.load_state_dict(encoder.state_dict())
    pieces += [resumed.push(samples[7_777:]), resumed.flush()]
    streamed = torch.cat([piece.values for piece in pieces], dim=1)
    torch.testing.assert_close(streamed, codec.encode(samples, 300, condition=conditioned).values, atol=1e-5, rtol=1e-5)
    other = codec.encode(samples, 300, condition=not conditioned).values
    assert not torch.allclose(streamed, other, atol=1e-3)


def test_features_and_prepare_take_samples_as_they_are(clip, tmp_path):
    wav = tmp_path / "speech.wav"
    write_audio(wav, clip[:16_000] + np.float32(DC))
    expected = extract_features(read_audio(wav))
    with pytest.raises(SystemExit, match="0"):
        main(["features", str(wav), str(tmp_path / "out.f32"), "--quiet"])
    np.testing.assert_array_equal(read_f32(tmp_path / "out.f32"), expected)
    with pytest.raises(SystemExit, match="0"):
        main(["prepare", str(tmp_path), str(tmp_path / "pairs"), "--jobs", "1"])
    np.testing.assert_array_equal(read_f32(tmp_path / "pairs" / "speech.f32"), expected)
