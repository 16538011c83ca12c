"""Pictures of one clip over every system: spectrograms in strips, and F0 contours over the original's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aether_lite.baselines import Condition
from aether_lite.bench.about import About
from aether_lite.bench.heard import Example, Sound
from aether_lite.bench.results import condition_text
from aether_lite.bench.summary import Summary
from aether_lite.features.layout import FRAME, PITCH, SAMPLE_RATE, VOICED_ABOVE, VOICING, f0_from_pitch
from aether_lite.plots.canvas import GREY, canvas, foot, style_of

RANGE_DB = 60.0  # from the darkest to the brightest colour
TOP_PERCENTILE = 99.5  # of the original's levels: the brightest colour
STRIP_INCHES = 1.15
WIDTH_INCHES = 10.0
F0_TICKS = (75, 100, 150, 200, 300, 400)  # [Hz]


def spectrogram_strips(
    path: Path, about: About, summaries: Sequence[Summary], example: Example, condition: Condition
) -> None:
    """The original over what every system made of it at one condition, on one colour scale."""
    sounds = example.at(condition)
    pictures = [spectrogram(example.clip.speech), *(spectrogram(sound.audio) for sound in sounds)]
    names = ["original", *(about.system(sound.system).title for sound in sounds)]
    top = float(np.percentile(pictures[0], TOP_PERCENTILE))
    title = f"{example.clip.name}: {condition_text(condition)}"
    text = foot(about, _shown(summaries, sounds))
    with canvas(path, WIDTH_INCHES, STRIP_INCHES * len(pictures) + 0.8, title, text) as figure:
        seconds = len(example.clip.speech) / SAMPLE_RATE
        strips = []
        for index, (picture, name) in enumerate(zip(pictures, names, strict=True)):
            axes = figure.add_subplot(len(pictures), 1, index + 1)
            image = axes.imshow(
                picture, cmap="magma", vmin=top - RANGE_DB, vmax=top, origin="lower", aspect="auto",
                extent=(0, seconds, 0, SAMPLE_RATE / 2000),
            )  # fmt: skip
            axes.set_yticks([0, 4, 8])
            axes.set_ylabel("kHz", fontsize=8)
            axes.set_title(name, fontsize=9, loc="left", pad=2)
            axes.tick_params(labelbottom=index == len(pictures) - 1, labelsize=8)
            strips.append(axes)
        strips[-1].set_xlabel("time [s]")
        figure.colorbar(image, ax=strips, label="level [dB]", shrink=0.6, pad=0.01)


def f0_overlays(path: Path, about: About, summaries: Sequence[Summary], example: Example, condition: Condition) -> None:
    """F0 of every system at one condition over the original's, gaps where unvoiced."""
    sounds = [sound for sound in example.at(condition) if sound.condition is not None]
    original = f0_contour(example.clip.features)
    title = f"{example.clip.name}: melody, {condition_text(condition)}"
    height = (STRIP_INCHES + 0.2) * len(sounds) + 0.8
    with canvas(path, WIDTH_INCHES, height, title, foot(about, _shown(summaries, sounds))) as figure:
        for index, sound in enumerate(sounds):
            axes = figure.add_subplot(len(sounds), 1, index + 1)
            for contour, style in (
                (original, {"color": GREY, "lw": 4.5, "alpha": 0.45, "label": "original"}),
                (f0_contour(sound.features), {"color": style_of(about, sound.system)["color"], "lw": 1.4}),
            ):
                axes.plot((np.arange(len(contour)) + 0.5) * FRAME / SAMPLE_RATE, contour, **style)
            axes.set_yscale("log")
            axes.set_yticks(F0_TICKS, [str(tick) for tick in F0_TICKS], fontsize=7)
            axes.minorticks_off()
            voiced = original[np.isfinite(original)]
            low, high = (0.7 * voiced.min(), 1.4 * voiced.max()) if voiced.size else (60, 500)
            axes.set(ylim=(low, high), xlim=(0, len(original) * FRAME / SAMPLE_RATE), ylabel="F0 [Hz]")
            axes.set_title(f"{about.system(sound.system).title}, original in grey", fontsize=9, loc="left", pad=2)
            axes.grid(alpha=0.3)
            axes.tick_params(labelbottom=index == len(sounds) - 1, labelsize=8)
        figure.axes[-1].set_xlabel("time [s]")


def spectrogram(audio: Tensor) -> NDArray[np.float64]:
    """Level ``[bins, frames]`` [dB] of samples ``[N]`` in Hann windows of 25 ms, every 10 ms."""
    width = SAMPLE_RATE // 40
    samples = audio.double().numpy()
    padded = np.pad(samples, (width // 2, width))
    frames = max(1, len(samples) // FRAME)
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)[::FRAME][:frames]
    power = np.abs(np.fft.rfft(windows * np.hanning(width), n=2 * width)) ** 2
    return np.asarray(10 * np.log10(power.T + 1e-10))


def f0_contour(features: Tensor) -> NDArray[np.float64]:
    """F0 ``[F]`` [Hz] of features ``[F, 20]``, NaN where unvoiced."""
    rows: Any = features.double().numpy()
    return np.where(rows[:, VOICING] > VOICED_ABOVE, f0_from_pitch(rows[:, PITCH]), np.nan)


def _shown(summaries: Sequence[Summary], sounds: Sequence[Sound]) -> list[Summary]:
    names = {sound.system for sound in sounds}
    return [s for s in summaries if s.system in names]
