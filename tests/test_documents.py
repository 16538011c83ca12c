"""Documents: links lead somewhere, commands have the options that are shown, README and cards stay short."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

import aether_lite
from aether_lite.cli.main import app

ROOT = Path(__file__).parents[1]
CARDS = sorted((ROOT / "src" / "aether_lite" / "zoo").glob("*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *CARDS]
RECORDS = [path for path in PAGES if "notebook" in path.parts]  # of older commits: their commands may be gone
README_LINES = 150
CARD_LINES = 60
SCRIPTS = {"training/spi_jscc_train.py": "train", "training/ear_train.py": "train-mel-predictor"}
TASKS = {"codec": "train", "vocoder": "train-vocoder", "mel_predictor": "train-mel-predictor", "prior": "train-prior"}
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
SHELL = re.compile(r"^ *```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if not re.match(r"[a-z]+:", target)]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_documents_that_the_source_names_exist() -> None:
    sources = [path for kind in ("*.py", "*.yaml") for path in (ROOT / "src").rglob(kind)]
    named = {page for path in sources for page in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8"))}
    assert [page for page in sorted(named) if not (ROOT / page).exists()] == []


def test_the_version_is_the_same_everywhere() -> None:
    places = ("pyproject.toml", "CITATION.cff", "README.md", "CHANGELOG.md")
    patterns = (r'^version = "([\d.]+)"', r"^version: ([\d.]+)", r"\{Version ([\d.]+)\}", r"^## ([\d.]+)")
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in places]
    found = [re.search(pattern, text, re.MULTILINE) for pattern, text in zip(patterns, texts, strict=True)]
    assert [match and match[1] for match in found] == [aether_lite.__version__] * len(places)


def test_hints_to_install_are_quoted_name_extras_and_hold_in_a_checkout() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    sources = [*(path for kind in ("*.py", "*.yaml") for path in (ROOT / "src").rglob(kind)), *PAGES]
    sources += [path for folder in ("examples", "training", "benchmarks") for path in (ROOT / folder).glob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    hints = re.findall(r"""pip install (?:-e )?(["']?[^\s`"']*\[[^\s`"']*["']?)""", text)
    assert len(hints) > 6
    wrong = [hint for hint in hints if not re.fullmatch(r"""(["'])\.\[[\w,{}]+\]\1""", hint)]
    assert wrong == []
    named = [name for hint in hints for name in re.findall(r"[\w]+", hint) if "{" not in hint]
    named += re.findall(r"""how_to_install\(["'](\w+)""", text)
    assert set(named) <= project["optional-dependencies"].keys()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.stem)
def test_a_card_is_a_screen_long_and_has_its_parts(card: Path) -> None:
    text = card.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= CARD_LINES
    for part in ("| file | ", "licence", "training speech", "## Figures", "## Limits", "## Recipe"):
        assert part in text, part


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page not in RECORDS], ids=lambda path: str(path.relative_to(ROOT))
)
def test_commands_have_the_options_that_are_shown(page: Path) -> None:
    unknown = [
        (command, option)
        for command, words in commands(page.read_text(encoding="utf-8"))
        for option in (word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word))
        if option.replace("_", "-") not in options(command)
    ]
    assert unknown == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page not in RECORDS], ids=lambda path: str(path.relative_to(ROOT))
)
def test_scripts_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`?(?:python )?((?:benchmarks|examples|training)/\w+\.py)([^`]*`(?: of commit)?|)", text)
    assert [script for script, after in named if not after.endswith("of commit") and not (ROOT / script).exists()] == []


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Name and further words of every call of the command line in shell blocks."""
    for block in SHELL.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            for call in shlex.split(line, comments=True) and split_pipe(shlex.split(line, comments=True)):
                if call[0] == "aether-lite" and len(call) > 1 and not call[1].startswith("-"):
                    yield task_of(call[1:]), call[2:]
                scripts = [place for place, word in enumerate(call) if word in SCRIPTS]
                if scripts:
                    yield SCRIPTS[call[scripts[0]]], call[scripts[0] + 1 :]


def task_of(words: list[str]) -> str:
    """The command that has the options: `train` with a recipe takes those of the recipe's task."""
    if words[0] != "train" or "--config" not in words:
        return words[0]
    recipe = ROOT / "src" / "aether_lite" / words[words.index("--config") + 1]
    task = re.search(r"^task: (\w+)$", recipe.read_text(encoding="utf-8"), re.MULTILINE)
    return TASKS[task[1]] if task else words[0]


def split_pipe(words: list[str]) -> list[list[str]]:
    """The commands of a pipe or list."""
    calls: list[list[str]] = [[]]
    for word in words:
        if word in ("|", "&&", ";"):
            calls.append([])
        else:
            calls[-1].append(word)
    return [call for call in calls if call]


@functools.cache
def options(command: str) -> frozenset[str]:
    """Every option of a command, with hyphens."""
    group = typer.main.get_command(app)
    parameters = group.commands[command].params  # type: ignore[attr-defined]
    names = {name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)}
    if not parameters:  # it parses its own options
        written = io.StringIO()
        with contextlib.redirect_stdout(written), contextlib.suppress(SystemExit):
            app(args=[command, "--help"])
        names = set(re.findall(r"--[a-zA-Z][a-zA-Z0-9_-]*", written.getvalue()))
    return frozenset(name.replace("_", "-") for name in names) | {"--help"}
