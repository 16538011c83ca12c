"""Claims that cost memory, names that lead elsewhere, and what spreadsheets compute, one of each kind."""

from __future__ import annotations

import json
import os
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file as numpy_save_file
from safetensors.torch import save_file

from aether_lite import zoo
from aether_lite.audio import read_audio
from aether_lite.baselines import Condition
from aether_lite.bench.dataset import read_languages
from aether_lite.bench.results import Row, read_results, write_results
from aether_lite.codec import SpiCodec, load_codec, save_codec
from aether_lite.codec.config import CodecConfig
from aether_lite.codec.loading import file_metadata
from aether_lite.core.files import CodecFile, VocoderFile, model_of
from aether_lite.data.sources import find_sources
from aether_lite.errors import AetherError
from aether_lite.reading import fits, from_mapping, inside, parse_json, read_checkpoint, read_yaml, tensors_of
from aether_lite.training.checkpoint import load_checkpoint, save_checkpoint

OUTSIDE = ("../a", "a/../../b", "/a", "C:a", "C:\\a", "\\a", "\\\\host\\share\\a", "a\\..\\..\\b", "a\0b", "", "..")


@pytest.mark.parametrize("name", [*OUTSIDE, None, 3, ["a"]])
def test_names_from_files_stay_below_their_folder(name: object, tmp_path: Path) -> None:
    with pytest.raises(AetherError, match="leads outside"):
        inside(tmp_path, name)


@pytest.mark.parametrize("name", ["a", "a/b.wav", "a..b", "...", "ä/ö ü.wav", "a/./b"])
def test_names_below_a_folder_are_taken(name: str, tmp_path: Path) -> None:
    assert inside(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize("name", ["../victim.wav", "/victim.wav", "C:victim.wav"])
@pytest.mark.parametrize("read", [lambda path: find_sources([], path), lambda path: read_languages(path, path.parent)])
def test_manifests_name_nothing_outside_their_folder(name: str, read: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "clips.tsv").write_text(f"path\tlanguage\n{name}\ten\n")
    with pytest.raises(AetherError, match="leads outside"):
        read(tmp_path / "clips.tsv")


def wav(path: Path, rate: int, samples: int = 65_000) -> Path:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, (2 * rate) % 2**32, 2, 16)
    data = np.zeros(samples, "<i2").tobytes()
    head = struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE") + form + struct.pack("<4sI", b"data", len(data))
    path.write_bytes(head + data)
    return path


@pytest.mark.parametrize("rate", [1, 8, 999, 768_001, 2_000_000_000])
def test_sample_rates_that_no_speech_has_are_refused(rate: int, tmp_path: Path) -> None:
    with pytest.raises(AetherError, match=rf"a\.wav: its header says {rate} Hz; speech is .* 1000 to 768000 Hz"):
        read_audio(wav(tmp_path / "a.wav", rate))


@pytest.mark.parametrize("rate", [1_000, 8_000, 192_000])
def test_rates_of_telephones_and_studios_are_read(rate: int, tmp_path: Path) -> None:
    assert len(read_audio(wav(tmp_path / "a.wav", rate))) == round(65_000 * 16_000 / rate)


HOSTILE_SIZES = {
    "width": (-1, 0, 10**9, 2**70, True, "144", 144.0, None, float("nan"), [144]),
    "expansion": (0, 100_000), "encoder_blocks": (0, 100_000), "decoder_blocks": (-3, 10**12),
    "channels": ([1, 2, 3], [0, 0, 0, 0], [10**9] * 4, 4, "1234"), "token_frames": (0, 10**8), "linear": (1, "no"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, each) for name, values in HOSTILE_SIZES.items() for each in values])
