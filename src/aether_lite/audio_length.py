"""What an audio file's header promises against what the file holds, for every format that is read.

libsndfile reads a truncated, concatenated or damaged file without complaint and gives fewer samples, or noise where a
second header is. Sources: RIFF 1.0 (Microsoft and IBM, 1991), RF64 (EBU Tech 3306), Wave64 (Sony Foundry), AIFF 1.3 and
CAF (Apple), AU (Sun), Creative Voice File, NIST SPHERE, Ogg (RFC 3533), FLAC (RFC 9639), MPEG audio (ISO 11172-3).
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from aether_lite.errors import AetherError

VERIFIED = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "AU", "VOC", "NIST", "OGG", "FLAC", "MP3"})
"""Formats, by libsndfile's names, whose end is known; a file of another may be cut anywhere."""
STREAMED_BYTES = 0x7FFF_F000  # from here on a wav data size means "unknown", as programs write it to a pipe
TAIL_BYTES = 65_536  # looked at behind the samples
AGAIN = "copy or record it again"
APART = "split it into single recordings"


@dataclass(frozen=True)
class Claim:
    """What the header says beside what libsndfile takes from it.

    Attributes:
        samples: promised for each channel; 0 where the header does not know; None where libsndfile's count holds.
        patch: offset and bytes with which the file must be read, so that libsndfile goes on to its end.
    """

    samples: int | None = None
    patch: tuple[int, bytes] | None = None


class PatchedFile:
    """A file that is read with other bytes in one place; enough of a file for libsndfile."""

    def __init__(self, stream: BinaryIO, offset: int, data: bytes) -> None:
        self.seek, self.tell = stream.seek, stream.tell
        self._stream, self._offset, self._data = stream, offset, data

    def read(self, count: int) -> bytes:
        """At most ``count`` bytes from where the file stands."""
        start = self.tell()
        found = bytearray(self._stream.read(count))
        first, end = max(start, self._offset), min(start + len(found), self._offset + len(self._data))
        if first < end:
            found[first - start : end - start] = self._data[first - self._offset : end - self._offset]
        return bytes(found)


