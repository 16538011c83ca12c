"""Valid files of every kind that the package reads, and ways to damage them or make them do harm."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aether_lite.audio import read_audio, write_audio
from aether_lite.baselines import Condition
from aether_lite.bench.cache import ResultCache
from aether_lite.bench.dataset import read_languages
from aether_lite.bench.metadata import RunMetadata, SystemMetadata, read_metadata
from aether_lite.bench.results import Row, read_results, read_summary, summarise, write_json, write_results
from aether_lite.bench.results import write_summary as write_summaries
from aether_lite.codec import SpiCodec, save_codec
from aether_lite.codec.loading import file_metadata, load_codec, read_provenance
from aether_lite.container.prior import adaptive_prior, load_prior, read_label, save_prior
from aether_lite.data.check import check_pair
from aether_lite.data.index import Entry, open_index, read_index
from aether_lite.data.sources import find_sources
from aether_lite.export.runner import FORMAT, OnnxStep, read_manifest
from aether_lite.features import read_f32, read_pcm
from aether_lite.losses.asr import MelPredictor, load_mel_predictor, save_mel_predictor
from aether_lite.losses.whisper import load_encoder
from aether_lite.training.checkpoint import check_same_run, load_checkpoint, save_checkpoint
from aether_lite.training.codec_config import TrainConfig
from aether_lite.training.options import parse
from aether_lite.training.run_logger import read_log
from aether_lite.training.vocoder_config import VocoderConfig
from aether_lite.vocoder import FARGAN, load_vocoder
from aether_lite.vocoder.registry import save_public_checkpoint, save_vocoder
from opus_blob import blob
from tiny_asr import tiny_encoder, variables, write_model

VECTORS = Path(__file__).parent / "vectors"
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 2**31, 2**63, -(2**70), 10**400, 1e-300, 1e308, float("nan"), float("inf"), 10**5,
    "", "x", "1", "\0", "\ud800", "../../victim", "/etc/passwd", "C:\\victim", "nan", "=1+1", "x" * 10**5, [], {}, [[]],
    [None], {"": None}, {"a": {"a": {"a": []}}}, [1, "x"], [0] * 1000,
)  # fmt: skip
TEXTS = (
    b"\xff\xfe", b"\0", b"NaN", b"Infinity", b"1e999", b"9" * 5000, b"[" * 3000, b'{"a":' * 3000, b"-1", b"null",
    b"true", b'"', b"\\u", b"\n", b"\r", b",", b"\t", b"../", b"&a [*a]", b"!!python/object/apply:os.system ['x']",
    b"- ", b": ",
)  # fmt: skip

Loader = Callable[[Path], object]


@dataclass(frozen=True)
class Kind:
    """A kind of file: a valid one, how it is read, and how its values (not its bytes) are changed."""

    name: str
    path: Path
    load: Loader
    change: Callable[[bytes, random.Random], bytes] | None = None


def valid_files(folder: Path, codec: SpiCodec) -> list[Kind]:
    """One of each kind, below ``folder``; ``codec`` is an untrained one."""
    torch.manual_seed(0)
    kinds: list[Kind] = []

    def add(name: str, path: Path, load: Loader, change: Callable[[bytes, random.Random], bytes] | None = None) -> None:
        kinds.append(Kind(name, path, load, change))

    _add_tables(folder, add)
    _add_weights(folder, codec, add)
    entry = Entry("a/b", "/somewhere/b.wav", 1, 2, None, "c", 100)
    with open_index(folder) as index:
        for name in ("a", "b", "c/d"):
            index.add({**asdict(entry), "name": name})
    add("index", index.path, lambda path: read_index(path.parent), _changed_lines)
    with ResultCache(folder) as cache:
        for key in "abc":
            cache.add(key, {"x": 1.0, "y": float("nan")})
    add("log", index.path, read_log, _changed_lines)
    add("cache", cache.path, lambda path: ResultCache(path.parent).__exit__(), _changed_lines)
    recipe, other = folder / "recipe.yaml", folder / "vocoder.yaml"
    other.write_text("data_root: [a]\ndata_weight: [1.0]\nspectrogram_sizes: [512]\nadversarial_rate: 0.0001\n")
    recipe.write_text(
        "preset: tiny\nrates: [300, 1000]\nsnr_db: [-6.0, 22.0]\nchannels: {awgn: 1.0}\nform: {expansion: 2}\n"
        "stages:\n  - {name: first, steps: 10}\n  - {name: second, learning_rate: 0.001}\n"
    )
    add("recipe", recipe, lambda path: parse(TrainConfig, ["--config", str(path)], "p"))
    add("recipe of a vocoder", other, lambda path: parse(VocoderConfig, ["--config", str(path)], "p"))
    add("features", VECTORS / "en_f_intro.head20.f32", read_f32)
    add("samples", VECTORS / "en_f_intro.pcm", read_pcm)
    pair = folder / "pair.f32"
    pair.write_bytes((VECTORS / "en_f_intro.f32").read_bytes())
    add("pair", pair, lambda path: check_pair((path, VECTORS / "en_f_intro.pcm")))
    for suffix in ("wav", "flac", "ogg"):
        sound = folder / f"sound.{suffix}"
        write_audio(sound, np.sin(np.arange(4000) / 9).astype(np.float32) / 2)
        add(suffix, sound, read_audio)
    return kinds


def _add_tables(folder: Path, add: Any) -> None:
    rows = [Row("s", clip, "en", Condition("awgn", snr, 1000, (("csi", "none"),), None), {"frames": 9.0, "uses": 8.0})
            for clip in ("a", "=b") for snr in (0.0, None)]  # fmt: skip
    write_results(folder / "results.csv", rows)
    add("results", folder / "results.csv", read_results)
    write_summaries(folder / "summary.csv", summarise(rows))
    add("summary", folder / "summary.csv", read_summary)
    system = SystemMetadata("s", "S", 10.0, "none", "nothing", "", "f")
    metadata = RunMetadata("bench", "1", "", 0, "d", 2, 2, 1.0, 0, (), "", (system,), packages={"numpy": "2"})
    write_json(folder / "about.json", asdict(metadata))
    add("metadata", folder / "about.json", read_metadata, changed_json)
    step = {"outputs": [{"name": "y"}], "files": {"float32": {"name": "absent.onnx"}}}
    write_json(folder / "manifest.json", {"format": FORMAT, "steps": {"decoder": step}})
    add("manifest", folder / "manifest.json", _first_step, changed_json)
    (folder / "clips.tsv").write_text("path\tlanguage\tsplit\tspeaker\na.wav\ten\ttrain\tx\nb/c.wav\tde\ttest\ty\n")
    add("manifest of clips", folder / "clips.tsv", lambda path: read_languages(path, path.parent))
    add("manifest of sources", folder / "clips.tsv", lambda path: find_sources([], path, "train"))
    (folder / "list.txt").write_text("a.wav\nb.wav\n")
    add("list", folder / "list.txt", lambda path: find_sources([path]))


def _first_step(path: Path) -> None:
    read_manifest(path.parent)
    OnnxStep.load(path.parent, "decoder")


def _add_weights(folder: Path, codec: SpiCodec, add: Any) -> None:
    save_codec(codec, folder / "codec.safetensors", {"steps": 3})
    add("codec", folder / "codec.safetensors", load_codec, changed_safetensors)
    add("provenance", folder / "codec.safetensors", read_provenance, changed_safetensors)
    weights = codec.state_dict()
    config = TrainConfig(preset="tiny")
    content = {"model": weights, "average": weights, "networks": {"other": {"w": torch.ones(2)}}, "step": 3,
               "best": 1.0, "optimisers": {"o": {"state": {}, "param_groups": []}}, "config": config.as_dict(),
               "data": "d", "stage": "s", "file_metadata": file_metadata(codec.config, {})}  # fmt: skip
    save_checkpoint(folder / "run.pth", content)

    def resumed(path: Path) -> None:
        check_same_run(path, load_checkpoint(path), config, "d")

    add("checkpoint", folder / "run.pth", resumed, changed_checkpoint)
    add("codec of a checkpoint", folder / "run.pth", load_codec, changed_checkpoint)
    vocoder = FARGAN()
    save_public_checkpoint(vocoder, folder / "vocoder.pth", epoch=1)
    add("public vocoder", folder / "vocoder.pth", load_vocoder, changed_checkpoint)
    save_vocoder(vocoder, folder / "vocoder.safetensors", {"note": "n"}, torch.float16)
    (folder / "weights_blob.bin").write_bytes(blob(vocoder, int8=True))
    add("vocoder of Opus", folder / "weights_blob.bin", load_vocoder)
    add("vocoder", folder / "vocoder.safetensors", load_vocoder, changed_safetensors)
    save_prior(adaptive_prior(24), folder / "prior.safetensors", bytes(8), {"steps": 1})
    add("prior", folder / "prior.safetensors", load_prior, changed_safetensors)
    add("label", folder / "prior.safetensors", read_label, changed_safetensors)
    save_mel_predictor(MelPredictor(8, 1), torch.ones(2, 3), folder / "mel.safetensors", {})
    add("mel predictor", folder / "mel.safetensors", load_mel_predictor, changed_safetensors)
    (folder / "asr").mkdir()
    add("recogniser", write_model(folder / "asr", variables(tiny_encoder())), load_encoder)


def changed_bytes(data: bytes, rng: random.Random) -> bytes:
    """A few bits flipped, bytes set, cut, inserted, doubled or left out."""
    mutated = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(max(1, min(len(mutated), rng.choice((64, 2000, len(mutated) or 1)))))
        length = rng.choice((1, 2, 8, 100))
        match rng.randrange(6):
            case 0 if mutated:
                mutated[at] ^= 1 << rng.randrange(8)
            case 1:
                mutated[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\1\0\0\0"))
            case 2:
                del mutated[at : at + length]
            case 3:
                mutated[at:at] = rng.choice(TEXTS)
            case 4:
                mutated[at:at] = mutated[at : at + length]
            case 5:
                del mutated[rng.randrange(len(mutated) + 1) :]
    return bytes(mutated)


def changed_value(value: Any, rng: random.Random) -> Any:
    """A value with one of its parts replaced, left out or added."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        match rng.randrange(8):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, rng.choice(("x", "", "__class__", "../y")): rng.choice(VALUES)}
            case _:
                return {**value, key: changed_value(value[key], rng)}
    if isinstance(value, list | tuple) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return type(value)([*value[:at], changed_value(value[at], rng), *value[at + 1 :]])
    if isinstance(value, torch.Tensor):
        return _changed_tensor(value, rng)
    return rng.choice(VALUES)


