"""MkDocs hook: pages made from files outside ``docs/``, links between them, and the command-line reference.

Model cards, CONTRIBUTING.md and CHANGELOG.md stay where tools and packages expect them and appear on the site as pages.
Links are written for the repository; on the site those that lead to such a file lead to its page, and links to source
files become plain names.
"""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
CARDS = "src/aether_lite/zoo"
OUTSIDE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "README.md": "index.md"}
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
COMMANDS_MARK = "<!-- commands -->"


def _outside() -> Iterator[tuple[str, str]]:
    """Repository path and site path of every page that is not in ``docs/``."""
    yield from ((source, page) for source, page in OUTSIDE.items() if source != "README.md")
    for card in sorted((ROOT / CARDS).glob("*.md")):
        yield f"{CARDS}/{card.name}", f"models/{card.name}"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that come from other folders."""
    for source, page in _outside():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn repository links into site links, and write the command-line reference."""
    source = {site: repository for repository, site in _outside()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    if COMMANDS_MARK in markdown:
        markdown = markdown.replace(COMMANDS_MARK, command_reference())
    return LINK.sub(lambda match: _site_link(match, source, page.file.src_uri), markdown)


def _site_link(match: re.Match[str], source: str, page: str) -> str:
    text, target, anchor = match[1], match[2], match[3] or ""
    if re.match(r"[a-z]+:", target):
        return match[0]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    site = {**OUTSIDE, **dict(_outside())}.get(path)
    if site is None and path.startswith("docs/"):
        site = path.removeprefix("docs/")
    if site is None:
        return f"`{path}`" if (ROOT / path).exists() else match[0]  # a missing file stays a link: --strict reports it
    return f"[{text}]({os.path.relpath(site, PurePosixPath(page).parent)}{anchor})"


def command_reference() -> str:
    """Every command with its arguments and options, as Markdown."""
    import typer.main

    from aether_lite.cli.main import app

    group: Any = typer.main.get_command(app)
    return "\n\n".join(_command(name, command) for name, command in group.commands.items() if not command.hidden)


def _command(name: str, command: Any) -> str:
    described = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
    arguments = [p for p in described if p.param_type_name == "argument"]
    options = [p for p in described if p.param_type_name == "option"]
    usage = " ".join(["aether-lite", name, *map(_in_usage, arguments), "[OPTIONS]"])
    lines = [f"## {name}", "", "```", usage, "```", "", _plain(command.help)]
    if not described:
        lines += ["", "```", _argparse_help(name), "```"]
    if arguments:
        lines += ["", "| argument | meaning |", "|---|---|"]
        lines += [f"| `{_metavar(p)}` | {_cell(getattr(p, 'help', ''))} |" for p in arguments]
    if options:
        lines += ["", "| option | meaning | default |", "|---|---|---|"]
        lines += [_option(p) for p in options]
    return "\n".join(lines)


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    value = "" if option.is_flag or option.metavar is None else f" `{option.metavar.replace('|', chr(92) + '|')}`"
    shown = option.default is not None and option.show_default is True and not callable(option.default)
    default = "" if not shown or option.default is False else f"`{option.default}`"
    return f"| {names}{value} | {_cell(option.help)} | {default} |"


def _in_usage(argument: Any) -> str:
    return _metavar(argument) if argument.required else f"[{_metavar(argument)}]"


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.human_readable_name.upper())


def _cell(text: str | None) -> str:
    return _plain(text).replace("\n", " ").replace("|", r"\|")


def _plain(text: str | None) -> str:
    """Help text without Rich's escapes and with its paragraphs."""
    return (text or "").replace("\b", "").replace(r"\[", "[").strip()


def _argparse_help(name: str) -> str:
    """``--help`` of a command that parses its own options."""
    from aether_lite.cli.main import app

    written = io.StringIO()
    width = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.redirect_stdout(written), contextlib.suppress(SystemExit):
            app(args=[name, "--help"], prog_name="aether-lite")
    finally:
        os.environ.pop("COLUMNS")
        if width is not None:
            os.environ["COLUMNS"] = width
    return written.getvalue().strip()
