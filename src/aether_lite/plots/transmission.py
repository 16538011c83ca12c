"""One transmission on a page (speech image, spectrogram, F0 contour, symbols or bits), and quality against SNR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.errors import AetherError
from aether_lite.features.layout import BAND_BINS, NUM_BANDS, NUM_FREE, SAMPLE_RATE, VOICING
from aether_lite.plots.canvas import (
    BLUE,
    F0_LIMITS,
    FRAME_SECONDS,
    GREY,
    ORANGE,
    RANGE_DB,
    Array,
    canvas,
    draw_f0,
    draw_image,
    draw_spectrogram,
    f0_contour,
    spectrogram,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

TOKEN_SECONDS = 0.08  # of bits
LONGEST_SECONDS = 12.0  # of a longer clip the beginning is drawn
MOST_SYMBOLS = 2000  # points of a constellation
USABLE_LOSS = 0.3  # feature loss at the limit of usable speech
BAND_HZ = tuple(50 * int(index) for index in BAND_BINS)
F0_COLOURS_HZ = (75, 400)  # ends of the pitch strip's colour scale
COLUMNS = (1, 1, 0.025)  # relative widths: original, received, colour bar
SIDES = ("Original", "Received")


def transmission_picture(
    path: str | Path,
    *,
    original_image: ArrayLike, received_image: ArrayLike, original_audio: ArrayLike, received_audio: ArrayLike,
    symbols: ArrayLike | None = None, received_symbols: ArrayLike | None = None, bits: ArrayLike | None = None,
    title: str,
) -> None:  # fmt: skip
    """Draw one clip before and after the channel: speech image, spectrogram, F0 contour, constellation or bits.

    Args:
        path: PNG, SVG or PDF to write.
        original_image, received_image: ``[F, 20]`` rows of the speech image: log10 energies of the 18 Bark bands,
            pitch [octaves], frame correlation.
        original_audio, received_audio: ``[N]`` samples at 16 kHz, aligned.
        symbols, received_symbols: complex, any one shape.
        bits: instead of symbols, soft bits ``[K, n]`` times the bits sent: 1 surely right, 0 erased, -1 surely wrong.
        title: one line above the figure.

    Raises:
        AetherError: the file cannot be written.
        ValueError: a shape is wrong, or neither symbols nor bits were given.
    """
    images = [np.asarray(image, dtype=np.float64) for image in (original_image, received_image)]
    audio = [np.asarray(samples, dtype=np.float64) for samples in (original_audio, received_audio)]
    for rows, samples in zip(images, audio, strict=True):
        if rows.ndim != 2 or rows.shape[1] != NUM_FREE:
            raise ValueError(f"a speech image must be [F, {NUM_FREE}], not {rows.shape}")
        if samples.ndim != 1:
            raise ValueError(f"audio must be [N], not {samples.shape}")
    sent, arrived = (np.zeros(0) if side is None else np.asarray(side).ravel() for side in (symbols, received_symbols))
    if sent.shape != arrived.shape:
        raise ValueError(f"{sent.size} symbols were sent but {arrived.size} arrived")
    if bits is None and symbols is None:
        raise ValueError("neither symbols nor bits were given")

    longest = max(*(len(rows) * FRAME_SECONDS for rows in images), *(len(samples) / SAMPLE_RATE for samples in audio))
    seconds = min(longest, LONGEST_SECONDS)
    cut = f" (first {seconds:g} s of {longest:.0f} s)" if longest > seconds else ""
    with canvas(path, 12.8, 10.5) as figure:
        figure.suptitle(title + cut, fontsize=15)
        engine: Any = figure.get_layout_engine()
        engine.set(h_pad=0.03, hspace=0.0)
        # One grid, so that the time axes of a column lie exactly below each other.
        grid = figure.add_gridspec(5, 3, height_ratios=(1.12, 0.11, 0.11, 1, 1), width_ratios=COLUMNS)
        _draw_images(figure, grid, images, seconds)
        _draw_spectrograms(figure, grid, audio, seconds)
        _draw_contours(figure.add_subplot(grid[4, 0]), images, seconds)
        if bits is None:
            _draw_constellation(figure.add_subplot(grid[4, 1:]), sent, arrived)
        else:
            panels = figure.add_subplot(grid[4, 1]), figure.add_subplot(grid[4, 2])
            _draw_bits(figure, *panels, np.asarray(bits), seconds)


def rate_snr_picture(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Draw feature loss against Es/N0, one line for each rate, as PNG, SVG or PDF.

    Args:
        path: to write.
        rows: each with ``rate`` [uses/s], ``snr_db`` (Es/N0 [dB]) and ``feature_loss`` (> 0).

    Raises:
        AetherError: there are no rows, or the file cannot be written.
    """
    lines: dict[int, list[tuple[float, float]]] = {}
    for row in rows:
        lines.setdefault(int(row["rate"]), []).append((float(row["snr_db"]), float(row["feature_loss"])))
    if not lines:
        raise AetherError(f"{path}: nothing to draw; give at least one row of rate, snr_db and feature_loss")
    with canvas(path, 9, 6) as figure:
        from matplotlib import colormaps
        from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator

        axes = figure.add_subplot()
        shades = colormaps["viridis"](np.linspace(0.85, 0.0, len(lines)))
        for (rate, points), shade, marker in zip(sorted(lines.items()), shades, cycle("osD^vP*X"), strict=False):
            axes.plot(*np.array(sorted(points)).T, color=shade, marker=marker, ms=6, lw=2.0, label=f"{rate} uses/s")
        losses = [loss for points in lines.values() for _, loss in points]
        axes.set_yscale("log")
        mark_usable_loss(axes)
        axes.set_ylim(min(0.8 * min(losses), 0.9 * USABLE_LOSS), max(1.2 * max(losses), 1.2 * USABLE_LOSS))
        axes.yaxis.set_major_locator(FixedLocator([m * 10.0**e for e in range(-4, 3) for m in (1, 2, 3, 5, 7)]))
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("signal-to-noise ratio Es/N0 per symbol [dB]")
        axes.set_ylabel("feature loss (log scale; lower is better)")
        axes.set_title("Speech quality against channel quality")
        axes.grid(alpha=0.3)
        axes.legend(title="rate (channel uses per second)", loc="upper right")


