"""Classes of all commands: former names of options and commands, ``--json`` without a file, ``--verbose``."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

from aether_lite.cli.io import STANDARD
from aether_lite.errors import OLD_NAMES_GO_IN, AetherError

RENAMED = {
    "--search": "--refine",
    "--state": "--csi",
    "--withheld": "--csi=none",
    "--fargan-ckpt": "--vocoder",
    "--out": "--output",
    "--rates": "--rate",
    "--snrs": "--snr",
    "--mute": "",
    "--no-strict": "",
    "train-ear": "train-mel-predictor",
    "exact": "perfect",
    "withheld": "none",
}
"""Former names of options, commands and values, which go in release 0.3; empty for what is the default now."""
DEFAULT_NOW = {"--mute": "--no-mute", "--no-strict": "--strict"}  # and the flag against it
VERBOSE, QUIET = "verbose", "quiet"  # in the context's meta: whether to print tracebacks, or no notes
JSON = "--json"
ANY_JSON_NAME = ("transmit", "encode", "decode")  # their --json took any FILE before 0.2


def note_renamed(old: str) -> None:
    """Say on standard error what an old name is now."""
    new = f"is now {RENAMED[old]}" if RENAMED[old] else "is the default"
    print(f"aether-lite: {old} {new}; the old name goes in {OLD_NAMES_GO_IN}", file=sys.stderr)


def without_types(parameters: list[Any]) -> list[Any]:
    """Parameters whose flags are shown without a value's type."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


class Group(TyperGroup):
    """The command line; commands have their former names too."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Options."""
        return without_types(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name."""
        if cmd_name in RENAMED:
            note_renamed(cmd_name)
        return super().get_command(ctx, RENAMED.get(cmd_name, cmd_name))


class Command(TyperCommand):
    """One command; its options may be written with underscores and have their former names too."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Arguments and options."""
        return without_types(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments, with names as they are now."""
        end = args.index("--") if "--" in args else len(args)
        words = [word for word in args[:end] if word not in ("-v", "--verbose")]
        ctx.meta[VERBOSE] = ctx.meta.get(VERBOSE, False) or len(words) < end
        ctx.meta[QUIET] = bool({"-q", "--quiet"} & set(words))
        return super().parse_args(ctx, [*self._current(words, ctx.meta[QUIET]), *args[end:]])

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except AetherError:
            if ctx.meta.get(VERBOSE):
                traceback.print_exc()
            raise

    def _current(self, words: Sequence[str], quiet: bool) -> Iterator[str]:
        """Arguments with the options' names of today, each change noted unless the command is quiet."""
        own = {name for parameter in self.params for name in (*parameter.opts, *parameter.secondary_opts)}
        for place, word in enumerate(words):
            name, separator, value = word.partition("=")
            dashed = name.replace("_", "-") if name.startswith("--") else name
            new = RENAMED.get(dashed, "")
            if name not in own and dashed in own:
                name = dashed
            elif name not in own and (new.partition("=")[0] in own or DEFAULT_NOW.get(dashed) in own):
                if not quiet:
                    note_renamed(dashed)
                if not new:
                    continue
                name = new
            yield name + separator + value
            if name == JSON and JSON in own and not separator and not self._is_json_file(*words[place + 1 : place + 2]):
                yield STANDARD

    def _is_json_file(self, word: str = "--") -> bool:
        """Whether the word after ``--json`` is its FILE."""
        if word.startswith("-") and word != STANDARD:
            return False
        return word == STANDARD or word.lower().endswith(".json") or self.name in ANY_JSON_NAME