def _changed_tensor(value: torch.Tensor, rng: random.Random) -> Any:
    value = value.clone()
    kinds = (torch.float16, torch.float64, torch.int64, torch.bool, torch.complex64, torch.bfloat16, torch.uint8)
    match rng.randrange(6):
        case 0 if value.is_floating_point() and value.numel():
            value.view(-1)[rng.randrange(value.numel())] = rng.choice((float("nan"), float("inf"), float("-inf")))
            return value
        case 1:
            return value.to(rng.choice(kinds))
        case 2:
            return value.reshape(-1)[: rng.randrange(value.numel() + 1)]
        case 3:
            return torch.zeros(1, dtype=value.dtype).expand(2**rng.randrange(40))
        case 4:
            return value.unsqueeze(0)
        case _:
            return rng.choice(VALUES)


def changed_json(data: bytes, rng: random.Random) -> bytes:
    """JSON of a changed value."""
    return json.dumps(changed_value(json.loads(data), rng)).encode()


def _changed_lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines()
    at = rng.randrange(len(lines))
    lines[at] = changed_json(lines[at], rng)
    return b"\n".join(lines) + rng.choice((b"", b"\n"))


def changed_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Changed metadata, claims about tensors, or values."""
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
    notes = header["__metadata__"]
    match rng.randrange(4):
        case 0:
            name = rng.choice(list(notes))
            try:
                notes[name] = json.dumps(changed_value(json.loads(notes[name]), rng))
            except ValueError:
                notes[name] = str(rng.choice(VALUES))
        case 1:
            notes[rng.choice(list(notes))] = str(rng.choice(VALUES))
        case 2:
            name = rng.choice(list(header))
            header[name] = changed_value(header[name], rng)
        case 3:
            at = rng.randrange(len(body) // 2) * 2
            body[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\x7e\0\x7e", b"\0\0\x80\x7f", b"\0\x7c\0\x7c"))
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(body)


def changed_checkpoint(data: bytes, rng: random.Random) -> bytes:
    """Changed values written anew, or changed bytes of one part of the archive."""
    made = BytesIO()
    if rng.random() < 0.6:
        torch.save(changed_value(torch.load(BytesIO(data), weights_only=True), rng), made)
        return made.getvalue()
    with zipfile.ZipFile(BytesIO(data)) as given, zipfile.ZipFile(made, "w", rng.choice((0, 0, 8))) as archive:
        names = given.namelist()
        chosen = rng.choice([name for name in names if name.endswith("data.pkl")] + names)
        for name in names:
            part = given.read(name)
            archive.writestr(name, changed_bytes(part, rng) if name == chosen else part)
    return made.getvalue()