def mark_usable_loss(axes: Axes, **text: Any) -> None:
    """Draw a line at the feature loss up to which speech is usable; ``text`` is the annotation's style."""
    axes.axhline(USABLE_LOSS, color=GREY, ls=":", lw=1.5)
    axes.annotate(
        "about the limit of usable speech", (1, USABLE_LOSS), (-6, 4), ha="right", color=GREY,
        xycoords=axes.get_yaxis_transform(), textcoords="offset points", **text,
    )  # fmt: skip


def _draw_images(figure: Figure, grid: GridSpec, images: list[Array], seconds: float) -> None:
    """Top rows: the Bark bands of each side over its pitch and voicing strips, on common colour scales."""
    bands = [10 * rows[:, :NUM_BANDS].T for rows in images]
    top = float(np.percentile(bands[0].max(axis=0), 99)) if bands[0].size else 0.0
    low, high = np.log2(F0_COLOURS_HZ)
    for column, name in enumerate(SIDES):
        plane, pitch, voicing = (figure.add_subplot(grid[row, column]) for row in range(3))
        f0 = np.log2(f0_contour(images[column]))[None]
        drawn = (
            draw_image(plane, bands[column], (-0.5, 17.5), cmap="magma", vmin=top - RANGE_DB, vmax=top),
            draw_image(pitch, f0, (0, 1), cmap="viridis", vmin=low, vmax=high),
            draw_image(voicing, images[column][None, :, VOICING], (0, 1), cmap="cividis", vmin=-0.5, vmax=0.5),
        )
        plane.set_title(f"{name} speech image")
        plane.set_yticks(range(NUM_BANDS), [str(hertz) for hertz in BAND_HZ], fontsize=8)
        plane.set_ylabel("band centre [Hz]")
        pitch.set_facecolor("#EEEEEE")  # unvoiced
        pitch.set_yticks([0.5], ["pitch"])
        voicing.set_yticks([0.5], ["voicing"])
        voicing.set_xlabel("time [s]")
        for axes in (plane, pitch, voicing):
            axes.set_xlim(0, seconds)
            if axes is not voicing:
                axes.tick_params(bottom=False, labelbottom=False)
    bars = [figure.add_subplot(grid[row, 2]) for row in range(3)]
    figure.colorbar(drawn[0], cax=bars[0], label="band level [dB]")
    for image, bar, ticks, labels in (
        (drawn[1], bars[1], (low, high), [f"{hertz} Hz" for hertz in F0_COLOURS_HZ]),
        (drawn[2], bars[2], (-0.5, 0.5), ["noisy", "voiced"]),
    ):
        figure.colorbar(image, cax=bar).set_ticks(ticks, labels=labels, fontsize=8)


