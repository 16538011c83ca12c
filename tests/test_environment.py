"""Nothing is read from the working directory but what a command names; caches are the user's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aether_lite.environment import without_local_settings
from aether_lite.errors import AetherError
from aether_lite.files import CACHE_VARIABLE, cache_folder

PATHS = os.pathsep.join(map(str, (Path(__file__).parents[1] / "src", Path(__file__).parent)))
MARK = "marker"  # a file that a trap leaves in the working directory
MODULES = ("numpy", "torch", "json", "multiprocessing", "aether_lite", "typer", "yaml", "sitecustomize")
NUMBA = "from aether_lite.environment import load_numba; load_numba(); import numba"
KEPT = "from test_environment import one_more; kept = numba.njit(cache=True)(one_more); assert kept(1) == 2"
WATCH = """
import os, sys
here = os.getcwd()
def watch(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], (str, bytes, os.PathLike)):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path.startswith(here + os.sep) and "w" not in str(arguments[1] if event == "open" else ""):
            seen.add(os.path.relpath(path, here))
seen = set()
sys.addaudithook(watch)
"""


def one_more(x: int) -> int:
    return x + 1


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A folder as it may come from anywhere: settings and modules that leave a mark when they are used."""
    folder = tmp_path / "came_from_elsewhere"
    folder.mkdir()
    (folder / ".numba_config.yaml").write_text(f"cache_dir: {folder}/kept\n")
    (folder / "matplotlibrc").write_bytes(b"savefig.dpi: 7\n\xff\xff")
    for name in MODULES:
        (folder / f"{name}.py").write_text(f"open({str(folder / MARK)!r}, 'a').write({name!r})\n")
    return folder


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, **environment, "PYTHONPATH": PATHS}
    given.pop("NUMBA_CACHE_DIR", None)
    form: dict[str, Any] = {"capture_output": True, "encoding": "utf-8", "errors": "replace", "check": False}
    return subprocess.run([sys.executable, "-P", "-c", code], cwd=folder, env=given, **form)


def test_settings_and_modules_of_the_working_directory_are_not_read(trapped: Path, tmp_path: Path) -> None:
    pytest.importorskip("numba")
    done = run(
        f"""
{NUMBA}
from aether_lite.plots.canvas import canvas
with canvas({str(tmp_path / "picture.png")!r}, 1, 1):
    pass
{KEPT}
import matplotlib
print(numba.config.CACHE_DIR, kept.stats.cache_path, matplotlib.rcParams["savefig.dpi"])
""",
        trapped,
        **{CACHE_VARIABLE: str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stderr
    folder, place, resolution = done.stdout.split()
    assert Path(folder).parent == tmp_path / "cache"
    assert Path(place).parent == Path(folder)
    assert resolution == "figure"
    assert Path(folder).stat().st_mode & 0o777 == 0o700
    assert {path.name for path in trapped.iterdir()} == {".numba_config.yaml", "matplotlibrc"} | {
        f"{name}.py" for name in MODULES
    }


@pytest.mark.slow
def test_commands_read_nothing_from_the_folder_they_run_in(trapped: Path, tmp_path: Path) -> None:
    pytest.importorskip("numba")
    speech, root = Path(__file__).parent / "vectors" / "en_f_intro.pcm", tmp_path / "speech"
    root.mkdir()
    sent = str(root / "a.wav")
    code = f"""{WATCH}
import shutil
from aether_lite.audio import read_audio, write_audio
write_audio({sent!r}, read_audio({str(speech)!r}))
write_audio({str(root / "b.wav")!r}, read_audio({str(speech)!r})[:40_000])
from aether_lite.cli.main import main
os.dup2(os.open({sent!r}, os.O_RDONLY), 0)
for arguments in (
    ["transmit", {sent!r}, "out.wav", "--snr", "6", "--picture", "out.png"],
    ["stream", "--encode"],
    ["features", {sent!r}, "out.f32"],
    ["prepare", {str(root)!r}, "root", "--jobs", "2"],
    ["bench", {str(root)!r}, "-o", "bench", "--system", "codec-small", "--rate", "1000", "--snr", "6",
     "--channel", "awgn", "--seconds", "1", "--audio-clips", "0", "--jobs", "2"],
    ["info", "small"],
):
    try:
        main(arguments)
    except SystemExit as end:
        assert not end.code, arguments
print("READ", *seen, file=sys.stderr)
"""
    done = run(code, trapped, **{CACHE_VARIABLE: str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    made = ("out.", "root", "bench")
    assert not [name for name in done.stderr.rpartition("READ")[2].split() if not name.lstrip(".").startswith(made)]
    assert not (trapped / MARK).exists()
    assert not (trapped / "kept").exists()


def test_a_working_directory_without_settings_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with without_local_settings():
        assert Path.cwd() == tmp_path
    (tmp_path / "matplotlibrc").touch()
    with without_local_settings():
        assert Path.cwd() != tmp_path
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize("home", ["/dev/null", ""])
def test_without_a_folder_for_the_cache_numba_has_none(trapped: Path, home: str) -> None:
    pytest.importorskip("numba")
    given = {"HOME": home, "XDG_CACHE_HOME": "", CACHE_VARIABLE: home}
    done = run(f"{NUMBA}; print(numba.config.CACHE_DIR)", trapped, **given)
    assert done.returncode == 0, done.stderr
    assert not done.stdout.strip() or Path(done.stdout.strip()).is_absolute()
    assert not (trapped / "numba").exists()


def test_the_cache_follows_the_desktop_convention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("part") == tmp_path / "aether-lite" / "part"
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    for not_absolute in ("", ".", "numba"):
        monkeypatch.setenv("XDG_CACHE_HOME", not_absolute)
        assert cache_folder("part") == tmp_path / "home" / ".cache" / "aether-lite" / "part"


def test_a_cache_that_others_may_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    (tmp_path / "open").mkdir(mode=0o777)
    assert cache_folder("open").stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "open")
    with pytest.raises(AetherError, match=f"link: is no folder of this user.*{CACHE_VARIABLE}"):
        cache_folder("link")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(AetherError, match="open: is no folder of this user"):
        cache_folder("open")
