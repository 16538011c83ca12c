"""``aether-lite info FILE.aeth``: header and trailer of a file of bits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from aether_lite.cli.aeth import SAMPLE_RATE, reading
from aether_lite.cli.console import number, summary

if TYPE_CHECKING:
    from rich.console import Console

    from aether_lite.container.layout import Header


def described_bits(path: str) -> dict[str, Any]:
    """Everything that header and trailer say; the blocks between are not checked.

    Raises:
        AetherError: the file cannot be read, or has no valid header.
    """
    from aether_lite.container.layout import HEADER_BYTES, TRAILER_BYTES, parse_header, trailer_at

    with reading(path) as (stream, name):
        header = parse_header(stream.read(HEADER_BYTES), name)
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(HEADER_BYTES, size - TRAILER_BYTES))
        trailer = trailer_at(stream.read(TRAILER_BYTES), 0)
    seconds = None if trailer is None else trailer.samples / SAMPLE_RATE
    return {
        "file": path,
        "bytes": size,
        "bit_rate": header.bit_rate,
        "token_ms": 10 * header.token_frames,
        "token_bits": header.token_bits,
        "model_id": header.model_id.hex(),
        "model": _model_name(header),
        "entropy_coded": header.prior_id is not None,
        "prior_id": None if header.prior_id is None else header.prior_id.hex(),
        "prior": _prior_name(header),
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


def _model_name(header: Header) -> str | None:
    """Name of the released codec that the header means."""
    from aether_lite.codec.loading import load_hash_codec, released_hash_codecs
    from aether_lite.container.layout import weights_id

    for name, path in released_hash_codecs().items():
        if weights_id(load_hash_codec(path)[0].state_dict()) == header.model_id:
            return name
    return None


def _prior_name(header: Header) -> str | None:
    """Name of the prior that the header means, released or adaptive."""
    from aether_lite.container.prior import adaptive_prior
    from aether_lite.container.priors import ADAPTIVE, released_priors

    if header.prior_id is None:
        return None
    if adaptive_prior(header.token_bits).identity == header.prior_id:
        return ADAPTIVE
    names = [prior.path.stem for prior in released_priors() if prior.label.identity == header.prior_id]
    return names[0] if names else None
