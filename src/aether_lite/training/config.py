"""Options of a training run of the codec."""

# ruff: noqa: RUF009  (`option` makes dataclass fields)

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aether_lite.codec.presets import PRESETS
from aether_lite.errors import AetherError
from aether_lite.hash import BIT_RATES, KINDS, PENALTIES
from aether_lite.jscc import POWERS, RATES
from aether_lite.losses.asr.listener import longest
from aether_lite.losses.envelope import SEGMENT
from aether_lite.training import options
from aether_lite.training.bit_conditions import BIT_CHANNELS
from aether_lite.training.options import option

DESCRIPTION = "Train the codec in the four Anti-Buzz stages. Ctrl-C saves; the same command continues."

FEATURES, RECORDING = "features", "recording"  # what a listener compares decoded features with


@dataclass
class TrainConfig:
    """Everything that, with the data and the code, fixes the result of a run.

    The help text of every field says what it means; units are in brackets.
    """

    # data
    data_root: list[str] = option([], "folders of NAME.f32/NAME.pcm pairs to train on")
    data_weight: list[float] = option([], "share of each data root in the samples; default: by hours")
    valid_root: list[str] = option([], "folders of pairs to validate on; default: a tenth of the training clips")
    batch: int = option(24, "items a step, over all processes together")
    frames: int = option(256, "frames of 10 ms an item")
    consecutive: bool = option(
        False,
        "fill items longer than a clip with the clips behind it in name order, often the same voice, not random ones",
    )
    augment_share: float = option(0.0, "share of items with gain, polarity, filter and noise augmentation")
    workers: int = option(0, "processes that prepare batches ahead; 0 prepares them in line")
    # model
    preset: str = option("small", "size of the codec", choices=tuple(PRESETS))
    flat: bool = option(False, "an ablation: dense layers of the same size over flat vectors, no speech image")
    linear: bool = option(True, "a linear path beside the networks")
    power: str = option(
        "session", "what the power constraint holds for: the mean over a session, or every token", choices=POWERS
    )
    codec: str = option(
        "",
        "codec to start from, a released name or a file, whose form then holds; default: random; a hash codec may "
        "start from an analogue one, and a codec grows to a preset with more or wider blocks or a look-ahead",
    )
    fargan_ckpt: str = option("", "vocoder weights (.pth or .safetensors) or a released name; default: fargan")
    # curriculum
    steps: int = option(8000, "length of the run")
    stage_borders: list[int] = option(
        [1000, 3000, 5000], "steps at which audio_weak_gan, progressive_gan and end_to_end begin"
    )
    lambda_spi: float = option(1.0, "weight of the SPI terms: feature and semantic losses")
    lambda_voicing: float = option(
        0.05, "weight of an SPI term that counts wrong voicing decisions, relative to the feature loss"
    )
    lambda_pitch: float = option(
        0.0, "weight of an SPI term that counts the pitch's part of the feature loss once more, relative to it; 0: none"
    )
    lambda_loudness: float = option(
        0.0, "weight of an SPI term that counts errors of bands by their level, relative to the feature loss; 0: none"
    )
    lambda_envelope: float = option(
        0.0,
        "weight of an SPI term that compares band envelopes as ESTOI does, relative to the feature loss",
    )
    lambda_listening: float = option(
        0.0, "weight of an SPI term that counts errors as a speech recogniser hears them, relative to the feature loss"
    )
    lambda_words: float = option(
        0.0, "weight of an SPI term that compares the words that recogniser expects, relative to the feature loss"
    )
    listening_items: int = option(4, "items of the batch that these two are counted on, over all processes")
    listening_target: str = option(
        FEATURES,
        "what these two compare with: what the listener makes of the true features, or its recogniser of the recording",
        choices=(FEATURES, RECORDING),
    )
    ear: str = option("ear", "how it hears features: the released ear, or a file of train-ear")
    recogniser: str = option(
        "tiny.en", "what hears for it: tiny.en (in the extra `listener`) or a folder with a CTranslate2 Whisper model"
    )
    lambda_wave: float = option(0.1, "weight of the audio terms: log-mel, F0 and, if asked for, STFT losses")
    lambda_adv: float = option(0.02, "weight of the GAN terms; 0 switches the GAN off for good")
    use_stft_loss: bool = option(False, "add the multi-resolution STFT loss to the audio terms")
    gan_loss: str = option("least-squares", "form of the GAN loss", choices=("least-squares", "hinge"))
    gan_ratio: float = option(0.5, "greatest norm of the GAN's gradient at the waveform, relative to the audio terms'")
    audio_items: int = option(8, "items of the batch that are vocoded for the audio terms, over all processes")
    audio_frames: int = option(60, "frames of each that are vocoded")
    # channel
    sends: int = option(1, "times that every item is sent a step, each at a rate and over a channel of its own")
    snr_db: list[float] = option([-6.0, 22.0], "Es/N0 [dB]: lowest and highest, or lowest, most frequent and highest")
    rates: list[int] = option(list(RATES), "payload rates, drawn uniformly [uses/s]")
    channels: dict[str, float] = option(
        {"awgn": 0.6, "rayleigh": 0.15, "rician": 0.05, "mpp": 0.15, "mpd": 0.05},
        "share of each channel, as NAME=SHARE",
    )
    erasure_share: float = option(0.1, "share of the items that lose tokens too")
    erasure_probability: float = option(0.3, "greatest token loss probability drawn")
    withheld: float = option(0.03, "share of items whose decoder is told nothing of the channel")
    targeted: float = option(0.1, "share of items whose encoder is told the SNR; the others encode blind")
    balance: float = option(
        0.5,
        "items are weighted by the loss that their rate and SNR let expect, to minus this power: 0 counts every error "
        "alike, 1 every relative one",
    )
    # hash bottleneck
    enable_hash: bool = option(
        False, "train a hash codec: one bit per latent over binary channels, instead of symbols over the channels above"
    )
    hash_kind: str = option("sign", "gradient through the threshold", choices=KINDS)
    hash_anneal: int = option(4000, "steps in which the tanh of the kind tanh becomes a threshold")
    bit_rates: list[int] = option(list(BIT_RATES), "bit rates, drawn uniformly [bit/s]")
    bit_error_rate: list[float] = option([0.0, 0.1], "range of the error rate of hard decisions, low ones drawn most")
    bit_channels: dict[str, float] = option(
        {"bsc": 0.5, "bpsk_awgn": 0.25, "bpsk_rayleigh": 0.25}, "share of each binary channel, as NAME=SHARE"
    )
    hash_penalties: dict[str, float] = option(
        {"balance": 0.02, "decorrelation": 0.02, "confidence": 0.002},
        "weights of the bits' penalties, relative to the feature loss, as NAME=WEIGHT",
    )
    # optimiser
    optimiser: str = option(
        "muon", "of the codec: muon (its matrices; adamw for the rest) or adamw", choices=("muon", "adamw")
    )
    learning_rate: float = option(2e-3, "peak learning rate of the codec")
    vocoder_rate: float = option(0.1, "learning rate of the unfrozen vocoder, relative to the codec's")
    critic_rate: float = option(2e-4, "learning rate of the discriminators")
    warmup: int = option(100, "steps in which the learning rate rises")
    final_rate: float = option(0.02, "learning rate at the end, relative to its peak")
    weight_decay: float = option(0.01, "decoupled weight decay of matrices")
    gradient_norm: float = option(1.0, "gradients are scaled down to this norm")
    average: float = option(0.998, "decay of the running average of the weights that is validated and exported")
    compiled: bool = option(False, "compile the vocoder's sub-frame with torch.compile (needs a C++ compiler or a GPU)")
    captured: bool = option(True, "on a single GPU, run the vocoder as recorded CUDA graphs")
    precision: str = option("float32", "arithmetic of the codec", choices=("float32", "bf16"))
    seed: int = option(0, "of weights, crops, conditions and noise")
    # run
    out: str = option("runs/codec", "folder of the run: checkpoints, log, pictures")
    resume: str = option("auto", "auto (continue OUT if it holds a checkpoint), none, or a checkpoint file")
    save_every: int = option(200, "steps between checkpoints")
    keep: int = option(3, "checkpoints kept besides the best")
    validate_every: int = option(500, "steps between validations")
    estoi_clips: int = option(4, "clips vocoded for ESTOI at a validation; 0 for none")
    save_visualization: bool = option(False, "write PNG pages at every validation")
    tensorboard: bool = option(True, "write TensorBoard scalars, audio and pictures")
    wandb: bool = option(False, "log to Weights & Biases too")
    stop_on_collapse: bool = option(False, "end the run when a collapse monitor fires")
    distributed: bool = option(False, "one of several processes started by torchrun")
    device: str = option("auto", "cpu, cuda or auto")

    @property
    def listens(self) -> bool:
        """Whether a recogniser takes part."""
        return max(self.lambda_listening, self.lambda_words) > 0

    @property
    def listens_to_recordings(self) -> bool:
        """Whether it compares with recordings, so that every batch has audio."""
        return self.listens and self.listening_target == RECORDING

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and YAML."""
        return asdict(self)


FREE_TO_CHANGE = frozenset(
    {
        "out", "resume", "save_every", "keep", "validate_every", "estoi_clips", "save_visualization", "tensorboard",
        "wandb", "stop_on_collapse", "distributed", "device", "workers", "compiled", "captured", "steps",
        "data_root", "valid_root",
    }
)  # fmt: skip
"""Options that may differ between a checkpoint and the run that continues it."""
CAME_LATER: dict[str, Any] = {"optimiser": "adamw", "linear": False, "power": "token"}
"""What options that a checkpoint does not name stood for when it was written; others had their defaults."""


def parser(prog: str) -> argparse.ArgumentParser:
    """Command line of :class:`TrainConfig`."""
    return options.parser(TrainConfig, prog, DESCRIPTION)


def parse(arguments: Sequence[str], prog: str = "aether-lite train") -> TrainConfig:
    """Options from a YAML file, if one is named, and the command line, which wins.

    Raises:
        AetherError: a value is out of range, or the YAML file names an unknown option.
        SystemExit: usage error (2) or ``--help`` (0).
    """
    return checked(options.parse(TrainConfig, arguments, prog, DESCRIPTION))


def checked(config: TrainConfig) -> TrainConfig:
    """The same options; one that is out of range is a stated error."""
    borders = config.stage_borders
    rules = [
        (len(borders) == 3 and sorted(borders) == list(borders) and borders[0] >= 0, "stage_borders: three steps"),
        (
            len(config.snr_db) in (2, 3)
            and sorted(config.snr_db) == config.snr_db
            and (len(config.snr_db) == 2 or config.snr_db[0] < config.snr_db[2]),
            "snr_db: lowest and highest value, or lowest, most frequent and highest",
        ),
        (set(config.rates) <= set(RATES) and len(config.rates) > 0, f"rates: of {', '.join(map(str, RATES))}"),
        (config.lambda_adv == 0 or config.lambda_wave > 0, "lambda_adv: needs lambda_wave above 0 to be balanced by"),
        (config.batch >= 1, "batch: at least 1"),
        (config.sends >= 1, "sends: at least 1"),
        (0 <= config.balance <= 2, "balance: 0 to 2"),
        (config.steps >= 1, "steps: at least 1"),
        (config.frames >= 8 and config.frames % 8 == 0, "frames: a multiple of 8"),
        (1 <= config.audio_items <= config.batch, "audio_items: 1 to the batch"),
        (not config.listens or 1 <= config.listening_items <= config.batch, "listening_items: 1 to the batch"),
        (not config.listens or config.frames <= longest(config.lambda_words > 0),
         f"frames: at most {longest(True)} with lambda_words, {longest(False)} with lambda_listening"),
        (24 <= config.audio_frames <= config.frames, "audio_frames: 24 to frames"),
        (min(config.channels.values(), default=0) >= 0 < sum(config.channels.values()), "channels: shares above 0"),
        (min(config.lambda_spi, config.lambda_voicing, config.lambda_pitch, config.lambda_loudness,
             config.lambda_envelope, config.lambda_listening, config.lambda_words, config.lambda_wave,
             config.lambda_adv) >= 0, "lambda_*: at least 0"),
        (config.lambda_envelope == 0 or config.frames >= SEGMENT, f"frames: at least {SEGMENT} with lambda_envelope"),
        (min(config.save_every, config.validate_every, config.keep) >= 1, "save_every, validate_every, keep: from 1"),
        (len(config.data_weight) in (0, len(config.data_root)), "data_weight: one for each data_root"),
        (set(config.bit_rates) <= set(BIT_RATES) and len(config.bit_rates) > 0,
         f"bit_rates: of {', '.join(map(str, BIT_RATES))}"),
        (len(config.bit_error_rate) == 2 and 0 <= config.bit_error_rate[0] <= config.bit_error_rate[1] < 0.5,
         "bit_error_rate: lowest and highest value, from 0 to below 0.5"),
        (set(config.bit_channels) <= set(BIT_CHANNELS)
         and min(config.bit_channels.values(), default=0) >= 0 < sum(config.bit_channels.values()),
         f"bit_channels: shares above 0 of {', '.join(BIT_CHANNELS)}"),
        (set(config.hash_penalties) <= set(PENALTIES) and min(config.hash_penalties.values(), default=0) >= 0,
         f"hash_penalties: weights from 0 of {', '.join(PENALTIES)}"),
        (config.hash_anneal >= 0, "hash_anneal: at least 0"),
        (all(0 <= v <= 1 for v in (config.erasure_share, config.erasure_probability, config.withheld,
                                   config.targeted, config.augment_share)), "shares and probabilities: 0 to 1"),
    ]  # fmt: skip
    for holds, rule in rules:
        if not holds:
            raise AetherError(f"option out of range: {rule}")
    return config
