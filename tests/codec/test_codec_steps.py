"""The compiled steps: equal to the model's own layers, for codecs of every form; what happens without numba."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from aether_lite.codec import CodecConfig, CompiledBackend, SpiCodec, fastest_backend, preset
from aether_lite.codec.growth import start
from aether_lite.errors import AetherError
from aether_lite.spi import State

TOLERANCE = 1e-5
FORMS = {
    "tokens of 80 ms": preset("tiny"),
    "tokens of 40 ms": CodecConfig(
        width=40, channels=(4, 8, 16, 24), encoder_blocks=1, decoder_blocks=2, token_frames=4
    ),
    "tokens of 20 ms": CodecConfig(width=33, channels=(3, 5, 7, 9), encoder_blocks=3, decoder_blocks=1, token_frames=2),
    "a token ahead": CodecConfig(
        width=40, channels=(4, 8, 16, 24), encoder_blocks=1, decoder_blocks=2, token_frames=4, lookahead=1, linear=True
    ),
    "a token ahead, no linear path": CodecConfig(
        width=24, channels=(4, 8, 16, 24), encoder_blocks=1, decoder_blocks=1, lookahead=1
    ),
    "wider blocks": CodecConfig(
        width=24, channels=(4, 8, 16, 24), encoder_blocks=2, decoder_blocks=1, token_frames=4, expansion=4
    ),
    "bits": CodecConfig(width=40, channels=(4, 8, 16, 24), encoder_blocks=1, decoder_blocks=1, hash="sign"),
}


def trained_like(config: CodecConfig, features: Tensor) -> SpiCodec:
    """A model in which nothing is zero, as it is before training."""
    torch.manual_seed(0)
    model = SpiCodec(config)
    start(model, features)
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.1)
    for name, value in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(value, 0.5, 1.5)
    return model.eval()


@pytest.fixture(scope="module", params=FORMS)
def model(request: pytest.FixtureRequest, speech_features: Tensor) -> SpiCodec:
    return trained_like(FORMS[request.param], speech_features)


def received(model: SpiCodec, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Planes and conditions as a channel might leave them."""
    pairs = latents.unflatten(-1, (-1, 2)).unbind(-1)
    conditions = torch.tensor([0.7, 1.0, -0.3, 0.0]).expand(*latents.shape[:2], -1)
    return torch.stack((*pairs, 0.5 + torch.rand_like(pairs[0]) / 2), -1).flatten(2), conditions


def test_ten_tokens_equal_the_model(model: SpiCodec, speech_features: Tensor) -> None:
    steps, frames = CompiledBackend(model), model.config.token_frames
    sent: dict[str, State | None] = {"model": None, "steps": None}
    kept: dict[str, State | None] = {"model": None, "steps": None}
    for k, rows in enumerate(torch.split(speech_features[:1, : 10 * frames], frames, dim=1)):
        target = None if k % 3 else 4.0 * k
        expected, sent["model"] = model.latents(rows, target, sent["model"])
        latents, sent["steps"] = steps.latents(rows, target, sent["steps"])
        torch.testing.assert_close(latents, expected, atol=TOLERANCE, rtol=TOLERANCE)
        what = received(model, expected)
        features, kept["model"] = model.reconstruct(*what, kept["model"])
        again, kept["steps"] = steps.reconstruct(*what, kept["steps"])
        torch.testing.assert_close(again, features, atol=TOLERANCE, rtol=TOLERANCE)
        assert features.std() > 0.1
        for states in (sent, kept):
            assert states["model"] is not None
            assert states["steps"] is not None
            torch.testing.assert_close(states["steps"], states["model"], atol=TOLERANCE, rtol=TOLERANCE)


def test_the_same_bits_again_and_nothing_given_is_changed(model: SpiCodec, speech_features: Tensor) -> None:
    steps, rows = CompiledBackend(model), speech_features[:1, : model.config.token_frames]
    latents, state = steps.latents(rows)
    what = received(model, latents)
    _, memory = steps.reconstruct(*what)
    given = (rows, *what, *state, *memory)
    before = copy.deepcopy(given)
    first = (steps.latents(rows, 3.0, state), steps.reconstruct(*what, memory))
    other = CompiledBackend(model)
    second = (other.latents(rows, 3.0, state), other.reconstruct(*what, memory))
    for (a, a_state), (b, b_state) in zip(first, second, strict=True):
        assert all(torch.equal(x, y) for x, y in zip((a, *a_state), (b, *b_state), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))


def test_later_changes_of_the_model_do_not_reach_them(speech_features: Tensor) -> None:
    model = trained_like(preset("tiny"), speech_features)
    steps, rows = CompiledBackend(model), speech_features[:1, :8]
    before, _ = steps.latents(rows)
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(1.5)
    assert torch.equal(steps.latents(rows)[0], before)


def test_more_than_one_token_of_one_stream_is_refused(tiny: SpiCodec) -> None:
    steps = CompiledBackend(tiny)
    for shape in [(2, 8, 20), (1, 16, 20), (1, 8, 36)]:
        with pytest.raises(ValueError, match=r"one token of one stream, \[1, 8, 20\]"):
            steps.latents(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"\[1, 1, 288\], not \[1, 2, 288\]"):
        steps.reconstruct(torch.zeros(1, 2, 288), torch.zeros(1, 2, 4))


def test_without_numba_the_error_names_the_extra_and_the_model_takes_over(
    monkeypatch: pytest.MonkeyPatch, tiny: SpiCodec
) -> None:
    assert isinstance(fastest_backend(tiny), CompiledBackend)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AetherError, match=r"codec needs the package numba, .* pip install '\.\[realtime\]'"):
        CompiledBackend(tiny)
    assert fastest_backend(tiny) is tiny


def test_importing_the_codec_does_not_load_numba() -> None:
    code = "import sys, aether_lite.streaming; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
