"""Reference vectors of the public C extractor, and the bundled clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

DATA = Path(__file__).parents[1] / "vectors"
VECTORS = ("en_f_intro", "it_m_intro")


@dataclass(frozen=True)
class Vector:
    """One clip with what the C extractor makes of it.

    Attributes:
        pcm: ``[N] int16``.
        rows: ``[F, 36]`` by Opus 1.5.2 (approximate logarithms).
        exact: ``[F, 20]`` by Opus of mid 2026 (nearly exact logarithms).
    """

    name: str
    pcm: NDArray[np.int16]
    rows: NDArray[np.float32]
    exact: NDArray[np.float32]

    @property
    def voiced(self) -> NDArray[np.bool_]:
        return self.rows[:, 19] > 0.2


@pytest.fixture(scope="session", params=VECTORS)
def vector(request: pytest.FixtureRequest) -> Vector:
    name: str = request.param
    return Vector(
        name,
        np.fromfile(DATA / f"{name}.pcm", dtype="<i2"),
        np.fromfile(DATA / f"{name}.f32", dtype="<f4").reshape(-1, 36),
        np.fromfile(DATA / f"{name}.head20.f32", dtype="<f4").reshape(-1, 20),
    )
