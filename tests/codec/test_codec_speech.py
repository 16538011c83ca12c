"""Speech to speech: lengths, latency, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.channels import awgn, clean
from aether_lite.codec import Codec, SpiCodec, load, load_codec, preset, save_codec
from aether_lite.errors import AetherError


@pytest.mark.parametrize("samples", [160, 1279, 1280, 1281, 16000])
def test_tokens_cover_the_speech(tiny_codec: Codec, speech: np.ndarray, samples: int) -> None:
    symbols = tiny_codec.encode(speech[0, :samples], rate=300)
    tokens = -(-samples // 1280)
    assert symbols.values.shape == (1, tokens, 24)
    assert tiny_codec.decode(clean(symbols)).shape == (1, tokens * 1280)


def test_blocks_of_long_speech_join_without_a_seam(
    tiny_codec: Codec, speech_features: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbols = tiny_codec.encode_features(speech_features, 600)
    received = awgn(symbols, 8.0, seed=0)
    whole = tiny_codec.decode_features(received)
    monkeypatch.setattr("aether_lite.codec.model.BLOCK_TOKENS", 7)
    pieces = tiny_codec.encode_features(speech_features, 600)
    torch.testing.assert_close(pieces.values, symbols.values, atol=1e-5, rtol=0)
    torch.testing.assert_close(tiny_codec.decode_features(received), whole, atol=1e-5, rtol=0)


def test_default_latency_is_at_most_140_ms(tiny_codec: Codec) -> None:
    latency = tiny_codec.latency
    assert latency.samples == latency.features + latency.token + latency.vocoder
    assert latency.milliseconds <= 140


@pytest.mark.parametrize("position", [20000, 20479, 20480, 20481, 21200])
def test_output_depends_on_no_sample_beyond_the_stated_latency(
    tiny_codec: Codec, speech: np.ndarray, position: int
) -> None:
    changed = speech[0].copy()
    changed[position:] = 0.1 * np.random.default_rng(0).standard_normal(len(changed) - position)
    outputs = [tiny_codec.decode(clean(tiny_codec.encode(x, rate=1200)))[0] for x in (speech[0], changed)]
    differs = torch.nonzero((outputs[0] - outputs[1]).abs() > 1e-6)[:, 0]
    first = int(differs[0])
    # newest sample needed, minus the output's position, is latency - 1 at the most
    assert first > position - tiny_codec.latency.samples
    assert first < position + 1280


def test_the_stated_latency_is_reached(tiny_codec: Codec, speech: np.ndarray) -> None:
    """The bound is tight to a frame: some change is heard within 160 samples of the earliest place allowed."""
    reach = []
    original = tiny_codec.decode(clean(tiny_codec.encode(speech[0], rate=1200)))[0]
    for position in range(20480, 20480 + 1280, 80):
        changed = speech[0].copy()
        changed[position : position + 400] += 0.5
        output = tiny_codec.decode(clean(tiny_codec.encode(changed, rate=1200)))[0]
        first = int(torch.nonzero((original - output).abs() > 1e-6)[0, 0])
        reach.append(position - first)
    assert max(reach) >= tiny_codec.latency.samples - 2 * 160


def test_codec_file_round_trip(tiny: SpiCodec, speech_features: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "codec_x.safetensors"
    save_codec(tiny, path, {"steps": 3})
    model, provenance = load_codec(path)
    assert provenance == {"steps": 3}
    assert model.config == tiny.config
    a, b = (m.encode(speech_features, 1000)[0].values for m in (tiny, model))
    torch.testing.assert_close(a, b, atol=5e-2, rtol=0)  # float16 storage
    assert load(path).model.config == preset("tiny")


def test_a_file_that_is_no_codec_is_named(tmp_path: Path, tiny: SpiCodec) -> None:
    text = tmp_path / "notes.safetensors"
    text.write_text("not weights")
    with pytest.raises(AetherError, match=r"notes\.safetensors: not a codec file"):
        load_codec(text)
    with pytest.raises(AetherError, match="no such codec"):
        load(tmp_path / "absent.safetensors")
    save_codec(tiny, text, ["a list"])  # type: ignore[arg-type]
    with pytest.raises(AetherError, match=r"notes\.safetensors: .*its provenance is not an object"):
        load_codec(text)


def test_rate_and_shape_errors_say_what_is_right(tiny_codec: Codec) -> None:
    with pytest.raises(AetherError, match="150, 300, 500"):
        tiny_codec.encode(np.zeros(1600, np.float32), rate=450)
    with pytest.raises(AetherError, match="N > 0"):
        tiny_codec.encode(np.zeros(0, np.float32))