def test_sizes_that_no_codec_has_are_refused_before_memory_is_taken(
    name: str, value: Any, tiny: SpiCodec, tmp_path: Path
) -> None:
    config = {**asdict(tiny.config), name: value}
    metadata = {**file_metadata(tiny.config, {}), "config": json.dumps(config)}
    save_file({"a": torch.zeros(1)}, tmp_path / "c.safetensors", metadata)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AetherError, match=rf"c\.safetensors: its configuration cannot be read \(.*({name}|not finite)"):
        load_codec(tmp_path / "c.safetensors")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_the_largest_codec_takes_no_memory_before_its_weights_are_there(tiny: SpiCodec, tmp_path: Path) -> None:
    config = CodecConfig(2048, (512, 512, 512, 512), 4, 4, expansion=16)  # 4.6 GB of weights
    save_file({"a": torch.zeros(1)}, tmp_path / "codec.safetensors", file_metadata(config, {}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AetherError, match=r"missing: .*unexpected: a"):
        load_codec(tmp_path / "codec.safetensors")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(bad: float, tiny: SpiCodec, tmp_path: Path) -> None:
    for name in ("image.mean", "jscc_decoder.linear.weight", "spi_encoder.row_bias", "jscc_encoder.film.inner.bias"):
        weights = {key: value.clone() for key, value in tiny.state_dict().items()}
        weights[name].view(-1)[0] = bad
        save_file(weights, tmp_path / "codec.safetensors", file_metadata(tiny.config, {}))
        with pytest.raises(AetherError, match=rf"codec\.safetensors: not a codec file.*; not finite: {name}"):
            load_codec(tmp_path / "codec.safetensors")
        with pytest.raises(AetherError, match=rf"codec\.safetensors: not a codec file.*\(not finite: {name}"):
            CodecFile(tmp_path / "codec.safetensors").sections()
        content = {"model": weights, "average": tiny.state_dict(), "step": 1, "config": {}}
        save_checkpoint(tmp_path / "run.pth", content)
        with pytest.raises(AetherError, match=rf"run\.pth: model\.{name} is not finite"):
            load_checkpoint(tmp_path / "run.pth")


@pytest.mark.parametrize(("bad", "says"), [(np.nan, "not finite"), (-np.inf, "not finite"), (1e300, "not finite"),
                                           (1, "of another type")])  # fmt: skip
def test_the_core_takes_no_weight_that_is_not_finite(bad: float, says: str, tiny: SpiCodec, tmp_path: Path) -> None:
    codec = {name: value.numpy() for name, value in tiny.state_dict().items()}
    notes = file_metadata(tiny.config, {})
    for file, state, metadata in ((CodecFile(tmp_path / "codec.safetensors"), codec, notes), *(
        (VocoderFile(tmp_path / f"{name}.safetensors"), *VocoderFile(zoo.path(name)).content[::-1])
        for name in ("fargan", "hnsf")
    )):  # fmt: skip
        about = {"format": metadata} if isinstance(metadata, str) else metadata
        names = [name for name in state if name != "latent_power.told"]
        for name in (min(names, key=lambda each: state[each].size), *names[:: max(1, len(names) // 4)]):
            changed = np.array(state[name], np.float64)
            changed.flat[-1] = bad
            wrong = changed.astype(np.int64) if bad == 1 else changed
            numpy_save_file({**state, name: wrong}, file.path, about)
            with pytest.raises(AetherError, match=rf"{file.path.name}: not .*({says}): {name}"):
                replace(file).sections()
        name = min(names, key=lambda each: state[each].size)
        for changed_state, other in (({**state, "more": state[name]}, "unexpected: more"),
                                    ({key: state[key] for key in state if key != name}, f"missing: {name}")):
            numpy_save_file(changed_state, file.path, about)
            with pytest.raises(AetherError, match=other):
                replace(file).sections()


def test_native_weights_in_the_cache_that_are_damaged_or_no_file_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model_of(VocoderFile(zoo.path("hnsf")))
    (cached,) = tmp_path.rglob("*.aether")
    whole = cached.read_bytes()
    for damaged in (b"", whole[:-64], whole[:1000] + bytes(64) + whole[1064:]):
        cached.write_bytes(damaged)
        assert model_of(VocoderFile(zoo.path("hnsf"))).info.vocoder_delay == 432
        assert cached.read_bytes() == whole
    for stranger in (cached.mkdir, lambda: os.mkfifo(cached)):
        cached.rmdir() if cached.is_dir() else cached.unlink()
        stranger()
        assert model_of(VocoderFile(zoo.path("hnsf"))).info.vocoder_delay == 432
        assert cached.exists()
        assert not cached.is_file()


def test_every_network_and_optimiser_of_a_checkpoint_is_finite(tmp_path: Path) -> None:
    bad = torch.tensor([1.0, float("nan")])
    optimiser = {"adam": {"state": {0: {"exp_avg": bad}}}}
    for name, part in (("networks", {"critic": {"w": bad}}), ("optimisers", optimiser)):
        save_checkpoint(tmp_path / "run.pth", {"model": {}, "step": 1, "config": {}, name: part})
        with pytest.raises(AetherError, match=rf"{name}\..*is not finite; continue from an earlier"):
            load_checkpoint(tmp_path / "run.pth")


def test_a_codec_with_undefined_powers_for_targets_is_read(tiny: SpiCodec, tmp_path: Path) -> None:
    save_codec(tiny, tmp_path / "codec.safetensors", {})
    load_codec(tmp_path / "codec.safetensors")


def test_checkpoints_that_unpack_to_more_than_they_hold_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pth"
    torch.save({"model": {"w": torch.zeros(1).expand(2**40)}}, path)
    with pytest.raises(AetherError, match=r"run\.pth: not a checkpoint \(model\.w claims more values than it holds"):
        read_checkpoint(path, "a checkpoint")
    torch.save({"w": torch.zeros(1_000_000)}, path)
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(AetherError, match=r"packed\.pth: not a checkpoint \(it is compressed"):
        read_checkpoint(tmp_path / "packed.pth", "a checkpoint")
    path.write_bytes(pickle.dumps({"w": 1}))
    with pytest.raises(AetherError, match=r"run\.pth: not a checkpoint"):
        read_checkpoint(path, "a checkpoint")


def test_tensors_are_found_once_however_deep_they_lie() -> None:
    one: list[Any] = [torch.zeros(1)]
    content: Any = {"a": one, "b": (one, {"c": torch.ones(2)})}
    one.append(content)  # as a pickle may
    assert {name for name, _ in tensors_of(content)} in ({"a.0", "b.1.c"}, {"b.0.0", "b.1.c"})


@pytest.mark.parametrize(
    "text",
    ["a: &a [1, 1]\nb: [*a, *a]\n", "a: &a {x: 1}\nb: {<<: *a}\n", "- 1", "a: [", "!!python/object:os.x {}", "\xff\0"],
)
def test_recipes_are_plain_mappings(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(AetherError, match=r"a\.yaml: not a recipe"):
        read_yaml(tmp_path / "a.yaml", "a recipe")


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", "[" * 10**5, "9" * 5000, "", "\xff"])
def test_json_has_finite_numbers(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_types_are_those_that_are_stated() -> None:
    good = [(1, int), (1, float), (1.5, float), (None, int | None), ((1, 2), tuple[int, ...]),
            ({"a": [1]}, dict[str, list[int]])]  # fmt: skip
    wrong = [(True, int), (1.0, int), (float("nan"), float), (2**63, int), ("1", int), ([1], tuple[int]),
             ({1: 1}, dict[str, int]), ((1, 2), tuple[int]), ([1, "a"], list[int])]  # fmt: skip
    assert all(fits(value, hint) for value, hint in good)
    assert not any(fits(value, hint) for value, hint in wrong)
    with pytest.raises(ValueError, match="unknown"):
        from_mapping(CodecConfig, {"width": 8, "depth": 3})
    with pytest.raises(ValueError, match="missing: channels"):
        from_mapping(CodecConfig, {"width": 8})


@pytest.mark.parametrize("name", ["=1+1", "+1a", "-a", "@a", "\ta", "\ra", "'=a", "'", "a=1", "-5", "1e3"])
def test_names_are_no_formulas_in_a_table_and_come_back(name: str, tmp_path: Path) -> None:
    rows = [Row("s", name, "", Condition("awgn", -3.0, 1000, (), None), {"frames": 9.0, "loss": -0.5})]
    write_results(tmp_path / "results.csv", rows)
    line = (tmp_path / "results.csv").read_bytes().decode().split("\n", 1)[1]
    cell = line.split(",")[1].strip('"')
    assert not cell.startswith(("=", "@", "\t", "\r", "+"))
    assert not cell.startswith("-") or cell == "-5"
    assert ",-0.5" in line
    (read,) = read_results(tmp_path / "results.csv")
    assert read.clip == name
