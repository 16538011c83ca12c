"""Options of a training command as one dataclass: command line, YAML recipes and ``--help`` follow from its fields.

A recipe is a YAML file of ``OPTION: VALUE`` lines. Its ``stages``, a list of mappings, are runs one after another: each
has a ``name`` and what differs from the lines above, and starts from the weights that the one before it exported. The
command line wins over both. ``task`` says what the recipe trains and is read by ``aether-lite train``.
"""

# ruff: noqa: RUF009  (`option` makes dataclass fields)

from __future__ import annotations

import argparse
import math
import reprlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar, get_args, get_origin, get_type_hints

import aether_lite
from aether_lite.errors import OLD_NAMES_GO_IN, AetherError, shortened
from aether_lite.reading import fits, inside, parse_json, read_yaml

STAGES, NAME, TASK = "stages", "name", "task"  # keys of a recipe that are no options
SHORT = {"out": ("-o", "--output"), "force": ("-f",)}  # further names of options
ASR_MODEL_HELP = "recogniser: tiny.en (in the extra `listener`) or a folder with a CTranslate2 Whisper model"


def option(default: Any, text: str, *, was: Sequence[str] = (), **extra: Any) -> Any:
    """A field with its ``--help`` text and former names; a list or dict default is copied for every instance.

    Args:
        extra: ``choices``; ``positional``; ``path`` (names a local file or folder); ``free`` (may change when a run
            continues); ``length`` (the same, and recorded with the weights).
    """
    metadata = {"help": text, "was": tuple(was), **extra}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def check_rules(*rules: tuple[bool, str]) -> None:
    """Raise AetherError for the first of the rules that does not hold."""
    for holds, rule in rules:
        if not holds:
            raise AetherError(f"option out of range: {rule}")


@dataclass
class DataConfig:
    """Everything that, with the data and the code, fixes the result of a run."""

    DESCRIPTION: ClassVar[str] = ""  # of the command
    START: ClassVar[str] = ""  # option with the weights to start from; the stages of a recipe fill it
    REMOVED: ClassVar[Mapping[str, str]] = {}  # options that documents named, with what stands in their place

    data_root: list[str] = option(
        [], "folders of pairs NAME.f32, NAME.pcm (or of variants, without audio) to train on", path=True, free=True
    )
    data_weight: list[float] = option([], "share of each data root in the samples, 0 leaves it out; default: by hours")
    valid_root: list[str] = option(
        [], "folders of pairs to validate on; default: a tenth of the training clips", path=True, free=True
    )
    consecutive: bool = option(
        False,
        "fill items longer than a clip with the clips behind it in name order, often the same voice, not random ones",
    )
    augment_share: float = option(0.0, "share of items with gain, polarity, filter and noise augmentation")
    seed: int = option(0, "of weights, crops, conditions and noise")
    out: str = option("runs/run", "folder of the run: checkpoints, log, pictures", path=True, free=True)
    force: bool = option(False, "replace files in OUT that no earlier run has made", free=True)

    @property
    def exported(self) -> Path:
        """The file that the weights are written to in the end."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and YAML."""
        return asdict(self)

    @classmethod
    def free_to_change(cls) -> frozenset[str]:
        """Options that may differ between a checkpoint and the run that continues it."""
        return frozenset(f.name for f in fields(cls) if f.metadata.get("free") or f.metadata.get("length"))

    def recorded(self) -> dict[str, Any]:
        """Options that fix the result, for the provenance of weights: files and folders by their names alone."""
        kept: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.metadata.get("path"):
                value = Path(value).name if isinstance(value, str) else [Path(path).name for path in value]
            if item.name == "data_root" or not item.metadata.get("free"):
                kept[item.name] = value
        return kept

    def check(self) -> None:
        """Raise AetherError for an option out of range."""
        for name, value in self.as_dict().items():
            numbers = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
            finite = all(math.isfinite(number) for number in numbers if isinstance(number, float))
            check_rules((finite, f"{name}: finite numbers"))
        check_rules(
            (len(self.data_weight) in (0, len(self.data_root)), "data_weight: one for each data_root"),
            (0 <= self.augment_share <= 1, "augment_share: shares are 0 to 1"),
        )


