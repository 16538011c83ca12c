"""Receiver: audio of a radio, block by block, to overs of symbols with gains and noise variance.

While nothing is received the search runs (:mod:`aether_lite.modem.search`). What it finds is looked at in the buffer of
the last seconds: frequency and window are refined, frames before it are tried, and it is an over only if its pilots can
be predicted from one another. The over is then decoded from its first frame on (:mod:`aether_lite.modem.over`).
While an over is in doubt the search runs beside it, from its last valid frame on, and another over that it finds ends
the old one.

Everything happens at times of the recording, so that blocks of any size give the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aether_lite.features.samples import as_speech
from aether_lite.modem.baseband import BASEBAND_RATE, FRAME, MARGIN, Baseband, Clock, received_cells
from aether_lite.modem.estimation import AHEAD, PAST, WIDEST, ChannelEstimator, filters
from aether_lite.modem.over import Over, OverReport, ReceivedFrame
from aether_lite.modem.profiles import FRAME_S, PROFILES, Complex128, Profile
from aether_lite.modem.search import Candidate, Search

BUFFER_FRAMES = 64  # 5.1 s
BACK_FRAMES = 24  # looked at before a candidate
WINDOWS_S = np.arange(-4.0e-3, 4.01e-3, 0.5e-3)  # places of the window that are tried
PLATEAU = 0.93  # windows that hold this much of the best one's power are as good
ONSET = 1.5  # evidence of a frame that is as likely before the over as in it
CONFIRMED, MEAN = 6.0, 2.2  # standard deviations: of all evidence together, and of a frame's in the mean
SAME_S, SAME_HZ = 2e-3, 4.0  # a candidate this near to the over is that over


@dataclass(frozen=True)
class Reception:
    """Frames of an over that can be decoded now; ``ended`` if they are its last ones."""

    over: OverReport
    frames: list[ReceivedFrame]
    ended: bool


class Receiver:
    """One recording after another.

    Args:
        profiles: that may come.
        mirrored: the other sideband is received.
    """

    def __init__(self, profiles: Sequence[Profile] = PROFILES, mirrored: bool = False) -> None:
        self._profiles, self._mirrored = tuple(profiles), mirrored
        self._begin()

    def _begin(self) -> None:
        """Wait for the first sample of a recording."""
        self._baseband = Baseband(self._mirrored)
        self._samples: Complex128 = np.zeros(0, np.complex128)
        self._first = 0  # number of the first sample of the buffer
        self._floor = 0  # an over does not begin before this sample
        self._over: Over | None = None
        self._search: Search | None = Search(self._profiles, 0)

    @property
    def locked(self) -> bool:
        """Whether an over is being received, and not in doubt."""
        return self._over is not None and not self._over.doubtful

    def push(self, audio: ArrayLike) -> list[Reception]:
        """Take audio ``[n]`` at 16 kHz, int16 or floating point of full scale 1; what becomes known by it.

        Raises:
            AetherError: another shape or type, or a value that is not finite or beyond 100 times full scale.
        """
        self._samples = np.concatenate((self._samples, self._baseband.push(as_speech(audio, "audio"))))
        known = self._first + len(self._samples)
        found: list[Reception] = []
        while True:
            searched = np.inf if self._search is None else self._search.window.stop
            needed = np.inf if self._over is None else self._over.needs
            if min(searched, needed) > known:
                break
            found += self._look() if searched <= needed else self._follow()
        self._trim()
        return found

    def flush(self) -> list[Reception]:
        """End the recording: what is left of the last over; the next sample begins a new recording."""
        found = self.push(np.zeros(round(2 * FRAME_S * 16_000)))
        if self._over is not None:
            found += _reception(self._over, [], True)
        self._begin()
        return found

    def _follow(self) -> list[Reception]:
        """The next frame of the over."""
        over = self._over
        assert over is not None
        frames = over.push(self._samples, self._first)
        return self._continued(over, frames)

    def _continued(self, over: Over, frames: list[ReceivedFrame]) -> list[Reception]:
        """What the frames of an over mean for the search."""
        if over.ended:
            self._over = None
            self._floor = round(over.last_valid if not over.report.ended else over.clock.arrival - FRAME)
            if self._search is None:
                self._search = Search(self._profiles, max(self._floor, self._first))
        elif not over.doubtful:
            self._search = None
        elif self._search is None:
            self._search = Search(self._profiles, max(round(over.last_valid), self._first))
        return _reception(over, frames, over.ended)

    def _look(self) -> list[Reception]:
        """The next step of the search."""
        search = self._search
        assert search is not None
        window = search.window
        candidate = search.push(self._samples[window.start - self._first : window.stop - self._first])
        if candidate is None or (self._over is not None and _is_same(candidate, self._over)):
            return []
        over = self._confirmed(candidate, window.stop)
        if over is None:
            return []
        ended = [] if self._over is None else _reception(self._over, [], True)
        self._over, self._search = over, None
        frames: list[ReceivedFrame] = []
        while over.needs <= window.stop and not over.ended:
            frames += over.push(self._samples, self._first)
        frames += over.settle()
        return ended + self._continued(over, frames)

    def _confirmed(self, candidate: Candidate, limit: int) -> Over | None:
        """The over of a candidate, from its first frame on; None if there is none after all."""
        profile = candidate.profile
        floor = max(self._floor, self._first)
        back = int(np.clip((candidate.arrival - floor) // FRAME, 0, BACK_FRAMES))
        count = back + int((limit - 2 * MARGIN - candidate.arrival) // FRAME)
        if count < 3:
            return None
        first = candidate.arrival - back * FRAME
        clock = Clock(first, candidate.offset_hz)
        present = slice(max(0, back - candidate.frames + 1), None)
        turned = _turn_hz(self._pilots(profile, clock, count)[present])
        clock = Clock(first, candidate.offset_hz + turned)
        pilots = self._pilots(profile, clock, count)
        clock = Clock(first + BASEBAND_RATE * _window_s(profile, pilots[present]), clock.offset_hz)
        estimator, trial = ChannelEstimator(profile), Clock(clock.arrival, clock.offset_hz)
        evidence, snr = [], 1.0
        for _ in range(count):
            estimate = estimator.push(received_cells(profile, self._samples, self._first, trial)[0])
            trial.advance()
            if estimate is not None:
                evidence.append(estimate.coherence)
                snr = estimate.snr
        gained = np.cumsum((np.array(evidence) - ONSET)[::-1])[::-1]
        begin = int(gained.argmax())
        frames, total = len(evidence) - begin, sum(evidence[begin:])
        if total < CONFIRMED * np.sqrt(frames) or total < MEAN * frames:
            return None
        return Over(profile, Clock(clock.arrival + max(begin - 2, 0) * FRAME, clock.offset_hz), snr)

    def _pilots(self, profile: Profile, start: Clock, count: int) -> Complex128:
        """Gains ``[count, P]`` at the pilots of frames from ``start`` on."""
        clock = Clock(start.arrival, start.offset_hz)
        rows = []
        for _ in range(count):
            cells, _ = received_cells(profile, self._samples, self._first, clock)
            rows.append(cells[profile.pilot_cells] / profile.pilot_symbols)
            clock.advance()
        return np.stack(rows)

    def _trim(self) -> None:
        """Forget samples that nothing needs any more."""
        keep = self._first + len(self._samples) - BUFFER_FRAMES * FRAME
        if self._search is not None:
            keep = min(keep, self._search.window.start)
        if self._over is not None:
            keep = min(keep, int(self._over.clock.arrival) - MARGIN)
        drop = max(0, keep - self._first)
        self._samples, self._first = self._samples[drop:], self._first + drop


def _reception(over: Over, frames: list[ReceivedFrame], ended: bool) -> list[Reception]:
    """What is passed on: nothing of an over in which nothing was decoded."""
    return [Reception(over.report, frames, ended)] if over.report.frames and (frames or ended) else []


def _is_same(candidate: Candidate, over: Over) -> bool:
    """Whether a candidate is the over that is being received."""
    apart = (candidate.arrival - over.clock.arrival + FRAME / 2) % FRAME - FRAME / 2
    near = abs(apart) < SAME_S * BASEBAND_RATE and abs(candidate.offset_hz - over.clock.offset_hz) < SAME_HZ
    return near and candidate.profile == over.report.profile


def _turn_hz(pilots: Complex128) -> float:
    """Frequency by which pilots ``[F, P]`` turn from frame to frame [Hz]."""
    return float(np.angle((pilots[1:] * pilots[:-1].conj()).sum())) / (2 * np.pi * FRAME_S)


def _window_s(profile: Profile, pilots: Complex128) -> float:
    """How much later the window should be [s] for pilots ``[F, P]`` that are predicted best."""
    past = min(PAST, len(pilots) - 1 - AHEAD)
    if past < 1:
        return 0.0
    prediction = filters(profile, WIDEST, 0.0, past).prediction
    frequencies = profile.frequencies_hz[profile.pilot_cells % profile.carriers]
    runs = np.stack([pilots[at - past : at + AHEAD + 1] for at in range(past, len(pilots) - AHEAD)])
    fit = np.zeros(len(WINDOWS_S))
    for place, later in enumerate(WINDOWS_S):
        turned = runs * np.exp(2j * np.pi * frequencies * later)
        guess = turned.reshape(len(runs), -1) @ prediction.T
        fit[place] = (guess.conj() * turned[:, past]).real.sum()
    if fit.max() <= 0:
        return 0.0
    good = fit >= PLATEAU * fit.max()
    return float(WINDOWS_S[good].mean())
