"""What a newcomer meets first: the package's names, short representations, older names, released weights."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import aether_lite
from aether_lite import channels, zoo
from aether_lite.channels import awgn, bsc, clean
from aether_lite.codec import Codec, load
from aether_lite.errors import AetherError
from aether_lite.payload import Bits, Symbols, joined_items, joined_tokens


def test_the_package_shows_its_public_names_alone() -> None:
    shown = dir(aether_lite)
    assert shown == sorted(aether_lite.__all__)
    assert {"AetherError", "load", "Codec", "Symbols", "channels"} <= set(shown)
    older = {"BitDecoder", "BitEncoder", "HashCodec", "load_hash"}
    assert not {"Any", "annotations", "importlib", *older} & set(shown)
    assert all(hasattr(aether_lite, name) for name in shown)


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, aether_lite; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_was_sent_passes_the_clean_channel(tiny_codec: Codec, tiny_hash_codec: Codec, speech: np.ndarray) -> None:
    for codec, rate in ((tiny_codec, 300), (tiny_hash_codec, 600)):
        sent = codec.encode(speech[0, :6400], rate)
        assert torch.equal(codec.decode(sent), codec.decode(clean(sent)))


def test_only_what_a_codec_sends_is_decoded(tiny_codec: Codec, tiny_hash_codec: Codec, speech_features: Tensor) -> None:
    symbols, bits = tiny_codec.encode_features(speech_features), tiny_hash_codec.encode_features(speech_features)
    with pytest.raises(AetherError, match="not ReceivedBits; these are bits of a hash codec, and this"):
        tiny_codec.decode_features(bsc(bits, 0.1))
    with pytest.raises(AetherError, match="not Bits; these are bits of a hash codec, and this is a codec of symbols"):
        tiny_codec.decode(bits)
    with pytest.raises(AetherError, match="not Symbols; these are symbols, and this is a hash codec"):
        tiny_hash_codec.decode(symbols)
    with pytest.raises(AetherError, match="not ndarray; give what a channel returned"):
        tiny_codec.decode(np.zeros(16000, np.float32))
    with pytest.raises(AetherError, match="decodes ReceivedBits, not Received"):
        tiny_hash_codec.decode_features(awgn(symbols, 3.0))
    with pytest.raises(AetherError, match="decodes Received, not Symbols"):
        tiny_codec.model.decode(symbols)  # the model knows no clean channel


def test_a_channel_says_what_takes_a_payload_that_it_does_not() -> None:
    bits, symbols = Bits(torch.ones(1, 2, 24), 600, 4), Symbols(torch.ones(1, 2, 24, dtype=torch.complex64), 600, 4)
    for send in (channels.awgn, channels.rayleigh, channels.rician, channels.mpp):
        with pytest.raises(AetherError, match=r"takes Symbols, not Bits; these are bits: use channels\.bsc, or"):
            send(bits, 6.0)
        with pytest.raises(AetherError, match=r"not ndarray; give what codec\.encode returned"):
            send(np.zeros(160), 6.0)
    with pytest.raises(AetherError, match=r"takes Bits, not Symbols; these are symbols: use channels\.awgn"):
        channels.bsc(symbols, 0.1)
    with pytest.raises(AetherError, match=r"these are symbols: use channels\.awgn"):
        channels.keyed(symbols, channels.clean)
    with pytest.raises(AetherError, match=r"not Received; give what codec\.encode returned"):
        channels.awgn(channels.clean(symbols), 6.0)
    for lose in (channels.erase, channels.lose_bits):
        with pytest.raises(AetherError, match="not Bits; send them over a channel first"):
            lose(bits, 0.1)


def test_speech_is_samples_of_a_stated_scale(tiny_codec: Codec, speech: np.ndarray) -> None:
    for name in ("in.wav", Path("in.wav")):
        with pytest.raises(AetherError, match=r"read it with audio\.read_audio\('in\.wav'\)"):
            tiny_codec.encode(name)
    whole = np.round(speech[0, :1280] * 32768)
    with pytest.raises(AetherError, match=r"sample \d+ is -?\d+, far beyond full scale 1; speech must be int16, or"):
        tiny_codec.encode(whole)
    symbols = tiny_codec.encode(whole / 32768)
    assert torch.equal(tiny_codec.encode(whole.astype(np.int16)).values, symbols.values)


def test_representations_are_short(tiny_codec: Codec, speech_features: Tensor) -> None:
    symbols = tiny_codec.encode_features(speech_features, 300)
    received = awgn(symbols, 3.0)
    assert repr(symbols) == "Symbols([2, 60, 24], 300 uses/s, token_frames=8)"
    known = "gain, noise_variance known, 0 tokens erased"
    assert repr(received) == f"Received([2, 60, 24], 300 uses/s, token_frames=8; {known})"
    assert repr(received.state) == f"ChannelState({known})"
    assert repr(Bits(torch.ones(2, 3, 96), torch.tensor([300, 1200]), 8)).startswith("Bits([2, 3, 96], mixed rates")
    assert repr(tiny_codec) == "Codec without a name: symbols, 150..1200 uses/s, 105 ms"
    assert repr(load("small")) == "Codec small: symbols, 150..1200 uses/s, 105 ms"
    assert repr(load("hash_small")) == "Codec hash_small: bits, 300..2400 bit/s, 185 ms"
    assert (tiny_codec.sample_rate, tiny_codec.unit, tiny_codec.rates[0]) == (16_000, "uses/s", 150)


def test_older_names_work_and_name_the_release_in_which_they_go(tiny_hash: object) -> None:
    with pytest.warns(FutureWarning, match=r"0\.3"):
        assert aether_lite.HashCodec is Codec  # type: ignore[attr-defined]
    with pytest.warns(FutureWarning, match=r"load_hash goes in 0\.3"):
        assert aether_lite.load_hash().unit == "bit/s"  # type: ignore[attr-defined]
    with pytest.warns(FutureWarning), pytest.raises(AetherError, match="is a codec of symbols"):
        aether_lite.load_hash("small")  # type: ignore[attr-defined]


def test_payloads_are_cut_joined_and_chosen_alike() -> None:
    rate = torch.tensor([300, 1200])
    values = torch.randn(2, 6, 96)
    symbols = Symbols(torch.complex(values, values), rate, 8)
    symbols = Symbols(symbols.values * symbols.used, rate, 8)
    received = awgn(symbols, torch.tensor([3.0, 9.0]), seed=[1, 2])
    pieces = [received.tokens(slice(0, 2)), received.tokens(slice(2, 6))]
    again = joined_items([joined_tokens(pieces).items(torch.tensor([item])) for item in (1, 0)])
    again = again.items(torch.tensor([1, 0]))
    assert torch.equal(again.values, received.values)
    assert torch.equal(again.rates, received.rates)
    for name in ("noise_variance", "erased"):
        assert torch.equal(getattr(again.state, name), getattr(received.state, name))
    assert received.items(torch.tensor([0])).values.shape == (1, 6, 24)
    longer = received.with_lost_token()
    assert longer.erased[:, -1].all()
    assert not longer.values[:, -1].any()
    assert longer.state.noise_variance is not None
    assert longer.state.noise_variance[:, -1].isnan().all()
    longer.validate()


def test_released_weights_are_those_of_the_registry() -> None:
    folder = Path(zoo.RELEASED[0].path).parent
    assert {weights.path for weights in zoo.RELEASED} == set(folder.glob("*.safetensors"))
    for weights in zoo.RELEASED:
        assert hashlib.sha256(weights.path.read_bytes()).hexdigest() == weights.sha256, weights.name
        assert weights.kind in zoo.KINDS


def test_released_weights_are_found_by_name_and_version(tmp_path: Path) -> None:
    small = zoo.find("small")
    assert small is not None
    assert zoo.path(f"small@{small.version}", "codec") == small.path == zoo.path("small")
    with pytest.raises(AetherError, match=f"small@1: version {small.version} of small is here"):
        zoo.path("small@1")
    with pytest.raises(AetherError, match=r"nothing: no such codec file, nor a released codec \(base, small\)"):
        zoo.path("nothing", "codec")
    with pytest.raises(AetherError, match=r"fargan: is a vocoder, not a codec; use vocoder='fargan' / --vocoder"):
        aether_lite.load("fargan")
    with pytest.raises(AetherError, match=r"small: is a codec, not a vocoder; use load\('small'\) / --model small"):
        zoo.path("small", "vocoder")
    with pytest.raises(AetherError, match="is a folder"):
        zoo.path(tmp_path)
    assert "small" not in zoo.names("vocoder")
