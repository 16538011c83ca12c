"""Codec files: one ``.safetensors`` with the weights, its configuration and where they come from.

Weights are stored as float16 (float32 for the image's constants) and used as float32. The configuration of a codec of
bits names its hash (``hash``); that of a codec of symbols does not speak of it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aether_lite import zoo
from aether_lite.codec.config import HASH, CodecConfig
from aether_lite.errors import AetherError
from aether_lite.features.samples import own_precision
from aether_lite.files import atomic_path
from aether_lite.payload import Bits
from aether_lite.reading import check_weights, fits, from_mapping, parse_json, read_checkpoint, read_tensors, reading

if TYPE_CHECKING:
    from aether_lite.codec.model import SpiCodec

FORMAT, KIND = "aether-lite codec 1", "a codec file of this project"
SUFFIXES = (".safetensors", ".pth")
DEFAULT_CODEC = "small"
DEFAULT_HASH_CODEC = "hash_small"
EARLIER_HASHES = ("tanh", "spherical")  # gradients of training in earlier files; their bits are the same
EARLIER_OPTIONS = {"flat": 0}  # of earlier files: sizes of an ablation, which had none in a released codec

_POWER = ("latent_power.values", "latent_power.told")
_SINGLE = ("image.mean", "image.scale", *_POWER)  # kept in float32


def codec_path(name: str | Path) -> Path:
    """File of a released codec's name, or the path itself when it is one."""
    return zoo.path(name, "codec", "hash codec")


def save_codec(model: SpiCodec, path: Path, provenance: dict[str, Any]) -> None:
    """Write weights, configuration and provenance (plain values: data, steps, seed, commit) atomically."""
    import torch
    from safetensors.torch import save

    tensors = {
        name: value.detach().contiguous().to(torch.float32 if name in _SINGLE else torch.float16)
        for name, value in model.state_dict().items()
    }
    with atomic_path(path) as partial:
        partial.write_bytes(save(tensors, file_metadata(model.config, provenance)))


def file_metadata(config: CodecConfig, provenance: dict[str, Any]) -> dict[str, str]:
    """What stands beside the weights in a codec file, and under ``file_metadata`` in a checkpoint of training."""
    values = {name: value for name, value in asdict(config).items() if name != "hash" or value}
    return {
        "format": FORMAT,
        "config": json.dumps(values),
        "provenance": json.dumps(provenance, sort_keys=True),
    }


@own_precision
def load_codec(path: Path, unit: str | None = None, name: str | Path | None = None) -> tuple[SpiCodec, dict[str, Any]]:
    """The model of a codec file, ready for inference, and its provenance.

    Raises AetherError for another file, one of the other payload (``unit``, see :func:`check_unit`), or tensors that do
    not fit the configuration, which the message names.
    """
    config, provenance, tensors = read_codec(path)
    check_unit(config, path if name is None else name, unit)
    return _filled(config, tensors, path), provenance


def check_unit(config: CodecConfig, name: str | Path, unit: str | None) -> None:
    """Refuse a codec of the other payload where only ``uses/s`` or ``bit/s`` will do; ``name`` is what the user gave.
    """
    if unit is not None and bool(config.hash) != (unit == Bits.unit):
        kinds = ("a codec of symbols", "a hash codec, which sends bits")
        kind, other = kinds if not config.hash else kinds[::-1]
        raise AetherError(f"{name}: is {kind}, and not {other}")


def start_hash_codec(path: Path) -> SpiCodec:
    """A codec of bits with the weights of any codec, of symbols or bits: where training starts from."""
    config, _, tensors = read_codec(path)
    for name in _POWER:
        tensors.pop(name, None)  # bits have no power
    return _filled(replace(config, hash=HASH), tensors, path)


def is_hash_codec(path: Path) -> bool:
    """Whether a codec file is that of a hash codec."""
    return bool(read_codec(path, "np")[0].hash)


def read_provenance(path: Path) -> dict[str, Any]:
    """Where the weights of a codec file, of symbols or of bits, come from; AetherError if it is no codec file."""
    return read_codec(path, "np")[1]


def read_codec(path: Path, framework: str = "pt") -> tuple[CodecConfig, dict[str, Any], dict[str, Any]]:
    """Configuration, provenance and weights of a codec file, or the averaged ones of a training checkpoint.

    Weights are tensors of torch, or with ``np`` arrays of numpy; AetherError for another file.
    """
    if path.suffix not in SUFFIXES:
        raise AetherError(f"{path}: not {KIND} (give {' or '.join(SUFFIXES)})")
    metadata: dict[str, str]
    if path.suffix == ".pth":
        from torch import Tensor

        content = read_checkpoint(path, KIND)
        metadata, tensors = content.get("file_metadata", {}), content.get("average", {})
        if not fits(metadata, dict[str, str]) or not fits(tensors, dict[str, Tensor]):
            raise AetherError(f"{path}: not {KIND}, nor a checkpoint of one")
        if framework == "np":
            tensors = {name: value.numpy(force=True) for name, value in tensors.items()}
    else:
        metadata, tensors = read_tensors(path, KIND, framework)
    if metadata.get("format") != FORMAT:
        raise AetherError(f"{path}: not {KIND} (format {metadata.get('format')!r:.40})")
    try:
        values, provenance = (parse_json(metadata[name]) for name in ("config", "provenance"))
        for name, value in (("configuration", values), ("provenance", provenance)):
            if not isinstance(value, dict):
                raise ValueError(f"its {name} is not an object")
        for option, only in EARLIER_OPTIONS.items():
            if values.pop(option, only) != only:
                raise ValueError(f"{option} is not supported any more")
        if values.get("hash") in EARLIER_HASHES:
            values["hash"] = HASH
        config = from_mapping(CodecConfig, values)
    except (KeyError, ValueError) as error:
        raise AetherError(f"{path}: its configuration cannot be read ({error})") from error
    return config, provenance, tensors


def _filled(config: CodecConfig, tensors: dict[str, Any], path: Path) -> SpiCodec:
    """The model of a configuration with these weights, frozen."""
    import torch

    from aether_lite.codec.model import SpiCodec

    with reading(path, KIND), torch.device("meta"):  # takes no memory, whatever the configuration says
        expected = SpiCodec(config).state_dict()
    if _POWER[0] in tensors and _POWER[1] in expected:  # earlier files had none for target SNRs
        tensors.setdefault(_POWER[1], torch.full(tuple(expected[_POWER[1]].shape), torch.nan))
    check_weights(path, KIND, tensors, expected, undefined=_POWER[1:])
    model = SpiCodec(config)
    model.load_state_dict(tensors)
    model.eval().requires_grad_(False)
    return model
