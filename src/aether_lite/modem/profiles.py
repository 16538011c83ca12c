"""Profiles of the waveform: which cells of an OFDM frame carry pilots, text and the codec's symbols.

A *frame* of 80 ms holds two OFDM symbols of 40 ms (35 ms and a cyclic prefix of 5 ms), so two tokens of the codec. Its
carriers are 28.57 Hz apart around 1500 Hz; a *cell* is one carrier in one of the two symbols.

* **Pilots**, QPSK of a fixed pseudo-random sequence, form one comb over both symbols, dealt out alternately, edges
  included. Inner ones are moved by up to one carrier, so that the comb has no second delay at which it fits.
* **Text**: one cell in each symbol.
* **Data** fill the rest. ``narrow`` has as many cells as there are symbols; in the wider profiles the symbols, in order
  of importance, are repeated over the band until it is full, which is diversity where it fades.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from aether_lite.errors import AetherError

CENTRE_HZ = 1500.0
USEFUL_S, PREFIX_S = 0.035, 0.005
SPACING_HZ = 1 / USEFUL_S
SYMBOL_S = USEFUL_S + PREFIX_S
SYMBOLS = 2  # of a frame
FRAME_S = SYMBOLS * SYMBOL_S
TOKENS = 2  # of a frame
TEXT_CELLS = 2  # of a frame
LEAD, END = (1, 2), (3, 4)  # sequences of the two frames that begin, and end, an over; 0 is that of the pilots

Int64 = NDArray[np.int64]
Complex128 = NDArray[np.complex128]


@dataclass(frozen=True)
class Profile:
    """The cells of a frame.

    Attributes:
        name: ``narrow``, ``wide16`` or ``wide24``.
        rate: [uses/s].
        carriers: C; cell ``symbol * C + carrier`` counts both symbols.
        pilots: P.
    """

    name: str
    rate: int
    carriers: int
    pilots: int

    @property
    def cells(self) -> int:
        """Cells of a frame, 2 C."""
        return SYMBOLS * self.carriers

    @property
    def uses(self) -> int:
        """Symbols of the codec in a frame."""
        return round(self.rate * FRAME_S)

    @property
    def bandwidth_hz(self) -> float:
        """Carriers times their spacing [Hz]."""
        return self.carriers * SPACING_HZ

    @cached_property
    def frequencies_hz(self) -> NDArray[np.float64]:
        """``[C]``: of the carriers, relative to :data:`CENTRE_HZ` [Hz]."""
        place = np.arange(self.carriers, dtype=np.float64) - (self.carriers - 1) / 2
        return place * SPACING_HZ

    @cached_property
    def pilot_cells(self) -> Int64:
        """``[P]``: cells with pilots."""
        comb = np.rint(np.linspace(0, self.carriers - 1, self.pilots)).astype(np.int64)
        moves = [value % 3 - 1 for value in islice(_random(self._seed(0)), self.pilots - 2)]
        comb[1:-1] = np.clip(comb[1:-1] + moves, 0, self.carriers - 1)
        return comb + self.carriers * (np.arange(self.pilots) % SYMBOLS)

    @cached_property
    def text_cells(self) -> Int64:
        """``[2]``: cells with text, a third from each edge, or next to there."""
        free = np.setdiff1d(np.arange(self.cells), self.pilot_cells)
        wanted = (self.carriers // 3, self.carriers + 2 * self.carriers // 3)
        return np.array([free[np.abs(free - cell).argmin()] for cell in wanted])

    @cached_property
    def data_cells(self) -> Int64:
        """``[D]``: cells with the codec's symbols, in order of frequency."""
        taken = np.concatenate((self.pilot_cells, self.text_cells))
        free = np.setdiff1d(np.arange(self.cells), taken)
        return free[np.lexsort((free // self.carriers, free % self.carriers))]

    @cached_property
    def contents(self) -> Int64:
        """``[D]``: which of the frame's symbols each data cell carries; tokens one after the other, ``[0, uses)``.

        Symbols are taken in order of importance, both tokens in turn, and dealt out so that neighbours in importance
        are apart in frequency; a part copy repeats the most important ones.
        """
        n = self.uses
        stride = next(step for step in range(round(0.382 * n), 2 * n) if np.gcd(step, n) == 1)
        dealt = np.arange(n) * stride % n
        place = np.arange(len(self.data_cells))
        rank: Int64 = np.where(place < len(place) // n * n, dealt[place % n], place % n)
        return rank % TOKENS * (n // TOKENS) + rank // TOKENS

    def sequence(self, number: int, length: int) -> Complex128:
        """``[length]`` QPSK symbols of power 1: 0 for pilots, those of :data:`LEAD` and :data:`END`."""
        quarters = np.array([value % 4 for value in islice(_random(self._seed(1 + number)), length)])
        made: Complex128 = np.exp(0.5j * np.pi * (quarters + 0.5))
        return made

    @cached_property
    def pilot_symbols(self) -> Complex128:
        """``[P]``: what the pilot cells hold."""
        return self.sequence(0, self.pilots)

    def _seed(self, purpose: int) -> int:
        """Start of a pseudo-random sequence, of each profile and purpose its own."""
        return 1 + self.rate + 10_007 * self.carriers + 1_000_003 * purpose


def _random(seed: int) -> Iterator[int]:
    """Pseudo-random numbers of 16 bits (Marsaglia's xorshift, 32 bits; the first ones are dropped)."""
    state, count = seed, 0
    while True:
        state ^= state << 13 & 0xFFFF_FFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFF_FFFF
        count += 1
        if count > 16:
            yield state >> 16


PROFILES = (
    Profile("narrow", 150, 10, 6),
    Profile("narrow", 300, 17, 8),
    Profile("narrow", 500, 26, 10),
    Profile("narrow", 600, 31, 12),
    Profile("narrow", 700, 36, 14),
    Profile("narrow", 1000, 50, 18),
    Profile("wide16", 300, 56, 14),
    Profile("wide16", 500, 56, 16),
    Profile("wide16", 700, 56, 18),
    Profile("wide24", 300, 84, 22),
    Profile("wide24", 500, 84, 22),
    Profile("wide24", 700, 84, 22),
    Profile("wide24", 1000, 84, 22),
)
"""Every profile and rate."""
NAMES = tuple(dict.fromkeys(profile.name for profile in PROFILES))


def find(name: str, rate: int) -> Profile:
    """The profile of this name and rate [uses/s].

    Raises:
        AetherError: no such profile, or it does not carry that rate; the message says which ones do.
    """
    if name not in NAMES:
        raise AetherError(f"unknown profile {name!r}; known: {', '.join(NAMES)}")
    for profile in PROFILES:
        if (profile.name, profile.rate) == (name, rate):
            return profile
    able = [profile.name for profile in PROFILES if profile.rate == rate]
    rates = ", ".join(str(profile.rate) for profile in PROFILES if profile.name == name)
    advice = f"profile {' or '.join(able)} does" if able else "no profile does"
    raise AetherError(f"profile {name} does not carry {rate} uses/s ({advice}); it carries {rates}")
