"""Vocoders by name: a new kind is found by its files, and every released vocoder keeps the protocol."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME, NUM_FREE
from aether_lite.vocoder import (
    CompiledFargan,
    FusedFargan,
    StreamingVocoder,
    load_network,
    load_vocoder,
    registry,
    released_vocoders,
    save_vocoder,
    synthesize,
)

TOLERANCE = 1e-5


class Tone:
    """A vocoder in a few lines: the first feature, held for a frame; the state counts frames."""

    device = torch.device("cpu")
    delay = 240

    def __init__(self, level: float) -> None:
        self.level = level

    def prime(self, first_row):
        return (first_row, torch.zeros(1))

    def render(self, rows, state):
        held = torch.cat((state[0][:, None], rows[:, :-1]), dim=1)
        return self.level * held[..., 0].repeat_interleave(FRAME, dim=1), (rows[:, -1], state[1] + rows.shape[1])


@pytest.fixture
def tone(monkeypatch, tmp_path) -> Path:
    monkeypatch.setattr(registry, "_loaders", dict(registry._kinds()))
    monkeypatch.setattr(registry, "_kinds", lambda: registry._loaders)

    @registry.vocoder("tone", delay=240)
    def load(path: Path, fastest: bool) -> Tone:
        with safe_open(path, framework="pt") as file:
            return Tone(float(file.get_tensor("level")))

    path = tmp_path / "tone.safetensors"
    save_file({"level": torch.tensor(0.5)}, path, metadata={"format": "tone"})
    return path


def test_a_new_kind_is_known_by_its_format(tone):
    vocoder = load_vocoder(tone)
    assert isinstance(vocoder, Tone)
    rows = torch.zeros(4, NUM_FREE)
    rows[:, 0] = torch.tensor([0.2, 0.4, 0.6, 0.8])
    expected = 0.5 * rows[:, 0].repeat_interleave(FRAME)
    samples = synthesize(rows, vocoder)
    torch.testing.assert_close(samples, torch.cat((expected[80:], expected[-80:])))
    with pytest.raises(AetherError, match=r"tone.safetensors: a vocoder of this kind is for synthesis alone"):
        load_network(tone)
    stream = StreamingVocoder(vocoder)
    assert torch.equal(torch.cat([*(stream.push(row[None]) for row in rows), stream.flush()]), samples)


def test_fargan_is_fargan_with_and_without_a_stated_format(vocoder, tmp_path):
    named, bare = tmp_path / "named.safetensors", tmp_path / "bare.safetensors"
    save_vocoder(vocoder, named, {})
    save_file(dict(vocoder.state_dict()), bare)
    for path in (None, "fargan", named, bare):
        assert isinstance(load_vocoder(path), FusedFargan)
    assert isinstance(load_vocoder(fastest=True), CompiledFargan)


def test_what_is_no_vocoder_is_refused(tmp_path):
    with pytest.raises(AetherError, match=r"no such vocoder file.*fargan"):
        load_vocoder("nobody")
    for content in (b"", b"\xff" * 100, (20).to_bytes(8, "little") + b"[1, 2, 3]           "):
        path = tmp_path / "a.safetensors"
        path.write_bytes(content)
        with pytest.raises(AetherError, match=str(path)):
            load_vocoder(path)


@pytest.mark.parametrize("fastest", [False, True])
@pytest.mark.parametrize("name", sorted(released_vocoders()))
def test_every_released_vocoder_keeps_the_protocol(name, fastest, features):
    vocoder = load_vocoder(name, fastest)
    clips = torch.stack((features[100:130, :NUM_FREE], features[200:230, :NUM_FREE]))
    whole = synthesize(clips, vocoder)
    assert whole.shape == (2, 30 * FRAME)
    assert torch.isfinite(whole).all()
    assert whole.abs().max() > 0.01
    stream = StreamingVocoder(vocoder)
    pieces = [stream.push(part) for part in torch.split(clips, [1, 4, 0, 25], dim=1)]
    torch.testing.assert_close(torch.cat((*pieces, stream.flush()), dim=1), whole, atol=TOLERANCE, rtol=0)
    for clip, samples in zip(clips, whole, strict=True):
        torch.testing.assert_close(synthesize(clip, vocoder), samples, atol=TOLERANCE, rtol=0)
    state = vocoder.prime(clips[:, 0])
    first = vocoder.render(clips[:, 1:], state)[0]
    assert torch.equal(vocoder.render(clips[:, 1:], state)[0], first)  # the state is left unchanged
