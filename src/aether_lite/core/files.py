"""Files of weights for the native core: what of a ``.safetensors`` (or ``.pth``) file the core runs.

The core reads files of its own form (:mod:`aether_lite.core.weights`). They are made when weights are first used, in
well under a second, and kept in the user's cache by the digest of what they are made of. Torch is needed for files
of other forms only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aether_lite import zoo
from aether_lite.codec.config import CodecConfig
from aether_lite.codec.loading import DEFAULT_CODEC, check_unit, codec_path, read_codec
from aether_lite.codec.loading import KIND as CODEC_KIND
from aether_lite.core import packing, weights
from aether_lite.core.library import Model, default
from aether_lite.core.packing import State
from aether_lite.core.weights import Kind, Section
from aether_lite.errors import AetherError
from aether_lite.features.samples import numbers
from aether_lite.files import atomic_path, cache_folder
from aether_lite.reading import read_metadata, read_tensors, reading

DEFAULT_VOCODER = "fargan"
VOCODER_KIND = "a file of a vocoder's weights"
SAFETENSORS = ".safetensors"


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights that is there.

    Attributes:
        path: of the file.
    """

    path: Path

    @cached_property
    def content(self) -> tuple[Any, State]:
        """What stands beside the tensors, and these."""
        raise NotImplementedError

    def sections(self, kind: Kind | None = None) -> dict[str, Section]:
        """Sections for the core, of this kind; None for float16 where that is exact, else float32.

        Raises:
            AetherError: tensors that do not fit each other, are missing, unknown or not finite.
        """
        with reading(self.path, self._what), np.errstate(all="ignore"):
            state = packing.Tensors(self.content[1])
            sections = self._sections(state, kind or exact_kind(state))
            state.check_used()
            return sections

    _what = ""

    def _sections(self, state: State, kind: Kind) -> dict[str, Section]:
        raise NotImplementedError

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the file."""
        with reading(self.path, self._what), self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()


@dataclass(frozen=True)
class CodecFile(WeightsFile):
    """A codec's file."""

    _what = CODEC_KIND

    @cached_property
    def content(self) -> tuple[tuple[CodecConfig, dict[str, Any]], State]:
        """Configuration and provenance, and the tensors."""
        config, provenance, tensors = read_codec(self.path, "np")
        return (config, provenance), tensors

    @property
    def config(self) -> CodecConfig:
        """The sizes."""
        return self.content[0][0]

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the weights come from."""
        return self.content[0][1]

    def _sections(self, state: State, kind: Kind) -> dict[str, Section]:
        return packing.codec_sections(self.config, state, kind)


@dataclass(frozen=True)
class VocoderFile(WeightsFile):
    """A vocoder's file."""

    _what = VOCODER_KIND

    @cached_property
    def content(self) -> tuple[str, State]:
        """The kind, and the tensors."""
        if self.path.suffix == SAFETENSORS:
            notes, tensors = read_tensors(self.path, VOCODER_KIND, "np")
            with reading(self.path, VOCODER_KIND):
                json.loads(notes.get("model_kwargs", "{}"))
            return notes.get("format", DEFAULT_VOCODER), tensors
        from aether_lite.vocoder.registry import load_network

        network = load_network(self.path)
        return network.kind, {name: value.numpy(force=True) for name, value in network.state_dict().items()}

    @property
    def delay(self) -> int:
        """Samples from the oldest one that comes with a row to the row's centre; the tensors are not read."""
        kind = DEFAULT_VOCODER
        if self.path.suffix == SAFETENSORS:
            kind = read_metadata(self.path, VOCODER_KIND).get("format", kind)
        return packing.VOCODERS.get(kind, packing.VOCODERS[DEFAULT_VOCODER]).delay

    def _sections(self, state: State, kind: Kind) -> dict[str, Section]:
        return packing.VOCODERS.get(self.content[0], packing.VOCODERS[DEFAULT_VOCODER]).sections(state, kind)


