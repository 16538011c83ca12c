"""The native codec's networks: those of torch for every released codec and for sizes that no release has."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.codec import SpiCodec, preset
from aether_lite.codec.growth import start
from aether_lite.codec.loading import codec_path, load_codec
from aether_lite.core import weights
from aether_lite.core.library import Decoder, Encoder, Library, Model
from aether_lite.core.weights import PRECISIONS
from aether_lite.errors import AetherError
from aether_lite.export.native import codec_sections
from aether_lite.payload import Bits, ChannelState, Received, ReceivedBits, Symbols

RELEASED = ("small", "base", "hash_small")
TOKENS = 9
LOST = (4, 5, 7)


@cache
def _released(name: str) -> SpiCodec:
    return load_codec(codec_path(name))[0]


def _untrained(**sizes: object) -> SpiCodec:
    """A codec of unusual sizes, every weight of which matters."""
    torch.manual_seed(1)
    model, speech = SpiCodec(replace(preset("tiny"), **sizes)).eval(), torch.randn(2, 80, 20)
    start(model, speech)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
        parameter.copy_((parameter + 0.05 * torch.randn_like(parameter)).half())
    model.measure_power(speech)
    return model


UNTRAINED = {
    "tiny": lambda: _untrained(),
    "20 ms, look-ahead, odd sizes": lambda: _untrained(
        token_frames=2, lookahead=1, width=37, channels=(3, 5, 9, 11), expansion=1, encoder_blocks=1, decoder_blocks=2
    ),
    "40 ms, no linear path, power of tokens": lambda: _untrained(token_frames=4, linear=False, power="token"),
    "power held": lambda: _untrained(power="held"),
    "bits, 80 ms": lambda: _untrained(hash="sign", lookahead=1),
}


@cache
def _model(name: str) -> SpiCodec:
    return _released(name) if name in RELEASED else UNTRAINED[name]()


@pytest.fixture(scope="module", params=[*RELEASED, *UNTRAINED])
def codec(request: pytest.FixtureRequest) -> SpiCodec:
    """Codecs with weights that float16 holds exactly."""
    return _model(request.param)


@pytest.fixture(scope="module")
def path(codec: SpiCodec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its native weights."""
    path = tmp_path_factory.mktemp("codec") / "codec.aether"
    weights.write(path, codec_sections(codec))
    return path


@pytest.fixture(scope="module")
def rows(codec: SpiCodec, speech_features: torch.Tensor) -> torch.Tensor:
    """``[1, F, 20]`` features of speech in whole tokens."""
    return speech_features[:1, : TOKENS * codec.config.token_frames]


def _numbers(values: torch.Tensor) -> np.ndarray:
    """Tokens ``[K, n]`` of values ``[1, K, n]`` as the core has them."""
    real = torch.view_as_real(values.resolve_conj()).flatten(-2) if values.is_complex() else values
    return real[0].numpy().astype(np.float32)


def _encoded(model: Model, rows: torch.Tensor, rate: int, target: float | None = None) -> np.ndarray:
    encoder, frames = Encoder(model), model.info.token_frames
    encoder.rate = rate
    encoder.set_target(target)
    return np.stack([encoder.push_features(token) for token in torch.split(rows[0], frames)])


def _received(sent: Symbols | Bits, csi: str) -> Received | ReceivedBits:
    """What is received, with lost tokens."""
    torch.manual_seed(2)
    lost = torch.zeros(1, sent.values.shape[1], dtype=torch.bool)
    lost[0, list(LOST)] = True
    if isinstance(sent, Bits):
        soft = (sent.values * torch.rand_like(sent.values)).masked_fill(lost[..., None], 0)
        return ReceivedBits(soft, sent.rate, lost, sent.token_frames)
    gain = torch.randn_like(sent.values) if csi == "perfect" else torch.ones_like(sent.values)
    values = (gain * sent.values + 0.3 * torch.randn_like(gain)).masked_fill(lost[..., None], 0)
    unknown = torch.arange(len(lost[0])) == 3
    noise = None if csi == "none" else torch.full(lost.shape, 0.09).masked_fill(unknown, torch.nan)
    return Received(values, sent.rate, ChannelState(gain if csi == "perfect" else None, noise, lost), sent.token_frames)


