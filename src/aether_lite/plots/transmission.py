"""Pictures that explain a transmission to someone who sees the system for the first time.

matplotlib is imported when a picture is drawn, and only its object interface is used: no window, no global state.
Colours: perceptually uniform maps, and blue and orange of the Okabe-Ito palette for original and received.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aether_lite.errors import AetherError
from aether_lite.features.layout import NUM_BANDS, NUM_FREE, PITCH, SAMPLE_RATE, VOICED_ABOVE, VOICING, f0_from_pitch
from aether_lite.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

Array = NDArray[np.float64]

FRAME_SECONDS = 0.01
TOKEN_SECONDS = 0.08  # of bits
LONGEST_SECONDS = 12.0  # of a longer clip the beginning is drawn
RANGE_DB = 60.0  # from the darkest to the brightest colour
MOST_SYMBOLS = 2000  # points of a constellation
USABLE_LOSS = 0.3  # feature loss at the limit of usable speech
BAND_HZ = (0, 200, 400, 600, 800, 1000, 1200, 1400, 1600, 2000, 2400, 2800, 3200, 4000, 4800, 5600, 6800, 8000)
F0_TICKS = (75, 100, 150, 200, 300, 400)  # [Hz]
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"
DPI = 120
SUFFIXES = (".png", ".svg", ".pdf")
COLUMNS = (1, 1, 0.025)  # relative widths: original, received, colour bar


def transmission_picture(
    path: str | Path,
    *,
    original_image: ArrayLike,
    received_image: ArrayLike,
    original_audio: ArrayLike,
    received_audio: ArrayLike,
    symbols: ArrayLike | None = None,
    received_symbols: ArrayLike | None = None,
    bits: ArrayLike | None = None,
    title: str,
    sample_rate: int = SAMPLE_RATE,
    f0_original: ArrayLike | None = None,
    f0_received: ArrayLike | None = None,
) -> None:
    """Draw one clip before and after the channel: speech image, spectrogram, F0 contour, constellation or bits.

    Args:
        path: the PNG (or, by suffix, SVG or PDF) to write; whole or not at all.
        original_image: ``[F, 20]`` physical rows of the speech image: log10 energies of the 18 Bark bands, pitch
            [octaves], frame correlation.
        received_image: ``[F', 20]``, the same of what was decoded.
        original_audio: ``[N]`` samples.
        received_audio: ``[N']`` samples, aligned with the original.
        symbols: complex, any shape: what was sent.
        received_symbols: complex, of the same shape: what arrived.
        bits: in the place of symbols, soft bits ``[K, n]`` times the bits that were sent: 1 surely right, 0 lost, -1
            surely wrong.
        title: one line over it all.
        sample_rate: [Hz] of both signals.
        f0_original: ``[F]`` [Hz], 0 or NaN where unvoiced; by default from the image.
        f0_received: ``[F']``, likewise.

    Raises:
        AetherError: the file cannot be written.
        ValueError: a shape is wrong.
    """
    sides = []
    for image, audio, f0 in (
        (original_image, original_audio, f0_original),
        (received_image, received_audio, f0_received),
    ):
        rows = np.asarray(image, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != NUM_FREE:
            raise ValueError(f"a speech image must be [F, {NUM_FREE}], not {rows.shape}")
        samples = np.asarray(audio, dtype=np.float64)
        if samples.ndim != 1:
            raise ValueError(f"audio must be [N], not {samples.shape}")
        contour = _f0_of(rows) if f0 is None else np.array(f0, dtype=np.float64)
        if contour.ndim != 1:
            raise ValueError(f"F0 must be [F], not {contour.shape}")
        contour[~(contour > 0)] = np.nan
        sides.append((rows, samples, contour))
    sent, arrived = (np.zeros(0) if side is None else np.asarray(side).ravel() for side in (symbols, received_symbols))
    if sent.shape != arrived.shape:
        raise ValueError(f"{sent.size} symbols were sent but {arrived.size} arrived")
    if bits is None and symbols is None:
        raise ValueError("neither symbols nor bits were given")

    longest = max(max(len(rows) * FRAME_SECONDS, len(audio) / sample_rate) for rows, audio, _ in sides)
    seconds = min(longest, LONGEST_SECONDS)
    cut = f" (first {seconds:g} s of {longest:.0f} s)" if longest > seconds else ""
    with _drawing(path, (12.8, 10.5)) as figure:
        figure.suptitle(title + cut, fontsize=15)
        grid = figure.add_gridspec(3, 3, height_ratios=(1.35, 1, 1), width_ratios=COLUMNS, hspace=0.05)
        _draw_images(figure, grid, [rows for rows, _, _ in sides], seconds)
        _draw_spectrograms(figure, grid, [audio for _, audio, _ in sides], sample_rate, seconds)
        _draw_f0(figure.add_subplot(grid[2, 0]), [contour for _, _, contour in sides], seconds)
        if bits is None:
            _draw_constellation(figure.add_subplot(grid[2, 1:]), sent, arrived)
        else:
            _draw_bits(
                figure, figure.add_subplot(grid[2, 1]), figure.add_subplot(grid[2, 2]), np.asarray(bits), seconds
            )


def rate_snr_picture(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Draw feature loss against Es/N0, one line for each rate.

    Args:
        path: the PNG (or, by suffix, SVG or PDF) to write; whole or not at all.
        rows: each with ``rate`` [uses/s], ``snr_db`` (Es/N0 [dB]) and ``feature_loss`` (> 0); rows with another
            ``system`` than the first row's, if given, are drawn dashed, for comparison.

    Raises:
        AetherError: there are no rows, or the file cannot be written.
    """
    lines: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for row in rows:
        line = lines.setdefault((str(row.get("system", "")), int(row["rate"])), [])
        line.append((float(row["snr_db"]), float(row["feature_loss"])))
    if not lines:
        raise AetherError(f"{path}: nothing to draw; give at least one row of rate, snr_db and feature_loss")
    own = next(iter(lines))[0]
    rates = sorted({rate for _, rate in lines})
    with _drawing(path, (9, 6)) as figure:
        from matplotlib import colormaps
        from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator

        axes = figure.add_subplot()
        shades = colormaps["viridis"](np.linspace(0.85, 0.0, len(rates)))
        for index, ((system, rate), points) in enumerate(sorted(lines.items(), key=lambda item: item[0][1])):
            x, y = np.array(sorted(points)).T
            style: dict[str, Any] = {"marker": "osD^vP*X"[index % 8], "ls": "-", "lw": 2.0}
            if system != own:
                style = {"marker": "x", "ls": (0, (4, 2)), "lw": 1.5}
            label = f"{system} {rate} uses/s".strip()
            axes.plot(x, y, color=shades[rates.index(rate)], ms=6, label=label, **style)
        losses = [loss for points in lines.values() for _, loss in points]
        axes.axhline(USABLE_LOSS, color=GREY, ls=":", lw=1.5)
        axes.annotate(
            "about the limit of usable speech",
            (1, USABLE_LOSS),
            (-6, 4),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            ha="right",
            color=GREY,
        )
        axes.set_yscale("log")
        axes.set_ylim(min([0.8 * min(losses), 0.9 * USABLE_LOSS]), max(1.2 * max(losses), 1.2 * USABLE_LOSS))
        axes.yaxis.set_major_locator(FixedLocator([m * 10.0**e for e in range(-4, 3) for m in (1, 2, 3, 5, 7)]))
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("signal-to-noise ratio Es/N0 per symbol [dB]")
        axes.set_ylabel("feature loss (log scale; lower is better)")
        axes.set_title("Speech quality against channel quality")
        axes.grid(alpha=0.3)
        axes.legend(title="rate (channel uses per second)", loc="upper right")


@contextmanager
def _drawing(path: str | Path, size: tuple[float, float]) -> Iterator[Figure]:
    """An empty figure of that size [inches], saved when the block ends well."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if Path(path).suffix.lower() not in SUFFIXES:
        raise AetherError(f"{path}: unknown suffix {Path(path).suffix!r}; give {', '.join(SUFFIXES)}")
    with atomic_path(path) as partial:
        figure = Figure(figsize=size, dpi=DPI, layout=ConstrainedLayoutEngine(h_pad=0.03, hspace=0.0))
        yield figure
        figure.savefig(partial)


def _f0_of(rows: Array) -> Array:
    """F0 ``[F]`` [Hz] of image rows, NaN where unvoiced."""
    return np.where(rows[:, VOICING] > VOICED_ABOVE, f0_from_pitch(rows[:, PITCH]), np.nan)


def _draw_images(figure: Figure, grid: GridSpec, images: list[Array], seconds: float) -> None:
    """Top row: the Bark plane of each side over its pitch and voicing strips, on common colour scales."""
    planes = [10 * rows[:, :NUM_BANDS].T for rows in images]
    top = float(np.percentile(planes[0].max(axis=0), 99)) if planes[0].size else 0.0
    contours = [_f0_of(rows) for rows in images]
    inner = grid[0, :].subgridspec(3, 3, height_ratios=(1, 0.1, 0.1), width_ratios=COLUMNS, hspace=0.0)
    for column, name in enumerate(("Original", "Received")):
        plane, pitch, voicing = (figure.add_subplot(inner[row, column]) for row in range(3))
        rows, end = images[column], len(images[column]) * FRAME_SECONDS
        f0 = np.log2(contours[column])[None]
        drawn = (
            plane.imshow(planes[column], cmap="magma", vmin=top - RANGE_DB, vmax=top, **_over(end, -0.5, 17.5)),
            pitch.imshow(f0, cmap="viridis", vmin=np.log2(75), vmax=np.log2(400), **_over(end, 0, 1)),
            voicing.imshow(rows[None, :, VOICING], cmap="cividis", vmin=-0.5, vmax=0.5, **_over(end, 0, 1)),
        )
        plane.set_title(f"{name} speech image" + (": what the codec sends" if column == 0 else ""))
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
    bars = [figure.add_subplot(inner[row, 2]) for row in range(3)]
    figure.colorbar(drawn[0], cax=bars[0], label="band level [dB]")
    bar = figure.colorbar(drawn[1], cax=bars[1])
    bar.set_ticks([np.log2(75), np.log2(400)], labels=["75 Hz", "400 Hz"], fontsize=8)
    bar = figure.colorbar(drawn[2], cax=bars[2])
    bar.set_ticks([-0.5, 0.5], labels=["noisy", "voiced"], fontsize=8)


def _over(end: float, low: float, high: float) -> dict[str, Any]:
    """How an image lies over the axes: time from 0 to ``end`` [s], rows from ``low`` at the bottom to ``high``."""
    return {
        "extent": (0, end, low, high),
        "origin": "lower",
        "aspect": "auto",
        "interpolation": "nearest",
    }


def _draw_spectrograms(figure: Figure, grid: GridSpec, audio: list[Array], rate: int, seconds: float) -> None:
    """Second row: spectrograms on a common colour scale."""
    pictures = [_spectrogram(samples[: round(seconds * rate)], rate) for samples in audio]
    top = float(np.percentile(pictures[0], 99.9))
    for column, name in enumerate(("Original", "Received")):
        axes = figure.add_subplot(grid[1, column])
        shown = axes.imshow(
            pictures[column],
            cmap="magma",
            vmin=top - RANGE_DB,
            vmax=top,
            **_over(pictures[column].shape[1] * FRAME_SECONDS, 0, rate / 2000),
        )
        axes.set(xlim=(0, seconds), ylim=(0, min(8, rate / 2000)), xlabel="time [s]", ylabel="frequency [kHz]")
        axes.set_title(f"{name} sound: spectrogram")
    figure.colorbar(shown, cax=figure.add_subplot(grid[1, 2]), label="level [dB]")


def _spectrogram(samples: Array, rate: int) -> Array:
    """Level ``[bins, frames]`` [dB] in Hann windows of 25 ms, every 10 ms."""
    width, hop = rate // 40, rate // 100
    padded = np.pad(samples, (width // 2, width))
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)[::hop][: max(1, len(samples) // hop)]
    power = np.abs(np.fft.rfft(windows * np.hanning(width), n=2 * width)) ** 2
    return np.asarray(10 * np.log10(power.T + 1e-10))


def _draw_f0(axes: Axes, contours: list[Array], seconds: float) -> None:
    """F0 of both sides over each other, gaps where unvoiced."""
    styles = ((BLUE, 5.0, 0.45, "original"), (ORANGE, 1.6, 1.0, "received"))
    for contour, (colour, width, alpha, name) in zip(contours, styles, strict=True):
        time = (np.arange(len(contour)) + 0.5) * FRAME_SECONDS
        axes.plot(time, contour, color=colour, lw=width, alpha=alpha, label=name, solid_capstyle="round")
    axes.set_yscale("log")
    axes.set_yticks(F0_TICKS, [str(tick) for tick in F0_TICKS])
    axes.minorticks_off()
    axes.set(xlim=(0, seconds), ylim=(60, 500), xlabel="time [s]", ylabel="F0 [Hz]")
    axes.set_title("Melody of the voice (where voiced)")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", ncols=2)


def _draw_bits(figure: Figure, axes: Axes, bar: Axes, bits: Array, seconds: float) -> None:
    """How right every received bit is: tokens over time, the most important bit below."""
    colours = axes.imshow(
        bits.T, cmap="RdBu", vmin=-1, vmax=1, origin="lower", aspect="auto", interpolation="nearest",
        extent=(0, len(bits) * TOKEN_SECONDS, 0, bits.shape[1]),
    )  # fmt: skip
    axes.set(xlim=(0, seconds), xlabel="time [s]", ylabel="bit of the token")
    axes.set_title(f"Soft bits times bits sent ({bits.size} bits)")
    figure.colorbar(colours, cax=bar, label="1 right, 0 lost, -1 wrong")


def _draw_constellation(axes: Axes, sent: NDArray[Any], arrived: NDArray[Any]) -> None:
    """Sent symbols over received ones; of many symbols, an even choice."""
    chosen = slice(None, None, max(1, -(-sent.size // MOST_SYMBOLS)))
    for points, colour, size, alpha, name in (
        (arrived[chosen], ORANGE, 9, 0.4, "received"),
        (sent[chosen], BLUE, 6, 0.7, "sent"),
    ):
        axes.scatter(points.real, points.imag, s=size, color=colour, alpha=alpha, lw=0, label=name)
    both = np.concatenate([np.abs(sent), np.abs(arrived), [1.0]])
    reach = 1.15 * float(np.percentile(both, 99.5))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="in phase", ylabel="quadrature")
    axes.set_aspect("equal", adjustable="box")
    axes.set_title(f"Symbols on the air ({sent.size} complex numbers)")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), markerscale=2.5)
