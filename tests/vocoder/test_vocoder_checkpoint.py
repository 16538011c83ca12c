"""Checkpoints: what loads, what is refused and how."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from aether_lite.errors import AetherError
from aether_lite.vocoder import (
    FARGAN,
    default_vocoder_path,
    load_fargan,
    load_network,
    released_vocoders,
    save_vocoder,
)
from aether_lite.vocoder import save_public_checkpoint as save_public
from aether_lite.vocoder.hnsf import load_hnsf

LARGEST_WEIGHTS = 3_500_000  # bytes


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    names = one.state_dict()
    return all(torch.equal(value, other.state_dict()[name]) for name, value in names.items())


def public(path: Path, **changes: object) -> Path:
    """A public checkpoint, with entries replaced."""
    model = FARGAN()
    checkpoint = {"model_args": (), "model_kwargs": model.model_kwargs, "state_dict": dict(model.state_dict())}
    torch.save({**checkpoint, **changes}, path)
    return path


def refusal(path: Path) -> str:
    """The message with which ``path`` is refused: one line that names the file."""
    with pytest.raises(AetherError) as caught:
        load_fargan(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_the_bundled_weights_load_and_are_small():
    path = default_vocoder_path()
    assert path.stat().st_size <= LARGEST_WEIGHTS
    assert path.name in path.with_suffix(".md").read_text()  # its card
    model = load_fargan()
    assert not model.training
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize(
    "model_kwargs", [{"cond_size": 256, "gamma": 0.9}, {"cond_size": 256, "gamma": None, "softquant": True}]
)
def test_public_checkpoints_round_trip(tmp_path, model_kwargs):
    model = FARGAN(**model_kwargs)
    path = tmp_path / "fargan_400.pth"
    save_public(model, path, epoch=400, loss=0.5, adam_betas=[0.8, 0.95])
    loaded = load_fargan(path)
    assert same_weights(model, loaded)
    assert loaded.model_kwargs == model.model_kwargs
    assert not loaded.training
    raw = torch.load(path, weights_only=True)
    assert raw["model_args"] == ()
    assert (raw["epoch"], raw["loss"], raw["adam_betas"]) == (400, 0.5, [0.8, 0.95])


def test_adversarial_checkpoints_load(tmp_path):
    path = public(tmp_path / "adv.pth", disc_sate_dict=[{"weight": torch.zeros(3)}], loss={"gen": 1.0}, epoch=50)
    assert isinstance(load_fargan(path), FARGAN)


def test_safetensors_round_trip(tmp_path):
    model = FARGAN(gamma=None)
    path = tmp_path / "vocoder.safetensors"
    save_vocoder(model, path, {"origin": "a test"})
    loaded = load_fargan(path)
    assert same_weights(model, loaded)
    assert loaded.model_kwargs == model.model_kwargs
    with safe_open(path, framework="pt") as opened:
        notes = opened.metadata()
    assert notes["origin"] == "a test"
    assert json.loads(notes["model_kwargs"])["gamma"] is None
    assert list(tmp_path.iterdir()) == [path]


def test_half_precision_storage_loads_as_float32(tmp_path):
    model = FARGAN()
    path = tmp_path / "half.safetensors"
    save_vocoder(model, path, {}, dtype=torch.float16)
    for name, value in load_fargan(path).state_dict().items():
        assert torch.equal(value, model.state_dict()[name].half().float())


def test_a_missing_key_is_named(tmp_path):
    weights = dict(FARGAN().state_dict())
    del weights["sig_net.gru2.weight_hh"]
    message = refusal(public(tmp_path / "a.pth", state_dict=weights))
    assert "missing: sig_net.gru2.weight_hh" in message


def test_a_misspelt_key_is_named_twice(tmp_path):
    weights = dict(FARGAN().state_dict())
    weights["sig_net.gru2.weights_hh"] = weights.pop("sig_net.gru2.weight_hh")
    message = refusal(public(tmp_path / "a.pth", state_dict=weights))
    assert "missing: sig_net.gru2.weight_hh; unexpected: sig_net.gru2.weights_hh" in message


def test_a_wrong_shape_is_named(tmp_path):
    weights = dict(FARGAN().state_dict())
    weights["cond_net.pembed.weight"] = torch.zeros(256, 12)
    message = refusal(public(tmp_path / "a.pth", state_dict=weights))
    assert "cond_net.pembed.weight [256, 12] instead of [224, 12]" in message


@pytest.mark.parametrize("value", [torch.full((1,), float("nan")), torch.zeros(1, dtype=torch.int64)])
def test_weights_that_are_no_numbers_are_named(tmp_path, value):
    weights = {**FARGAN().state_dict(), "sig_net.cond_gain_dense.bias": value}
    assert "not finite: sig_net.cond_gain_dense.bias" in refusal(public(tmp_path / "a.pth", state_dict=weights))


def test_safetensors_of_another_model_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"encoder.weight": torch.zeros(3)}, path)
    message = refusal(path)
    assert "unexpected: encoder.weight" in message
    assert "cond_net.pembed.weight" in message


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights\n" * 50, bytes(range(256)) * 20])
def test_other_files_are_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("kept", [0.001, 0.5, 0.999])
def test_cut_files_are_refused(tmp_path, name, kept):
    path = tmp_path / name
    save = save_public if path.suffix == ".pth" else lambda model, path: save_vocoder(model, path, {})
    save(FARGAN(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    refusal(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    assert "no such vocoder file" in refusal(tmp_path / "none.pth")
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.parametrize("value", [torch.zeros(3), {"epoch": 1}, {"state_dict": 3}, {"state_dict": {"a": 1}}, []])
def test_other_contents_are_refused(tmp_path, value):
    path = tmp_path / "a.pth"
    torch.save(value, path)
    assert "not a FARGAN checkpoint" in refusal(path)


@pytest.mark.parametrize(
    "model_kwargs", [{"subframe_size": 80}, {"cond_size": "wide"}, {"softquant": 1.5}, 3, ["gamma"]]
)
def test_unknown_model_arguments_are_refused(tmp_path, model_kwargs):
    assert "model_kwargs" in refusal(public(tmp_path / "a.pth", model_kwargs=model_kwargs))


def test_positional_model_arguments_are_refused(tmp_path):
    assert "model_args" in refusal(public(tmp_path / "a.pth", model_args=(40,)))


class Payload:
    """Creates a file when unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("writer", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))])