def _decoded(model: Model, received: Received | ReceivedBits) -> np.ndarray:
    decoder, features = Decoder(model, mute=False), []
    decoder.rate = int(received.rate)
    state = received.state if isinstance(received, Received) else None
    for k, values in enumerate(_numbers(received.values)):
        gain = None if state is None or state.gain is None else _numbers(state.gain[:, k : k + 1])[0]
        noise = None if state is None or state.noise_variance is None else float(state.noise_variance[0, k])
        lost = bool(received.erased[0, k])
        features.append(decoder.push(None if lost else values, None if lost else gain, noise)[1])
    return np.concatenate([*features, decoder.flush()[1]])


def test_tokens_are_those_of_torch_at_every_rate(
    core: Library, codec: SpiCodec, path: Path, rows: torch.Tensor
) -> None:
    model = Model(core, path)
    targets = (None, -3.0, 27.5) if model.info.has_target_powers else (None,)
    for rate in codec.bottleneck.rates:
        for target in targets:
            expected = pytest.approx(_numbers(codec.encode(rows, rate, target)[0].values), abs=1e-5, rel=1e-5)
            assert _encoded(model, rows, rate, target) == expected, (rate, target)



def test_features_are_those_of_torch_at_every_rate(
    core: Library, codec: SpiCodec, path: Path, rows: torch.Tensor
) -> None:
    model = Model(core, path)
    for rate, csi in zip(codec.bottleneck.rates, cycle(("none", "estimated", "perfect")), strict=False):
        received = _received(codec.encode(rows, rate)[0], csi)
        tolerance = 1e-5 if codec.config.width > 100 else 3e-5  # random weights amplify rounding
        expected = pytest.approx(codec.decode_clip(received)[0].numpy(), abs=tolerance, rel=tolerance)
        assert _decoded(model, received) == expected, (rate, csi)


def test_every_set_of_kernels_gives_the_same_bits(
    core: Library, kernel_sets: list[str], codec: SpiCodec, rows: torch.Tensor, tmp_path: Path
) -> None:
    rate = codec.bottleneck.default_rate
    received = _received(codec.encode(rows, rate)[0], "perfect")
    for precision, kind in PRECISIONS.items() if codec.config.width < 100 else [("float16", PRECISIONS["float16"])]:
        weights.write(tmp_path / "c.aether", codec_sections(codec, kind))
        models = [Model(core, tmp_path / "c.aether", name) for name in kernel_sets]
        made = [_encoded(model, rows, rate).tobytes() + _decoded(model, received).tobytes() for model in models]
        assert [other == made[0] for other in made] == [True] * len(made), precision


@pytest.mark.parametrize("name", ["small", "hash_small"])
def test_int8_weights_cost_little(core: Library, name: str, speech_features: torch.Tensor, tmp_path: Path) -> None:
    codec = _released(name)
    rows = speech_features[:1, :240]
    weights.write(tmp_path / "c.aether", codec_sections(codec, PRECISIONS["int8"]))
    received = _received(codec.encode(rows, codec.bottleneck.default_rate)[0], "estimated")
    expected = codec.decode_clip(received)[0].numpy()
    found = _decoded(Model(core, tmp_path / "c.aether"), received)
    error = np.square(found - expected)[:, :18].sum() / np.square(expected - rows[0].numpy())[:, :18].sum()
    assert 0 < error < 0.1  # of the error that the codec makes itself


def test_what_the_codec_does_not_serve_is_refused(core: Library, path: Path, codec: SpiCodec) -> None:
    model = Model(core, path)
    encoder, decoder = Encoder(model), Decoder(model)
    for stream in (encoder, decoder):
        with pytest.raises(AetherError, match="out of its range"):
            stream.rate = 601
        assert stream.rate == codec.bottleneck.default_rate
    if not model.info.has_target_powers:
        with pytest.raises(AetherError, match="no network for this"):
            encoder.set_target(3.0)
    token = encoder.push_features(np.zeros((codec.config.token_frames, 20)))
    with pytest.raises(AetherError, match="numbers"):
        decoder.push(token[:-1])
    assert len(decoder.flush()[1]) == 0
