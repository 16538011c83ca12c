"""Exported graphs compute what torch computes, over eleven seconds of real speech and with the released weights."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from aether_lite.channels import awgn, mpp
from aether_lite.codec import Codec, SpiCodec, load
from aether_lite.codec.growth import start
from aether_lite.errors import AetherError
from aether_lite.features.layout import NUM_ALL, NUM_FREE
from aether_lite.metrics import clip_feature_loss
from aether_lite.payload import BIT_RATES, RATES, ChannelState, Received, ReceivedBits, Symbols, elements_per_token
from aether_lite.vocoder import load_fargan, synthesize

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from aether_lite.export import OnnxStep, decode_clip, encode_clip, export_folder, read_manifest, speak_clip
from aether_lite.export.folder import TOLERANCE, largest_difference, probes
from aether_lite.export.graphs import to_onnx
from aether_lite.export.runner import session
from aether_lite.export.steps import BitDecoderStep, BitEncoderStep, DecoderStep, VocoderFrame

DATA = Path(__file__).parents[1] / "vectors"
RECEIVER = Path(__file__).parents[2] / "examples" / "onnx_receiver.py"


@pytest.fixture(scope="module")
def codec() -> Codec:
    torch.set_num_threads(1)
    return load()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx") / "exported"
    export_folder(folder, int8=True)
    return folder


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """``[1120, 20]``: two speakers, one after the other."""
    clips = [np.fromfile(DATA / f"{name}.f32", "<f4").reshape(-1, NUM_ALL) for name in ("en_f_intro", "it_m_intro")]
    return np.concatenate([clip[:560, :NUM_FREE] for clip in clips])


def decoded_by_graph(exported: Path, received: Received, precision: str = "float32") -> np.ndarray:
    """The clip ``[1, K, n]`` through the exported decoder."""
    known = received.state
    return decode_clip(
        OnnxStep.load(exported, "decoder", precision),
        received.values[0].numpy(),
        int(received.rate),
        gain=None if known.gain is None else known.gain[0].numpy(),
        noise_variance=None if known.noise_variance is None else known.noise_variance[0].numpy(),
        erased=known.erased[0].numpy(),
        lookahead=read_manifest(exported)["lookahead_tokens"],
    )


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("target_snr_db", [None, 3.0])
def test_encoder_equals_torch(
    exported: Path, codec: Codec, rows: np.ndarray, rate: int, target_snr_db: float | None
) -> None:
    expected = codec.encode_features(torch.from_numpy(rows)[None], rate, target_snr_db).values[0].numpy()
    told = np.nan if target_snr_db is None else target_snr_db
    found = encode_clip(OnnxStep.load(exported, "encoder"), rows, rate, expected.shape[1], told)
    assert np.abs(found - expected).max() < TOLERANCE
    power = np.square(np.abs(expected)).mean(axis=1)
    np.testing.assert_allclose(np.square(np.abs(found)).mean(axis=1), power, rtol=1e-5)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", ["noise", "fading", "lost tokens", "withheld", "partly withheld"])
def test_decoder_equals_torch(exported: Path, codec: Codec, rows: np.ndarray, rate: int, kind: str) -> None:
    symbols = codec.encode_features(torch.from_numpy(rows)[None], rate)
    if kind == "fading":
        received = mpp(symbols, snr_db=8.0, seed=1)
    else:
        received = awgn(symbols, snr_db=3.0, seed=1, csi="none" if kind == "withheld" else "estimated")
    erased = received.state.erased.clone()
    noise = received.state.noise_variance
    if kind == "lost tokens":
        erased[:, 20:22] = True
        received.values[:, 20:22] = 0
    if kind == "partly withheld":
        assert noise is not None
        noise = noise.clone()
        noise[:, ::2] = torch.nan
    received = Received(received.values, rate, ChannelState(received.state.gain, noise, erased), received.token_frames)
    expected = codec.decode_features(received)[0].numpy()
    assert np.abs(decoded_by_graph(exported, received) - expected).max() < TOLERANCE


def test_rate_may_change_between_tokens(exported: Path, codec: Codec, rows: np.ndarray) -> None:
    rates = [RATES[number % len(RATES)] for number in range(len(rows) // codec.token_frames)]
    encoder, decoder = OnnxStep.load(exported, "encoder"), OnnxStep.load(exported, "decoder")
    sending = receiving = None
    for rate, token in zip(rates, rows.reshape(len(rates), -1, NUM_FREE), strict=True):
        symbols, sending = codec.model.encode(torch.from_numpy(token)[None], rate, None, sending)
        (found,) = encoder(features=token, rate=[rate], target_snr_db=[np.nan])
        uses = symbols.values.shape[2]
        assert np.abs(found[:uses].view(np.complex64)[:, 0] - symbols.values[0, 0].numpy()).max() < TOLERANCE
        assert not found[uses:].any()
        received = awgn(symbols, snr_db=10.0, seed=rate, csi="none")
        features, receiving = codec.model.decode(received, receiving)
        flat = np.full_like(found, 9.0)  # what stands beyond the rate's symbols must not matter
        flat[:uses] = torch.view_as_real(received.values)[0, 0].numpy()
        gain = np.full((len(flat), 2), np.nan, np.float32)
        (heard,) = decoder(received=flat, rate=[rate], gain=gain, noise_variance=[np.nan], erased=[False])
        assert np.abs(heard - features[0].numpy()).max() < TOLERANCE


@pytest.mark.slow
def test_graphs_of_bits_equal_torch(tiny_hash: SpiCodec, speech_features: torch.Tensor) -> None:
    """With look-ahead; the rate changes at every token, and some are lost or hold a value that is no soft bit."""
    torch.manual_seed(0)
    model = SpiCodec(replace(tiny_hash.config, lookahead=1))
    start(model, speech_features)
    graphs = [to_onnx(step(model.eval()).eval()).SerializeToString() for step in (BitEncoderStep, BitDecoderStep)]
    encoder, decoder = OnnxStep(session(graphs[0]), ["bits"]), OnnxStep(session(graphs[1]), ["features"])
    random, no_bits = np.random.default_rng(0), [np.nan, np.inf, 1.001, -9.0]
    sending = receiving = None
    for number, token in enumerate(speech_features[0].reshape(-1, 1, model.config.token_frames, NUM_FREE)):
        rate = BIT_RATES[number % len(BIT_RATES)]
        latents, _ = model.latents(token, state=sending)
        bits, sending = model.encode(token, rate, state=sending)
        n = bits.values.shape[2]
        (sent,) = encoder(features=token[0], rate=[rate])
        clear = latents[0, 0, :n].abs().numpy() > 1e-6  # nearer to the threshold rounding decides
        assert clear.mean() > 0.95
        assert (np.abs(sent) == (np.arange(len(sent)) < n)).all()
        np.testing.assert_array_equal(sent[:n][clear], bits.values[0, 0].numpy()[clear])

        soft, lost = random.uniform(-1, 1, n).astype(np.float32), number % 7 == 3
        given = np.full(len(sent), np.nan, np.float32)  # what stands beyond the rate's bits must not matter
        given[:n] = soft
        wild = number % 5 == 2
        if wild:
            given[number % n] = no_bits[number // 5 % 4]
        values = torch.from_numpy(soft * (not (lost or wild)))[None, None]
        arrived = ReceivedBits(values, rate, torch.tensor([[lost or wild]]), model.config.token_frames)
        features, receiving = model.decode(arrived, receiving)
        (heard,) = decoder(received=given, rate=[rate], erased=[lost])
        assert np.abs(heard - features[0].numpy()).max() < TOLERANCE


def test_vocoder_equals_torch_from_equal_features(exported: Path, codec: Codec, rows: np.ndarray) -> None:
    expected = synthesize(rows, codec.vocoder)
    vocoder = OnnxStep.load(exported, "vocoder")
    found = speak_clip(vocoder, rows)
    assert found.shape == expected.shape == (160 * len(rows),)
    assert np.abs(found - expected).max() < TOLERANCE
    np.testing.assert_array_equal(speak_clip(vocoder, rows[:100])[: 160 * 98], found[: 160 * 98])  # it starts anew


def test_priming_is_silent_and_forgets_what_was_before(exported: Path, rows: np.ndarray) -> None:
    vocoder = OnnxStep.load(exported, "vocoder")
    assert not vocoder(row=rows[100], audible=[0])[0].any()
    assert not vocoder.state["memory"].any()
    np.testing.assert_array_equal(vocoder.state["rows"][0], rows[[100, 100]])


def test_int8_loses_little(exported: Path, codec: Codec, rows: np.ndarray) -> None:
    frames = codec.token_frames
    symbols = encode_clip(OnnxStep.load(exported, "encoder", "int8"), rows, 600, elements_per_token(600, frames))
    received = awgn(Symbols(torch.from_numpy(symbols)[None], 600, frames), snr_db=10.0, seed=1)
    exact = awgn(codec.encode_features(torch.from_numpy(rows)[None], 600), snr_db=10.0, seed=1)
    small, full = (
        float(clip_feature_loss(torch.from_numpy(decoded), torch.from_numpy(rows), None))
        for decoded in (decoded_by_graph(exported, received, "int8"), codec.decode_features(exact)[0].numpy())
    )
    assert small != full
    assert small == pytest.approx(full, rel=0.03)
    sound, heard = (speak_clip(OnnxStep.load(exported, "vocoder", kind), rows) for kind in ("float32", "int8"))
    snr_db = 10 * np.log10(np.square(sound).sum() / np.square(sound - heard).sum())
    assert 12 < snr_db < 60
    for step in read_manifest(exported)["steps"].values():
        assert step["files"]["int8"]["bytes"] < 0.45 * step["files"]["float32"]["bytes"]


def test_manifest_describes_the_graphs(exported: Path, codec: Codec) -> None:
    import onnxruntime

    manifest = read_manifest(exported)
    assert manifest["latency_samples"]["total"] == codec.latency.samples
    assert manifest["uses_per_token"] == {str(rate): elements_per_token(rate, codec.token_frames) for rate in RATES}
    assert manifest["lookahead_tokens"] == codec.model.config.lookahead == 1
    np.testing.assert_allclose(manifest["features"]["mean"], codec.model.image.mean.numpy())
    for step in manifest["steps"].values():
        ports = [*step["inputs"], *step["states"]]
        for entry in step["files"].values():
            graph = onnxruntime.InferenceSession(exported / entry["name"])
            assert [(port["name"], port["shape"]) for port in ports] == [(p.name, p.shape) for p in graph.get_inputs()]
            outputs = [port["name"] for port in step["outputs"]] + [port["output"] for port in step["states"]]
            assert outputs == [p.name for p in graph.get_outputs()]
        assert step["files"]["float32"]["largest_difference_from_torch"] < TOLERANCE


def test_graphs_name_nothing_of_the_exporting_machine(exported: Path) -> None:
    for path in exported.glob("*"):
        content = path.read_bytes()
        assert b"stack_trace" not in content
        assert str(Path.cwd()).encode() not in content
        assert str(Path(torch.__file__).parents[1]).encode() not in content


@pytest.mark.parametrize("name", ["decoder", "vocoder"])
def test_a_graph_of_other_weights_is_noticed(exported: Path, name: str) -> None:
    model = load().model
    step = DecoderStep(model) if name == "decoder" else VocoderFrame(load_fargan())
    inputs = probes(model)[name]
    assert largest_difference(step, OnnxStep.load(exported, name), inputs) < TOLERANCE
    with torch.no_grad():
        for weight in step.parameters():
            weight.mul_(1.02)
    assert largest_difference(step, OnnxStep.load(exported, name), inputs) > TOLERANCE


def test_folders_that_are_no_export(tmp_path: Path, exported: Path) -> None:
    with pytest.raises(AetherError, match=r"manifest\.json"):
        OnnxStep.load(tmp_path, "decoder")
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(AetherError, match="format"):
        read_manifest(tmp_path)
    with pytest.raises(AetherError, match="no decoder in float16"):
        OnnxStep.load(exported, "decoder", "float16")


@pytest.mark.parametrize("snr_db", [None, 10.0])
def test_receiver_example_hears_what_torch_hears(
    exported: Path, codec: Codec, rows: np.ndarray, tmp_path: Path, snr_db: float | None
) -> None:
    """In a process where importing torch, onnx or this package fails."""
    sent = codec.encode_features(torch.from_numpy(rows)[None], 700)
    values = awgn(sent, snr_db=10.0, seed=1).values
    stream = values[0].numpy().copy()
    stream[30] = np.nan
    stream.astype("<c8").tofile(tmp_path / "symbols.iq")
    for name in ("torch", "onnx", "aether_lite"):
        (tmp_path / f"{name}.py").write_text("raise ImportError\n")
    command = [sys.executable, RECEIVER, exported, tmp_path / "symbols.iq", tmp_path / "out.wav", "--rate", "700"]
    command += [] if snr_db is None else ["--snr", str(snr_db)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run(command, check=True, env=environment)

    erased = torch.zeros(values.shape[:2], dtype=torch.bool)
    erased[:, 30] = True
    values[:, 30] = 0
    noise = None if snr_db is None else torch.full(values.shape[:2], 10 ** (-snr_db / 10))
    expected = codec.decode(Received(values, 700, ChannelState(None, noise, erased), codec.token_frames))[0].numpy()
    heard, sample_rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert sample_rate == 16_000
    assert heard.shape == expected.shape
    error = heard - expected
    assert np.square(error).sum() < 1e-4 * np.square(expected).sum()


def test_receiver_example_is_short_and_needs_numpy_and_onnxruntime_only() -> None:
    source = RECEIVER.read_text()
    assert len(source.splitlines()) <= 67
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        if isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).split(".")[0])
    assert {name for name in imported if name not in sys.stdlib_module_names} == {"numpy", "onnxruntime"}
