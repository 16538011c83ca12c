"""The README's Python example runs as it stands."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
import soundfile

from aether_lite.audio import read_audio, write_audio

README = Path(__file__).parents[1] / "README.md"
SAMPLE = "assets/samples/en_f_intro.flac"


def example() -> str:
    """The Python block that loads the codec."""
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return next(block for block in blocks if "aether_lite.load()" in block)


def test_readme_example_writes_speech_of_the_same_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    speech = read_audio(Path(str(files("aether_lite") / SAMPLE)))
    write_audio("in.wav", speech)
    exec(compile(example(), "README.md", "exec"), {"__name__": "__main__"})
    heard = soundfile.info("out.wav")
    assert heard.samplerate == 16_000
    assert 0 <= heard.frames - len(speech) < 1280  # whole tokens, or trimmed
