"""Codec files: one ``.safetensors`` with the weights, its configuration and where they come from.

Weights are stored as float16 (float32 for the image's constants) and used as float32. The configuration of a hash codec
names its kind of hash (``hash``); that of an analogue codec does not speak of it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from aether_lite.codec.bit_model import SpiHash
from aether_lite.codec.model import SpeechImageCodec
from aether_lite.codec.presets import CodecConfig
from aether_lite.codec.symbol_model import SpiJscc
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path
from aether_lite.hash import KINDS, HashKind, checked_kind
from aether_lite.jscc.power import checked_power

FORMAT = "aether-lite codec 1"
DEFAULT_CODEC = "small"
DEFAULT_HASH_CODEC = "hash_small"

Model = TypeVar("Model", SpiJscc, SpiHash)

_POWER = ("latent_power.values", "latent_power.told")
_SINGLE = ("image.mean", "image.scale", *_POWER)  # kept in float32


def released_codecs() -> dict[str, Path]:
    """Weights of codecs of symbols that ship with the package, by name."""
    return {path.stem.removeprefix("codec_"): path for path in _released("codec_*.safetensors")}


def released_hash_codecs() -> dict[str, Path]:
    """Weights of hash codecs that ship with the package, by name (``hash_small``)."""
    return {path.stem: path for path in _released("hash_*.safetensors")}


def _released(pattern: str) -> list[Path]:
    return sorted(Path(str(resources.files("aether_lite") / "zoo")).glob(pattern))


def codec_path(name: str | Path) -> Path:
    """File of a released codec's name, or the path itself when it is one."""
    released = released_codecs() | released_hash_codecs()
    if str(name) in released:
        return released[str(name)]
    path = Path(name)
    if not path.is_file():
        raise AetherError(f"{name}: no such codec file, nor a released codec ({', '.join(released)})")
    return path


def save_codec(model: SpeechImageCodec, path: Path, provenance: dict[str, Any]) -> None:
    """Write weights, configuration and provenance (plain values: data, steps, seed, commit) atomically."""
    tensors = {
        name: value.detach().contiguous().to(torch.float32 if name in _SINGLE else torch.float16)
        for name, value in model.state_dict().items()
    }
    metadata = {
        "format": FORMAT,
        "config": json.dumps({name: value for name, value in asdict(model.config).items() if name != "hash" or value}),
        "provenance": json.dumps(provenance, sort_keys=True),
    }
    with atomic_path(path) as partial:
        partial.write_bytes(save(tensors, metadata))


def load_codec(path: Path) -> tuple[SpiJscc, dict[str, Any]]:
    """The model of an analogue codec, ready for inference, and its provenance.

    Raises:
        AetherError: not a codec file, or that of a hash codec, or its tensors do not fit its configuration; the message
            names them.
    """
    config, provenance, tensors = _read(path)
    if config.hash:
        raise AetherError(f"{path}: is a hash codec, which sends bits, and not a codec of symbols")
    return _filled(SpiJscc, config, tensors, path), provenance


def load_hash_codec(path: Path) -> tuple[SpiHash, dict[str, Any]]:
    """The model of a hash codec, ready for inference, and its provenance.

    Raises:
        AetherError: as :func:`load_codec`, for a file that is not that of a hash codec.
    """
    config, provenance, tensors = _read(path)
    if not config.hash:
        raise AetherError(f"{path}: is a codec of symbols, and not a hash codec, which sends bits")
    return _filled(SpiHash, config, tensors, path), provenance


def start_hash_codec(path: Path, kind: HashKind) -> SpiHash:
    """A hash codec of this kind with the weights of any codec, analogue or hash: where training starts from."""
    config, _, tensors = _read(path)
    for name in _POWER:
        tensors.pop(name, None)  # bits have no power
    return _filled(SpiHash, replace(config, hash=kind), tensors, path)


def is_hash_codec(path: Path) -> bool:
    """Whether a codec file is that of a hash codec."""
    return bool(_read(path)[0].hash)


def read_provenance(path: Path) -> dict[str, Any]:
    """Where the weights of a codec file, of symbols or of bits, come from.

    Raises:
        AetherError: not a codec file.
    """
    return _read(path)[1]


def _read(path: Path) -> tuple[CodecConfig, dict[str, Any], dict[str, Tensor]]:
    """Configuration, provenance and float32 weights of a codec file."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise AetherError(f"{path}: not a codec file of this project ({error})") from error
    if metadata.get("format") != FORMAT:
        raise AetherError(f"{path}: not a codec file of this project (format {metadata.get('format')!r})")
    try:
        values, provenance = (json.loads(metadata[name]) for name in ("config", "provenance"))
        if not isinstance(provenance, dict):
            raise ValueError("its provenance is not an object")
        config = CodecConfig(**{**values, "channels": tuple(values["channels"])})
        checked_kind(config.hash or KINDS[0])
        checked_power(config.power)
    except (KeyError, TypeError, ValueError, AetherError) as error:
        raise AetherError(f"{path}: its configuration cannot be read ({error})") from error
    return config, provenance, tensors


def _filled(kind: type[Model], config: CodecConfig, tensors: dict[str, Tensor], path: Path) -> Model:
    """The model of a configuration with these weights, frozen."""
    try:
        model = kind(config)
    except (TypeError, ValueError) as error:
        raise AetherError(f"{path}: its configuration cannot be read ({error})") from error
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if _POWER[0] in tensors and _POWER[1] in expected:  # a file from before told SNRs had constants of their own
        tensors.setdefault(_POWER[1], torch.full(expected[_POWER[1]], torch.nan))
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise AetherError(f"{path}: missing, unexpected or misshapen weights: {', '.join(wrong)}")
    model.load_state_dict(tensors)
    model.eval().requires_grad_(False)
    return model