@dataclass
class RunConfig(DataConfig):
    """Options of a run of gradient steps that saves checkpoints."""

    batch: int = option(24, "items a step, over all processes together")
    frames: int = option(256, "frames of 10 ms an item")
    workers: int = option(0, "processes that prepare batches ahead; 0 prepares them in line", free=True)
    learning_rate: float = option(2e-3, "peak learning rate")
    warmup: int = option(100, "steps in which the learning rate rises")
    final_rate: float = option(0.02, "learning rate at the end, relative to its peak")
    weight_decay: float = option(0.01, "decoupled weight decay")
    gradient_norm: float = option(1.0, "gradients are scaled down to this norm")
    average: float = option(0.998, "decay of the running average of the weights that is validated and exported")
    resume: str = option("auto", "auto (continue OUT if it holds a checkpoint), none, or a checkpoint file", free=True)
    save_every: int = option(200, "steps between checkpoints", free=True)
    keep: int = option(3, "checkpoints kept besides the best", free=True)
    validate_every: int = option(500, "steps between validations", free=True)
    save_visualization: bool = option(False, "write PNG pages at every validation", free=True)
    tensorboard: bool = option(True, "write TensorBoard scalars and audio", free=True)
    distributed: bool = option(False, "one of several processes started by torchrun", free=True)
    device: str = option("auto", "cpu, cuda or auto", free=True)
    threads: int = option(1, "threads of each process on the CPU", free=True)

    @property
    def steps(self) -> int:
        """Length of the run."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise AetherError for an option out of range."""
        least = min(self.batch, self.steps, self.save_every, self.validate_every, self.keep, self.threads)
        check_rules(
            (least >= 1, "batch, steps, save_every, validate_every, keep, threads: at least 1"),
            (self.learning_rate > 0, "learning_rate: above 0"),
            (self.gradient_norm > 0, "gradient_norm: above 0"),
            (0 <= self.final_rate <= 1, "final_rate: 0 to 1"),
            (min(self.weight_decay, self.warmup, self.workers) >= 0, "weight_decay, warmup, workers: from 0"),
            (0 <= self.average < 1, "average: 0 to below 1"),
        )
        super().check()


Options = TypeVar("Options", bound=DataConfig)


