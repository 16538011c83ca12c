"""What a receiver got: spectrum of the audio over time, SNR of every over, received symbols."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.plots.canvas import BLUE, COLOURS, TOP_PERCENTILE, canvas, draw_spectrogram, spectrogram

if TYPE_CHECKING:
    from aether_lite.modem import OverReport

BAND_KHZ = 3.2
MOST_POINTS = 3000


def radio_picture(
    path: str | Path, audio: Any, overs: Sequence[OverReport], symbols: Sequence[Any], title: str
) -> None:
    """Draw a recording as PNG, SVG or PDF.

    Args:
        path: to write.
        audio: ``[N]`` at 16 kHz.
        overs: what became known of each.
        symbols: received ones, complex, in units of their mean gain.
        title: above the figure.

    Raises:
        AetherError: the file cannot be written.
    """
    with canvas(path, 11, 7.5, title) as figure:
        grid = figure.add_gridspec(2, 2, width_ratios=(2.4, 1))
        above, course = figure.add_subplot(grid[0, :]), figure.add_subplot(grid[1, 0])
        points = figure.add_subplot(grid[1, 1])
        levels = spectrogram(np.pad(audio, (0, max(0, SAMPLE_RATE // 10 - len(audio)))))
        draw_spectrogram(above, levels, float(np.percentile(levels, TOP_PERCENTILE)))
        above.set(ylim=(0, BAND_KHZ), xlabel="time [s]", ylabel="frequency [kHz]", title="Received audio")
        for place, over in enumerate(overs):
            colour = COLOURS[place % len(COLOURS)]
            text = over.text or f"{over.profile.rate} uses/s"
            for axes in (above, course):
                axes.axvspan(over.start_s, over.end_s, ymin=0.0, ymax=0.03, color=colour)
            seconds = over.start_s + 1.0 + np.arange(len(over.snr3k_db))
            course.plot(seconds, over.snr3k_db, ".-", color=colour, label=f"{text}, {over.offset_hz:+.1f} Hz")
        course.set(xlim=(0, max(len(audio) / SAMPLE_RATE, 0.1)), xlabel="time [s]", ylabel="SNR in 3 kHz [dB]")
        course.set_title("SNR of each second")
        course.grid(alpha=0.3)
        if overs:
            course.legend(loc="upper right")
        values = np.concatenate([np.zeros(0, np.complex128), *symbols])
        shown = values[:: max(1, len(values) // MOST_POINTS)]
        points.scatter(shown.real, shown.imag, s=4, color=BLUE, alpha=0.4, lw=0)
        points.set(xlim=(-3, 3), ylim=(-3, 3), xlabel="in-phase", ylabel="quadrature", title="Received symbols")
        points.set_aspect("equal", adjustable="box")
        points.grid(alpha=0.3)