def check_length(stream: BinaryIO, name: str) -> Claim:
    """Refuse a file whose header promises more than it holds, or that holds more than its header says.

    Args:
        stream: open for reading and seeking, not empty; where it stands afterwards is not said.
        name: of the file, for the message.

    Raises:
        AetherError: truncated, several recordings in one file, or damaged.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(64)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        order = ">" if head[:4] == b"RIFX" else "<"
        return _check_chunks(stream, name, size, 12, f"{order}4sI", large=head[:4] == b"RF64")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _check_chunks(stream, name, size, 12, ">4sI")
    if head[:4] == b"riff":
        return _check_chunks(stream, name, size, 40, "<16sQ", counted=24, align=8)
    if head[:4] == b"caff":
        return _check_chunks(stream, name, size, 8, ">4sQ", align=1)
    if head[:4] in (b".snd", b"dns."):
        start, promised = struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:12])
        if promised != 0xFFFF_FFFF:
            _compare(stream, name, start, promised, size)
    elif head[:20] == b"Creative Voice File\x1a":
        _check_voc(stream, name, size, int.from_bytes(head[20:22], "little"))
    elif head[:8] == b"NIST_1A\n":
        _check_nist(stream, name, size)
    elif head[:4] == b"OggS":
        _check_ogg(stream, name)
    elif head[:4] == b"fLaC":
        return _check_flac(stream, name)
    elif (first := _mp3_start(stream, size)) is not None:
        return _check_mp3(stream, name, size, first)
    return Claim()


def more_follow(name: str, promised: int, left: int) -> AetherError:
    """The error of a file that goes on behind the samples that its header promises [bytes]."""
    return AetherError(
        f"{name}: its header promises {promised} bytes of samples, but {left} bytes more follow; {APART}, or {AGAIN}"
    )


def is_padding(tail: bytes) -> bool:
    """Whether what stands at the end of a file is no sound: nothing, a tag, or zeros."""
    return not any(tail[_tag_bytes(tail[:32]) :])


def behind_wav(tail: bytes) -> int:
    """Bytes of what stands behind the samples of a wav that are neither chunks nor padding."""
    return _behind(io.BytesIO(tail), 0, len(tail), "<4sI", 0, 2)


def _truncated(name: str, promised: int, found: int) -> AetherError:
    return AetherError(
        f"{name}: truncated, its header promises {promised} bytes of samples but {max(0, found)} are there; {AGAIN}"
    )


def _compare(stream: BinaryIO, name: str, start: int, promised: int, end: int) -> None:
    """Samples at ``start``, and nothing but zeros behind them."""
    if promised > end - start:
        raise _truncated(name, promised, end - start)
    stream.seek(start + promised)
    if not is_padding(stream.read(TAIL_BYTES)):
        raise more_follow(name, promised, end - start - promised)


def _check_chunks(
    stream: BinaryIO, name: str, size: int, start: int, form: str, *, counted: int = 0, align: int = 2,
    large: bool = False,
) -> Claim:  # fmt: skip
    """Chunks with a name and a length, of which ``counted`` bytes are those of their own header."""
    wide = 0, 0  # of RF64: where the length of the samples stands, and the length
    for kind, place, length in _chunks(stream, start, size, form, counted, align):
        if large and kind == b"ds64":
            stream.seek(place)
            wide = place + 8, struct.unpack("<8xQ", stream.read(16).ljust(16, b"\0"))[0]
        if kind[:4] not in (b"data", b"SSND"):
            continue
        held = size - place
        if large and length == 0xFFFF_FFFF:
            length = wide[1]
        if length <= 0 or (length >= STREAMED_BYTES and length > held and not large and counted == 0):
            rest = _behind(stream, place, size, form, counted, align)
            if length > 0 or rest == 0 or form[1:] != "4sI" or kind == b"SSND":
                return Claim()  # libsndfile reads it to its end
            unknown = (wide[0], struct.pack("<Q", held)) if large and wide[0] else (place - 4, b"\xff\xff\xff\xff")
            return Claim(patch=unknown)
        if length > held:
            raise _truncated(name, length, held)
        ends = (place + length + -length % align, place + length)  # some writers do not pad
        left = min(_behind(stream, end, size, form, counted, align) for end in ends)
        if left:
            raise more_follow(name, length, left)
        return Claim()
    raise AetherError(f"{name}: truncated, it ends before its samples; {AGAIN}")


def _chunks(
    stream: BinaryIO, start: int, size: int, form: str, counted: int, align: int
) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and length of every chunk."""
    header = struct.calcsize(form)
    while start + header <= size:
        stream.seek(start)
        kind, length = struct.unpack(form, stream.read(header))
        yield kind, start + header, length - counted
        start += header + max(0, length - counted)
        start += -start % align


