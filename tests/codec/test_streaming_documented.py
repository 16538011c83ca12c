"""The example of docs/guides/streaming.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "streaming.md"


def test_example_of_the_page_gives_whole_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert block is not None
    exec(compile(block[1], "streaming.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == f"{25 * 640} samples\n"
