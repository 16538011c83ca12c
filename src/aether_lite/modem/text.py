"""Text channel: up to ten characters and the codec's weights, in two QPSK cells of each frame.

A message of 84 bits (8 that identify the weights, 10 characters of 6 bits, CRC-16) and 6 zeros go through the
convolutional code of rate 1/3 and constraint length 7 with the generators 133, 171, 165 (octal). Its 270 bits are
interleaved over a *superframe* of 68 frames (5.44 s), which is repeated through the whole over. The receiver adds the
log-likelihood ratios of repetitions, decodes (Viterbi) with what it has, and shows a text only with a right checksum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from aether_lite.errors import AetherError
from aether_lite.modem.profiles import TEXT_CELLS, Complex128

ALPHABET = " ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-.,?!+=:()'\"@#&*_<>%$;[]^~"
CHARACTERS = 10
FRAMES = 68  # of a superframe
GENERATORS = (0o133, 0o171, 0o165)
MEMORY = 6
WEIGHTS_BITS, CHARACTER_BITS, CRC_BITS = 8, 6, 16
MESSAGE_BITS = WEIGHTS_BITS + CHARACTERS * CHARACTER_BITS + CRC_BITS
CELLS = FRAMES * TEXT_CELLS
SPREAD = 101  # coprime to the bits of a superframe: neighbours of the code are this far apart
ATTEMPT_FRAMES = 17  # between two attempts to decode
LEAST_FRAMES = 34  # before the first

Bits = NDArray[np.uint8]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Message:
    """A text of up to ten characters of :data:`ALPHABET`, and the last byte of the identity of the weights."""

    text: str
    weights: int


def checked_text(text: str) -> str:
    """The text in capitals; AetherError if it is too long or has characters that cannot be sent."""
    upper = text.upper().rstrip()
    wrong = sorted(set(upper) - set(ALPHABET))
    if wrong:
        raise AetherError(f"text {text!r}: {''.join(wrong)!r} cannot be sent; letters, digits and {ALPHABET[37:]} can")
    if len(upper) > CHARACTERS:
        raise AetherError(f"text {text!r}: has {len(upper)} characters; at most {CHARACTERS} can be sent")
    return upper


def superframe(message: Message) -> Complex128:
    """Text cells ``[68, 2]`` of power 1."""
    padded = checked_text(message.text).ljust(CHARACTERS)
    values = [(message.weights, WEIGHTS_BITS)] + [(ALPHABET.index(each), CHARACTER_BITS) for each in padded]
    body = np.array([value >> place & 1 for value, count in values for place in range(count)[::-1]], np.uint8)
    bits = np.zeros(2 * CELLS, np.uint8)
    bits[_order()] = encoded(np.concatenate((body, checksum(body))))
    signs = 1.0 - 2.0 * bits.reshape(FRAMES, TEXT_CELLS, 2)
    made: Complex128 = (signs[..., 0] + 1j * signs[..., 1]) * np.sqrt(0.5)
    return made


def checksum(body: Bits) -> Bits:
    """``[16]``: CRC-16-CCITT (x^16 + x^12 + x^5 + 1, started with ones) of bits."""
    register = 0xFFFF
    for bit in body:
        turn = (register >> 15) ^ int(bit)
        register = (register << 1 & 0xFFFF) ^ (0x1021 if turn else 0)
    return np.array([register >> place & 1 for place in range(CRC_BITS)[::-1]], np.uint8)


def encoded(bits: Bits) -> Bits:
    """``[3 (n + 6)]``: code bits of ``[n]`` and the zeros that end them."""
    padded = np.concatenate((np.zeros(MEMORY, np.uint8), bits, np.zeros(MEMORY, np.uint8)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEMORY + 1)[:, ::-1]  # newest first
    taps = np.array([[generator >> place & 1 for place in range(MEMORY + 1)[::-1]] for generator in GENERATORS])
    made: Bits = (windows @ taps.T % 2).astype(np.uint8)
    return made.reshape(-1)


def viterbi(soft: Float64) -> tuple[Bits, Float64]:
    """Most likely messages ``[B, n]`` of log-likelihood ratios ``[B, 3 (n + 6)]``, positive for 0, and their metrics.
    """
    batch, steps = len(soft), soft.shape[1] // 3
    branches = soft.reshape(batch, steps, 3) @ _branch_signs()  # [B, steps, 128]
    metric = np.full((batch, 64), -np.inf)
    metric[:, 0] = 0.0
    chosen = np.zeros((steps, batch, 64), np.uint8)
    for step in range(steps):
        # Register of 7 bits, newest highest: state 6 bits s, then register (bit, s), next state register >> 1.
        candidates = np.concatenate((metric, metric), axis=1) + branches[:, step]
        even, odd = candidates[:, 0::2], candidates[:, 1::2]
        chosen[step] = odd > even
        metric = np.maximum(even, odd)
    state = np.zeros(batch, np.int64)
    bits = np.zeros((batch, steps), np.uint8)
    for step in range(steps)[::-1]:
        bits[:, step] = state >> 5
        state = (state << 1 & 63) | chosen[step, np.arange(batch), state]
    return bits[:, : steps - MEMORY], metric[:, 0]


@cache
def _branch_signs() -> Float64:
    """``[3, 128]``: +1 where a register's code bit is 0."""
    registers = np.arange(128)
    ones = [[bin(register & generator).count("1") % 2 for register in registers] for generator in GENERATORS]
    return 1.0 - 2.0 * np.array(ones, np.float64)


@cache
def _order() -> NDArray[np.int64]:
    """``[270]``: places of the code's bits in the superframe."""
    return np.arange(3 * (MESSAGE_BITS + MEMORY)) * SPREAD % (2 * CELLS)


class TextReceiver:
    """The text of one over.

    Args:
        start: number of the frame with which a superframe begins; None if the beginning was not received: then all
            alignments are tried and the most likely one is checked.
    """

    def __init__(self, start: int | None) -> None:
        self._start, self._frames = start, 0
        self._soft = np.zeros((FRAMES, 2 * TEXT_CELLS))
        self.message: Message | None = None

    def push(self, number: int, cells: Complex128, gain: Complex128, noise: Float64) -> None:
        """Take the text cells ``[2]`` of frame ``number`` with their gains and noise."""
        if self.message is not None:
            return
        turned = gain.conj() * cells / noise * np.sqrt(8.0)
        place = (number - (self._start or 0)) % FRAMES
        self._soft[place] += np.stack((turned.real, turned.imag), axis=1).ravel()
        self._frames += 1
        if self._frames >= LEAST_FRAMES and self._frames % ATTEMPT_FRAMES == 0:
            self.message = self._decoded()

    def _decoded(self) -> Message | None:
        """The message, if its checksum is right."""
        shifts = [0] if self._start is not None else list(range(FRAMES))
        soft = np.stack([np.roll(self._soft, -shift, axis=0).ravel()[_order()] for shift in shifts])
        bits, metrics = viterbi(soft)
        best = bits[int(metrics.argmax())]
        body = best[:-CRC_BITS]
        if not np.array_equal(checksum(body), best[-CRC_BITS:]):
            return None
        numbers = body[WEIGHTS_BITS:].reshape(CHARACTERS, CHARACTER_BITS) @ (1 << np.arange(CHARACTER_BITS)[::-1])
        weights = int(body[:WEIGHTS_BITS] @ (1 << np.arange(WEIGHTS_BITS)[::-1]))
        return Message("".join(ALPHABET[number] for number in numbers).rstrip(), weights)
