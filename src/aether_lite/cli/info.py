"""``aether-lite info``: what is in the package, in a codec file and in a file of bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli import files
from aether_lite.cli.aeth import SUFFIX

if TYPE_CHECKING:
    from rich.console import Console

    from aether_lite.codec import Codec

POWER = {
    "token": "mean |x|^2 = 1 over every token sent (one gain per token, never over a clip)",
    "session": "mean |x|^2 = 1 over speech (one constant per rate, measured; never over a clip)",
}
"""What each power constraint of a codec holds for."""


def info(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Released codec by name, a codec file, or an .aeth file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the released weights; show size, rates, latency and origin of a codec, or what an .aeth file holds."""
    if model is not None and files.suffix_of(model) == SUFFIX:
        _info_bits(model, json)
        return
    from aether_lite import __version__, zoo
    from aether_lite.codec.loading import DEFAULT_CODEC

    record: dict[str, Any] = {"version": __version__, "released": released()}
    if model is not None or DEFAULT_CODEC in zoo.names():
        record["model"] = described(model or DEFAULT_CODEC)
    if json:
        files.write_json(files.STANDARD, record)
        return
    out = _console()
    _print_released(out, record["released"])
    if "model" in record:
        _print_model(out, record["model"])


def _console() -> Console:
    """Standard output; what is printed is taken as it is."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, markup=False)


def _info_bits(path: str, json: bool) -> None:
    """Header and trailer of a file of bits."""
    from aether_lite.cli.aeth import described_bits, print_bits

    record = described_bits(path)
    if json:
        files.write_json(files.STANDARD, record)
    else:
        print_bits(_console(), record)


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
    """Everything about one codec.

    Raises:
        AetherError: no such codec.
    """
    from dataclasses import asdict

    from aether_lite.codec import codec_path, load
    from aether_lite.payload import Bits, elements_per_token

    path = codec_path(name)
    codec = load(path)
    bits = codec.unit == Bits.unit
    latency = codec.latency
    parts = parameters(codec)
    return {
        "name": name,
        "file": path.name,
        "sha256": files.sha256(path),
        "kind": "hash codec (bits)" if bits else "codec of symbols",
        "config": asdict(codec.model.config),
        "parameters": {**parts, "total": sum(parts.values())},
        "token_ms": 10 * codec.token_frames,
        "bits_per_token" if bits else "uses_per_token": {
            str(rate): elements_per_token(rate, codec.token_frames) for rate in codec.rates
        },
        "latency_samples": {**asdict(latency), "total": latency.samples},
        "latency_ms": latency.milliseconds,
        **({} if bits else {"power_constraint": POWER[codec.model.config.power]}),
        "provenance": codec.provenance,
    }


def parameters(codec: Codec) -> dict[str, int]:
    """Number of parameters of each part of the learned codec."""
    return {
        name: sum(weight.numel() for weight in part.parameters())
        for name, part in codec.model.named_children()
        if any(True for _ in part.parameters())
    }


def _print_released(out: Console, found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, title="Released weights", title_justify="left", title_style="bold", pad_edge=False)
    for name in ("kind", "name", "file"):
        table.add_column(name)
    table.add_column("size", justify="right")
    for entry in found:
        table.add_row(entry["kind"], entry["name"], entry["file"], f"{entry['bytes'] / 1e6:.1f} MB")
    out.print(table)


def _rates(model: dict[str, Any]) -> str:
    """Rates and what a token holds at each."""
    part, unit = ("bits", "bit/s") if "bits_per_token" in model else ("uses", "uses/s")
    rates = ", ".join(f"{rate} ({count})" for rate, count in model[f"{part}_per_token"].items())
    return f"{rates} {unit} ({part} per token)"


def _print_model(out: Console, model: dict[str, Any]) -> None:
    from aether_lite.cli.console import summary

    samples = model["latency_samples"]
    parts = ", ".join(f"{name} {1000 * count / 16_000:.0f}" for name, count in samples.items() if name != "total")
    rows = [
        ("file", model["file"]),
        ("kind", model["kind"]),
        ("sha256", model["sha256"]),
        *((f"parameters, {name}", f"{count:,}") for name, count in model["parameters"].items()),
        ("token", f"{model['token_ms']} ms"),
        ("rates", _rates(model)),
        ("latency", f"{model['latency_ms']:.0f} ms: {parts}"),
        *([("power", model["power_constraint"])] if "power_constraint" in model else []),
        *((f"origin, {name}", str(value)) for name, value in model["provenance"].items()),
    ]  # fmt: skip
    out.print()
    summary(out, f"Codec {model['name']}", rows)
