"""Binary weights files of Opus: what is written in their layout is read back."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from aether_lite.cli.main import app
from aether_lite.errors import AetherError
from aether_lite.vocoder import FARGAN, load_fargan, load_vocoder, synthesize
from opus_blob import blob, record


@pytest.fixture(scope="module")
def released() -> FARGAN:
    return load_fargan()


@pytest.mark.parametrize("int8", [False, True])
def test_the_same_weights_are_read_from_the_file_of_opus(
    released: FARGAN, speech_features: torch.Tensor, tmp_path: Path, int8: bool
) -> None:
    path = tmp_path / "weights_blob.bin"
    path.write_bytes(blob(released, int8))
    read = load_fargan(path)
    step = 0.5 / 127 if int8 else 1e-6
    for name, own in released.named_parameters():
        if name.endswith(("weight_g", "weight_v")):
            continue
        other = read.get_parameter(name)
        assert float((other - own).detach().abs().max()) <= 1.01 * step * float(own.detach().abs().max()), name
    for own, other in zip(released.sig_net.normed_weights(), read.sig_net.normed_weights(), strict=True):
        torch.testing.assert_close(other, own, rtol=1e-5, atol=1e-6)
    rows = speech_features[0, :60]
    one, other = (synthesize(rows, network) for network in (released, load_vocoder(path)))
    error = (one - other).square().sum() / one.square().sum()
    assert float(error) < (0.1 if int8 else 1e-6)


def test_what_info_says(released: FARGAN, tmp_path: Path) -> None:
    path = tmp_path / "weights_blob.bin"
    path.write_bytes(blob(released, True))
    result = CliRunner().invoke(app, ["info", str(path), "--json", "-"])
    assert result.exit_code == 0, result.output
    model = json.loads(result.stdout)["model"]
    assert model["kind"] == "vocoder"
    form = "FARGAN in the binary weights of Opus (DNNw), 13 layers in float32, 7 layers in int8"
    assert model["provenance"]["form"] == form
    shown = CliRunner().invoke(app, ["info", str(path)])
    assert shown.exit_code == 0
    assert "binary weights of Opus" in shown.stdout


def test_damaged_and_other_files_are_named(released: FARGAN, tmp_path: Path) -> None:
    whole, path = blob(released, False), tmp_path / "weights_blob.bin"
    header = struct.Struct("<4s4i44s")
    cases = {
        "cut within the header": whole + whole[:10],
        "cut within": whole[:1000],
        "it has no": record("pitch_dense_bias", np.ones(8, "<f4")),
        "no whole values": header.pack(b"DNNw", 0, 0, 70, 64, b"a") + bytes(64),
        "no record of version 0": header.pack(b"DNNw", 1, 0, 64, 64, b"a") + bytes(64),
        "has 5 values, not": whole + record("sig_net_skip_dense_weights_float", np.ones(5, "<f4")),
        "has a bias, which FARGAN has not": whole + record("sig_net_skip_dense_bias", np.ones(128, "<f4")),
        "not finite: sig_net.skip_dense.weight": whole
        + record("sig_net_skip_dense_weights_float", np.full((688, 128), np.nan, "<f4")),
    }
    for reason, data in cases.items():
        path.write_bytes(data)
        with pytest.raises(AetherError, match=reason) as caught:
            load_vocoder(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
