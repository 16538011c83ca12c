"""The library of the package: built by pip with whatever compiler there is, or at first use in a checkout."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from aether_lite.core import library
from aether_lite.errors import AetherError

CORE = Path(__file__).parents[2] / "core"


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``core/package.py`` over a stand-in for scikit-build-core that compiles a program in place of a wheel."""

    def build_wheel(folder: str, *_: object) -> str:
        (Path(folder) / "a.c").write_text("int main(void) { return 0; }\n")
        subprocess.run([os.environ.get("CC", "cc"), "-c", "a.c", "-o", "a.o"], cwd=folder, check=True)
        return os.environ.get("CC", "")

    names = ("build_editable", "build_sdist", "get_requires_for_build_editable", "get_requires_for_build_sdist",
             "prepare_metadata_for_build_editable", "prepare_metadata_for_build_wheel")  # fmt: skip
    hooks = SimpleNamespace(
        build_wheel=build_wheel, get_requires_for_build_wheel=lambda _: ["ninja"], **dict.fromkeys(names)
    )
    monkeypatch.setitem(sys.modules, "scikit_build_core", SimpleNamespace(build=hooks))
    monkeypatch.setitem(sys.modules, "scikit_build_core.build", hooks)
    monkeypatch.setattr(sys, "path", [str(CORE), *sys.path])
    monkeypatch.delenv("CC", raising=False)
    spec = importlib.util.spec_from_file_location("core_package", CORE / "package.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(sys.platform == "win32", reason="CMake finds the compiler there")
def test_a_machine_without_a_compiler_takes_the_one_of_ziglang_and_says_so(
    backend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backend.build, "of_system", lambda: ["cc"])
    assert backend.get_requires_for_build_wheel() == ["ninja"]
    monkeypatch.setattr(backend.build, "of_system", lambda: [])
    assert backend.get_requires_for_build_wheel() == ["ninja", backend.ZIGLANG]
    (tmp_path / "ziglang").mkdir()  # stands in for the package: leaves its arguments
    (tmp_path / "ziglang" / "__init__.py").touch()  # comes before one that is installed
    (tmp_path / "ziglang" / "__main__.py").write_text("import sys; open('a.o', 'w').write(' '.join(sys.argv[1:]))")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = backend.build_wheel(str(tmp_path))
    assert (tmp_path / "a.o").read_text() == "cc -c a.c -o a.o"
    assert not Path(command).exists()
    assert "CC" not in os.environ
    assert "no C compiler on this machine; building with the package ziglang" in capsys.readouterr().err


def test_a_checkout_that_cannot_build_the_library_says_why_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(CORE, tmp_path / "core")
    module = tmp_path / "src" / "aether_lite" / "core" / "library.py"
    monkeypatch.setattr(library, "__file__", str(module))
    monkeypatch.setenv("CC", f"{sys.executable} -c 'raise SystemExit(1)'")
    with pytest.raises(AetherError, match=r"build.core-[0-9a-f]{16}: the native core cannot be built \(.*exit status"):
        library.default.__wrapped__()
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "")
    if importlib.util.find_spec("ziglang") is None:
        with pytest.raises(AetherError, match=r"no C compiler: install one .*, or pip install ziglang\)"):
            library.default.__wrapped__()
    shutil.rmtree(tmp_path / "core")
    with pytest.raises(AetherError, match="no native core that this machine can load"):
        library.default.__wrapped__()


def test_the_library_of_a_checkout_is_built_where_its_sources_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "core"
    shutil.copytree(CORE / "include", folder / "include")
    (folder / "build.py").write_text(
        "import shutil, sys, pathlib\n"
        f"shutil.copytree({str(library.default().folder)!r}, sys.argv[1], dirs_exist_ok=True)\n"
    )
    monkeypatch.setattr(library, "__file__", str(tmp_path / "src" / "aether_lite" / "core" / "library.py"))
    first = library.default.__wrapped__().folder
    assert "building the native core into" in capsys.readouterr().err
    assert library.default.__wrapped__().folder == first
    assert capsys.readouterr().err == ""
    (folder / "src").mkdir()
    (folder / "src" / "more.c").write_text("int more;\n")
    assert library.default.__wrapped__().folder != first
