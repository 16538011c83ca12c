"""Examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).parents[1] / "src"
MODULES = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_the_module(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name), extraglobs={"np": np}, verbose=False)
    assert outcome.failed == 0


def test_there_are_examples() -> None:
    assert len(MODULES) >= 3
