"""Systems by name, absent tools, and published figures."""

from __future__ import annotations

import importlib.util
import shutil
from importlib.machinery import ModuleSpec
from importlib.resources import files
from pathlib import Path

import pytest

from aether_lite.baselines import MissingToolError, available_systems, make_system, system, system_names
from aether_lite.baselines.published import published_curves
from aether_lite.codec import Codec, save_codec
from aether_lite.errors import AetherError
from aether_lite.link import snr_3k_db


def test_names_are_keys_of_results() -> None:
    names = system_names()
    assert {"codec-small", "vocoder-only", "uncoded", "codec2-ldpc", "codec2-700c-qpsk"} <= set(names)
    assert all(name == name.lower() and " " not in name for name in names)


def test_systems_bear_the_name_they_are_registered_by() -> None:
    present, _ = available_systems()
    systems = [make_system(name) for name in present]
    assert [system.name for system in systems] == present
    assert len({system.fingerprint for system in systems}) == len(systems)
    assert len({system.title for system in systems}) == len(systems)
    assert all(system.facts.latency_ms > 0 and system.facts.channel_state for system in systems)


def test_a_new_system_is_one_class_under_the_decorator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aether_lite.baselines.registry.SYSTEMS", {})

    @system("nothing")
    class Nothing:
        name = "nothing"

    @system("nothing:")
    def of(what: str) -> Nothing:
        made = Nothing()
        made.name = what
        return made

    assert system_names() == ["nothing"]
    assert (make_system("nothing").name, make_system("nothing:more").name) == ("nothing", "more")
    with pytest.raises(ValueError, match="there is a system nothing already"):
        system("nothing")(Nothing)
    with pytest.raises(AetherError, match="unknown system 'codec-small'; known: nothing, nothing:PATH"):
        make_system("codec-small")


def test_codec_file_is_a_system(tiny_codec: Codec, tmp_path: Path) -> None:
    path = tmp_path / "codec_My run.safetensors"
    save_codec(tiny_codec.model, path, {"data": "none"})
    system = make_system(f"codec:{path}")
    assert system.name == "codec-my-run"
    assert system.facts.trained_on == "none"
    released = make_system("codec-small")
    assert system.fingerprint != released.fingerprint


def test_unknown_system_is_a_stated_error() -> None:
    with pytest.raises(AetherError, match="unknown system 'codec3'; known: codec-small"):
        make_system("codec3")
    with pytest.raises(AetherError, match="no such codec file"):
        make_system("codec:nowhere.safetensors")


def test_absent_programs_say_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("c2enc") is None
    with pytest.raises(MissingToolError, match="needs the program c2enc: apt install codec2"):
        make_system("codec2-ldpc")
    present, absent = available_systems(["uncoded", "codec2-ldpc", "codec2-1300-qpsk"])
    assert present == ["uncoded"]
    assert [line.split(":")[0] for line in absent] == ["codec2-ldpc", "codec2-1300-qpsk"]


def test_absent_sionna_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def without_sionna(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "sionna" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_sionna)
    monkeypatch.setattr(shutil, "which", lambda program: f"/bin/{program}")
    with pytest.raises(MissingToolError, match=r"sionna-no-rt.*pip install '\.\[eval\]'"):
        make_system("codec2-ldpc")


def test_published_rade_is_the_better_model_at_each_snr() -> None:
    v1, v2 = published_curves("awgn", "feature_loss").items()
    assert [value for _, value in v1[1]] == [0.4626, 0.2639, 0.1674, 0.1290, 0.1103, 0.0927, 0.0812]
    assert [snr for snr, _ in v1[1]] == pytest.approx([snr - 4.77 for snr in (-6, -3, 0, 3, 6, 10, 20)], abs=0.01)
    assert "measured" in v1[0]
    assert v1[0].endswith("ideal sync), 1000 uses/s")
    assert "sync included" in v2[0]
    assert v2[0].endswith(", 700 uses/s")


def test_other_measures_are_those_of_the_same_model() -> None:
    (curve,) = published_curves("mpp", "gpe").values()
    table = (files("aether_lite.baselines.published") / "rade_v1_valid.tsv").read_text()
    rows = [line.split("\t") for line in table.splitlines() if "\tmpp\t6\t" in line]
    assert min(rows, key=lambda row: float(row[3]))[0] == "model19_check3"
    assert dict(curve)[snr_3k_db(6.0, 1000)] == float(min(rows, key=lambda row: float(row[3]))[7])
    assert published_curves("bsc", "gpe") == {}
