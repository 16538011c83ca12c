"""Options of a command as one dataclass: the command line, YAML files and ``--help`` follow from its fields."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from aether_lite.errors import AetherError

Options = TypeVar("Options")


def option(default: Any, text: str, **extra: Any) -> Any:
    """A field with its ``--help`` text; a list or dict default is copied for every instance."""
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata={"help": text, **extra})
    return field(default=default, metadata={"help": text, **extra})


def parser(kind: type, prog: str, description: str) -> argparse.ArgumentParser:
    """Command line of a dataclass of options; they are accepted with - and with _ in their names."""
    result = argparse.ArgumentParser(
        prog, description=f"{description} Options may be written with - or _ in their names.", allow_abbrev=False
    )
    result.add_argument("--config", metavar="FILE.yaml", help="options from a YAML file; the command line wins")
    hints, defaults = get_type_hints(kind), kind()
    for item in fields(kind):
        default = getattr(defaults, item.name)
        text = f"{item.metadata['help']} (default: {_shown(default)})".replace("%", "%%")
        names = [item.name] if item.metadata.get("positional") else [f"--{item.name.replace('_', '-')}"]
        hint = hints[item.name]
        common: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text}
        if item.metadata.get("positional"):
            common["help"] = item.metadata["help"]
        else:
            common["dest"] = item.name
        if hint is bool:
            result.add_argument(*names, action=argparse.BooleanOptionalAction, **common)
        elif hint == dict[str, float]:
            result.add_argument(*names, nargs="+", metavar="NAME=SHARE", **common)
        elif get_args(hint):
            count = "*" if item.metadata.get("positional") else "+"
            result.add_argument(*names, nargs=count, type=get_args(hint)[0], metavar=item.name.upper(), **common)
        else:
            choices = item.metadata.get("choices")
            metavar = None if choices else item.name.upper()
            result.add_argument(*names, type=hint, choices=choices, metavar=metavar, **common)
    return result


def parse(kind: type[Options], arguments: Sequence[str], prog: str, description: str) -> Options:
    """Options from a YAML file, if one is named, and the command line, which wins.

    Raises:
        AetherError: the YAML file cannot be used, or shares are not written as NAME=SHARE.
        SystemExit: usage error (2) or ``--help`` (0).
    """
    given = vars(parser(kind, prog, description).parse_args([_dashed(argument) for argument in arguments]))
    path = given.pop("config", None)
    values: dict[str, Any] = read_yaml(kind, Path(path)) if path else {}
    hints = get_type_hints(kind)
    for name, value in given.items():
        if hints[name] == dict[str, float]:
            given[name] = _shares(name, value)
    return kind(**{**values, **{name: value for name, value in given.items() if value != []}})


def read_yaml(kind: type, path: Path) -> dict[str, Any]:
    """Options in a YAML file; unknown names and wrong types are stated errors."""
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
    hints = get_type_hints(kind)
    values = {str(name).replace("-", "_"): value for name, value in content.items()}
    for name, value in values.items():
        if name not in hints:
            raise AetherError(f"{path}: unknown option {name!r}")
        if hints[name] is float and isinstance(value, int) and not isinstance(value, bool):
            values[name] = float(value)
        elif not isinstance(value, getattr(hints[name], "__origin__", hints[name])):
            raise AetherError(f"{path}: {name} must be {hints[name]}, not {value!r}")
    return values


def _dashed(argument: str) -> str:
    """An option's name with dashes; values stay as they are."""
    if not argument.startswith("--"):
        return argument
    name, separator, value = argument.partition("=")
    return name.replace("_", "-") + separator + value


def _shares(option_name: str, items: Sequence[str]) -> dict[str, float]:
    try:
        return {name: float(share) for name, share in (item.split("=") for item in items)}
    except ValueError as error:
        raise AetherError(f"{option_name}: write NAME=SHARE, not {' '.join(items)!r}") from error


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{k}={v}" for k, v in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return str(value) or "none"
