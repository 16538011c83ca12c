"""Options of a training run of the codec."""

# ruff: noqa: RUF009  (`option` makes dataclass fields)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

from aether_lite.channels import CHANNELS
from aether_lite.codec.config import HASH, PRESETS, CodecConfig, preset
from aether_lite.errors import AetherError
from aether_lite.losses.feature import SEGMENT
from aether_lite.losses.whisper import MAX_FRAMES, TINY
from aether_lite.payload import BIT_RATES, RATES
from aether_lite.reading import from_mapping
from aether_lite.training.conditions import BIT_CHANNELS
from aether_lite.training.options import ASR_MODEL_HELP, RunConfig, check_rules, option

FORM = tuple(item.name for item in fields(CodecConfig))
_FORM = "a recipe's line `form` (conf/ablations)"


@dataclass
class TrainConfig(RunConfig):
    """Options of ``train``."""

    DESCRIPTION: ClassVar[str] = (
        "Train the codec in the four Anti-Buzz stages. Ctrl-C saves; the same command continues."
    )
    START: ClassVar[str] = "codec"
    REMOVED: ClassVar[Mapping[str, str]] = {
        "flat": "an ablation without a speech image that is finished (see the notebook)",
        "linear": f"write --form linear=false, or {_FORM}",
        "power": f"write --form power=token, or {_FORM}",
        "hash_kind": "bits are trained with the gradient of the former kind sign alone",
        "hash_anneal": "the former hash kind tanh is trained no more",
        "optimiser": "matrices are trained by Muon, the rest by AdamW",
        "sends": "train more steps instead; what it brought stands in the notebook",
        "lambda_words": "no released codec used it; --lambda_asr compares what the recogniser makes of both",
        "listening_target": "the recogniser compares with the true features",
        "gan_loss": "the GAN is trained with least squares",
        "hash_penalties": "the penalties have one weight each (aether_lite.hash.PENALTIES)",
        "wandb": "log.jsonl and TensorBoard hold every figure",
    }

    preset: str = option("small", "size of the codec", choices=tuple(PRESETS))
    form: dict[str, Any] = option({}, "sizes that differ from the preset's, such as linear=false or power=token")
    codec: str = option(
        "",
        "codec to start from, a released name or a file, whose form then holds; a codec of bits may start from one of "
        "symbols, and a codec grows to a preset with more or wider blocks or a look-ahead; default: random",
        path=True,
    )
    start_share: float = option(0.0, "share of the weights it started from in those exported, the rest the average's")
    vocoder: str = option(
        "", "vocoder of the losses of audio: a released name, such as hnsf, or a file; default: fargan", path=True
    )
    fargan_ckpt: str = option("", "the same, FARGAN's weights alone (.pth, .safetensors)", path=True)
    # curriculum
    steps: int = option(8000, "length of the run", length=True)
    stage_borders: list[int] = option(
        [1000, 3000, 5000], "steps at which audio_weak_gan, progressive_gan and end_to_end begin"
    )
    lambda_spi: float = option(1.0, "weight of the SPI terms: feature and semantic losses")
    lambda_voicing: float = option(0.05, "weight of wrong voicing decisions, relative to the feature loss")
    lambda_pitch: float = option(0.0, "weight of the pitch's part of the feature loss, counted once more")
    lambda_loudness: float = option(0.0, "weight of errors of bands by their level, relative to the feature loss")
    lambda_envelope: float = option(0.0, "weight of band envelopes compared as in ESTOI, relative to the feature loss")
    lambda_asr: float = option(
        0.0, "weight of the ASR loss, the distance of a recogniser's states, relative to the feature loss",
        was=("lambda_listening",),
    )  # fmt: skip
    asr_items: int = option(
        4, "items of the batch that the ASR loss compares, over all processes, at most", was=("listening_items",)
    )
    mel_predictor: str = option(
        "ear", "of the ASR loss: the released one, or a file of train-mel-predictor", was=("ear",), path=True
    )
    asr_model: str = option(TINY, ASR_MODEL_HELP, was=("recogniser",), path=True)
    lambda_wave: float = option(0.1, "weight of the audio terms: log-mel, F0 and, if asked for, STFT losses")
    lambda_adv: float = option(0.02, "weight of the GAN terms; 0 switches the GAN off for good")
    use_stft_loss: bool = option(False, "add the multi-resolution STFT loss to the audio terms")
    gan_ratio: float = option(0.5, "greatest norm of the GAN's gradient at the waveform, relative to the audio terms'")
    audio_items: int = option(8, "items of the batch vocoded for the audio terms, over all processes, at most")
    audio_frames: int = option(60, "frames of each that are vocoded")
    # channel
    snr_db: list[float] = option([-6.0, 22.0], "Es/N0 [dB]: lowest and highest, or lowest, most frequent and highest")
    rates: list[int] = option(list(RATES), "payload rates, drawn uniformly [uses/s]")
    channels: dict[str, float] = option(
        {"awgn": 0.6, "rayleigh": 0.15, "rician": 0.05, "mpp": 0.15, "mpd": 0.05}, "share of each channel"
    )
    erasure_share: float = option(0.1, "share of the items that lose tokens too")
    csi_none_share: float = option(0.03, "share of items whose decoder gets no channel state", was=("withheld",))
    targeted: float = option(0.1, "share of items whose encoder is given the SNR; the others encode blind")
    balance: float = option(
        0.5, "weights items by their expected loss to minus this power: 0 counts every error alike, 1 relative ones"
    )
    # hash bottleneck
    enable_hash: bool = option(
        False, "train a codec of bits: one bit per latent over binary channels, instead of symbols over those above"
    )
    bit_rates: list[int] = option(list(BIT_RATES), "bit rates, drawn uniformly [bit/s]")
    bit_error_rate: list[float] = option([0.0, 0.1], "range of the error rate of hard decisions, low ones drawn most")
    bit_channels: dict[str, float] = option(
        {"bsc": 0.5, "bpsk_awgn": 0.25, "bpsk_rayleigh": 0.25}, "share of each binary channel"
    )
    # optimiser and run
    vocoder_rate: float = option(0.1, "learning rate of the unfrozen vocoder, relative to the codec's")
    discriminator_rate: float = option(2e-4, "learning rate of the discriminators", was=("critic_rate",))
    precision: str = option("float32", "arithmetic of the codec", choices=("float32", "bf16"))
    compiled: bool = option(
        False, "compile the vocoder's sub-frame with torch.compile (needs a C++ compiler or a GPU)", free=True
    )
    captured: bool = option(True, "on a single GPU, run the vocoder as recorded CUDA graphs", free=True)
    out: str = option("runs/codec", "folder of the run: checkpoints, log, pictures", path=True, free=True)
    estoi_clips: int = option(4, "clips vocoded for ESTOI at a validation; 0 for none", free=True)
    stop_on_collapse: bool = option(False, "end the run when a collapse monitor fires", free=True)

    @property
    def codec_form(self) -> CodecConfig:
        """Sizes that the options ask for."""
        size = from_mapping(CodecConfig, {**asdict(preset(self.preset)), **self.form})
        return replace(size, hash=HASH) if self.enable_hash else size

    @property
    def exported(self) -> Path:
        return Path(self.out) / f"{'hash' if self.enable_hash else 'codec'}_{self.preset}.safetensors"

    def check(self) -> None:
        borders, snr = self.stage_borders, self.snr_db
        lambdas = [value for name, value in self.as_dict().items() if name.startswith("lambda_")]
        shares = (self.erasure_share, self.csi_none_share, self.targeted, self.start_share)
        if set(self.form) <= set(FORM):
            try:
                _ = self.codec_form
            except (TypeError, ValueError) as error:
                raise AetherError(f"option out of range: form: {error}") from error
        check_rules(
            (len(borders) == 3 and sorted(borders) == list(borders) and borders[0] >= 0, "stage_borders: three steps"),
            (len(snr) in (2, 3) and sorted(snr) == snr and (len(snr) == 2 or snr[0] < snr[2]),
             "snr_db: lowest and highest value, or lowest, most frequent and highest"),
            (len(self.rates) > 0 and set(self.rates) <= set(RATES), f"rates: of {_listed(RATES)}"),
            (self.lambda_adv == 0 or self.lambda_wave > 0, "lambda_adv: needs lambda_wave above 0 to be balanced by"),
            (0 <= self.balance <= 2, "balance: 0 to 2"),
            (set(self.form) <= set(FORM), f"form: of {_listed(FORM)}"),
            (self.frames >= 8 and self.frames % 8 == 0, "frames: a multiple of 8"),
            (min(self.audio_items, self.asr_items) >= 1, "audio_items, asr_items: at least 1"),
            (self.lambda_asr == 0 or self.frames <= MAX_FRAMES, f"frames: at most {MAX_FRAMES} with lambda_asr"),
            (24 <= self.audio_frames <= self.frames, "audio_frames: 24 to frames"),
            (min(lambdas) >= 0, "lambda_*: at least 0"),
            (self.lambda_envelope == 0 or self.frames >= SEGMENT, f"frames: at least {SEGMENT} with lambda_envelope"),
            (_are_shares(self.channels, CHANNELS), f"channels: shares above 0 of {_listed(CHANNELS)}"),
            (len(self.bit_rates) > 0 and set(self.bit_rates) <= set(BIT_RATES), f"bit_rates: of {_listed(BIT_RATES)}"),
            (len(self.bit_error_rate) == 2 and 0 <= self.bit_error_rate[0] <= self.bit_error_rate[1] < 0.5,
             "bit_error_rate: lowest and highest value, from 0 to below 0.5"),
            (_are_shares(self.bit_channels, BIT_CHANNELS), f"bit_channels: shares above 0 of {_listed(BIT_CHANNELS)}"),
            (all(0 <= value <= 1 for value in shares), "shares and probabilities: 0 to 1"),
            (not (self.vocoder and self.fargan_ckpt), "vocoder, fargan_ckpt: one of them"),
            (self.start_share == 0 or bool(self.codec), "start_share: needs --codec"),
        )  # fmt: skip
        super().check()


def _listed(names: Any) -> str:
    return ", ".join(map(str, names))


def _are_shares(shares: Mapping[str, float], known: Any) -> bool:
    return set(shares) <= set(known) and min(shares.values(), default=0) >= 0 < sum(shares.values())