def _draw_spectrograms(figure: Figure, grid: GridSpec, audio: list[Array], seconds: float) -> None:
    """Spectrograms on a common colour scale."""
    levels = [spectrogram(samples[: round(seconds * SAMPLE_RATE)]) for samples in audio]
    top = float(np.percentile(levels[0], 99.9))
    for column, name in enumerate(SIDES):
        axes = figure.add_subplot(grid[3, column])
        shown = draw_spectrogram(axes, levels[column], top)
        axes.set(xlim=(0, seconds), xlabel="time [s]", ylabel="frequency [kHz]", title=f"{name} spectrogram")
    figure.colorbar(shown, cax=figure.add_subplot(grid[3, 2]), label="level [dB]")


def _draw_contours(axes: Axes, images: list[Array], seconds: float) -> None:
    """F0 of both sides over each other."""
    styles: tuple[dict[str, Any], ...] = (
        {"color": BLUE, "lw": 5.0, "alpha": 0.45, "label": "original"},
        {"color": ORANGE, "lw": 1.6, "label": "received"},
    )
    draw_f0(axes, [(f0_contour(rows), style) for rows, style in zip(images, styles, strict=True)], F0_LIMITS)
    axes.set(xlim=(0, seconds), xlabel="time [s]", title="F0 contour (voiced frames)")
    axes.legend(loc="upper right", ncols=2)


def _draw_bits(figure: Figure, axes: Axes, bar: Axes, bits: Array, seconds: float) -> None:
    """Soft bits times sent bits: tokens over time, the most important bit at the bottom."""
    colours = axes.imshow(
        bits.T, cmap="RdBu", vmin=-1, vmax=1, origin="lower", aspect="auto", interpolation="nearest",
        extent=(0, len(bits) * TOKEN_SECONDS, 0, bits.shape[1]),
    )  # fmt: skip
    axes.set(xlim=(0, seconds), xlabel="time [s]", ylabel="bit of the token")
    axes.set_title(f"Soft bits times bits sent ({bits.size} bits)")
    figure.colorbar(colours, cax=bar, label="1 right, 0 erased, -1 wrong")


def _draw_constellation(axes: Axes, sent: NDArray[Any], arrived: NDArray[Any]) -> None:
    """Sent symbols over received ones; of many, evenly chosen ones."""
    chosen = slice(None, None, max(1, -(-sent.size // MOST_SYMBOLS)))
    for points, colour, size, alpha, name in ((arrived, ORANGE, 9, 0.4, "received"), (sent, BLUE, 6, 0.7, "sent")):
        axes.scatter(points.real[chosen], points.imag[chosen], s=size, color=colour, alpha=alpha, lw=0, label=name)
    both = np.concatenate([np.abs(sent), np.abs(arrived), [1.0]])
    reach = 1.15 * float(np.percentile(both, 99.5))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="in-phase", ylabel="quadrature")
    axes.set_aspect("equal", adjustable="box")
    axes.set_title(f"Symbols ({sent.size} channel uses)")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), markerscale=2.5)
