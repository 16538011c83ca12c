"""Released weights: one registry of names, kinds, versions and checksums.

A name may ask for a version, ``hash_small@5``. A version counts the releases of a name; older weights are in the
history of the repository. Cards are beside the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from os import PathLike
from pathlib import Path

from aether_lite.errors import AetherError, check_kind
from aether_lite.reading import reading

USE = {
    "codec": "load('{0}') / --model {0}",
    "hash codec": "load('{0}') / --model {0}",
    "vocoder": "vocoder='{0}' / --vocoder {0}",
    "mel predictor": "mel_predictor='{0}' in training",
    "prior": "encode --entropy, which finds it",
}
KINDS = tuple(USE)


@dataclass(frozen=True)
class Weights:
    """A released file of weights.

    Attributes:
        name: that commands and ``load`` know.
        kind: one of :data:`KINDS`.
        version: number of the release, from 1.
        sha256: of the file.
    """

    name: str
    kind: str
    version: int
    sha256: str

    @property
    def path(self) -> Path:
        """The file."""
        stem = f"codec_{self.name}" if self.kind == "codec" else self.name
        return Path(str(resources.files("aether_lite") / "zoo" / f"{stem}.safetensors"))


RELEASED = (
    Weights("base", "codec", 10, "9a276aa53a0dfe36f7e7ab85d00c82bfb8d5d7713be55604878ab7ae00209d31"),
    Weights("small", "codec", 11, "22771ee905f67925090fc025b05c3fda4061cc811f42e85ebe6e95b954ccd2d7"),
    Weights("hash_small", "hash codec", 5, "b91a205baefa3cd8289bc06a9dd892ae870bce07e2d6769eb1f2d8b75a494158"),
    Weights("fargan", "vocoder", 2, "40daa45f13554113d32771cd7ad3269bde279d8f1049b0e10b618af70c5928d0"),
    Weights("fargan_adversarial", "vocoder", 1, "c0ae5dcee2ea55b33934ccab02151bf4959a103e107b7afcaefd3a73cb2c0a3b"),
    Weights("hnsf", "vocoder", 3, "8ac87ba7056eb80c418099e076aa1a84878303d6317cc88fb8a0afda85f6eaef"),
    Weights("ear", "mel predictor", 2, "6c81b6a266cf4bf36cb5ae504d6be75cc9dd30133ec09dc7beac0fc8a7cad318"),
    Weights("prior_hash_small_300", "prior", 5, "2df5a6bc1778324365515f68e3b1edad24f4f263f65992d74e4a20aef94f0bce"),
    Weights("prior_hash_small_600", "prior", 5, "ef47eb2f73d667bcfd9ef156fa5eff78ffb399dd993ce215391480003110bac8"),
    Weights("prior_hash_small_1200", "prior", 5, "bdcb714e28882337285ec7920053d9071d2d813e456506f2190bfa01e7d0ee69"),
    Weights("prior_hash_small_2400", "prior", 5, "7f18e87c85ed9933e4efb6b0be7fb58f9f2a103aefb58cb8a4b32a8710eb69d3"),
)


def names(*kinds: str) -> list[str]:
    """Names of the released weights of these kinds, of all without."""
    return [weights.name for weights in RELEASED if not kinds or weights.kind in kinds]


def find(name: str | Path) -> Weights | None:
    """The released weights of a name, with or without ``@version``; None for any other name, such as that of a file.

    Raises:
        AetherError: another version than the released one.
    """
    stem, _, version = str(name).partition("@")
    for weights in RELEASED:
        if weights.name == stem:
            if version and version != str(weights.version):
                raise AetherError(
                    f"{name}: version {weights.version} of {stem} is here; others are in the history of the repository"
                )
            return weights
    return None


def path(name: str | Path, *kinds: str) -> Path:
    """The file of a released name of one of ``kinds`` (any without), or the path of a file itself; else AetherError."""
    check_kind(kinds[0] if kinds else "weights", name, (str, PathLike), "a released name or the path of a file")
    weights = find(name)
    if weights is not None and (not kinds or weights.kind in kinds):
        return weights.path
    file = Path(name)
    with reading(file, "the name of a file"):
        is_file, is_folder = file.is_file(), file.is_dir()
    if not is_file:
        if weights is not None:
            raise AetherError(f"{name}: is a {weights.kind}, not a {kinds[0]}; use {USE[weights.kind].format(name)}")
        kind = kinds[0] if kinds else "weights"
        what = "is a folder" if is_folder else f"no such {kind} file"
        raise AetherError(f"{name}: {what}, nor a released {kind} ({', '.join(names(*kinds))})")
    return file
