"""``train-listener``: hear, learn, measure, write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aether_lite.errors import AetherError
from aether_lite.listener import save_listener
from aether_lite.training.data import Corpus
from aether_lite.training.hash_prior import Progress
from aether_lite.training.launch import disjoint_corpora
from aether_lite.training.listener.config import ListenerConfig
from aether_lite.training.listener.fit import fit, scale_of, unexplained
from aether_lite.training.listener.teacher import WINDOW, Lessons, lessons, teacher_folder
from aether_lite.training.provenance import data_hash, hours_of, origin

FILE = "listener.safetensors"


def run(config: ListenerConfig, say: Callable[[str], None], progress: Progress | None = None) -> float:
    """Train a listener as the options ask; returns the unexplained share of validation speech.

    Args:
        config: options.
        say: told each step, and the result in the end.
        progress: told how much of a step is done.

    Raises:
        AetherError: teacher, data or folder that cannot be used.
    """
    teacher = teacher_folder(config.teacher)
    train, valid = disjoint_corpora(config.data_root, config.valid_root)
    out = Path(config.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AetherError(f"{out}: cannot be made ({error.strerror})") from error
    say(f"the teacher hears {hours_of(valid)} and {hours_of(train)}")
    measured, taught = (_heard(corpus, teacher, out, config.jobs, progress) for corpus in (valid, train))
    say(f"learning from {len(taught.features) * WINDOW / 360_000:.2f} h")

    def told(step: int, error: float) -> None:
        if progress is not None:
            progress(step, config.steps)

    scale = scale_of(taught)
    model = fit(taught, config, scale, told)
    seen, unseen = unexplained(model, taught.first(len(measured.features)), scale), unexplained(model, measured, scale)
    whole = {**origin(config.as_dict(), config.steps, data_hash(train)), "data": hours_of(train)}
    save_listener(model, out / FILE, {**whole, "unexplained": round(unseen, 4)})
    say(f"{out / FILE}: of the states' variance {seen:.3f} are not explained on training speech, {unseen:.3f} on other")
    return unseen


def _heard(corpus: Corpus, teacher: Path, out: Path, jobs: int, progress: Progress | None) -> Lessons:
    for news in lessons(corpus, teacher, out, jobs):
        if isinstance(news, Lessons):
            return news
        if progress is not None:
            progress(*news)
    raise AssertionError("lessons end with the lessons")
