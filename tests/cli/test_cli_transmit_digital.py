"""``aether-lite transmit --digital``: bits over binary channels and over symbols, with all options of transmit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from aether_lite.features import read_f32, write_f32


@pytest.fixture
def keyed(run: Callable[..., Any], hash_file: Path) -> Callable[..., Any]:
    """``transmit --digital`` with the untrained hash codec."""

    def call(*arguments: object) -> Any:
        return run("transmit", *arguments, "--digital", "--model", hash_file, "--force")

    return call


def record_of(result: Any) -> dict[str, Any]:
    assert result.code == 0, result.err
    record: dict[str, Any] = json.loads(result.out)
    return record


def test_bits_over_a_binary_channel(wav: Path, keyed: Callable[..., Any]) -> None:
    record = record_of(keyed(wav, "out.wav", "--bitrate", 1200, "--ber", 0.1, "--seed", 3, "--json", "-"))
    assert soundfile.info("out.wav").frames == 16_000
    assert (record["channel"], record["tokens"], record["bits"]) == ("bsc", 13, 13 * 96)
    assert (record["rate_bits_per_s"], record["error_rate"]) == (1200, 0.1)
    assert record["bits_decided"] == record["bits"]
    assert 0.06 < record["bit_error_rate"] < 0.14
    assert record["bit_errors"] == round(record["bit_error_rate"] * record["bits"])
    assert (record["snr_db"], record["channel_uses"], record["symbol_power"]) == (None, None, None)
    assert record["provenance"] == {"note": "untrained bits"}


def test_no_errors_on_a_channel_without(wav: Path, keyed: Callable[..., Any]) -> None:
    assert record_of(keyed(wav, "out.f32", "--ber", 0, "--json", "-"))["bit_errors"] == 0


@pytest.mark.parametrize(("modulation", "bits_a_use"), [("qpsk", 2), ("bpsk", 1), (None, 2)])
@pytest.mark.parametrize("rate", [300, 600, 1200, 2400])
def test_bits_over_symbols(
    wav: Path, keyed: Callable[..., Any], modulation: str | None, bits_a_use: int, rate: int
) -> None:
    options = ["--modulation", modulation] if modulation else []
    result = keyed(wav, "out.f32", "--bitrate", rate, "--channel", "awgn", "--snr", 0, *options, "--json", "-")
    record = record_of(result)
    uses = rate // bits_a_use
    assert (record["rate_uses_per_s"], record["channel_uses"]) == (uses, 13 * uses * 8 // 100)
    assert record["snr_3k_db"] == pytest.approx(10 * np.log10(uses / 3000))
    assert record["symbol_power"] == pytest.approx(1, abs=1e-5)
    expected = 0.1587 if bits_a_use == 2 else 0.0786  # Q(1), Q(sqrt 2)
    assert record["bit_error_rate"] == pytest.approx(expected, abs=0.06)


def test_errors_are_of_tokens_that_arrived(wav: Path, keyed: Callable[..., Any]) -> None:
    options = ("--channel", "mpp", "--snr", 40, "--erasure", 0.5, "--burst-tokens", 2, "--seed", 7)
    record = record_of(keyed(wav, "out.f32", "--bitrate", 600, *options, "--csi", "perfect", "--json", "-"))
    assert 0 < record["erased_tokens"] < 13
    assert record["bits_decided"] == (13 - record["erased_tokens"]) * 48
    assert record["bit_error_rate"] < 0.02
    everything = record_of(keyed(wav, "out.f32", "--ber", 0.01, "--erasure", 1, "--json", "-"))
    assert (everything["bits_decided"], everything["bit_errors"], everything["bit_error_rate"]) == (0, 0, None)


def test_same_seed_same_bytes_and_another_seed_others(wav: Path, keyed: Callable[..., Any]) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert keyed(wav, f"{name}.wav", "--ber", 0.05, "--seed", seed).code == 0
    a, b, c = (wav.with_name(f"{name}.wav").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_features_in_and_out_with_pictures(folder: Path, keyed: Callable[..., Any], speech_features: Any) -> None:
    write_f32("in.f32", speech_features[0, :101].numpy(), columns=20)
    assert keyed("in.f32", "out.f32", "--ber", 0.01, "--picture", "bits.png").code == 0
    assert read_f32("out.f32").shape == (101, 36)
    assert keyed("in.f32", "out.f32", "--channel", "clean", "--picture", "symbols.png").code == 0
    for name in ("bits.png", "symbols.png"):
        assert Path(name).read_bytes().startswith(b"\x89PNG")


def test_summary_names_bits_and_errors(wav: Path, keyed: Callable[..., Any]) -> None:
    summary = keyed(wav, "out.f32", "--bitrate", 2400, "--channel", "rayleigh", "--snr", 10).err
    assert "hash_tiny.safetensors, sends bits" in summary
    for words in ("2400 bit/s", "bit errors", "qpsk at 1200 uses/s", "Es/N0 10 dB", "SNR3k 6.02 dB"):
        assert words in summary
    assert "bit error rate 0.25" in keyed(wav, "out.f32", "--ber", 0.25).err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "channel bsc needs a bit error rate, 0..0.5"),
        (("--ber", 0.6), "error_rate must be in 0..0.5, not 0.6"),
        (("--ber", "nan"), "error_rate must be in 0..0.5"),
        (("--ber", 0.1, "--channel", "awgn", "--snr", 3), "a bit error rate is of the channel bsc"),
        (("--ber", 0.1, "--snr", 3), "channel bsc has no SNR"),
        (("--ber", 0.1, "--bitrate", 700), "rate 700 bit/s is not one of 300, 600, 1200, 2400"),
        (("--ber", 0.1, "--doppler-hz", 6), "channel bsc has no option 'doppler_hz'"),
        (("--ber", 0.1, "--csi", "guessed"), "csi must be one of perfect, estimated, none, not 'guessed'"),
        (("--ber", 0.1, "--burst-tokens", 3), "burst length"),
        (("--channel", "smoke", "--snr", 3), "unknown channel 'smoke'; known: bsc, awgn"),
        (("--channel", "awgn", "--snr", 3, "--modulation", "8psk"), "modulation must be bpsk or qpsk, not '8psk'"),
        (("--channel", "awgn", "--snr", 90), "SNR [dB] must be in -30..60"),
    ],
)
def test_what_cannot_be_is_one_line(
    wav: Path, keyed: Callable[..., Any], options: tuple[object, ...], words: str
) -> None:
    assert words in keyed(wav, "out.wav", *options).stated
    assert not wav.with_name("out.wav").exists()


def test_codecs_and_options_of_the_other_kind_are_refused(
    wav: Path, run: Callable[..., Any], keyed: Callable[..., Any], codec_file: Path, hash_file: Path
) -> None:
    for model in (codec_file, "small"):
        for option in ("--digital", "--ber 0.1", "--bitrate 600", "--modulation qpsk", "--channel bsc"):
            refused = run("transmit", wav, "out.wav", "--snr", 3, *option.split(), "--model", model).misused
            assert f"'{option if option == '--channel bsc' else option.split()[0]}': is for bits, but" in refused
            assert "sends symbols; leave it out, or give a hash codec such as --model hash_small" in refused
    for option in ("--rate", "--target-snr"):
        refused = run("transmit", wav, "out.wav", "--ber", 0.1, option, 600, "--model", hash_file).misused
        assert f"'{option}': is for symbols, but" in refused
        assert "sends bits; leave it out, or give a codec of symbols such as --model small" in refused
    assert "is for channels of symbols" in keyed(wav, "out.wav", "--ber", 0.1, "--modulation", "bpsk").misused
    assert not wav.with_name("out.wav").exists()


def test_the_model_decides_between_symbols_and_bits(wav: Path, run: Callable[..., Any], hash_file: Path) -> None:
    record = record_of(run("transmit", wav, "out.wav", "--ber", 0, "--model", hash_file, "--json", "-"))
    assert (record["channel"], record["rate_bits_per_s"]) == ("bsc", 600)
    default = record_of(run("transmit", wav, "out.wav", "--bitrate", 1200, "--ber", 0, "--json", "-", "-f"))
    assert (default["rate_bits_per_s"], default["weights"]["codec"]["file"]) == (1200, "hash_small.safetensors")


def test_bits_may_be_searched(wav: Path, keyed: Callable[..., Any]) -> None:
    plain = record_of(keyed(wav, "out.f32", "--ber", 0, "--json", "-"))
    searched = record_of(keyed(wav, "out.f32", "--ber", 0, "--refine", 10, "--json", "-"))
    assert (plain["search_steps"], searched["search_steps"]) == (0, 10)
    assert searched["feature_loss"] != plain["feature_loss"]
    assert searched["latency_ms"] == plain["latency_ms"] + 10 * (896 - 8)
