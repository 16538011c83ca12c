"""Options of a training run of the vocoder."""

# ruff: noqa: RUF009  (`option` makes dataclass fields)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from aether_lite.training.options import RunConfig, check_rules, option
from aether_lite.vocoder import fargan, hnsf
from aether_lite.vocoder.discriminators import SPECTROGRAM_SIZES
from aether_lite.vocoder.registry import DEFAULT_VOCODER

KNOWN_FRAMES = 2  # frames of each item that are given: they start FARGAN; Opus, FARGAN


class Form(NamedTuple):
    """What a training item of a kind of vocoder consists of."""

    known: int  # frames that are given
    first_row: int  # row of the first frame
    context: int  # rows beyond the frames


FORMS = {
    fargan.FARGAN.kind: Form(KNOWN_FRAMES, fargan.FIRST_ROW, fargan.CONTEXT_ROWS),
    hnsf.KIND: Form(0, hnsf.FIRST_ROW, hnsf.CONTEXT_ROWS),
}


@dataclass
class VocoderConfig(RunConfig):
    """Options of ``train-vocoder``."""

    DESCRIPTION: ClassVar[str] = (
        "Train a vocoder on DATA_ROOT (made by `aether-lite prepare`): first on spectra, then against "
        "discriminators. Ctrl-C saves; the same command continues."
    )
    START: ClassVar[str] = "init"
    REMOVED: ClassVar[Mapping[str, str]] = {
        "gan_loss": "the GAN is trained with least squares",
        "periods": "the discriminators are those of spectrograms, --spectrogram_sizes",
    }

    data_root: list[str] = option(
        [], "folders of NAME.f32/NAME.pcm pairs to train on, as --data_root too", positional=True, path=True, free=True
    )
    vocoder: str = option(DEFAULT_VOCODER, "kind of the vocoder", choices=tuple(FORMS))
    batch: int = option(128, "items a spectral step, over all processes together")
    frames: int = option(15, "frames of 10 ms made of each item in a spectral step")
    adversarial_batch: int = option(32, "items an adversarial step, over all processes together")
    adversarial_frames: int = option(40, "frames made of each item in an adversarial step")
    augment_share: float = option(0.2, "share of items with gain, filter and noise augmentation")
    decoded_share: float = option(0.25, "share of items whose features went through the codec at a random SNR")
    codec: str = option("", "codec those went through (.safetensors); default: the released codec", path=True)
    init: str = option(
        "", "vocoder weights to start from (.pth or .safetensors) or a released name; default: random", path=True
    )
    spectral_steps: int = option(6000, "steps on spectra alone", length=True)
    adversarial_steps: int = option(1000, "steps with discriminators after that", length=True)
    discriminator_steps: int = option(
        200, "first adversarial steps, in which only the discriminators learn", was=("critic_steps",)
    )
    log_weight: float = option(0.0, "weight of the distance of log spectra beside that of root spectra")
    spectral_weight: float = option(5.0, "weight of the spectral loss in adversarial steps")
    matching_weight: float = option(1.0, "weight of feature matching in adversarial steps")
    spectrogram_sizes: list[int] = option(list(SPECTROGRAM_SIZES), "FFT sizes of the discriminators [samples]")
    discriminator_channels: int = option(256, "channels of the widest layer of these discriminators")
    learning_rate: float = option(1e-3, "peak learning rate of spectral steps")
    adversarial_rate: float = option(1e-4, "learning rate of the vocoder in adversarial steps")
    discriminator_rate: float = option(2e-4, "learning rate of the discriminators", was=("critic_rate",))
    warmup: int = option(50, "steps in which the learning rate rises")
    final_rate: float = option(0.02, "learning rate at the end of a stage, relative to its peak")
    weight_decay: float = option(0.01, "decoupled weight decay in spectral steps")
    out: str = option("runs/vocoder", "folder of the run: checkpoints, log, audio, pictures", path=True, free=True)
    keep: int = option(2, "checkpoints kept besides the best", free=True)
    valid_clips: int = option(12, "clips vocoded at a validation", free=True)
    compiled: bool = option(
        False, "compile the sub-frame with torch.compile (needs a C++ compiler, or a GPU)", free=True
    )
    captured: bool = option(
        True, "on a single GPU, record each kind of step once as a CUDA graph and replay it", free=True
    )

    @property
    def steps(self) -> int:
        return self.spectral_steps + self.adversarial_steps

    @property
    def form(self) -> Form:
        """That of the kind of vocoder."""
        return FORMS[self.vocoder]

    @property
    def exported(self) -> Path:
        return Path(self.out) / "vocoder.safetensors"

    def check(self) -> None:
        shortest = 2 * max([2560, *self.spectrogram_sizes]) // (4 * 160) + 1  # frames; half of the largest transform
        weights = (self.log_weight, self.spectral_weight, self.matching_weight)
        check_rules(
            (self.vocoder in FORMS, f"vocoder: one of {', '.join(FORMS)}"),
            (self.adversarial_batch >= 1, "adversarial_batch: at least 1"),
            (min(self.frames, self.adversarial_frames) >= shortest, f"frames, adversarial_frames: from {shortest}"),
            (min(self.spectral_steps, self.adversarial_steps, self.discriminator_steps) >= 0, "steps: at least 0"),
            (set(self.spectrogram_sizes) <= set(SPECTROGRAM_SIZES), f"spectrogram_sizes: of {SPECTROGRAM_SIZES}"),
            (self.discriminator_channels >= 1, "discriminator_channels: from 1"),
            (len(self.spectrogram_sizes) > 0, "spectrogram_sizes: at least one"),
            (min(weights) >= 0, "*_weight: from 0"),
            (min(self.adversarial_rate, self.discriminator_rate) > 0, "*_rate: above 0"),
            (0 <= self.decoded_share <= 1, "decoded_share: shares are 0 to 1"),
            (self.valid_clips >= 1, "valid_clips: from 1"),
        )
        super().check()
