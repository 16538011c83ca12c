"""``aether-lite info FILE.aeth``: header and trailer of a file of bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aether_lite.cli.aeth import SAMPLE_RATE, reading
from aether_lite.cli.console import number, summary

if TYPE_CHECKING:
    from rich.console import Console


def described_bits(path: str) -> dict[str, Any]:
    """Everything that header and trailer say; the blocks between are not checked.

    Raises:
        AetherError: the file cannot be read, or has no valid header.
    """
    from aether_lite.container.files import read_ends
    from aether_lite.container.prior import prior_name
    from aether_lite.container.weights import released_weights

    with reading(path) as (stream, name):
        header, trailer, size = read_ends(stream, name)
    model = released_weights(header.model_id)
    seconds = None if trailer is None else trailer.samples / SAMPLE_RATE
    return {
        "file": path,
        "bytes": size,
        "bit_rate": header.bit_rate,
        "token_ms": 10 * header.token_frames,
        "token_bits": header.token_bits,
        "model_id": header.model_id.hex(),
        "model": None if model is None else model.name,
        "entropy_coded": header.prior_id is not None,
        "prior_id": None if header.prior_id is None else header.prior_id.hex(),
        "prior": prior_name(header),
        "reset_blocks": None if header.prior_id is None else header.reset_blocks,
        "tokens": None if trailer is None else trailer.tokens,
        "samples": None if trailer is None else trailer.samples,
        "seconds": seconds,
        "bits_per_s": 8 * size / seconds if seconds else None,
        "tokens_crc32": None if trailer is None else f"{trailer.tokens_crc:08x}",
    }


def print_bits(out: Console, record: dict[str, Any]) -> None:
    """The same as two columns."""
    coded = f"entropy coded, afresh every {record['reset_blocks']} blocks" if record["entropy_coded"] else "plain"
    rows = [
        ("size", f"{record['bytes']} bytes"),
        ("bit rate", f"{record['bit_rate']} bit/s; with everything {number(record['bits_per_s'], 0, 'bit/s')}"),
        ("coding", coded),
        ("token", f"{record['token_ms']} ms, {record['token_bits']} bits"),
        ("model", f"{record['model_id']} ({record['model'] or 'not a released one'})"),
    ]
    if record["entropy_coded"]:
        rows.append(("prior", f"{record['prior_id']} ({record['prior'] or 'not a released one'})"))
    if record["tokens"] is None:
        rows.append(("end", "no valid end mark: the file is truncated, or goes on after its end"))
    else:
        rows.append(("speech", f"{record['seconds']:.2f} s, {record['samples']} samples, {record['tokens']} tokens"))
        rows.append(("CRC-32 of the tokens", record["tokens_crc32"]))
    summary(out, record["file"], rows)
