"""Reading files that may be damaged, or made to do harm.

One way for each kind of file. Whatever is wrong with one is an AetherError of one line that names the file; nothing
runs code from a file, takes memory by a size that the file does not have, or leads out of the folder it belongs to.
"""

from __future__ import annotations

import csv
import io
import json
import math
import types
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path, PureWindowsPath
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from aether_lite.errors import AetherError
from aether_lite.optional import how_to_install

LONGEST_TEXT = 1 << 26  # bytes of a JSON or CSV file
LONGEST_RECIPE = 1 << 20  # bytes
LARGEST_INT = 1 << 63
_SHOWN = 8  # names in a message
_REASON = 160  # characters

Content = TypeVar("Content")


@contextmanager
def reading(path: str | Path, what: str) -> Iterator[None]:
    """Turn every exception of the block, which reads ``path``, into an AetherError that names it.

    Args:
        what: the file should be, with its article, such as "a codec file of this project".
    """
    try:
        yield
    except AetherError:
        raise
    except OSError as error:
        missing = "no such file" if isinstance(error, FileNotFoundError) else _reason(error)
        raise AetherError(f"{path}: cannot be read ({error.strerror or missing})") from error
    except Exception as error:
        raise AetherError(f"{path}: not {what} ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    """First line of an exception, or its name where it says nothing or only quotes a key."""
    line = next(iter(str(error).splitlines()), "")
    text = line if line and not isinstance(error, KeyError | RecursionError) else f"{type(error).__name__} {line}"
    return text.strip() if len(text) <= _REASON else f"{text[:_REASON]}..."


def inside(root: Path, name: object) -> Path:
    """Where a ``name`` that a file gives lies below ``root``.

    Raises:
        AetherError: it is no name, or leads elsewhere on any system: absolute, with a drive, ``..`` or NUL.
    """
    if not isinstance(name, str) or leads_outside(name):
        raise AetherError(f"{root}: name {_short(name)} leads outside it; names must lie below the folder")
    return root / name


def leads_outside(name: str) -> bool:
    """Whether a name may be of something else than a file below the folder it is joined to."""
    windows = PureWindowsPath(name)  # splits at / and \\ and knows drives
    return not windows.parts or bool(windows.anchor) or ".." in windows.parts or "\0" in name


def read_text(path: Path, what: str, longest: int = LONGEST_TEXT) -> str:
    """UTF-8 text of at most ``longest`` bytes; a byte order mark is dropped."""
    with reading(path, what), path.open("rb") as file:
        data = file.read(longest + 1)
        if len(data) > longest:
            raise ValueError(f"longer than {longest} bytes")
        return data.decode("utf-8-sig")


def parse_json(text: str | bytes) -> Any:
    """Values of a JSON text; ValueError for another, and for numbers that are not finite."""
    try:
        return json.loads(text, parse_constant=_not_finite, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("brackets within brackets without end") from error


def read_json(path: Path, what: str) -> dict[str, Any]:
    """A JSON object."""
    text = read_text(path, what)
    with reading(path, what):
        content = parse_json(text)
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")
        return content


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """A YAML mapping of plain values, without aliases: few of them can stand for any amount of text."""
    try:
        import yaml
    except ImportError as error:
        raise AetherError(f"YAML files need PyYAML: {how_to_install('train')}") from error

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        def compose_node(self, *place: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("aliases (*name) are not supported; write the values out")
            return super().compose_node(*place)

    text = read_text(path, what, LONGEST_RECIPE)
    with reading(path, what):
        content = yaml.load(text, Loader)
        if not isinstance(content, dict):
            raise ValueError("must be a list of OPTION: VALUE lines")
        return {str(name): value for name, value in content.items()}


def read_table(path: Path, what: str, needed: Collection[str] = (), tabs: bool = False) -> list[dict[str, str]]:
    """Lines of a table of commas, or tabs without quotes, by the columns of its header.

    A cell that is missing at the end of a line is empty.

    Raises:
        AetherError: it cannot be read, has no line or lacks a ``needed`` column.
    """
    text = read_text(path, what)
    form: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {}
    with reading(path, what):
        rows = list(csv.DictReader(io.StringIO(text, newline=None if tabs else ""), restval="", **form))
        for column in needed:
            if not rows or column not in rows[0]:
                kind = "tab-separated table" if tabs else "table"
                raise ValueError(f"it has no column {column!r}; give a {kind} with a header")
        if any(None in row for row in rows):
            raise ValueError("a line has more cells than the header")
        return rows if tabs else [{name: plain_cell(cell) for name, cell in row.items()} for row in rows]


FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with these a spreadsheet takes a cell for a formula


def table_line(cells: Iterable[str]) -> str:
    """A line of commas, with its end; an apostrophe stands before a text, such as a file's name, that a spreadsheet
    would compute (:func:`plain_cell` takes it away)."""
    texts = [f"'{cell}" if cell.startswith((*FORMULA, "'")) and not _is_number(cell) else cell for cell in cells]
    quoted = ['"{}"'.format(text.replace('"', '""')) if set(text) & set(',"\r\n') else text for text in texts]
    return ",".join(quoted) + "\n"


def plain_cell(text: str) -> str:
    """The text of a cell of :func:`table_line`."""
    return text[1:] if text.startswith("'") and text[1:].startswith((*FORMULA, "'")) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == "-"  # nothing was measured
    return True


@contextmanager
def _safetensors(path: Path, what: str, framework: str) -> Iterator[Any]:
    """An open safetensors file; the library takes names in UTF-8 alone."""
    from safetensors import safe_open

    with reading(path, what), path.open("rb") as file:
        name = path if str(path).isprintable() else f"/dev/fd/{file.fileno()}"
        with safe_open(name, framework=framework) as opened:
            yield opened


def read_tensors(path: Path, what: str, framework: str = "pt") -> tuple[dict[str, str], dict[str, Any]]:
    """Metadata and tensors (torch's, or numpy's of ``np``) of a safetensors file; it holds all that it claims."""
    with _safetensors(path, what, framework) as file:
        return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def read_metadata(path: Path, what: str) -> dict[str, str]:
    """Metadata of a safetensors file, without its tensors."""
    with _safetensors(path, what, "np") as file:
        return file.metadata() or {}


def read_checkpoint(path: Path, what: str) -> dict[str, Any]:
    """Tensors and plain values of a file of ``torch.save`` (a dictionary); each tensor has the memory of its size."""
    import torch

    with reading(path, what):
        with zipfile.ZipFile(path) as archive:  # torch 1.6 and later
            parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise ValueError("it is compressed; torch.save does not do so")
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise ValueError("it claims more than it holds")
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict):
            raise ValueError("not a dictionary")
        for name, value in tensors_of(content):
            if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
                raise ValueError(f"{name} is sparse, quantised or without values")
            if value.numel() * value.element_size() > value.untyped_storage().nbytes():
                raise ValueError(f"{name} claims more values than it holds")
        return content


def tensors_of(content: Any) -> Iterator[tuple[str, Any]]:
    """Tensors within dictionaries, lists and tuples, each with the names on the way to it (``model.image.mean``)."""
    import torch

    waiting, seen = [("", content)], set()
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, torch.Tensor):
            yield name, value
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            parts = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [(f"{name}.{key}".strip(".")[-_REASON:], part) for key, part in parts]


def check_weights(
    path: Path, what: str, weights: Mapping[str, Any], expected: Mapping[str, Any], undefined: Collection[str] = ()
) -> None:
    """AetherError unless ``weights`` has the tensors of ``expected`` (of any device), all finite but ``undefined``."""
    found = {name: weights[name] for name in expected if name in weights}
    problems = {
        "missing": [name for name in expected if name not in weights],
        "unexpected": [str(name) for name in weights if name not in expected],
        "of the wrong shape": [
            f"{name} {list(value.shape)} instead of {list(expected[name].shape)}"
            for name, value in found.items()
            if value.shape != expected[name].shape
        ],
        "not finite": [
            name
            for name, value in found.items()
            if value.shape == expected[name].shape and not (name in undefined or _finite_numbers(value, expected[name]))
        ],
    }
    problems_said = [f"{problem}: {listed(names)}" for problem, names in problems.items() if names]
    if problems_said:
        raise AetherError(f"{path}: not {what}; {'; '.join(problems_said)}")


def _finite_numbers(value: Any, expected: Any) -> bool:
    real = not value.is_complex() and value.is_floating_point() == expected.is_floating_point()
    return real and bool(value.float().isfinite().all())


def listed(names: list[str]) -> str:
    """The first of the names, each shortened, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(_short(name, str) for name in names[:_SHOWN]) + more


def fits(value: object, hint: Any) -> bool:
    """Whether a value from a file is of a type as dataclasses state it: a bool is no number, numbers are finite."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in arguments)
    if origin is tuple:
        each = arguments[:1] * len(value) if arguments[-1] is ... and isinstance(value, tuple) else arguments
        return isinstance(value, tuple) and len(value) == len(each) and all(map(fits, value, each))
    if origin is list:
        return isinstance(value, list) and all(fits(one, arguments[0]) for one in value)
    if origin is dict:
        kinds = arguments
        return isinstance(value, dict) and all(fits(k, kinds[0]) and fits(v, kinds[1]) for k, v in value.items())
    if hint is Any:
        return True
    if type(value) is bool:
        return hint is bool
    if type(value) is int:
        return hint in (int, float) and -LARGEST_INT < value < LARGEST_INT
    if type(value) is float:
        return hint is float and math.isfinite(value)
    return value is None if hint is None else isinstance(value, hint)


def check_types(instance: Any) -> None:
    """ValueError for a field of a dataclass that is not of its type."""
    for name, hint in get_type_hints(type(instance)).items():
        if name in {item.name for item in fields(instance)} and not fits(getattr(instance, name), hint):
            raise ValueError(f"{name} must be {_type_name(hint)}, not {_short(getattr(instance, name))}")


def from_mapping(kind: type[Content], values: object) -> Content:
    """A dataclass of values that a file gives by name; lists become tuples where it asks for them.

    Raises:
        ValueError: no mapping, a name that is unknown or missing, or a value of another type.
    """
    if not isinstance(values, Mapping):
        raise ValueError("not a mapping")
    hints, known = get_type_hints(kind), {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    unknown = [_short(name) for name in values if name not in known]
    missing = [name for name, item in known.items()
               if name not in values and item.default is MISSING and item.default_factory is MISSING]  # fmt: skip
    if unknown or missing:
        raise ValueError(f"unknown: {', '.join(unknown[:_SHOWN])}" if unknown else f"missing: {', '.join(missing)}")
    given = {
        name: tuple(value) if get_origin(hints[name]) is tuple and isinstance(value, list) else value
        for name, value in values.items()
    }
    made = kind(**given)
    check_types(made)
    return made


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)


def _short(value: object, show: Any = repr) -> str:
    """A value for a message: few characters, however large it is."""
    if isinstance(value, str):
        return str(show(value if len(value) <= _SHOWN * _SHOWN else value[: _SHOWN * _SHOWN] + "..."))
    return repr(value) if isinstance(value, float | bool | None) or fits(value, int) else f"a {type(value).__name__}"


def _finite(text: str) -> float:
    value = float(text)
    if not -float("inf") < value < float("inf"):
        raise ValueError(f"the number {text[:20]} is not finite")
    return value


def _not_finite(text: str) -> float:
    raise ValueError(f"the number {text} is not finite")
