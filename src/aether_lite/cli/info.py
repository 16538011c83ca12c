"""``aether-lite info``: released weights, one codec, or the header of an ``.aeth`` file."""

from __future__ import annotations

import ast
from json import loads as json_of
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli import aeth, io, options
from aether_lite.cli.io import results, summary
from aether_lite.errors import AetherError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from aether_lite.zoo import Weights

CONFIGURATION = ("format", "model_kwargs", "sizes", "model", "identity", "token_bits")  # notes that are no provenance
POWER = {
    "token": "mean |x|^2 = 1 over every token sent (one gain per token, never over a clip)",
    "session": "mean |x|^2 = 1 over speech (one constant per rate, measured; never over a clip)",
    "held": "mean |x|^2 = 1 over 10 s of any speech (a constant per rate and a slow gain that sees the past alone)",
}
"""What each power constraint of a codec holds for."""


def info(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", callback=options.released, help="Released weights "
                                                "by name, a codec file, or an .aeth file.")] = None,
    force: options.Force = False,
    json: options.Json = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """List the released weights; show size and provenance of one, rates and latency of a codec, or an .aeth file."""
    io.check_outputs((json, None), inputs=(model,), force=force)
    out = results(quiet or json == io.STANDARD)
    if model is not None and io.suffix_of(model) == aeth.SUFFIX:
        header = aeth.described_bits(model)
        io.write_json(json, header)
        aeth.print_bits(out, header)
        return
    from aether_lite import __version__, zoo
    from aether_lite.codec.loading import DEFAULT_CODEC, SUFFIXES
    from aether_lite.vocoder.blob import is_blob

    given = None if model is None or zoo.find(model) else Path(model)
    if given is not None and given.is_file() and io.suffix_of(given) not in SUFFIXES and not is_blob(given):
        known = f"{', '.join(SUFFIXES)} (codec), {aeth.SUFFIX} (bits) or a binary weights file of Opus (vocoder)"
        raise AetherError(f"{model}: not weights or bits by its name; give {known}, or a released name")
    record: dict[str, Any] = {"version": __version__, "released": released()}
    if model is not None or DEFAULT_CODEC in zoo.names():
        record["model"] = described(model or DEFAULT_CODEC)
    io.write_json(json, record)
    _print_released(out, record["released"])
    if "model" in record:
        out.print()
        kind = record["model"]["kind"]
        summary(out, f"{'Codec' if 'codec' in kind else kind.capitalize()} {record['model']['name']}",
                _rows(record["model"]))  # fmt: skip


def released() -> list[dict[str, Any]]:
    """Weights that come with the package: kind, name, version, file and size [bytes]."""
    from aether_lite import zoo

    return [
        {
            "kind": weights.kind,
            "name": weights.name,
            "version": weights.version,
            "file": weights.path.name,
            "bytes": weights.path.stat().st_size,
        }
        for weights in zoo.RELEASED
    ]


def described(name: str) -> dict[str, Any]:
    """Everything about released weights of a name, or the codec in a file.

    Raises:
        AetherError: no such codec.
    """
    from dataclasses import asdict

    from aether_lite import zoo
    from aether_lite.core.codec import CoreCodec
    from aether_lite.payload import Bits, elements_per_token
    from aether_lite.vocoder.blob import is_blob

    weights = zoo.find(name)
    if weights is None and is_blob(Path(name)):
        return of_opus(Path(name))
    if weights is not None and "codec" not in weights.kind:
        return plain(name, weights)
    codec = CoreCodec(name)
    path = codec.file.path
    bits = codec.unit == Bits.unit
    latency, counts = codec.latency, codec.parameters
    return {
        "name": name,
        "file": path.name,
        "sha256": io.sha256(path),
        "bytes": path.stat().st_size,
        "kind": "hash codec (bits)" if bits else "codec of symbols",
        **({} if weights is None else {"version": weights.version}),
        "config": asdict(codec.config),
        "parameters": {**counts, "total": sum(counts.values())},
        "token_ms": 10 * codec.token_frames,
        "bits_per_token" if bits else "uses_per_token": {
            str(rate): elements_per_token(rate, codec.token_frames) for rate in codec.rates
        },
        "latency_samples": {**asdict(latency), "total": latency.samples},
        "latency_ms": latency.milliseconds,
        **({} if bits else {"power_constraint": POWER[codec.config.power]}),
        "provenance": codec.provenance,
    }


