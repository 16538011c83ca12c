"""Which prior belongs to which model and file: those that come with the package, found without loading them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from aether_lite.container.layout import Header
from aether_lite.container.prior import Prior, PriorLabel, adaptive_prior, load_prior, read_label
from aether_lite.errors import AetherError

ADAPTIVE = "adaptive"  # name of the prior that needs no training


@dataclass(frozen=True)
class ReleasedPrior:
    """A prior file of the package: ``prior_<codec>_<bit rate>.safetensors``."""

    path: Path
    label: PriorLabel


def released_priors() -> list[ReleasedPrior]:
    """Priors that ship with the package, by name; only their labels are read."""
    files = sorted(Path(str(resources.files("aether_lite") / "zoo")).glob("prior_*.safetensors"))
    return [ReleasedPrior(path, read_label(path)) for path in files]


def prior_for_model(model_id: bytes, token_bits: int) -> Prior:
    """The released prior of a model's tokens of ``token_bits`` bits.

    Raises:
        AetherError: there is none.
    """
    for released in released_priors():
        if released.label.model_id == model_id and released.label.token_bits == token_bits:
            return load_prior(released.path)
    raise AetherError(
        f"no released prior for model {model_id.hex()} with tokens of {token_bits} bits: fit one with "
        f"`aether-lite train-prior` and give it with --prior FILE, or give --prior {ADAPTIVE}, which needs no training"
    )


def prior_of_file(header: Header, name: str) -> Prior:
    """The prior that an entropy-coded file was written with: a released one, or the adaptive one.

    Raises:
        AetherError: naming ``name``: it is neither.
    """
    adaptive = adaptive_prior(header.token_bits)
    if adaptive.identity == header.prior_id:
        return adaptive
    for released in released_priors():
        if released.label.identity == header.prior_id:
            return load_prior(released.path)
    assert header.prior_id is not None
    raise AetherError(
        f"{name}: entropy coded with prior {header.prior_id.hex()}, which is not a released one; "
        "give its file with --prior FILE"
    )
