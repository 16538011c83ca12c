"""Text channel: code, checksum and receiver."""

from __future__ import annotations

import numpy as np
import pytest

from aether_lite.errors import AetherError
from aether_lite.modem.text import FRAMES, Message, TextReceiver, checksum, encoded, superframe, viterbi

MESSAGE = Message("DL0ABC/P 7", 0xA5)


def received(
    start: int, frames: int, noise: float, known: bool, seed: int = 0, text: Message = MESSAGE
) -> Message | None:
    """What is read of frames from number ``start`` of the superframe on."""
    random, cells = np.random.default_rng(seed), superframe(text)
    receiver = TextReceiver(0 if known else None)
    for number in range(frames):
        sent = cells[(start + number) % FRAMES]
        disturbed = sent + np.sqrt(noise) * (random.standard_normal((2, 2)) @ (1, 1j)) * np.sqrt(0.5)
        turn = np.exp(1j * number)
        receiver.push(start + number if known else number, disturbed * turn, np.full(2, turn), np.full(2, noise))
    return receiver.message


def test_the_checksum_is_that_of_ccitt() -> None:
    bits = np.unpackbits(np.frombuffer(b"123456789", np.uint8))
    assert np.packbits(checksum(bits)).tobytes() == b"\x29\xb1"


def test_the_code_is_the_stated_one_and_is_decoded() -> None:
    impulse = encoded(np.array([1, 0, 0, 0, 0, 0, 0], np.uint8)).reshape(-1, 3)[:7].T
    assert [int("".join(map(str, row)), 2) for row in impulse] == [0o133, 0o171, 0o165]
    bits = np.random.default_rng(0).integers(0, 2, (5, 84)).astype(np.uint8)
    soft = np.stack([1.0 - 2.0 * encoded(row) for row in bits])
    soft[:, ::9] *= -1  # one bit in nine is wrong
    assert np.array_equal(viterbi(soft)[0], bits)


def test_a_message_is_read_over_noise_from_its_beginning() -> None:
    assert received(0, 68, 0.01, known=True) == MESSAGE
    assert sum(received(0, 136, 10**0.1, known=True, seed=seed) == MESSAGE for seed in range(20)) >= 19


def test_a_message_is_read_without_its_beginning() -> None:
    for start in (1, 40):
        assert received(start, 136, 0.5, known=False, seed=start) == MESSAGE


def test_noise_is_no_message() -> None:
    assert all(received(0, 136, 1e3, known=known, seed=seed) is None for known in (True, False) for seed in range(5))


@pytest.mark.parametrize("text", ["", "A", "ab1cde", "Q" * 10])
def test_texts_are_sent_in_capitals(text: str) -> None:
    read = received(0, 68, 0.01, known=True, text=Message(text, 0))
    assert read == Message(text.upper(), 0)


@pytest.mark.parametrize(("text", "reason"), [("ABCDEFGHIJK", "most 10"), ("\u00e4", "cannot be"), ("A\nB", "cannot")])
def test_texts_that_cannot_be_sent_are_refused(text: str, reason: str) -> None:
    with pytest.raises(AetherError, match=reason):
        superframe(Message(text, 0))
