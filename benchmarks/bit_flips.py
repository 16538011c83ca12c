"""How many bits of a hash codec another machine would turn, and how far its decoded speech would be.

    python benchmarks/bit_flips.py [SPEECH] [--manifest TSV] [--model hash_small] [--clips 24]

SPEECH is a folder as ``aether-lite bench`` takes it; without it the bundled speech is encoded. Other machines are stood
in for by other threads and other instruction sets of the libraries that add and multiply, one process each: sums are
then rounded in another order. Features are extracted anew each time. The clips are encoded at 2400 bit/s (the lower
rates are the first of these bits), and the bits of the first process are decoded to speech in each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from aether_lite.audio import read_audio
from aether_lite.bench.dataset import bundled, open_dataset
from aether_lite.bench.tables import markdown
from aether_lite.channels import Bits, bsc
from aether_lite.codec import Codec, load
from aether_lite.errors import AetherError
from aether_lite.payload import BIT_RATES

RATE = max(BIT_RATES)
OLDEST = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
MACHINES: dict[str, tuple[int, dict[str, str]]] = {
    "this machine, one thread": (1, {}),
    "the same again": (1, {}),
    "two threads": (2, {}),
    "no AVX in torch's kernels": (1, {"ATEN_CPU_CAPABILITY": "default"}),
    "AVX2, no AVX-512": (1, {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2"}),
    "SSE, in all libraries": (1, OLDEST),
    "SSE, two threads": (2, OLDEST),
}


def bits_and_speech(model: str, clips: list[str], sent: Path | None, threads: int, out: Path) -> None:
    """Write this process's bits of all clips, and the speech of the first clip's bits (of ``sent`` if there is one)."""
    torch.set_num_threads(threads)
    codec: Codec = load(model)
    bits = [codec.encode(read_audio(clip), RATE).values[0].numpy() for clip in clips]
    first = bits[0] if sent is None else np.load(sent)["first"]
    received = bsc(Bits(torch.from_numpy(first)[None], RATE, codec.token_frames), 0.0, csi="perfect", seed=0)
    np.savez(out, bits=np.concatenate(bits), first=bits[0], speech=codec.decode(received)[0].numpy())


def main() -> None:
    """Run every stand-in and compare with the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path, nargs="?", help="folder; by default the bundled speech")
    parser.add_argument("--manifest", type=Path, help="columns path and language of the clips")
    parser.add_argument("--model", default="hash_small", help="released hash codec or file")
    parser.add_argument("--clips", type=int, default=24, help="spread evenly; 0 for all")
    parser.add_argument("--worker", nargs=3, metavar=("THREADS", "OUT", "SENT"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    data = bundled() if chosen.speech is None else open_dataset(chosen.speech, chosen.manifest)
    clips = [str(source.paths[0]) for source in data.chosen(chosen.clips or None).sources]
    if chosen.worker:
        threads, out, sent = chosen.worker
        bits_and_speech(chosen.model, clips, Path(sent) if sent else None, int(threads), Path(out))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        first: Path | None = None
        for index, (name, (threads, settings)) in enumerate(MACHINES.items()):
            out = Path(folder, f"{index}.npz")
            command = [sys.executable, *sys.argv, "--worker", str(threads), str(out), str(first or "")]
            if code := subprocess.run(command, check=False, env=os.environ | settings).returncode:
                sys.exit(code)  # the process has said why
            first = first or out
            here, there = np.load(first), np.load(out)
            turned = int((here["bits"] != there["bits"]).sum())
            difference = float(np.abs(here["speech"] - there["speech"]).max())
            rows.append([name, str(turned), f"{turned / here['bits'].size:.1e}", f"{difference:.1e}"])
        total = here["bits"].size
    print(f"{Path(chosen.model).stem}, {data.title}: {len(clips)} clips, {total} bits at {RATE} bit/s\n")
    print(markdown(["process", "bits turned", "share", "greatest difference of decoded samples"], rows))


if __name__ == "__main__":
    try:
        main()
    except AetherError as error:
        sys.exit(f"bit_flips: {error}")
