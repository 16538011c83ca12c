"""Options of the commands: those that several share, their former names, and how all of them are parsed."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from aether_lite.cli.io import STANDARD
from aether_lite.errors import OLD_NAMES_GO_IN, AetherError, shortened
from aether_lite.optional import MissingToolError, how_to_install, in_words

if TYPE_CHECKING:
    from aether_lite.core.codec import CoreCodec
    from aether_lite.link import LinkConfig

Value = TypeVar("Value", int, float, str)

LINK, FADING, CODEC, RESULTS = "Link", "Fading and losses", "Codec", "Results"  # panels of --help
CHANNEL_NAMES = "awgn, rayleigh, rician, mpg, mpp, mpd, erasure or clean"
BSC = "bsc"
NOISELESS = ("clean", "erasure", BSC)  # channels that need no --snr
DEFAULT_RATE = 1000  # uses/s
DEFAULT_MODEL, DEFAULT_HASH_MODEL = "small", "hash_small"

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
EXTRAS = {"torch": "torch", "matplotlib": "demo"}  # by the package that a command found missing
USAGE_ERROR: Any = typer.BadParameter.__base__  # of the click that typer uses, its own or the package
VERBOSE, QUIET = "verbose", "quiet"  # in the context's meta: whether to print tracebacks, or no notes
JSON = "--json"
ANY_JSON_NAME = ("transmit", "encode", "decode")  # their --json took any FILE before 0.2


def note_renamed(old: str) -> None:
    """Say on standard error what an old name is now."""
    new = f"is now {RENAMED[old]}" if RENAMED[old] else "is the default"
    print(f"aether-lite: {old} {new}; the old name goes in {OLD_NAMES_GO_IN}", file=sys.stderr)


def lower(context: typer.Context, value: str | None) -> str | None:
    """A name in lower case, as all are known; former words are noted on standard error."""
    if value is None:
        return None
    name = value.lower()
    if name in RENAMED and not context.meta.get(QUIET):
        note_renamed(name)
    return RENAMED.get(name, name)


def symbol_channel(context: typer.Context, value: str | None) -> str | None:
    """A channel of symbols, in lower case."""
    name = lower(context, value)
    if name == BSC:
        raise typer.BadParameter(f"{context.info_name} sends symbols, and bsc takes bits; transmit has it")
    return name


def released(value: str | None) -> str | None:
    """The name of released weights in lower case; anything else, such as a file, as it is."""
    from aether_lite import zoo

    known = value is not None and zoo.find(value) is None and zoo.find(value.lower()) is not None
    return value.lower() if known and value is not None else value


def listed(option: str, given: Sequence[str] | None, kind: Callable[[str], Value]) -> tuple[Value, ...]:
    """Values of an option that takes a list, commas between, and may be repeated; each once.

    Raises:
        typer.BadParameter: not numbers.
    """
    texts = [part.strip() for text in given or () for part in text.split(",")]
    try:
        return tuple(dict.fromkeys(kind(text) for text in texts if text))
    except ValueError:
        message = f"{','.join(texts)!r} is not a list of numbers such as 0,6,10"
        raise typer.BadParameter(message, param_hint=f"'{option}'") from None


Model = Annotated[str, typer.Option(help="Released codec by name, or a codec file.", metavar="NAME|FILE",
                                    callback=released, rich_help_panel=CODEC)]
HashModel = Annotated[str, typer.Option("--model", help="Released hash codec by name, or a file of one.",
                                        metavar="NAME|FILE", callback=released, rich_help_panel=CODEC)]
AnyModel = Annotated[
    str | None, typer.Option("--model", help="Released codec by name, or a codec file, of symbols or bits.",
                             metavar="NAME|FILE", callback=released, rich_help_panel=CODEC,
                             show_default=f"{DEFAULT_MODEL}; for bits {DEFAULT_HASH_MODEL}")
]
Vocoder = Annotated[
    str | None, typer.Option("--vocoder", help="Released vocoder by name, or its weights (.pth or .safetensors).",
                             metavar="NAME|FILE", callback=released, rich_help_panel=CODEC, show_default="fargan")
]
Refine = Annotated[
    int, typer.Option("--refine", metavar="STEPS", min=0, max=1000, rich_help_panel=CODEC,
                      help="Refine what is sent by gradient descent, not live: 20 steps for bits, 40 for symbols "
                      "(extra `listener`).")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=RESULTS)]
Json = Annotated[
    str | None, typer.Option("--json", metavar="[FILE.json]", show_default=False, rich_help_panel=RESULTS,
                             help="Write all numbers as JSON, without FILE to standard output.")
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace files that are there already.",
                                      rich_help_panel=RESULTS)]
AudioChannel = Annotated[int | None, typer.Option(metavar="N", min=1, show_default="the mean of all",
                                                  help="Channel of the recording to take, from 1.")]
Jobs = Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes.", show_default="one for each core")]
NoMute = Annotated[bool, typer.Option("--no-mute", help="Do not mute long gaps and noise without speech.")]

Snr = Annotated[float | None, typer.Option(metavar="DB", rich_help_panel=LINK, help="Es/N0 of the channel in dB; "
                                           "needed unless it is clean, erasure or bsc.")]
Rate = Annotated[int | None, typer.Option(metavar="USES", rich_help_panel=LINK, show_default=str(DEFAULT_RATE),
                                          help="Channel uses per second: 150, 300, 500, 600, 700, 1000 or 1200.")]
Bitrate = Annotated[int | None, typer.Option(metavar="BIT/S", rich_help_panel=LINK, help="Bits of a hash codec instead "
                                             "of symbols: 300, 600, 1200 or 2400 bit/s.")]
Channel = Annotated[str | None, typer.Option(metavar="NAME", rich_help_panel=LINK, callback=lower,
                                             help=f"One of {CHANNEL_NAMES}, or for bits bsc.",
                                             show_default="awgn; for bits bsc")]
SymbolChannel = Annotated[str, typer.Option("--channel", metavar="NAME", rich_help_panel=LINK, callback=symbol_channel,
                                            help=f"One of {CHANNEL_NAMES}.")]
Ber = Annotated[float | None, typer.Option(metavar="P", rich_help_panel=LINK, help="Bit error rate of bsc.")]
Seed = Annotated[int, typer.Option(metavar="N", rich_help_panel=LINK, help="Seed of the channel.")]
Csi = Annotated[str | None, typer.Option(metavar="KIND", rich_help_panel=LINK, callback=lower, show_default="estimated",
                                         help="Channel state information at the receiver: perfect, estimated or none.")]
TargetSnr = Annotated[float | None, typer.Option(metavar="DB", rich_help_panel=LINK, show_default="for any channel",
                                                 help="Es/N0 in dB that the encoder of symbols designs for.")]
BlockMs = Annotated[float | None, typer.Option(metavar="MS", rich_help_panel=FADING, help="rayleigh, rician: length of "
                                               "a block.")]
DopplerHz = Annotated[float | None, typer.Option(metavar="HZ", rich_help_panel=FADING, help="rayleigh, rician: Jakes' "
                                                 "Doppler spectrum instead of blocks.")]
KDb = Annotated[float | None, typer.Option(metavar="DB", rich_help_panel=FADING, help="rician: K factor.")]
Erasure = Annotated[float | None, typer.Option(metavar="P", rich_help_panel=FADING, help="Share of tokens lost, on any "
                                               "channel.")]
BurstTokens = Annotated[float | None, typer.Option(metavar="N", rich_help_panel=FADING, help="Mean length of a burst "
                                                   "of losses in tokens.")]


def use_one_core() -> None:
    """Compute on one core: real-time factors are of one core, and no bit depends on how many there are.

    The products are too small to gain from more, and lose much where cores are busy.
    """
    import torch

    torch.set_num_threads(1)


def chosen_codec(
    model: str | None, vocoder: str | None, of_symbols: Mapping[str, Any], of_bits: Mapping[str, Any]
) -> tuple[str, CoreCodec]:
    """The codec of these options, by name or file and loaded.

    Args:
        model, vocoder: as given; the default model is the one for the options that are given.
        of_symbols, of_bits: options by name that belong to one payload, None or False where they are not given.

    Raises:
        AetherError: no such codec or vocoder.
        typer.BadParameter: an option of the other payload.
    """
    symbols, bits = ([name for name, value in options.items() if value not in (None, False)]
                     for options in (of_symbols, of_bits))  # fmt: skip
    name = model or (DEFAULT_HASH_MODEL if bits else DEFAULT_MODEL)
    from aether_lite.core.codec import CoreCodec

    codec = CoreCodec(name, vocoder)
    sends_bits = codec.unit == "bit/s"
    if wrong := symbols if sends_bits else bits:
        payload, other = ("symbols", "bits") if sends_bits else ("bits", "symbols")
        fitting = f"codec of symbols such as --model {DEFAULT_MODEL}"
        if not sends_bits:
            fitting = f"hash codec such as --model {DEFAULT_HASH_MODEL}"
        raise typer.BadParameter(
            f"is for {payload}, but {name} sends {other}; leave it out, or give a {fitting}",
            param_hint=f"'{wrong[0]}'",
        )
    return name, codec


class MissingOption(typer.BadParameter):
    """An option that is needed with others that were given."""

    def format_message(self) -> str:
        """The line on standard error."""
        return f"Missing option {self.param_hint} ({self.message})"


def check_link(config: LinkConfig) -> None:
    """Refuse a link that cannot be, and after all other mistakes noise of no stated level."""
    missing = config.snr_db is None and config.channel not in NOISELESS
    (replace(config, snr_db=0.0) if missing else config).check()
    if missing:
        raise MissingOption("Es/N0 in dB, try --snr 6", param_hint="'--snr'")


def link_config(channel: str, rate: int, snr_db: float | None, options: Mapping[str, Any], **rest: Any) -> LinkConfig:
    """The link of these options; those of ``options`` that are None are left out, and so is the SNR of ``clean``."""
    from aether_lite.link import LinkConfig

    given = {name: value for name, value in options.items() if value is not None}
    return LinkConfig(channel, rate, None if channel == "clean" else snr_db, options=given, **rest)


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

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except USAGE_ERROR as error:
            error.message = shortened(error.message)
            raise


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
        current = [*self._current(words, ctx.meta[QUIET]), *args[end:]]
        self._check_empty(ctx, current)
        return super().parse_args(ctx, current)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            try:
                return super().invoke(ctx)
            except ModuleNotFoundError as error:
                if error.name not in EXTRAS:
                    raise
                advice = how_to_install(EXTRAS[error.name])
                raise MissingToolError(f"{self.name} needs {in_words([error.name])}: {advice}") from error
        except AetherError:
            if ctx.meta.get(VERBOSE):
                traceback.print_exc()
            raise

    def _check_empty(self, ctx: Any, words: Sequence[str]) -> None:
        """Refuse empty words, such as of a variable of the shell that is not set; as paths they are the current folder.
        """
        for before, word in zip(("", *words), words, strict=False):
            name, separator, value = word.partition("=")
            option = name if separator else before
            meant = [each for each in self.params if option in each.opts and not getattr(each, "is_flag", False)]
            if (word == "" or (separator and value == "" and meant)) and not (meant and meant[0].default == ""):
                raise typer.BadParameter("is empty" if meant else "an argument is empty", ctx=ctx,
                                         param_hint=f"'{option}'" if meant else None)  # fmt: skip

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
