"""Options of a training command as one dataclass: command line, YAML recipes and ``--help`` follow from its fields.

A recipe is a YAML file of ``OPTION: VALUE`` lines. Its ``stages``, a list of mappings, are runs one after another: each
has a ``name`` and what differs from the lines above, and starts from the weights that the one before it exported. The
command line wins over both. ``task`` says what the recipe trains and is read by ``aether-lite train``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_origin, get_type_hints

from aether_lite.errors import AetherError

STAGES, NAME, TASK = "stages", "name", "task"  # keys of a recipe that are no options
GOES_IN = "0.3"  # release in which former names of options go


class OptionSet(Protocol):
    """A dataclass of options.

    Attributes:
        DESCRIPTION: of the command.
        START: the option that names the weights to start from; the stages of a recipe fill it; empty for none.
        REMOVED: options that documents named, with what stands in their place.
    """

    DESCRIPTION: ClassVar[str]
    START: ClassVar[str]
    REMOVED: ClassVar[Mapping[str, str]]
    out: str

    @property
    def exported(self) -> Path:
        """The file that the weights are written to in the end."""

    def check(self) -> None:
        """Raise AetherError for an option out of range."""


Options = TypeVar("Options", bound=OptionSet)


def option(default: Any, text: str, *, was: Sequence[str] = (), **extra: Any) -> Any:
    """A field with its ``--help`` text; a list or dict default is copied for every instance.

    Args:
        default: value where nothing is given.
        text: of ``--help``.
        was: former names, accepted with a note.
        extra: ``choices``; ``positional``; ``path`` (names a local file or folder); ``free`` (may change when a run
            continues); ``length`` (the same, and recorded with the weights).
    """
    metadata = {"help": text, "was": tuple(was), **extra}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def parser(kind: type[OptionSet], prog: str) -> argparse.ArgumentParser:
    """Command line of a dataclass of options; they are accepted with - and with _ in their names."""
    text = f"{kind.DESCRIPTION} Options may be written with - or _ in their names."
    result = argparse.ArgumentParser(prog, description=text, allow_abbrev=False)
    result.add_argument("--config", metavar="FILE.yaml", help="recipe with options and stages; the command line wins")
    hints, defaults = get_type_hints(kind), kind()
    for item in fields(kind):  # type: ignore[arg-type]
        hint, about = hints[item.name], item.metadata
        text = f"{about['help']} (default: {_shown(getattr(defaults, item.name))})".replace("%", "%%")
        common: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text}
        if about.get("positional"):
            result.add_argument(item.name, nargs="*", metavar=item.name.upper(), **{**common, "help": about["help"]})
            result.add_argument(_flag(item.name), nargs="+", dest=f"{item.name}_", default=argparse.SUPPRESS,
                                help=argparse.SUPPRESS)  # fmt: skip
        elif hint is bool:
            result.add_argument(_flag(item.name), action=argparse.BooleanOptionalAction, dest=item.name, **common)
        elif get_origin(hint) is dict:
            result.add_argument(_flag(item.name), nargs="+", metavar="NAME=VALUE", dest=item.name, **common)
        else:
            many: dict[str, Any] = {"nargs": "+", "type": get_args(hint)[0]} if get_args(hint) else {"type": hint}
            choices = about.get("choices")
            many |= {"choices": choices} if choices else {"metavar": item.name.upper()}
            result.add_argument(_flag(item.name), dest=item.name, **many, **common)
    return result


def parse(kind: type[Options], arguments: Sequence[str], prog: str) -> list[Options]:
    """Options of every stage, from a recipe, if one is named, and the command line, which wins.

    Raises:
        AetherError: the recipe cannot be used, or a value is out of range.
        SystemExit: usage error (2) or ``--help`` (0).
    """
    command = parser(kind, prog)
    given = vars(command.parse_args([_current(kind, argument, command) for argument in arguments]))
    given |= {name[:-1]: given.pop(name) for name in list(given) if name.endswith("_")}
    path = given.pop("config", None)
    hints = get_type_hints(kind)
    for name, value in given.items():
        if get_origin(hints[name]) is dict:
            given[name] = _pairs(name, value, get_args(hints[name])[1])
    given = {name: value for name, value in given.items() if value != []}
    common, stages = _read_recipe(kind, Path(path), command) if path else ({}, [("", {})])
    made: list[Options] = []
    for number, (title, own) in enumerate(stages):
        shared = [
            {name: value for name, value in values.items() if number == 0 or name != kind.START}
            for values in (common, given)
        ]
        options = kind(**{**shared[0], **own, **shared[1]})
        if len(stages) > 1:
            options.out = str(Path(options.out) / f"{number + 1}_{title or 'stage'}")
        if made and kind.START and not getattr(options, kind.START):
            setattr(options, kind.START, str(made[-1].exported))
        options.check()
        made.append(options)
    return made


def recipe_task(arguments: Sequence[str]) -> str:
    """What the recipe among the arguments says it trains; empty where it says nothing, or there is none."""
    command = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    command.add_argument("--config")
    path = command.parse_known_args(arguments)[0].config
    return str(_read_yaml(Path(path)).get(TASK, "")) if path else ""


def check_rules(rules: Sequence[tuple[bool, str]]) -> None:
    """Raise AetherError for the first of the rules that does not hold."""
    for holds, rule in rules:
        if not holds:
            raise AetherError(f"option out of range: {rule}")


def _read_recipe(
    kind: type[OptionSet], path: Path, command: argparse.ArgumentParser
) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """Options for all stages, and name and options of each."""
    content = _read_yaml(path)
    content.pop(TASK, None)
    stages = content.pop(STAGES, [{}])
    if not isinstance(stages, list) or not stages or not all(isinstance(stage, dict) for stage in stages):
        raise AetherError(f"{path}: {STAGES} must be a list of OPTION: VALUE mappings")
    named = [(str(stage.pop(NAME, "")), stage) for stage in map(dict, stages)]
    return _typed(kind, content, path, command), [
        (name, _typed(kind, stage, path, command)) for name, stage in named
    ]


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise AetherError("YAML files need PyYAML: pip install aether-lite[train]") from error
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise AetherError(f"{path}: not a readable YAML file ({type(error).__name__})") from error
    if not isinstance(content, Mapping):
        raise AetherError(f"{path}: must be a list of OPTION: VALUE lines")
    return {str(name).replace("-", "_"): value for name, value in content.items()}


def _typed(
    kind: type[OptionSet], content: Mapping[str, Any], path: Path, command: argparse.ArgumentParser
) -> dict[str, Any]:
    """Options of a YAML mapping; unknown names and wrong types are stated errors."""
    hints, values = get_type_hints(kind), {}
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    for given, value in content.items():
        name = _current(kind, _flag(given), command)[2:].replace("-", "_")
        if name not in known:
            raise AetherError(f"{path}: unknown option {given!r}")
        if hints[name] is float and isinstance(value, int) and not isinstance(value, bool):
            values[name] = float(value)
        elif isinstance(value, get_origin(hints[name]) or hints[name]):
            values[name] = value
        else:
            raise AetherError(f"{path}: {name} must be {hints[name]}, not {value!r}")
    return values


def _current(kind: type[OptionSet], argument: str, command: argparse.ArgumentParser) -> str:
    """An argument, an option's name as it is today and with dashes; one that has been removed is a usage error."""
    if not argument.startswith("--"):
        return argument
    name, separator, value = argument.partition("=")
    name = name.replace("_", "-")
    bare = name[2:].removeprefix("no-").replace("-", "_")
    if bare in kind.REMOVED:
        command.error(f"option --{bare} is no more: {kind.REMOVED[bare]}")
    for item in fields(kind):  # type: ignore[arg-type]
        if bare in item.metadata["was"]:
            print(f"aether-lite: --{bare} is now --{item.name}; the old name goes in {GOES_IN}", file=sys.stderr)
            name = _flag(item.name)
    return name + separator + value


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _pairs(name: str, items: Sequence[str], kind: type) -> dict[str, Any]:
    try:
        split = [item.split("=") for item in items]
        return {key: float(value) if kind is float else _plain(value) for key, value in split}
    except ValueError as error:
        raise AetherError(f"{name}: write NAME=VALUE, not {' '.join(items)!r}") from error


def _plain(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{k}={v}" for k, v in value.items()) or "none"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return str(value) or "none"
