"""What every training command does around its trainer: data, options on disk, resume, reporter."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from aether_lite.data.augment import Augmentation
from aether_lite.data.corpus import Corpus
from aether_lite.data.disjoint import check_disjoint
from aether_lite.errors import AetherError
from aether_lite.files import atomic_path
from aether_lite.training.distributed import Team

OPTIONS = "config.json"
HELD_OUT = 0.1  # share of the training clips that validate where no validation root is given


class DataOptions(Protocol):
    """Options that name the data; see the commands' ``--help``."""

    data_root: list[str]
    data_weight: list[float]
    valid_root: list[str]
    augment_share: float


class RunOptions(DataOptions, Protocol):
    """Options of any training run."""

    out: str
    resume: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        ...


class Bar(Protocol):
    """A progress bar that can say something."""

    def write(self, text: str) -> None:
        """Say a line."""
        ...


class Reporter(Protocol):
    """What speaks for a run in its leading process."""

    @property
    def bar(self) -> Bar:
        """Its progress bar."""
        ...

    def close(self) -> None:
        """End all writers."""
        ...


class Trainer(Protocol):
    """What :func:`launch` runs."""

    step: int

    def resume(self, choice: str) -> Path | None:
        """Continue from a checkpoint; which one, or None."""
        ...

    def run(self) -> None:
        """Train to the end."""
        ...


def launch(trainer: Trainer, config: RunOptions, here: Team, make_reporter: Callable[[], Reporter]) -> None:
    """Resume as asked, write the options, train.

    Args:
        trainer: at its start.
        config: options.
        here: this process among all.
        make_reporter: called in the leading process alone, after the resume; gives the trainer its reporter.
    """
    resumed = trainer.resume(config.resume)
    reporter = None
    if here.leads:
        reporter = make_reporter()
        with atomic_path(Path(config.out) / OPTIONS) as partial:
            partial.write_text(json.dumps(config.as_dict(), indent=2) + "\n")
        if resumed is not None:
            reporter.bar.write(f"continuing {resumed} at step {trainer.step}")
    here.wait()
    try:
        trainer.run()
    finally:
        if reporter is not None:
            reporter.close()


def corpora(config: DataOptions, *, consecutive: bool = False) -> tuple[Corpus, Corpus]:
    """Training and validation clips of a run; see :func:`disjoint_corpora`."""
    augmentation = Augmentation(share=config.augment_share) if config.augment_share > 0 else None
    return disjoint_corpora(
        config.data_root, config.valid_root, config.data_weight, augmentation, consecutive=consecutive
    )


def disjoint_corpora(
    data_root: Sequence[str],
    valid_root: Sequence[str],
    data_weight: Sequence[float] = (),
    augmentation: Augmentation | None = None,
    *,
    consecutive: bool = False,
) -> tuple[Corpus, Corpus]:
    """Training and validation clips; without a validation root a tenth of the training clips, by name.

    Raises:
        AetherError: no data, or clips in both.
    """
    if not data_root:
        raise AetherError("no training data: give a folder made by `aether-lite prepare SRC FOLDER` (see --help)")
    train = Corpus([Path(r) for r in data_root], data_weight or None, augmentation, consecutive=consecutive)
    if valid_root:
        valid = Corpus([Path(r) for r in valid_root])
        check_disjoint(train, valid, speakers=False)
        return train, valid
    return train.split(HELD_OUT)
