"""Vocoders by name, and one of one's own: all keep the protocol of :class:`aether_lite.vocoder.Vocoder`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME, NUM_FREE
from aether_lite.vocoder import (
    FARGAN,
    StreamingVocoder,
    load_network,
    load_vocoder,
    released_vocoders,
    save_vocoder,
    synthesize,
)

TOLERANCE = 1e-5


class Tone:
    """A vocoder of one's own in a few lines: the first feature of a row, held for a frame from its centre on."""

    delay = 240

    def stream(self) -> Tone:
        return Tone()

    def __init__(self) -> None:
        self.made, self.row = np.zeros((0, NUM_FREE), np.float32), 0

    def push(self, rows: np.ndarray) -> np.ndarray:
        before, self.made = self._samples(), np.concatenate((self.made, rows))
        return self._samples()[len(before) :]

    def flush(self) -> np.ndarray:
        before, held = self._samples(), self.made[-1:].repeat(2, 0)
        self.push(held)
        return self._samples()[len(before) : len(before) + 240]

    def _samples(self) -> np.ndarray:
        return self.made[:-1, 0].repeat(FRAME)[80:]


def test_a_vocoder_of_ones_own_is_a_class_with_a_stream() -> None:
    rows = np.zeros((4, NUM_FREE), np.float32)
    rows[:, 0] = 0.2, 0.4, 0.6, 0.8
    samples = synthesize(rows, Tone())
    expected = rows[:, 0].repeat(FRAME)
    np.testing.assert_array_equal(samples, np.concatenate((expected[80:], expected[-80:])))
    stream = StreamingVocoder(Tone())
    np.testing.assert_array_equal(np.concatenate([*(stream.push(row[None]) for row in rows), stream.flush()]), samples)


def test_fargan_is_fargan_with_and_without_a_stated_format(vocoder, features, tmp_path):
    named, bare = tmp_path / "named.safetensors", tmp_path / "bare.safetensors"
    save_vocoder(vocoder, named, {})
    save_file(dict(vocoder.state_dict()), bare)
    expected = synthesize(features[:20], load_vocoder())
    for path in ("fargan", named, bare):
        assert torch.equal(synthesize(features[:20], load_vocoder(path)), expected)
        assert isinstance(load_network(path), FARGAN)


def test_what_is_no_vocoder_is_refused(tmp_path):
    with pytest.raises(AetherError, match=r"no such vocoder file.*fargan"):
        load_vocoder("nobody")
    for content in (b"", b"\xff" * 100, (20).to_bytes(8, "little") + b"[1, 2, 3]           "):
        path = tmp_path / "a.safetensors"
        path.write_bytes(content)
        with pytest.raises(AetherError, match=str(path)):
            load_vocoder(path)


@pytest.mark.parametrize("name", sorted(released_vocoders()))
def test_every_released_vocoder_keeps_the_protocol(name, features):
    vocoder = load_vocoder(name)
    assert vocoder.delay >= FRAME
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
