"""Run the whole Anti-Buzz curriculum on a folder of speech and show what the stages bring.

    python examples/curriculum.py SPEECH_FOLDER OUT
    python examples/curriculum.py SPEECH OUT --manifest SPEECH/manifest.tsv --steps 600 --borders 100 250 400

Prepares the data, trains twice for the same number of steps from the same start (all four stages; feature_focus
only), measures both on validation speech, and writes OUT/report.md with pictures. Every part continues where it was
stopped. What is not known here goes to `aether-lite train` unchanged (--batch, --codec, --lambda_adv ...).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from anti_buzz import Figures, measure

from aether_lite.cli.prepare import prepare
from aether_lite.codec import load
from aether_lite.data.corpus import Corpus
from aether_lite.data.pairs import common_kind, read_speech
from aether_lite.features.layout import SAMPLE_RATE
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.codec_task import CodecTask
from aether_lite.training.codec_validation import chosen_clips
from aether_lite.training.loop import run
from aether_lite.training.options import parse
from aether_lite.vocoder import load_fargan

RATE, SNR_DB = 1000, 10.0  # uses/s and Es/N0 [dB] of the report
CLIPS = 48
SHORTEST_SECONDS = 1.5
COLUMNS = {
    "feature_loss": "feature loss",
    "pooled_spread_hz": "pooled F0 spread [Hz]",
    "original_spread_hz": "of the original [Hz]",
    "spread_ratio": "spread ratio",
    "f0_correlation": "F0 correlation",
    "vuv_error": "V/UV error",
    "pitch_spike": "pitch spike",
    "quiet_silence": "silence below -50 dBFS",
    "estoi": "ESTOI",
}


def prepared(speech: Path, out: Path, manifest: Path | None) -> tuple[Path, Path]:
    """Data roots to train and to validate on."""
    train, valid = out / "data" / "train", out / "data" / "valid"
    if manifest is None:
        prepare([speech, train], valid_share=0.05, valid_root=valid)
    else:
        for split, root in (("train", train), ("valid", valid)):
            prepare([root], manifest=manifest, split=split)
    return train, valid


def trained(name: str, out: Path, roots: tuple[Path, Path], steps: int, borders: list[int], rest: list[str]) -> Path:
    """Folder of a finished run."""
    folder = out / name
    options = ["--data_root", str(roots[0]), "--valid_root", str(roots[1]), "--out", str(folder)]
    options += ["--steps", str(steps), "--stage_borders", *map(str, borders), "--save_visualization", *rest]
    run(CodecTask, *parse(TrainConfig, options, "curriculum.py"))
    return folder


def measured(folder: Path, valid: Path, fargan_ckpt: str) -> tuple[Figures, Figures]:
    """Figures of a run's averaged codec, with its own vocoder if it trained one."""
    codec = load(next(folder.glob("codec_*.safetensors")))
    own = folder / "vocoder.safetensors"
    vocoder = load_fargan(own if own.exists() else fargan_ckpt or None).eval()
    corpus = Corpus([valid])
    corpus.clips = [clip for clip in corpus.clips if clip.frames >= 100 * SHORTEST_SECONDS]
    clips = [read_speech(clip, common_kind([clip]), 0, min(clip.frames, 600)) for clip in chosen_clips(corpus, CLIPS)]
    print(f"{folder.name}: {len(clips)} clips, {sum(map(len, clips)) / SAMPLE_RATE:.0f} s")
    return measure(codec, vocoder, clips, RATE, SNR_DB)


def report(results: dict[str, tuple[Figures, Figures]], command: str) -> str:
    """Markdown table, one row for each run and kind of features."""
    lines = [
        f"Validation speech, {RATE} uses/s, AWGN, Es/N0 {SNR_DB:g} dB. Command: `{command}`",
        "",
        f"| run | measured on | {' | '.join(COLUMNS.values())} |",
        f"|---|---|{'---|' * len(COLUMNS)}",
    ]
    for name, sides in results.items():
        for kind, figures in zip(("decoded features", "re-analysed audio"), sides, strict=True):
            lines.append(f"| {name} | {kind} | {' | '.join(f'{figures[key]:.3f}' for key in COLUMNS)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parse the command line, train, measure, write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path, help="folder of audio files")
    parser.add_argument("out", type=Path, help="folder for data, runs and report")
    parser.add_argument("--manifest", type=Path, help="table with columns path, split and speaker")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--borders", type=int, nargs=3, default=[1000, 3000, 5000])
    parser.add_argument("--fargan_ckpt", default="")
    known, rest = parser.parse_known_args()
    roots = prepared(known.speech, known.out, known.manifest)
    rest += ["--fargan_ckpt", known.fargan_ckpt] if known.fargan_ckpt else []
    never = [known.steps] * 3
    results = {}
    for name, borders in (("all_stages", known.borders), ("feature_only", never)):
        folder = trained(name, known.out, roots, known.steps, borders, rest)
        torch.manual_seed(0)
        results[name] = measured(folder, roots[1], known.fargan_ckpt)
    borders_text = " ".join(map(str, known.borders))
    command = f"examples/curriculum.py SPEECH OUT --steps {known.steps} --borders {borders_text} {' '.join(rest)}"
    text = report(results, command)
    (known.out / "report.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
