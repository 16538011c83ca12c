"""The bundled vocoder and the features of real speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from aether_lite.vocoder import FARGAN, Vocoder, load_fargan, load_vocoder

DATA = Path(__file__).parents[1] / "vectors"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def vocoder() -> FARGAN:
    return load_fargan().requires_grad_(False)


@pytest.fixture(scope="session")
def ready(vocoder: FARGAN) -> Vocoder:
    """The same weights, for synthesis."""
    return load_vocoder()


@pytest.fixture(scope="session")
def features() -> Tensor:
    """``[561, 36]``, by the C extractor."""
    return torch.from_numpy(np.fromfile(DATA / "en_f_intro.f32", "<f4").reshape(-1, 36))


@pytest.fixture(scope="session")
def speech() -> Tensor:
    """``[89760]`` in [-1, 1], what the features were made from."""
    return torch.from_numpy(np.fromfile(DATA / "en_f_intro.pcm", "<i2").astype(np.float32) / 32768)