def plain(name: str, weights: Weights) -> dict[str, Any]:
    """Everything about released weights that are no codec."""
    from aether_lite.reading import read_tensors

    texts, tensors = read_tensors(weights.path, "released weights", "np")
    notes = {label: _parsed(text) for label, text in texts.items()}
    provenance = notes.pop("provenance", None)  # a vocoder's stands beside its configuration
    config = {label: notes.pop(label) for label in CONFIGURATION if label in notes}
    return {
        "name": name,
        "file": weights.path.name,
        "sha256": io.sha256(weights.path),
        "bytes": weights.path.stat().st_size,
        "kind": weights.kind,
        "version": weights.version,
        "config": config,
        "parameters": {"total": sum(tensor.size for tensor in tensors.values())},
        "provenance": notes if provenance is None else provenance,
    }


def of_opus(path: Path) -> dict[str, Any]:
    """Everything about FARGAN in a binary weights file of Opus."""
    from aether_lite.vocoder import load_fargan
    from aether_lite.vocoder.blob import precision

    count = sum(weight.numel() for weight in load_fargan(path).parameters())
    return {
        "name": str(path),
        "file": path.name,
        "sha256": io.sha256(path),
        "bytes": path.stat().st_size,
        "kind": "vocoder",
        "config": {"format": "fargan"},
        "parameters": {"total": count},
        "provenance": {"form": f"FARGAN in the binary weights of Opus (DNNw), {precision(path)}"},
    }


def _parsed(text: str) -> Any:
    """A note of a weights file: a value or dictionary where it is one (Python's or JSON's), else text."""
    for parse in (json_of, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, dict | list):
            return value
    return text


def origin(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Provenance of weights in labelled lines; all of it is in the JSON."""
    labels = {name: "made by version" if name == "version" else name.replace("_", " ") for name in provenance}
    rows = [(labels[name], str(value)) for name, value in provenance.items()
            if value is not None and not isinstance(value, dict | list)]  # fmt: skip
    started, mixed = provenance.get("started_from"), provenance.get("mixed_with")
    if isinstance(started, dict):
        rows.append(("started from", f"{started.get('model')}, after {started.get('steps')} steps"))
    if isinstance(mixed, dict):
        others = len(mixed.get("others", ()))
        rows.append(("averaged with", f"{others} more, weight of these {mixed.get('share_of_these')}"))
    if provenance.get("options"):
        rows.append(("training options", f"{len(provenance['options'])}, listed by --json"))
    return rows


def _print_released(out: Console, found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, title="Released weights", title_justify="left", title_style="bold", pad_edge=False)
    for name in ("kind", "name", "version", "file"):
        table.add_column(name)
    table.add_column("size", justify="right")
    for entry in found:
        size = f"{entry['bytes'] / 1e6:.1f} MB"
        table.add_row(entry["kind"], entry["name"], str(entry["version"]), entry["file"], size)
    out.print(table)


def _rows(model: dict[str, Any]) -> list[tuple[str, str]]:
    """A codec or other weights as two columns."""
    about = [
        ("file", model["file"]),
        ("kind", model["kind"]),
        *([("version", str(model["version"]))] if "version" in model else []),
        ("size", f"{model['bytes'] / 1e6:.2f} MB"),
        ("sha256", model["sha256"]),
    ]
    if "latency_ms" not in model:
        return [*about, ("parameters", f"{model['parameters']['total']:,}"), *origin(model["provenance"])]
    part, unit = ("bits", "bit/s") if "bits_per_token" in model else ("uses", "uses/s")
    rates = ", ".join(f"{rate} ({count})" for rate, count in model[f"{part}_per_token"].items())
    samples = model["latency_samples"]
    latency = ", ".join(f"{name} {1000 * count / 16_000:.0f}" for name, count in samples.items() if name != "total")
    return [
        *about,
        *((f"parameters, {name}", f"{count:,}") for name, count in model["parameters"].items()),
        ("token", f"{model['token_ms']} ms"),
        ("rates", f"{rates} {unit} ({part} per token)"),
        ("latency", f"{model['latency_ms']:.0f} ms: {latency}"),
        *([("power", model["power_constraint"])] if "power_constraint" in model else []),
        *origin(model["provenance"]),
    ]
