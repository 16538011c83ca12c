"""``training/calibrate_power.py``: given speech gets mean power 1, and nothing else changes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from aether_lite.codec import SpiCodec, load_codec, save_codec

ROOT = Path(__file__).parents[2]


def test_given_speech_has_power_1_at_every_rate(tiny: SpiCodec, tmp_path: Path) -> None:
    model = SpiCodec(tiny.config)
    model.load_state_dict(tiny.state_dict())
    assert model.latent_power is not None
    model.latent_power.set(model.latent_power.values * 3)
    save_codec(model, tmp_path / "old.safetensors", {"note": "kept"})
    (tmp_path / "speech").mkdir()
    for name in ("en_f_intro.f32", "it_m_intro.f32"):
        shutil.copy(ROOT / "tests/vectors" / name, tmp_path / "speech")
    command = [sys.executable, str(ROOT / "training/calibrate_power.py"), "old.safetensors", "speech"]
    command += ["new.safetensors", "--data", "an hour of birds"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    new, provenance = load_codec(tmp_path / "new.safetensors")
    assert provenance["note"] == "kept"
    assert provenance["data"] == "an hour of birds"
    assert provenance["power"].startswith("speech, 2 files, ")
    assert "| 1200 | 1.0000 |" in done.stdout
    paths = sorted((tmp_path / "speech").iterdir())
    rows = np.concatenate([np.fromfile(path, "<f4").reshape(-1, 36)[:, :20] for path in paths])
    rows = rows[: len(rows) // 8 * 8]
    power = new.encode(torch.from_numpy(rows)[None], 300)[0].values.abs().square().mean()
    assert float(power) == pytest.approx(1, abs=1e-4)
    missing = subprocess.run([*command[:3], "no", "x"], cwd=tmp_path, capture_output=True, check=False)
    assert missing.returncode != 0
    assert b"holds no .f32 files" in missing.stderr
