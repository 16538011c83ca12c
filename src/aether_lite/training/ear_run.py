"""``train-ear``: learn, measure, write."""

# ruff: noqa: RUF009  (`option` makes dataclass fields)

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from aether_lite.errors import AetherError
from aether_lite.losses.asr import TINY, load_encoder, recogniser_file, save_ear
from aether_lite.losses.asr.recogniser import LONGEST_HEARD
from aether_lite.training import options
from aether_lite.training.ear import EarSettings, Fit, fit_ear, measure
from aether_lite.training.launch import disjoint_corpora
from aether_lite.training.options import option
from aether_lite.training.provenance import data_hash, hours_of, origin

DESCRIPTION = "Teach an ear: features to the spectrum that a speech recogniser hears, for `train --lambda_listening`."
FILE = "ear.safetensors"
SAID_EVERY = 30.0  # seconds
_DEFAULTS = EarSettings()


@dataclass
class EarConfig:
    """Options of ``train-ear``."""

    data_root: list[str] = option([], "folders of NAME.f32/NAME.pcm pairs to learn from")
    valid_root: list[str] = option([], "folders of pairs to measure on; default: a tenth of the training clips")
    valid_batches: int = option(8, "batches to measure on")
    recogniser: str = option(
        TINY, "what listens: tiny.en (in the extra `listener`) or a folder with a CTranslate2 Whisper model"
    )
    spectral_steps: int = option(_DEFAULTS.spectral_steps, "steps on spectra alone, before the recogniser listens")
    steps: int = option(_DEFAULTS.steps, "gradient steps in all")
    batch: int = option(_DEFAULTS.batch, "items a step while the recogniser listens; twice as many before")
    frames: int = option(_DEFAULTS.frames, f"frames of 10 ms an item, even, at most {LONGEST_HEARD}")
    learning_rate: float = option(_DEFAULTS.learning_rate, "peak learning rate")
    warmup: int = option(_DEFAULTS.warmup, "steps in which the learning rate rises")
    final_rate: float = option(_DEFAULTS.final_rate, "learning rate at the end, relative to its peak")
    average: float = option(_DEFAULTS.average, "decay of the running average of the weights that is written")
    seed: int = option(_DEFAULTS.seed, "of weights and crops")
    out: str = option("runs/ear", f"folder for {FILE}")

    @property
    def settings(self) -> EarSettings:
        """What the fit needs of them."""
        return EarSettings(**{item.name: getattr(self, item.name) for item in fields(EarSettings)})

    def as_dict(self) -> dict[str, Any]:
        """Plain values without this machine's folders."""
        roots = {name: [Path(root).name for root in getattr(self, name)] for name in ("data_root", "valid_root")}
        return {**asdict(self), **roots, "recogniser": Path(self.recogniser).name, "out": ""}


def parse(arguments: Sequence[str], prog: str = "aether-lite train-ear") -> EarConfig:
    """Options from a YAML file, if one is named, and the command line, which wins.

    Raises:
        AetherError: a value is out of range, or the YAML file names an unknown option.
        SystemExit: usage error (2) or ``--help`` (0).
    """
    config = options.parse(EarConfig, arguments, prog, DESCRIPTION)
    rules = [
        (0 <= config.spectral_steps <= config.steps, "spectral_steps: 0 to steps"),
        (min(config.steps, config.batch, config.valid_batches) >= 1, "steps, batch, valid_batches: at least 1"),
        (16 <= config.frames <= LONGEST_HEARD and config.frames % 2 == 0, f"frames: even, 16 to {LONGEST_HEARD}"),
        (config.learning_rate > 0, "learning_rate: above 0"),
        (config.warmup >= 0 and config.final_rate >= 0, "warmup, final_rate: at least 0"),
        (0 <= config.average < 1, "average: 0 to below 1"),
    ]
    for holds, rule in rules:
        if not holds:
            raise AetherError(f"option out of range: {rule}")
    return config


def run(config: EarConfig, say: Callable[[str], None], progress: Callable[[int, int], None] | None = None) -> Fit:
    """Learn an ear as the options ask; returns how near it comes on validation speech.

    Args:
        config: options.
        say: told how it goes, and the result in the end.
        progress: told how many of the steps are done.

    Raises:
        AetherError: recogniser, data or folder that cannot be used.
    """
    encoder = load_encoder(recogniser_file(config.recogniser))
    train, valid = disjoint_corpora(config.data_root, config.valid_root, consecutive=True)
    out = Path(config.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AetherError(f"{out}: cannot be made ({error.strerror})") from error
    said = time.monotonic()

    def told(step: int, spectrum: float, states: float) -> None:
        nonlocal said
        if progress is not None:
            progress(step, config.steps)
        if time.monotonic() - said > SAID_EVERY:
            said = time.monotonic()
            say(f"step {step} of {config.steps}: spectrum {spectrum:.4f}, states {states:.4f}")

    listener = fit_ear(train, encoder, config.settings, told)
    near = measure(listener, valid, config.settings, config.valid_batches)
    whole = {**origin(config.as_dict(), config.steps, data_hash(train)), "data": hours_of(train)}
    save_ear(listener, out / FILE, {**whole, "valid": {name: round(value, 5) for name, value in asdict(near).items()}})
    say(
        f"{out / FILE}: mean square error {near.spectrum:.4f} of the spectrum and {near.states:.4f} of the "
        f"recogniser's states, whose variance is 1"
    )
    return near
