"""``aether-lite stream --bitrate``: the same ends and a channel between for the bits of a hash codec."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import typer

from aether_lite.cli.pipes import passed_on, put


@dataclass(frozen=True)
class BitLink:
    """What both ends of a bit stream are told.

    Attributes:
        rate: [bit/s].
        soft: soft bits instead of packed ones, at the decoder's side.
        ber: share of bits in error: of the channel, or told to a decoder of packed bits; None where it is not given.
        model: hash codec by name or file.
    """

    rate: int
    soft: bool
    ber: float | None
    model: str

    def check(self, encode: bool, channel: str | None, erasure: float | None) -> None:
        """Refuse options that do not go together."""
        if channel is not None and channel != "bsc":
            raise typer.BadParameter("bits go through bsc", param_hint="'--channel'")
        if channel is not None and self.ber is None:
            raise typer.BadParameter("needed for the channel bsc", param_hint="'--ber'")
        if encode and (self.soft or self.ber is not None):
            raise typer.BadParameter("an encoder writes packed bits; --soft and --ber are for --channel and --decode")
        if channel is None and self.soft and self.ber is not None:
            raise typer.BadParameter("soft bits tell it themselves", param_hint="'--ber'")
        if erasure is not None and not self.soft:
            raise typer.BadParameter("packed bits cannot mark a lost token; add --soft", param_hint="'--erasure'")


def encode_bits(link: BitLink, raw: bool) -> None:
    """Speech in, packed bits out."""
    from aether_lite.codec import load_hash
    from aether_lite.streaming import BitEncoder
    from aether_lite.streaming.bit_link import packed
    from aether_lite.streaming.sound import speech_blocks

    encoder = BitEncoder(load_hash(link.model), link.rate)
    passed_on(
        speech_blocks(sys.stdin.buffer, raw),
        lambda block: put(packed(encoder.push(block))),
        lambda: put(packed(encoder.flush())),
    )


def decode_bits(link: BitLink, raw: bool, mute: bool, vocoder: str | None) -> None:
    """Packed or soft bits in, speech out."""
    from aether_lite.channels.binary import ERROR_RATE_RANGE
    from aether_lite.channels.parameters import checked_number
    from aether_lite.codec import load_hash
    from aether_lite.streaming import BitDecoder
    from aether_lite.streaming.bit_link import packed_tokens, soft_tokens
    from aether_lite.streaming.sound import SpeechWriter

    certainty = 1 - 2 * checked_number("ber", link.ber or 0.0, *ERROR_RATE_RANGE)
    codec = load_hash(link.model, vocoder)
    decoder = BitDecoder(codec, link.rate, mute=mute)
    speech = SpeechWriter(sys.stdout.buffer, raw)
    read = soft_tokens if link.soft else packed_tokens
    passed_on(
        read(sys.stdin.buffer, link.rate, codec.token_frames),
        lambda token: speech.write(decoder.push_bits(certainty * token).samples),
        lambda: speech.close(decoder.flush().samples),
    )


def filter_bits(link: BitLink, seed: int, options: dict[str, Any]) -> None:
    """Packed bits in, packed or soft bits out."""
    from aether_lite.codec.loading import codec_path, load_hash_codec
    from aether_lite.payload import Bits
    from aether_lite.streaming.bit_channel import StreamBitChannel
    from aether_lite.streaming.bit_link import hard_bytes, packed_tokens, soft_bytes

    assert link.ber is not None
    frames = load_hash_codec(codec_path(link.model))[0].config.token_frames
    channel = StreamBitChannel(link.ber, link.rate, seed=seed, token_frames=frames, **options)
    written = soft_bytes if link.soft else hard_bytes
    for token in packed_tokens(sys.stdin.buffer, link.rate, frames):
        put(written(channel.send(Bits(token[None, None], link.rate, frames))))