def _behind(stream: BinaryIO, start: int, size: int, form: str, counted: int, align: int) -> int:
    """Bytes from ``start`` on that are no whole chunks, and no zeros."""
    left = max(0, size - start)
    for kind, place, length in _chunks(stream, start, size, form, counted, align):
        if not (kind[:4].isascii() and kind[:4].decode("latin1").isprintable() and 0 <= length <= size - place):
            break
        if kind[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM", b"riff", b"data", b"SSND"):
            break
        left = max(0, size - place - length)
    stream.seek(size - left)
    return 0 if is_padding(stream.read(TAIL_BYTES)) else left


def _check_voc(stream: BinaryIO, name: str, size: int, start: int) -> None:
    sounds = 0
    while start < size:
        stream.seek(start)
        kind, length = struct.unpack("<BI", stream.read(4).ljust(5, b"\0"))
        if kind == 0:
            break
        if start + 4 + length > size:
            raise _truncated(name, length, size - start - 4)
        sounds += kind in (1, 2, 9)
        start += 4 + length
    if sounds != 1:
        raise AetherError(f"{name}: holds {sounds} blocks of sound, and only one can be read; convert it to wav")
    if not is_padding(_at(stream, start + 1, TAIL_BYTES)):
        raise AetherError(f"{name}: goes on behind its end; {APART}, or {AGAIN}")


def _check_nist(stream: BinaryIO, name: str, size: int) -> None:
    stream.seek(0)
    header = stream.read(4096)
    words = dict(re.findall(rb"\n(\w+) -\w+ (\S+)", header[: header.find(b"end_head")]))
    try:
        start = int(header[8:16])
        count, channels, width = (int(words[key]) for key in (b"sample_count", b"channel_count", b"sample_n_bytes"))
    except (KeyError, ValueError) as error:
        raise AetherError(f"{name}: its NIST header has no number of samples; convert it to wav") from error
    _compare(stream, name, start, count * channels * width, size)


REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
OGG_BEGIN, OGG_END = 0x02, 0x04  # flags of a page: first and last of a stream


def _ogg_crc(page: bytes) -> int:
    """CRC-32 of a page (RFC 3533: not reflected, starts at 0) by that of zlib, which is reflected and starts at -1."""
    reflected = zlib.crc32(page.translate(REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{reflected:032b}"[::-1], 2)


def _check_ogg(stream: BinaryIO, name: str) -> None:
    """Pages must be whole, right, one behind another, and of one recording."""
    stream.seek(0)
    following: dict[bytes, int] = {}  # number of the next page, by stream
    begun, flags = False, 0
    while header := stream.read(27):
        table = stream.read(header[26]) if len(header) == 27 else b""
        body = stream.read(sum(table))
        if len(header) < 27 or len(table) < header[26] or len(body) < sum(table):
            if is_padding(header + table + body):
                break
            if header[:4] != b"OggS"[: len(header)]:
                raise AetherError(f"{name}: damaged, something else follows its ogg pages; {AGAIN}")
            raise AetherError(f"{name}: truncated, its last ogg page is missing; {AGAIN}")
        if header[:4] != b"OggS" and is_padding(header + table + body + stream.read(TAIL_BYTES)):
            break
        place = stream.tell() - 27 - len(table) - len(body)
        if header[:4] != b"OggS" or _ogg_crc(header[:22] + bytes(4) + header[26:] + table + body) != int.from_bytes(
            header[22:26], "little"
        ):
            raise AetherError(f"{name}: damaged, its ogg page at byte {place} is not what was written; {AGAIN}")
        flags, serial, number = header[5], header[14:18], int.from_bytes(header[18:22], "little")
        begins = bool(flags & OGG_BEGIN)
        if begins and begun:
            raise AetherError(f"{name}: holds several ogg recordings one after another; {APART}")
        begun = begun or not begins
        if number != following.get(serial, number):
            raise AetherError(f"{name}: damaged, ogg pages before byte {place} are missing; {AGAIN}")
        following[serial] = (number + 1) % 2**32
    if not flags & OGG_END:
        raise AetherError(f"{name}: truncated, its last ogg page is missing; {AGAIN}")


FLAC_MAGIC = b"fLaC\x00\x00\x00\x22"  # and the head of STREAMINFO, 34 bytes
FLAC_TOTAL = 21  # byte whose lower half, with the four behind it, is the number of samples; 0: unknown


def _check_flac(stream: BinaryIO, name: str) -> Claim:
    """The number of samples, which is then counted: libFLAC alone would stop at it."""
    stream.seek(0)
    head, before = stream.read(26), b""
    if len(head) < 26:
        raise AetherError(f"{name}: truncated, it ends before its samples; {AGAIN}")
    while data := stream.read(2**20):
        if (before + data).find(FLAC_MAGIC) >= 0:
            raise AetherError(f"{name}: holds several flac recordings one after another; {APART}")
        before = data[-len(FLAC_MAGIC) + 1 :]
    total = int.from_bytes(head[FLAC_TOTAL:26], "big") % 2**36
    return Claim(total, (FLAC_TOTAL, bytes([head[FLAC_TOTAL] & 0xF0, 0, 0, 0, 0])))


MP3_SEARCH = 65_536  # bytes in which the first frame must begin
MP3_SPARE = 2  # frames by which writers count differently (the one with the count, the last)
MP3_KBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates [kbit/s] by version and layer (ISO 11172-3, 13818-3)."""


def _mp3_frame(header: bytes) -> tuple[int, tuple[int, int, int]] | None:
    """Bytes of a frame, and its version, layer and rate [Hz]; None if it is none, or of a bit rate not stated."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    kind, layer, bits, rate = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3), header[2] >> 4, header[2] >> 2 & 3
    if kind == 1 or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    hertz = (44_100, 48_000, 32_000)[rate] // {3: 1, 2: 2, 0: 4}[kind]
    version = 1 if kind == 3 else 2
    bit_rate, padding = 1000 * MP3_KBITS[version, layer][bits - 1], header[2] >> 1 & 1
    if layer == 1:
        return 4 * (12 * bit_rate // hertz + padding), (kind, layer, hertz)
    samples = 72 if layer == 3 and version == 2 else 144
    return samples * bit_rate // hertz + padding, (kind, layer, hertz)


def _tag_bytes(head: bytes) -> int:
    """Length of a tag (ID3 1 or 2, APE 2, Lyrics3) that begins with ``head``; 0 for none."""
    if head[:3] == b"ID3" and len(head) >= 10:
        size = sum((byte & 0x7F) << 7 * (3 - i) for i, byte in enumerate(head[6:10]))
        return 10 + size + (10 if head[5] & 0x10 else 0)
    if head[:3] == b"TAG":
        return 128
    if head[:8] == b"APETAGEX" and len(head) >= 32:
        return int.from_bytes(head[12:16], "little") + (32 if head[23] & 0x80 else 0)
    return 0


def _mp3_start(stream: BinaryIO, size: int) -> int | None:
    """Where the first frame begins, behind tags; None for another file, or bit rates that are not stated."""
    place = 0
    while tag := _tag_bytes(_at(stream, place, 32)):
        place += tag
    data = _at(stream, place, MP3_SEARCH)
    if place == 0 and _mp3_frame(data[:4]) is None:
        return None
    for index in range(len(data)):
        frame = _mp3_frame(data[index : index + 4])
        if frame is None:
            continue
        following = _mp3_frame(_at(stream, place + index + frame[0], 4))
        if (following is not None and following[1] == frame[1]) or place + index + frame[0] >= size:
            return place + index
    return None


def _check_mp3(stream: BinaryIO, name: str, size: int, first: int) -> Claim:
    """Frames must follow each other to the end, of one kind, and be as many as the first one says."""
    head = _at(stream, first, 256)
    tag = re.search(b"Xing|Info", head)
    promised = None
    if tag and tag.end() + 8 <= len(head) and head[tag.end() + 3] & 1:
        promised = int.from_bytes(head[tag.end() + 4 : tag.end() + 8], "big")
    place, frames, kind = first, 0, None
    while place < size:
        head = _at(stream, place, 32)
        frame = _mp3_frame(head[:4])
        if frame is not None and kind in (None, frame[1]):
            kind, place, frames = frame[1], place + frame[0], frames + 1
        elif length := _tag_bytes(head):
            place += length
        elif is_padding(tail := _at(stream, place, TAIL_BYTES)) or b"LYRICS" in tail[:11]:
            break
        else:
            raise AetherError(f"{name}: damaged, or of several mp3 recordings: no frame of it at byte {place}; {AGAIN}")
    if place > size:
        raise AetherError(f"{name}: truncated, its last frame is not whole; {AGAIN}")
    if promised is not None and frames > promised + MP3_SPARE:
        raise AetherError(f"{name}: its header promises {promised} frames of mp3, but {frames} are there; {APART}")
    return Claim(samples=None if tag else 0)


def _at(stream: BinaryIO, place: int, count: int) -> bytes:
    stream.seek(place)
    return stream.read(count)
