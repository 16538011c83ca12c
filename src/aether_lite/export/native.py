"""Sections of torch modules, or of files, for the native core; :mod:`aether_lite.core.packing` says how."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aether_lite.core import packing
from aether_lite.core.files import export_native, vocoder_file
from aether_lite.core.weights import Kind, Section

if TYPE_CHECKING:
    from aether_lite.codec.model import SpiCodec

__all__ = ["codec_sections", "export_native", "vocoder_sections"]
Sections = dict[str, Section]


def codec_sections(model: SpiCodec, kind: Kind = Kind.PANELS_F16) -> Sections:
    """Sections of a codec, the large matrices in panels of this kind."""
    state = {name: value.numpy(force=True) for name, value in model.state_dict().items()}
    return packing.codec_sections(model.config, state, kind)


def vocoder_sections(path: Path, kind: Kind = Kind.PANELS_F16) -> Sections:
    """Sections of a file of a vocoder's weights, the large matrices in panels of this kind."""
    return vocoder_file(path).sections(kind)
