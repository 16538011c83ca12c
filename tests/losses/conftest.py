"""Speech, its features, the bundled vocoder, and ranks without processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from aether_lite.audio import read_audio
from aether_lite.losses.reduction import Reduce
from aether_lite.vocoder import FARGAN, load_fargan

DATA = Path(__file__).parents[1] / "vectors"

Loss = Callable[[Sequence[Tensor], Reduce], Tensor]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def vocoder() -> FARGAN:
    return load_fargan().requires_grad_(False)


@pytest.fixture(scope="session")
def features() -> Tensor:
    """``[561, 20]``, by the C extractor."""
    rows = np.fromfile(DATA / "en_f_intro.f32", "<f4").reshape(-1, 36)
    return torch.from_numpy(rows[:, :20].copy())


@pytest.fixture(scope="session")
def speech() -> Tensor:
    """``[89760]`` in [-1, 1], what the features were made from."""
    return torch.from_numpy(np.fromfile(DATA / "en_f_intro.pcm", "<i2").astype(np.float32) / 32768)


@pytest.fixture(scope="session")
def feature_batch(features: Tensor) -> tuple[Tensor, Tensor]:
    """Decoded and original features, each ``[4, 100, 20] float64``; unlike numbers of voiced and silent frames."""
    original = features[:400].double().unflatten(0, (4, 100)).clone()
    original[1, :60, 19] = -0.4
    original[2, 50:, :18] = torch.tensor([-12.4, *[0.0] * 17], dtype=torch.float64)
    noise = torch.randn(original.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return original + 0.1 * noise, original


@pytest.fixture(scope="session")
def audio_batch(speech: Tensor) -> tuple[Tensor, Tensor]:
    """Decoded and original audio, each ``[4, 3200] float64``, of unlike levels."""
    original = speech[8000:20800].double().unflatten(0, (4, 3200)) * torch.tensor([[1.0], [0.2], [3.0], [0.5]])
    noise = torch.randn(original.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return 0.8 * original + 0.003 * noise, original


def gradient_over_ranks(loss: Loss, inputs: Sequence[Tensor], split: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Loss and its gradient with respect to ``inputs[0]``, averaged over ranks as data-parallel training does.

    Args:
        loss: of the tensors of one rank, and its sum over ranks.
        inputs: tensors ``[B, ...]``.
        split: items of each rank.

    Returns:
        Mean loss, and ``[B, ...]``: what a parameter shared by all ranks would get from each item.
    """
    leaf = inputs[0].detach().clone().requires_grad_()
    ranks = [list(parts) for parts in zip(*(x.split(list(split)) for x in (leaf, *inputs[1:])), strict=True)]
    sent: list[list[Tensor]] = []
    for parts in ranks:
        calls: list[Tensor] = []

        def record(total: Tensor, calls: list[Tensor] = calls) -> Tensor:
            assert not total.requires_grad
            calls.append(total.clone())
            return total

        loss(parts, record)
        sent.append(calls)
    totals = [torch.stack(same).sum(0) for same in zip(*sent, strict=True)]
    values = []
    for parts in ranks:
        answers = iter(totals)
        values.append(loss(parts, lambda _, answers=answers: next(answers)))  # type: ignore[misc]
    mean = torch.stack(values).mean()
    return mean.detach(), torch.autograd.grad(mean, leaf)[0]


@pytest.fixture(scope="session")
def over_ranks() -> Callable[[Loss, Sequence[Tensor], Sequence[int]], tuple[Tensor, Tensor]]:
    return gradient_over_ranks


@pytest.fixture(scope="session")
def speech_seconds() -> np.ndarray:
    """30 s of the bundled clips: ``[480000] float32``."""
    folder = Path(str(files("aether_lite") / "assets" / "samples"))
    clips = [read_audio(path) for path in sorted(folder.glob("*.flac"))]
    return np.concatenate(clips)[:480_000].astype(np.float32)
