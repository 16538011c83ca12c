"""Options of a training run of the vocoder."""

# ruff: noqa: RUF009  (`option` makes dataclass fields)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aether_lite.errors import AetherError
from aether_lite.training import options
from aether_lite.training.options import option
from aether_lite.vocoder.discriminators import SPECTROGRAM_SIZES

DESCRIPTION = (
    "Train the FARGAN vocoder on DATA_ROOT (made by `aether-lite prepare`): first on spectra, then against "
    "discriminators. Ctrl-C saves; the same command continues."
)
KNOWN_FRAMES = 2  # frames of each item that are given: they start the vocoder; Opus, FARGAN


@dataclass
class VocoderConfig:
    """Everything that, with the data and the code, fixes the result of a run. Units are in brackets."""

    # data
    data_root: list[str] = option([], "folders of NAME.f32/NAME.pcm pairs to train on", positional=True)
    data_weight: list[float] = option([], "share of each data root in the samples; default: by hours")
    valid_root: list[str] = option([], "folders of pairs to validate on; default: a tenth of the training clips")
    batch: int = option(128, "items a spectral step, over all processes together")
    frames: int = option(15, "frames of 10 ms made of each item in a spectral step")
    adversarial_batch: int = option(32, "items an adversarial step, over all processes together")
    adversarial_frames: int = option(40, "frames made of each item in an adversarial step")
    augment_share: float = option(0.2, "share of items with gain, filter and noise augmentation")
    decoded_share: float = option(0.25, "share of items whose features went through the codec at a random SNR")
    codec: str = option("", "codec those went through (.safetensors); default: the released codec")
    workers: int = option(0, "processes that prepare batches ahead; 0 prepares them in line")
    # stages
    init: str = option("", "vocoder weights to start from (.pth or .safetensors) or a released name; default: random")
    spectral_steps: int = option(6000, "steps on spectra alone")
    adversarial_steps: int = option(1000, "steps with discriminators after that")
    critic_steps: int = option(200, "first adversarial steps, in which only the discriminators learn")
    continuation_weight: float = option(0.03, "weight of the continuation loss; spectral steps only")
    spectral_weight: float = option(5.0, "weight of the spectral loss in adversarial steps")
    matching_weight: float = option(1.0, "weight of feature matching in adversarial steps")
    gan_loss: str = option("least-squares", "form of the GAN loss", choices=("least-squares", "hinge"))
    spectrogram_sizes: list[int] = option(list(SPECTROGRAM_SIZES), "FFT sizes of the discriminators [samples]")
    periods: list[int] = option([], "periods of further discriminators on every n-th sample [samples]")
    # optimiser
    learning_rate: float = option(1e-3, "peak learning rate of spectral steps")
    adversarial_rate: float = option(1e-4, "learning rate of the vocoder in adversarial steps")
    critic_rate: float = option(2e-4, "learning rate of the discriminators")
    warmup: int = option(50, "steps in which the learning rate rises")
    final_rate: float = option(0.02, "learning rate at the end of a stage, relative to its peak")
    weight_decay: float = option(0.01, "decoupled weight decay in spectral steps")
    gradient_norm: float = option(1.0, "gradients are scaled down to this norm")
    average: float = option(0.998, "decay of the running average of the weights that is validated and exported")
    seed: int = option(0, "of weights, crops, conditions and noise")
    # run
    out: str = option("runs/vocoder", "folder of the run: checkpoints, log, audio, pictures")
    resume: str = option("auto", "auto (continue OUT if it holds a checkpoint), none, or a checkpoint file")
    save_every: int = option(200, "steps between checkpoints")
    keep: int = option(2, "checkpoints kept besides the best")
    validate_every: int = option(500, "steps between validations")
    valid_clips: int = option(12, "clips vocoded at a validation")
    compiled: bool = option(False, "compile the sub-frame with torch.compile (needs a C++ compiler, or a GPU)")
    captured: bool = option(True, "on a single GPU, record each kind of step once as a CUDA graph and replay it")
    save_visualization: bool = option(False, "write PNG pages at every validation")
    tensorboard: bool = option(True, "write TensorBoard scalars, audio and pictures")
    distributed: bool = option(False, "one of several processes started by torchrun")
    device: str = option("auto", "cpu, cuda or auto")

    @property
    def steps(self) -> int:
        """Length of the run."""
        return self.spectral_steps + self.adversarial_steps

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and YAML."""
        return asdict(self)


FREE_TO_CHANGE = frozenset(
    {
        "out", "resume", "save_every", "keep", "validate_every", "valid_clips", "compiled", "captured",
        "save_visualization", "tensorboard", "distributed", "device", "workers", "spectral_steps",
        "adversarial_steps", "data_root", "valid_root",
    }
)  # fmt: skip
"""Options that may differ between a checkpoint and the run that continues it."""


def parse(arguments: Sequence[str], prog: str = "aether-lite train-vocoder") -> VocoderConfig:
    """Options from a YAML file, if one is named, and the command line, which wins.

    Raises:
        AetherError: a value is out of range, or the YAML file names an unknown option.
        SystemExit: usage error (2) or ``--help`` (0).
    """
    return checked(options.parse(VocoderConfig, arguments, prog, DESCRIPTION))


def checked(config: VocoderConfig) -> VocoderConfig:
    """The same options; one that is out of range is a stated error."""
    shortest = 2 * max([2560, *config.spectrogram_sizes]) // (4 * 160) + 1  # frames; half of the largest transform
    rules = [
        (min(config.batch, config.adversarial_batch) >= 1, "batch, adversarial_batch: at least 1"),
        (min(config.frames, config.adversarial_frames) >= shortest, f"frames, adversarial_frames: from {shortest}"),
        (min(config.spectral_steps, config.adversarial_steps, config.critic_steps) >= 0, "steps: at least 0"),
        (config.steps >= 1, "spectral_steps, adversarial_steps: one of them above 0"),
        (set(config.spectrogram_sizes) <= set(SPECTROGRAM_SIZES), f"spectrogram_sizes: of {SPECTROGRAM_SIZES}"),
        (len(config.spectrogram_sizes) + len(config.periods) > 0, "spectrogram_sizes, periods: at least one"),
        (all(p >= 2 for p in config.periods), "periods: from 2"),
        (min(config.continuation_weight, config.spectral_weight, config.matching_weight) >= 0, "*_weight: from 0"),
        (min(config.learning_rate, config.adversarial_rate, config.critic_rate) > 0, "*_rate: above 0"),
        (0 <= config.average < 1, "average: 0 to 1"),
        (config.gradient_norm > 0, "gradient_norm: above 0"),
        (0 <= config.final_rate <= 1, "final_rate: 0 to 1"),
        (min(config.weight_decay, config.warmup, config.workers) >= 0, "weight_decay, warmup, workers: from 0"),
        (min(config.save_every, config.validate_every, config.keep, config.valid_clips) >= 1,
         "save_every, validate_every, keep, valid_clips: from 1"),
        (len(config.data_weight) in (0, len(config.data_root)), "data_weight: one for each data root"),
        (all(0 <= share <= 1 for share in (config.augment_share, config.decoded_share)), "shares: 0 to 1"),
    ]  # fmt: skip
    for holds, rule in rules:
        if not holds:
            raise AetherError(f"option out of range: {rule}")
    return config
