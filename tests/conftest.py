"""Real speech and small models shared by the tests."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch

from aether_lite.codec import Codec, SpiCodec, preset, save_codec
from aether_lite.codec.growth import start
from aether_lite.features.layout import NUM_ALL, NUM_FREE

DATA = Path(__file__).parent / "vectors"

# Each worker of pytest-xdist caches compiled code for itself: two that write and load librosa's at once can crash.
# Set before numba is first imported, which nothing above does.
if "PYTEST_XDIST_WORKER" in os.environ:
    cache = Path(__file__).parents[1] / ".pytest_cache" / f"numba-{os.environ['PYTEST_XDIST_WORKER']}"
    os.environ["NUMBA_CACHE_DIR"] = str(cache)

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
UNDER_CI = os.environ.get("CI", "") not in ("", "0", "false")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI a test that cannot run fails, and names what is missing."""
    report = yield
    return _failed_if_skipped(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for whole files."""
    report = yield
    return _failed_if_skipped(report)


def _failed_if_skipped(report: Report) -> Report:
    if UNDER_CI and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"CI must run every test, and this one cannot: {reason}"
    return report


@pytest.fixture(scope="session")
def speech_features() -> torch.Tensor:
    """``[2, 480, 20]`` features of two speakers."""
    rows = [np.fromfile(DATA / f"{name}.f32", "<f4").reshape(-1, NUM_ALL) for name in ("en_f_intro", "it_m_intro")]
    return torch.from_numpy(np.stack([r[40:520, :NUM_FREE] for r in rows]))


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    """``[2, 48000] float32`` speech of the same two speakers."""
    clips = [np.fromfile(DATA / f"{name}.pcm", "<i2")[16000:64000] for name in ("en_f_intro", "it_m_intro")]
    return np.stack(clips).astype(np.float32) / 32768


@pytest.fixture(scope="session")
def tiny(speech_features: torch.Tensor) -> SpiCodec:
    """An untrained ``tiny`` codec with the image constants of real speech; not to be changed."""
    torch.manual_seed(0)
    model = SpiCodec(preset("tiny"))
    start(model, speech_features)
    return model.eval()


@pytest.fixture(scope="session")
def tiny_codec(tiny: SpiCodec) -> Codec:
    """Speech to speech around the untrained codec."""
    return Codec(tiny)


@pytest.fixture(scope="session")
def tiny_hash(speech_features: torch.Tensor) -> SpiCodec:
    """An untrained ``tiny`` hash codec with the image constants of real speech; not to be changed."""
    torch.manual_seed(0)
    model = SpiCodec(replace(preset("tiny"), hash="sign"))
    start(model, speech_features)
    return model.eval()


@pytest.fixture(scope="session")
def tiny_hash_codec(tiny_hash: SpiCodec) -> Codec:
    """Speech to bits and back around the untrained hash codec."""
    return Codec(tiny_hash)


@pytest.fixture(scope="session")
def hash_file(tiny_hash: SpiCodec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the untrained hash codec."""
    path = tmp_path_factory.mktemp("hash") / "hash_tiny.safetensors"
    save_codec(tiny_hash, path, {"note": "untrained", "seed": 0})
    return path