class _Parser(argparse.ArgumentParser):
    """A parser whose usage errors read as those of the other commands."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"Usage: {self.prog} [OPTIONS]\nTry '{self.prog} -h' for help.\n\nError: {shortened(message)}\n")


class _Listed(argparse.Action):
    """Values of an option that takes a list: several words, or with commas between; the option may be repeated."""

    def __init__(self, option_strings: Sequence[str], dest: str, kind: type = str, **rest: Any) -> None:
        super().__init__(option_strings, dest, "+", **rest)
        self.kind = kind

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        words = [part for word in values for part in ([word] if Path(word).exists() else word.split(","))]
        try:
            made = [self.kind(word) for word in words if word]
        except ValueError:
            parser.error(f"argument {option}: {','.join(words)!r} is not a list of numbers such as 0,6,10")
        setattr(namespace, self.dest, [*getattr(namespace, self.dest, []), *made])


def parser(kind: type[DataConfig], prog: str) -> argparse.ArgumentParser:
    """Command line of a dataclass of options; they are accepted with - and with _ in their names."""
    text = f"{kind.DESCRIPTION} Names of options may have - or _; lists have commas or spaces."
    result = _Parser(prog, description=text, allow_abbrev=False)
    result.add_argument("--config", metavar="FILE.yaml", help="recipe with options and stages; the command line wins")
    hints, defaults = get_type_hints(kind), kind()
    for item in fields(kind):
        hint, about = hints[item.name], item.metadata
        text = f"{about['help']} (default: {_shown(getattr(defaults, item.name))})".replace("%", "%%")
        common: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text}
        if about.get("positional"):
            result.add_argument(item.name, nargs="*", metavar=item.name.upper(), **{**common, "help": about["help"]})
            result.add_argument(_flag(item.name), action=_Listed, dest=f"{item.name}_", default=argparse.SUPPRESS,
                                help=argparse.SUPPRESS)  # fmt: skip
        elif hint is bool:
            names = (_flag(item.name), *SHORT.get(item.name, ()))
            result.add_argument(*names, action=argparse.BooleanOptionalAction, dest=item.name, **common)
        elif get_origin(hint) is dict:
            result.add_argument(_flag(item.name), nargs="+", metavar="NAME=VALUE", dest=item.name, **common)
        else:
            many: dict[str, Any] = {"action": _Listed, "kind": get_args(hint)[0]} if get_args(hint) else {"type": hint}
            choices = about.get("choices")
            many |= {"choices": choices} if choices else {"metavar": item.name.upper()}
            names = (_flag(item.name), *SHORT.get(item.name, ()))
            result.add_argument(*names, dest=item.name, **many, **common)
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
        if number == 1:  # later stages start from the one before
            common.pop(kind.START, None)
            given.pop(kind.START, None)
        options = kind(**{**common, **own, **given})
        if len(stages) > 1:
            options.out = str(inside(Path(options.out), f"{number + 1}_{title or 'stage'}"))
        if made and kind.START and not getattr(options, kind.START):
            setattr(options, kind.START, str(made[-1].exported))
        try:
            options.check()
        except AetherError as error:
            raise AetherError(f"{path}: {error}") if path else error from error
        made.append(options)
    return made


def recipe_task(arguments: Sequence[str]) -> str:
    """What the recipe among the arguments says it trains; empty where it says nothing, or there is none."""
    command = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    command.add_argument("--config")
    path = command.parse_known_args(arguments)[0].config
    return str(_read_yaml(Path(path)).get(TASK, "")) if path else ""


def _read_recipe(
    kind: type[DataConfig], path: Path, command: argparse.ArgumentParser
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
    shipped = Path(aether_lite.__file__).parent / path  # conf/NAME.yaml, wherever the package is
    content = read_yaml(path if path.exists() else shipped if shipped.exists() else path, "a YAML recipe")
    return {name.replace("-", "_"): value for name, value in content.items()}


def _typed(
    kind: type[DataConfig], content: Mapping[str, Any], path: Path, command: argparse.ArgumentParser
) -> dict[str, Any]:
    """Options of a YAML mapping; unknown names and wrong types are stated errors."""
    hints, values = get_type_hints(kind), {}
    known = {item.name for item in fields(kind)}
    for given, value in content.items():
        name = _current(kind, _flag(given), command)[2:].replace("-", "_")
        if name not in known:
            raise AetherError(f"{path}: unknown option {given!r}")
        if not fits(value, hints[name]):
            raise AetherError(f"{path}: {name} must be {hints[name]}, not {reprlib.repr(value)}")
        values[name] = float(value) if hints[name] is float else value
    return values


def _current(kind: type[DataConfig], argument: str, command: argparse.ArgumentParser) -> str:
    """An argument, an option's name as it is today and with dashes; one that has been removed is a usage error."""
    if not argument.startswith("--"):
        return argument
    name, separator, value = argument.partition("=")
    name = name.replace("_", "-")
    bare = name[2:].removeprefix("no-").replace("-", "_")
    if bare in kind.REMOVED:
        command.exit(2, f"{command.prog}: option --{bare} is no more: {kind.REMOVED[bare]}\n")
    for item in fields(kind):
        if bare in item.metadata["was"]:
            note = f"aether-lite: --{bare} is now --{item.name}; the old name goes in {OLD_NAMES_GO_IN}"
            print(note, file=sys.stderr)
            name = _flag(item.name)
    return name + separator + value


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _pairs(name: str, items: Sequence[str], kind: type) -> dict[str, Any]:
    def plain(value: str) -> Any:
        try:
            return parse_json(value)
        except ValueError:
            return value

    try:
        return {key: float(value) if kind is float else plain(value) for key, value in (i.split("=") for i in items)}
    except ValueError as error:
        raise AetherError(f"{name}: write NAME=VALUE, not {' '.join(items)!r}") from error


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{k}={v}" for k, v in value.items()) or "none"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return str(value) or "none"
