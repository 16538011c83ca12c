"""The vocoder's training: two stages, any number of processes, resumable to the bit."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from aether_lite.codec.loading import DEFAULT_CODEC, codec_path, load_codec
from aether_lite.data.corpus import Corpus
from aether_lite.data.loader import Loader
from aether_lite.errors import AetherError
from aether_lite.losses.adversarial import GanLoss
from aether_lite.training.capture import CapturedStep, Step
from aether_lite.training.checkpoint import (
    BEST,
    check_same_run,
    load_checkpoint,
    newest,
    save_checkpoint,
    save_step,
)
from aether_lite.training.critic import Critic, critic_step
from aether_lite.training.distributed import Team
from aether_lite.training.loop import average_weights, finish, finite, run_steps
from aether_lite.training.provenance import data_hash, origin
from aether_lite.training.vocoder.config import FREE_TO_CHANGE, VocoderConfig
from aether_lite.training.vocoder.data import Batch, batches, with_decoded
from aether_lite.training.vocoder.stages import Stage, adversarial_parameters, freeze, stage_at
from aether_lite.training.vocoder.step import adversarial_pass, speak, spectral_pass
from aether_lite.vocoder import FARGAN, load_fargan, save_fargan_safetensors
from aether_lite.vocoder.checkpoint import save_public_checkpoint

if TYPE_CHECKING:
    from aether_lite.training.vocoder.reporting import VocoderReporter

SPECTRAL_BETAS, ADVERSARIAL_BETAS = (0.8, 0.95), (0.8, 0.99)  # Opus, FARGAN stages 1 and 2


class VocoderTrainer:
    """One run in one folder.

    Args:
        config: options.
        corpus: training clips.
        team: this process among all.
        reporter: progress and validation; None in the processes that do not write.
    """

    def __init__(
        self, config: VocoderConfig, corpus: Corpus, team: Team, reporter: VocoderReporter | None = None
    ) -> None:
        for name, count in (("batch", config.batch), ("adversarial_batch", config.adversarial_batch)):
            if count % team.size:
                raise AetherError(f"{name} {count} cannot be shared evenly by {team.size} processes: use a multiple")
        self.config, self.team, self.corpus, self.reporter = config, team, corpus, reporter
        self.out = Path(config.out)
        _ = corpus.kinds  # audio that does not belong to its features is to be an error now
        torch.manual_seed(config.seed)
        self.vocoder = (load_fargan(Path(config.init)) if config.init else FARGAN()).to(team.device).train()
        if config.compiled:
            self.vocoder.sig_net.compile(fullgraph=True, dynamic=False)
        self.average = copy.deepcopy(self.vocoder).eval().requires_grad_(False)
        self.critic = Critic(GanLoss(config.gan_loss), config.spectrogram_sizes, config.periods).to(team.device)
        self.codec = load_codec(codec_path(config.codec or DEFAULT_CODEC))[0].to(team.device).eval()
        self.captured = config.captured and team.device.type == "cuda" and team.size == 1
        self.optimisers = self._make_optimisers()
        self.data_hash = data_hash(corpus)
        self.step, self.best, self.stopping = 0, float("inf"), False
        self.stage: Stage | None = None
        self.loader: Loader[Batch] | None = None
        self._steps: dict[tuple[str, bool], Step] = {}

    def train_step(self) -> dict[str, Tensor]:
        """One step; returns the loss parts."""
        config, stage = self.config, stage_at(self.config, self.step)
        self.stage = stage
        if self.loader is None:
            self.loader = batches(self.corpus, config, self.team, self.step, self.codec.config.token_frames)
        batch = next(self.loader).to(self.team.device)
        torch.manual_seed((config.seed * 2**20 + self.step) * 2**10 + self.team.rank)  # of the activations' noise
        features = with_decoded(batch, self.codec, config.seed, self.step)
        _set_rate(self.optimisers[stage.name], stage.rate)
        parts = dict(self._step_of(stage)(features, batch.target))
        finite(parts["total"], self.team, self.step)
        if stage.trains:
            average_weights(self.average, self.vocoder, config.average, self.step)
        self.step += 1
        return parts

    def run(self) -> None:
        """Train to the end or to a signal, saving on the way and at the end."""
        try:
            run_steps(self, self.config.steps, self._after)
            finish(self)
        finally:
            if self.loader is not None:
                self.loader.close()

    def _step_of(self, stage: Stage) -> Step:
        """The function that makes steps of this kind; recorded on a GPU."""
        key = stage.name, stage.trains
        if key not in self._steps:
            freeze(self.vocoder, stage)
            plain = self._spectral if not stage.adversarial else self._adversarial if stage.trains else self._judge
            changed: Sequence[nn.Module] = [self.vocoder, self.critic] if stage.adversarial else [self.vocoder]
            used = [self.optimisers[n] for n in ([stage.name, "critic"] if stage.adversarial else [stage.name])]
            self._steps[key] = CapturedStep(plain, changed, used) if self.captured else plain
        return self._steps[key]

    def _spectral(self, features: Tensor, target: Tensor) -> dict[str, Tensor]:
        judged = spectral_pass(self.vocoder, features, target, self.config, self.team.total)
        norm = self._descend(self.optimisers["spectral"], judged.total)
        return {"total": judged.total.detach(), "gradient": norm, **judged.parts}

    def _adversarial(self, features: Tensor, target: Tensor) -> dict[str, Tensor]:
        self.critic.requires_grad_(False)  # its gradients would be thrown away
        judged = adversarial_pass(self.vocoder, self.critic, features, target, self.config, self.team.total)
        norm = self._descend(self.optimisers["adversarial"], judged.total)
        critic = self._critic_step(target, judged.made)
        return {"total": judged.total.detach(), "gradient": norm, **judged.parts, "critic": critic}

    def _judge(self, features: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Only the discriminators learn."""
        with torch.no_grad():
            made = speak(self.vocoder, features, target)
        critic = self._critic_step(target, made)
        return {"total": critic, "critic": critic}

    def _critic_step(self, real: Tensor, made: Tensor) -> Tensor:
        self.critic.requires_grad_(True)
        kind = GanLoss(self.config.gan_loss)
        return critic_step(self.critic, self.optimisers["critic"], real, made, kind, self.team)

    def _descend(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> Tensor:
        """One step of an optimiser; returns the gradient's norm before clipping."""
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        learning = [p for group in optimiser.param_groups for p in group["params"]]
        self.team.average_gradients(learning)
        norm = torch.nn.utils.clip_grad_norm_(learning, self.config.gradient_norm)
        optimiser.step()
        return norm

    def _make_optimisers(self) -> dict[str, torch.optim.Optimizer]:
        config, shared = self.config, {"capturable": self.captured}
        everything = list(self.vocoder.parameters())
        last = list(adversarial_parameters(self.vocoder))
        adamw = torch.optim.AdamW

        def rate(value: float) -> Tensor | float:  # a number, or a tensor on the CPU, would be recorded as it is
            return torch.tensor(value, device=self.team.device) if self.captured else value

        return {
            "spectral": adamw(
                everything, rate(config.learning_rate), SPECTRAL_BETAS, weight_decay=config.weight_decay, **shared
            ),
            "adversarial": adamw(last, rate(config.adversarial_rate), ADVERSARIAL_BETAS, weight_decay=0.0, **shared),
            "critic": adamw(
                self.critic.parameters(), rate(config.critic_rate), ADVERSARIAL_BETAS, weight_decay=0.0, **shared
            ),
        }

    def _after(self, parts: Mapping[str, Tensor]) -> None:
        """Report, validate and save as due. Only the leading process writes."""
        config = self.config
        last = self.step == config.steps
        if self.reporter is not None:
            assert self.stage is not None
            self.reporter.progress(self.step, parts, self.stage, self.loader.waited if self.loader else 0.0)
            if last or self.step % config.validate_every == 0:
                score = self.reporter.validate(self.step, self.average)
                if score < self.best:
                    self.best = score
                    save_checkpoint(self.out / BEST, self.content())
        if self.team.leads and (last or self.step % config.save_every == 0):
            self.save()

    def content(self) -> dict[str, Any]:
        """All that a checkpoint holds."""
        return {
            "model": self.vocoder.state_dict(),
            "average": self.average.state_dict(),
            "critic": self.critic.state_dict(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "step": self.step,
            "best": self.best,
            "config": self.config.as_dict(),
            "data": self.data_hash,
        }

    def save(self) -> None:
        """Write the checkpoint of this step and delete the oldest beyond ``keep``."""
        save_step(self.out, self.step, self.content(), self.config.keep)

    def export(self) -> None:
        """Write the averaged weights as safetensors and in the public checkpoint layout."""
        config = self.config
        options = {
            k: v
            for k, v in config.as_dict().items()
            if k not in FREE_TO_CHANGE - {"spectral_steps", "adversarial_steps"}
        }
        names = {"init": Path(config.init).name, "codec": Path(config.codec).name}
        notes = origin({**options, **names}, self.step, self.data_hash)
        save_fargan_safetensors(self.average, self.out / "vocoder.safetensors", {k: str(v) for k, v in notes.items()})
        save_public_checkpoint(
            self.average,
            self.out / "vocoder.pth",
            batch_size=config.batch,
            lr=config.learning_rate,
            sequence_length=config.frames,
            adam_betas=list(SPECTRAL_BETAS),
            epoch=self.step,
        )

    def resume(self, choice: str) -> Path | None:
        """Continue from ``auto`` (the newest in the run's folder), a checkpoint file, or nothing (``none``)."""
        path = newest(self.out) if choice == "auto" else None if choice == "none" else Path(choice)
        if path is None:
            return None
        content = load_checkpoint(path)
        check_same_run(path, content, self.config.as_dict(), FREE_TO_CHANGE, self.data_hash)
        self.vocoder.load_state_dict(content["model"])
        self.average.load_state_dict(content["average"])
        self.critic.load_state_dict(content["critic"])
        for name, optimiser in self.optimisers.items():
            _load_moments(optimiser, content["optimisers"][name])
        self.step, self.best = content["step"], content["best"]
        return path


def _load_moments(optimiser: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Take over a saved state; how steps are made (recorded or not) stays as in this run."""
    own = [{name: group[name] for name in ("lr", "capturable")} for group in optimiser.param_groups]
    groups = [{**group, **mine} for group, mine in zip(saved["param_groups"], own, strict=True)]
    optimiser.load_state_dict({**saved, "param_groups": groups})


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate, in place where it is a tensor that a recorded step reads."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