def exact_kind(state: State) -> Kind:
    """Float16 where it holds all large tensors exactly, else float32."""
    with np.errstate(all="ignore"):
        exact = all((value.astype(np.float16) == value).all() for value in state.values() if value.ndim > 1)
    return Kind.PANELS_F16 if exact else Kind.PANELS_F32


def model_in_memory(config: CodecConfig, state: State, vocoder: VocoderFile) -> Model:
    """The core's model of a codec with these tensors and of a vocoder; AetherError where it cannot be run."""
    with reading("codec", "weights that the native core can run"), np.errstate(all="ignore"):
        sections = packing.codec_sections(config, packing.Tensors(state), exact_kind(state))
    return Model(default(), weights.packed(sections | vocoder.sections()))


def vocoder_in_memory(kind: str, state: Mapping[str, ArrayLike]) -> Model:
    """The core's model of a vocoder with these tensors, of numpy or torch; AetherError where it cannot be run."""
    arrays = {name: numbers(value, name) for name, value in state.items()}
    return Model(default(), weights.packed(packing.VOCODERS[kind].sections(arrays, exact_kind(arrays))))


def codec_file(name: str | Path, unit: str | None = None) -> CodecFile:
    """The codec of a released name or a file, of symbols or of bits where ``unit`` asks for one; else AetherError."""
    file = CodecFile(codec_path(name))
    check_unit(file.config, name, unit)
    return file


def vocoder_file(name: str | Path | None = None) -> VocoderFile:
    """The vocoder of a released name or a file, None for ``fargan``; AetherError if it is none."""
    return VocoderFile(zoo.path(DEFAULT_VOCODER if name is None else name, "vocoder"))


@cache
def vocoder_model() -> Model:
    """The core's model of the default vocoder, which is enough for features."""
    return model_of(vocoder_file())


def model_of(*files: WeightsFile) -> Model:
    """The core's model of a codec, a vocoder or both.

    Raises:
        AetherError: weights that the core cannot run.
    """
    made_by = b"".join(Path(str(file)).read_bytes() for file in (packing.__file__, weights.__file__, __file__))
    digest = hashlib.sha256(b"".join([*(file.digest for file in files), made_by])).hexdigest()
    try:
        cached: Path | None = cache_folder("native") / f"{digest[:32]}.aether"
    except AetherError:
        cached = None
    if cached is not None and cached.exists() and not cached.is_file():
        cached = None  # somebody else's
    if cached is not None and cached.exists():
        try:
            return Model(default(), cached)
        except AetherError:
            with suppress(OSError):
                cached.unlink()  # damaged: made again
    data = weights.packed({name: section for file in files for name, section in file.sections().items()})
    with reading(files[0].path, "weights that the native core can run"):
        model = Model(default(), data)
    if cached is not None:
        try:
            with atomic_path(cached) as partial:
                partial.write_bytes(data)
            return Model(default(), cached)
        except AetherError:  # no room: it is made again the next time
            pass
    return model


def export_native(
    path: str | Path, model: str | Path = DEFAULT_CODEC, vocoder: str | Path | None = None, *, int8: bool = False
) -> dict[str, Any]:
    """Write a codec and a vocoder as native weights (``.aether``), float16 or int8.

    Args:
        path: the file to write; whole or not at all.
        model: name of released weights or a codec file, of symbols or bits.
        vocoder: file of a vocoder's weights or a released name; None for ``fargan``.
        int8: large matrices of 8 bits, with a scale for each output.

    Returns:
        What was written: name, bytes and SHA-256 of the file, and the weights it was made of.

    Raises:
        AetherError: weights that cannot be read or do not fit float16, or a file that cannot be written.
    """
    kind = Kind.PANELS_I8 if int8 else Kind.PANELS_F16
    codec, voice = codec_file(model), vocoder_file(vocoder)
    weights.write(path, codec.sections(kind) | voice.sections(kind))
    content = Path(path).read_bytes()
    return {
        "file": {"name": str(path), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        "precision": "int8" if int8 else "float16",
        "codec": {"name": str(model), "provenance": codec.provenance},
        "vocoder": {"name": voice.path.name},
    }