def test_code_in_a_checkpoint_does_not_run(tmp_path, writer):
    path, target = tmp_path / "evil.pth", tmp_path / "ran"
    writer({"state_dict": Payload(target)}, path)
    refusal(path)
    assert not target.exists()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "vocoder.safetensors"
    save_vocoder(FARGAN(), path, {})
    before = path.read_bytes()

    def fail(*_: object) -> int:
        raise RuntimeError("stopped")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(RuntimeError):
        save_vocoder(FARGAN(), path, {})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_name_must_say_safetensors(tmp_path):
    with pytest.raises(AetherError, match="must end in"):
        save_vocoder(FARGAN(), tmp_path / "a.pth", {})
    with pytest.raises(AetherError, match="does not exist"):
        save_public(FARGAN(), tmp_path / "nowhere" / "a.pth")


@pytest.mark.parametrize("name", sorted(released_vocoders()))
def test_released_vocoders_load_by_name_and_have_cards(name):
    path = released_vocoders()[name]
    assert path.stat().st_size <= LARGEST_WEIGHTS
    assert path.name in path.with_suffix(".md").read_text()
    if name == "hnsf":
        assert same_weights(load_network(name), load_hnsf(path))
    else:
        assert same_weights(load_fargan(name), load_fargan(path))


def test_an_unknown_name_is_told_the_released_ones():
    assert "fargan_adversarial" in refusal(Path("nobody"))
