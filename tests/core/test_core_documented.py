"""The program of the reference page is compiled and run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from aether_lite.core.library import Decoder, Encoder, Library, Model
from aether_lite.export.native import export_native

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "core.md"


@pytest.mark.skipif(sys.platform == "win32", reason="the program reads binary standard input as POSIX has it")
def test_the_program_of_the_page_gives_the_speech_of_the_streams(
    core: Library, build_script: ModuleType, speech: np.ndarray, tmp_path: Path
) -> None:
    (source,) = re.findall(r"```c\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "program.c").write_text(source)
    options = ["-std=c11", tmp_path / "program.c", "-L", core.folder, "-laether", f"-Wl,-rpath,{core.folder}"]
    build_script.compile_c(build_script.compiler(), [*options, "-o", tmp_path / "program"])
    export_native(tmp_path / "small.aether")
    program = [tmp_path / "program", tmp_path / "small.aether"]
    done = subprocess.run(program, input=speech[0, :8000].tobytes(), capture_output=True, check=True)
    model = Model(core, tmp_path / "small.aether")
    decoder = Decoder(model)
    pieces = [decoder.push(token)[0] for token in Encoder(model).push(speech[0, :8000])]
    assert done.stdout == np.concatenate([*pieces, decoder.flush()[0]]).tobytes()
    wrong = subprocess.run([*program[:1], PAGE], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    assert "not a file of native weights" in wrong.stderr
