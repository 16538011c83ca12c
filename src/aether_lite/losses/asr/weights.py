"""Ear files: one ``.safetensors`` with the weights (float16), their sizes, and where they come from."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from aether_lite.errors import AetherError
from aether_lite.files import atomic_path
from aether_lite.losses.asr.ctranslate import TINY, recogniser_file
from aether_lite.losses.asr.ear import Ear
from aether_lite.losses.asr.listener import Listener
from aether_lite.losses.asr.reader import load_reader
from aether_lite.losses.asr.recogniser import load_encoder

DEFAULT_EAR = "ear"
FORMAT = "aether-lite ear 1"
_MOST = {"width": 1024, "blocks": 64}  # no file makes a network of any size
_SPREAD = "spread"  # of the states behind every block of the recogniser, beside the ear's weights


def ear_path(name: str | Path) -> Path:
    """File of the released ear's name, or the path itself when it is one."""
    if str(name) == DEFAULT_EAR:
        return Path(str(resources.files("aether_lite") / "zoo" / f"{DEFAULT_EAR}.safetensors"))
    path = Path(name)
    if not path.is_file():
        raise AetherError(f"{name}: no such ear file, nor the released one ({DEFAULT_EAR})")
    return path


def load_listener(ear: str | Path = DEFAULT_EAR, recogniser: str | Path = TINY, *, reads: bool = False) -> Listener:
    """A listener, frozen.

    Args:
        ear: the released one's name or a file.
        recogniser: ``tiny.en`` or the folder of the CTranslate2 model that the ear was learned for.
        reads: whether its decoder is loaded too.

    Raises:
        AetherError: a file that cannot be used, a recogniser that is not installed or of another size.
    """
    path = ear_path(ear)
    network, spread = load_ear(path)
    file = recogniser_file(recogniser)
    listener = Listener(network, load_encoder(file), load_reader(file) if reads else None)
    if spread.shape != listener.spread.shape:
        raise AetherError(
            f"{path}: is of a recogniser of {_sizes(spread)}, not of {_sizes(listener.spread)} as {recogniser}"
        )
    listener.spread.copy_(spread)
    return listener.eval().requires_grad_(False)


def _sizes(spread: Tensor) -> str:
    return f"{spread.shape[0]} blocks and {spread.shape[1]} numbers a state"


def save_ear(listener: Listener, path: Path, provenance: dict[str, Any]) -> None:
    """Write a listener's ear, the spread of its states and provenance (plain values), whole or not at all."""
    ear = listener.ear
    tensors = {name: value.detach().cpu().half().contiguous() for name, value in ear.state_dict().items()}
    tensors[_SPREAD] = listener.spread.detach().cpu().float()
    sizes = {"width": ear.head.in_features, "blocks": len(ear.blocks)}
    metadata = {"format": FORMAT, "sizes": json.dumps(sizes), "provenance": json.dumps(provenance, sort_keys=True)}
    with atomic_path(path) as partial:
        partial.write_bytes(save(tensors, metadata=metadata))


def load_ear(path: Path) -> tuple[Ear, Tensor]:
    """The ear of a file, frozen, and the spread of the states of its recogniser.

    Raises:
        AetherError: not an ear file, or its tensors do not fit its sizes; the message names the file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise AetherError(f"{path}: not an ear file of this project ({error})") from error
    if metadata.get("format") != FORMAT:
        raise AetherError(f"{path}: not an ear file of this project (format {metadata.get('format')!r})")
    try:
        sizes = json.loads(metadata["sizes"])
        if sizes.keys() != _MOST.keys() or not all(
            type(size) is int and 1 <= size <= _MOST[name] for name, size in sizes.items()
        ):
            raise ValueError(f"sizes {sizes}")
    except (KeyError, ValueError, AttributeError) as error:
        raise AetherError(f"{path}: its sizes cannot be read ({error})") from error
    model = Ear(**sizes)
    spread = tensors.pop(_SPREAD, None)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if spread is None or spread.ndim != 2 or not bool((spread > 0).all()):
        wrong.append(_SPREAD)
    if spread is None or wrong:
        raise AetherError(f"{path}: missing, unexpected or misshapen weights: {', '.join(wrong)}")
    model.load_state_dict(tensors)
    return model.eval().requires_grad_(False), spread
