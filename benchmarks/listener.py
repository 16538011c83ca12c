"""Whether the listener of training hears what the recogniser hears: distances of states for parts of decoded features.

    python benchmarks/listener.py FOLDER --manifest FOLDER/manifest.tsv --clips 24 --codec small --rate 1000 --snr 6

For features that are decoded in one part and true in the rest (the parts of word_losses.py), prints the mean square
distance to the true ones of what the listener makes of them (no audio), and of the states of the same recogniser's
encoder on vocoded speech, each dimension with variance 1. English clips alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from word_losses import PARTS

from aether_lite.bench.dataset import load_clip, open_dataset
from aether_lite.channels import apply_channel
from aether_lite.codec import load
from aether_lite.errors import AetherError
from aether_lite.features.layout import FRAME
from aether_lite.losses.asr import Listener, load_listener
from aether_lite.losses.asr.recogniser import FRAMES_PER_STATE, LONGEST_HEARD
from aether_lite.losses.asr.spectra import Spectra
from aether_lite.losses.listening import listening_loss


def heard(listener: Listener, spectra_of: Spectra, speech: Tensor, states: int) -> Tensor:
    """The recogniser's first states for speech ``[N]``, in a window of 30 s as it is used."""
    window = F.pad(speech, (0, LONGEST_HEARD * FRAME - len(speech)))[None]
    return listener.heard(spectra_of(window, LONGEST_HEARD))[0, :states]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--manifest", type=Path, required=True, help="tells which clips are English")
    parser.add_argument("--clips", type=int, default=24, help="English ones among so many, evenly chosen; 0: all")
    parser.add_argument("--codec", default="small")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--snr", type=float, default=6.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ear", default="ear")
    parser.add_argument("--recogniser", default="tiny.en")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        chosen = open_dataset(options.folder, options.manifest).chosen(options.clips or None).sources
        clips = [clip for clip in map(load_clip, chosen) if clip.language.startswith("en")]
        if not clips:
            raise AetherError(f"{options.folder}: no English clip in {options.manifest}")
        listener, codec, spectra_of = load_listener(options.ear, options.recogniser), load(options.codec), Spectra()
        near: dict[str, list[float]] = {name: [] for name in PARTS}
        spoken: dict[str, list[float]] = {name: [] for name in PARTS}
        for clip in clips:
            frames = min(len(clip.features), LONGEST_HEARD) // FRAMES_PER_STATE * FRAMES_PER_STATE
            true = clip.features[:frames]
            received = apply_channel(
                "awgn", codec.encode(clip.speech.numpy(), options.rate), options.snr, seed=options.seed
            )
            decoded = codec.decode_features(received)[0, :frames]
            wanted = None
            with torch.no_grad():
                for name, mix in PARTS.items():
                    rows = mix(decoded, true)[None]
                    near[name].append(float(listening_loss(listener(rows), listener(true[None]))))
                    speech = codec.speak(rows)[0, : frames * FRAME]
                    states = heard(listener, spectra_of, speech, frames // FRAMES_PER_STATE)
                    wanted = states if wanted is None else wanted
                    spoken[name].append(float((states - wanted).square().mean()))
    except AetherError as error:
        sys.exit(f"listener: {error}")
    print(f"{len(clips)} clips, {options.codec}, {options.rate} uses/s, AWGN, {options.snr:g} dB\n")
    print("| decoded, the rest true | listener, of features | recogniser, of speech |\n|---|---|---|")
    for name in PARTS:
        print(f"| {name} | {sum(near[name]) / len(clips):.3f} | {sum(spoken[name]) / len(clips):.3f} |")


if __name__ == "__main__":
    main()
