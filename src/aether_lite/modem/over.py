"""One over: frames from its first one on, to symbols, gains and noise variance as a codec's decoder takes them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aether_lite.modem.baseband import BASEBAND_RATE, FRAME, MARGIN, Clock, received_cells
from aether_lite.modem.estimation import AHEAD, MEAN_FRAMES, ChannelEstimator, FrameEstimate
from aether_lite.modem.profiles import (
    END,
    FRAME_S,
    LEAD,
    SPACING_HZ,
    SYMBOLS,
    TOKENS,
    Complex128,
    Profile,
)
from aether_lite.modem.text import TextReceiver
from aether_lite.modem.tracking import Tracker
from aether_lite.modem.waveform import known_frames

Float64 = NDArray[np.float64]

VALID = 3.0  # standard deviations of evidence: by noise alone one frame in 740
DOUBT_FRAMES = 6  # without a valid one (0.5 s): nothing is passed on until there is one again
LOST_FRAMES = 38  # without a valid one (3 s): the over has ended
SURE, LIKELY = -18.0, -4.0  # ln P of noise looking like a known frame, at which it is one, or may be
SNR3K_BAND_HZ = 3000.0
RATIO_RANGE = (0.25, 4.0)  # of the power of all cells to that of pilots
DISTORTION = 0.1  # of the signal's power
WIDEST_WITH_GUARD_HZ = 1700.0  # the noise beside wider profiles is behind the edges of a receiver's filter
LAG = 4  # carriers between the gains that tell the delay spread


@dataclass(frozen=True)
class ReceivedFrame:
    """The two tokens of a frame, as they go to a decoder.

    Attributes:
        values: ``[2, n]``, turned by the phase of their gain.
        gain: ``[2, n]``, their gains' magnitude.
        noise_variance: ``[2]``, N0 of each, the error of the gain included.
        erased: nothing of use came (no valid frame for half a second).
    """

    values: Complex128
    gain: Complex128
    noise_variance: Float64
    erased: bool


@dataclass
class OverReport:
    """What became known of an over.

    Attributes:
        profile: name and rate of its waveform.
        start_s: arrival of its first frame that was decoded [s from the start of the recording].
        end_s: end of its last valid one.
        offset_hz, ppm: frequency offset and clock difference (the sender's is faster), as last estimated.
        snr3k_db: estimate at the end of each second.
        frames: decoded ones.
        lost: of these, frames whose pilots could not be told from noise.
        began, ended: whether the known frames at the beginning and the end were received.
        delay_spread_s: rms, as the gain over frequency tells.
        text, weights: what the text channel said, None if nothing or not rightly.
    """

    profile: Profile
    start_s: float
    end_s: float = 0.0
    offset_hz: float = 0.0
    ppm: float = 0.0
    snr3k_db: list[float] = field(default_factory=list)
    frames: int = 0
    lost: int = 0
    began: bool = False
    ended: bool = False
    delay_spread_s: float = 0.0
    text: str | None = None
    weights: int | None = None


class Over:
    """Receiver of one over, which first looks for its beginning in what was buffered before it was found.

    Args:
        profile: of it.
        clock: at its first frame, or some frames before.
        snr: first guess of G / N0 of a cell.
    """

    def __init__(self, profile: Profile, clock: Clock, snr: float) -> None:
        self.report = OverReport(profile, clock.arrival / BASEBAND_RATE)
        self._profile, self._tracker = profile, Tracker(profile, clock)
        self._estimator = ChannelEstimator(profile, snr)
        self._known = {number: known_frames(profile, number) for number in (LEAD, END)}
        self._settled = False
        self._held: list[tuple[ReceivedFrame, FrameEstimate, float]] = []  # with their arrival
        self._invalid = 0
        self._text: TextReceiver | None = None
        self._number = 0  # of the next frame
        self._sums = np.zeros(3)  # powers of all cells, of pilots, of noise
        self._beside: deque[Float64] = deque(maxlen=MEAN_FRAMES)
        self._lags = np.zeros(2, np.complex128)
        self.last_valid = clock.arrival  # [baseband samples]
        self.ended = False

    @property
    def clock(self) -> Clock:
        """At the next frame."""
        return self._tracker.clock

    @property
    def doubtful(self) -> bool:
        """Whether nothing valid came for half a second."""
        return self._invalid >= DOUBT_FRAMES

    @property
    def needs(self) -> float:
        """Number of the baseband sample that the next frame reaches."""
        return self.clock.arrival + FRAME + 2 * MARGIN

    def push(self, samples: Complex128, first: int) -> list[ReceivedFrame]:
        """Take the next frame out of baseband ``samples`` that begin with number ``first``; what can be decoded."""
        clock = self.clock
        cells, beside = received_cells(self._profile, samples, first, clock)
        self._beside.append(np.square(np.abs(beside)))
        estimate = self._estimator.push(cells)
        clock.advance()
        if estimate is None:
            return []
        arrival = clock.arrival - (1 + AHEAD) * clock.frame
        valid = estimate.evidence > VALID
        self._invalid = 0 if valid else self._invalid + 1
        self._tracker.update(self._estimator, -10 * np.log10(estimate.snr), valid)
        if valid:
            self.last_valid = arrival + clock.frame
        self.ended = self.ended or self._invalid >= LOST_FRAMES
        if not self._settled and self._begins(estimate):
            return []
        self._held.append((self._received(estimate), estimate, arrival))
        return self._released() if self._settled else []

    def _begins(self, estimate: FrameEstimate) -> bool:
        """Whether a frame is one of those that begin the over, before which there is nothing."""
        first, second = (self._known_frame(LEAD, place, estimate) < SURE for place in range(len(LEAD)))
        if first or second:
            self._held.clear()
            self.report.began, self._text = True, TextReceiver(0)
            self._number = 0 if second else -1
        elif self._number < 0:  # the second one, in a fade
            self._number = 0
            return True
        return first or second

    def settle(self) -> list[ReceivedFrame]:
        """End the search for the beginning: all frames since it."""
        self._settled = True
        while self._held and self._held[0][1].evidence <= VALID and not self.report.began:
            self._held.pop(0)
        if self._held:
            self.report.start_s = self._held[0][2] / BASEBAND_RATE
        waiting, self._held = self._held, []
        frames = []
        for each in waiting:
            self._held.append(each)
            frames += self._released()
        return frames

    def _released(self) -> list[ReceivedFrame]:
        """The frames that can be passed on now that one more is held.

        One that looks like the end waits for the next one; those of a doubtful stretch wait for a valid one.
        """
        first, second = (self._known_frame(END, place, self._held[-1][1]) for place in range(len(END)))
        before = self._known_frame(END, 0, self._held[-2][1]) if len(self._held) > 1 else 0.0
        if min(first, second, second + before) < SURE:
            passed = self._held[: -2 if second < first and before < LIKELY else -1]
            self._held, self.ended, self.report.ended = [], True, True
        elif first < LIKELY or self.doubtful:
            return []
        else:
            passed, self._held = self._held, []
        return [self._counted(*each) for each in passed]

    def _known_frame(self, kind: tuple[int, int], place: int, estimate: FrameEstimate) -> float:
        """ln of the probability that other contents look as much like a known frame as these cells."""
        cells = np.concatenate((self._profile.data_cells, self._profile.text_cells))
        expected = (estimate.gain * self._known[kind][place])[cells]
        received = estimate.cells[cells]
        power = np.square(np.abs(expected)).sum() * np.square(np.abs(received)).sum()
        likeness = float(np.square(np.abs(np.vdot(expected, received))) / max(power, 1e-300))
        return float((len(cells) - 1) * np.log(max(1 - likeness, 1e-12)))

    def _received(self, estimate: FrameEstimate) -> ReceivedFrame:
        """Symbols of the codec: copies combined in the ratio of their gains to their noise."""
        profile = self._profile
        cells, gain, noise = (each[profile.data_cells] for each in (estimate.cells, estimate.gain, estimate.noise))
        values = np.zeros(profile.uses, np.complex128)
        np.add.at(values, profile.contents, gain.conj() * cells / noise)
        power = np.bincount(profile.contents, np.square(np.abs(gain)) / noise, profile.uses)
        root = np.sqrt(np.maximum(power, 1e-30))
        unit = np.sqrt(noise.mean())
        shape = (TOKENS, profile.uses // TOKENS)
        symbols, gains = (unit * values / root).reshape(shape), (unit * root).reshape(shape)
        return ReceivedFrame(symbols, gains, np.full(TOKENS, noise.mean()), self.doubtful)

    def _counted(self, frame: ReceivedFrame, estimate: FrameEstimate, arrival: float) -> ReceivedFrame:
        """Take a frame that is passed on into the report."""
        report, profile, clock = self.report, self._profile, self.clock
        report.frames += 1
        report.end_s = max(report.end_s, (arrival + clock.frame) / BASEBAND_RATE)
        report.offset_hz, report.ppm = clock.offset_hz, clock.ppm
        if self._text is None:
            self._text = TextReceiver(None)
        text = profile.text_cells
        self._text.push(self._number, estimate.cells[text], estimate.gain[text], estimate.noise[text])
        self._number += 1
        if self._text.message is not None:
            report.text, report.weights = self._text.message.text, self._text.message.weights
        if estimate.evidence <= VALID:
            report.lost += 1
        else:
            self._measure(estimate)
        if int(report.frames * FRAME_S) > int((report.frames - 1) * FRAME_S):
            report.snr3k_db.append(self._snr3k_db(estimate))
        return frame

    def _snr3k_db(self, estimate: FrameEstimate) -> float:
        """SNR of the last second; noise is what is measured beside the band, where that can explain the pilots' error.

        The sender's limiter adds to that error, but not beside the band, and at most by :data:`DISTORTION`.
        """
        profile = self._profile
        noise = estimate.level
        if profile.bandwidth_hz <= WIDEST_WITH_GUARD_HZ:
            beside = float(np.median(self._beside)) / np.log(2)
            noise = min(noise, max(beside, noise - DISTORTION * estimate.power))
        ratio = (self._sums[0] - self._sums[2]) / max(self._sums[1] - self._sums[2], 1e-30)
        power = (estimate.power + estimate.level - noise) * float(np.clip(ratio, *RATIO_RANGE))
        return float(10 * np.log10(power / noise * profile.bandwidth_hz / SNR3K_BAND_HZ))

    def _measure(self, estimate: FrameEstimate) -> None:
        """Add a valid frame to the sums of which power and delay spread are made."""
        pilots = self._profile.pilot_cells
        power = np.square(np.abs(estimate.cells))
        self._sums += (power.mean(), power[pilots].mean(), estimate.level)
        gain = estimate.gain.reshape(SYMBOLS, -1)
        self._lags += (np.square(np.abs(gain)).mean(), (gain[:, LAG:] * gain[:, :-LAG].conj()).mean())
        likeness = min(abs(self._lags[1]) / max(abs(self._lags[0]), 1e-30), 1.0)
        self.report.delay_spread_s = float(np.sqrt(2 * (1 - likeness)) / (2 * np.pi * LAG * SPACING_HZ))
