"""The radio waveform by measurement: speech, acquisition, false alarms, SNR read-out, text, peaks and bandwidth.

    python benchmarks/radio.py FEATURES [--part loss,acquisition,...] [--model base] [--seconds 60]

FEATURES is a folder of feature files (``.f32``), of which every n-th clip by name is taken. Every figure comes
from audio: a transmitter, :mod:`aether_lite.modem.onair`, and a receiver that is given nothing but samples. Tables are
written as Markdown to standard output as they are made.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

import aether_lite
from aether_lite.codec import Codec
from aether_lite.features import read_f32
from aether_lite.metrics.features import clip_feature_loss
from aether_lite.modem import PROFILES, Message, OverReport, Profile, ReceivedFrame, Receiver, Transmitter, find
from aether_lite.modem.onair import OnAir, analytic
from aether_lite.modem.waveform import envelope_papr_db
from aether_lite.payload import ChannelState, Received, Symbols

RATE = 16_000
USABLE = 0.3


def row(*values: object) -> None:
    """One line of a table."""
    cells = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in values]
    print("|", " | ".join(cells), "|", flush=True)


def table(title: str, *names: str) -> None:
    print(f"\n### {title}\n")
    row(*names)
    row(*("---" for _ in names))


def features(folder: Path, seconds: float) -> torch.Tensor:
    """``[1, F, 20]``: clips in a row, of whole frames of the waveform."""
    paths = sorted(folder.glob("*.f32"))
    rows = {path: read_f32(path)[:, :20] for path in paths}
    step = max(1, int(sum(map(len, rows.values())) / (100 * seconds)))
    together = np.concatenate([rows[path] for path in paths[::step]])[: round(100 * seconds)]
    return torch.from_numpy(together[: len(together) // 8 * 8])[None]


def transmitted(profile: Profile, tokens: np.ndarray, papr_db: float, text: str = "") -> np.ndarray:
    transmitter = Transmitter(profile, Message(text, 0), papr_db)
    return np.concatenate((transmitter.push(tokens), transmitter.flush()))


def overs(audio: np.ndarray, profiles: Sequence[Profile]) -> Iterator[tuple[OverReport, list[ReceivedFrame], float]]:
    """Report, frames and the time [s] at which the first of them was known, of every over."""
    receiver, block = Receiver(profiles), 1280
    found: dict[int, tuple[OverReport, list[ReceivedFrame], float]] = {}
    for start in range(0, len(audio) + block, block):
        part = audio[start : start + block]
        for reception in receiver.push(part) if len(part) else receiver.flush():
            key, now = id(reception.over), (start + block) / RATE
            found.setdefault(key, (reception.over, [], now))[1].extend(reception.frames)
    yield from found.values()


def decoded_loss(
    codec: Codec, original: torch.Tensor, report: OverReport, frames: list[ReceivedFrame], begin: float
) -> float:
    """Feature loss of the frames of one over whose first frame of data was sent at ``begin`` [s]."""
    if not frames:
        return float("nan")
    values = torch.from_numpy(np.concatenate([frame.values for frame in frames]))[None].to(torch.complex64)
    gain = torch.from_numpy(np.concatenate([frame.gain for frame in frames]))[None].to(torch.complex64)
    noise = torch.from_numpy(np.concatenate([frame.noise_variance for frame in frames]))[None].float()
    erased = torch.tensor([[frame.erased for frame in frames for _ in range(2)]])
    values = values.masked_fill(erased[:, :, None], 0)
    received = Received(values, report.profile.rate, ChannelState(gain, noise, erased), codec.token_frames)
    with torch.inference_mode():
        decoded = codec.decode_features(received)
    first = 8 * round((report.start_s - begin) / 0.08)
    skip = max(-first, 0)
    length = min(decoded.shape[1] - skip, original.shape[1] - max(first, 0))
    pair = decoded[:, skip : skip + length], original[:, max(first, 0) : max(first, 0) + length]
    return float(clip_feature_loss(*pair)[0])


def radio_loss(
    codec: Codec, original: torch.Tensor, audio: np.ndarray, link: OnAir, profile: Profile
) -> tuple[float, OverReport | None, int]:
    """Loss of the longest over, its report, and how many overs there were."""
    every = list(overs(link.receive(audio, RATE), [profile]))
    if not every:
        return float("nan"), None, 0
    report, frames, _ = max(every, key=lambda each: len(each[1]))
    begin = link.lead_s + 0.16 / (1 + 1e-6 * link.ppm)
    return decoded_loss(codec, original, report, frames, begin), report, len(every)


def loss(codec: Codec, original: torch.Tensor, options: argparse.Namespace) -> None:
    """Feature loss against SNR3k, and the error of its read-out."""
    names = ("uses/s", "PAPR", "channel", "SNR3k", "peak SNR3k", "loss", "frames lost", "SNR3k read", "rms error")
    table(f"Feature loss of {codec.name}, {original.shape[1] / 100:.0f} s, 40 Hz, 50 ppm", *names)
    for rate in options.rates:
        profile = find("narrow", rate)
        with torch.inference_mode():
            tokens = codec.encode_features(original, rate).values[0].numpy()
        for papr in options.papr:
            audio = transmitted(profile, tokens, papr)
            peak = envelope_papr_db(analytic(audio))
            for channel in options.channels:
                for snr in options.snrs:
                    link = OnAir(snr, channel, 40.0, 0.0, 50.0, 0.77, 0.5, seed=options.seed)
                    value, report, _ = radio_loss(codec, original, audio, link, profile)
                    read = np.array(report.snr3k_db if report else [np.nan])
                    error = float(np.sqrt(np.square(read - snr).mean()))
                    lost = f"{report.lost} of {report.frames}" if report else "-"
                    mean = f"{read.mean():.1f}"
                    row(rate, papr, channel, snr, f"{snr + peak:.1f}", value, lost, mean, f"{error:.1f}")


def symbols(codec: Codec, original: torch.Tensor, options: argparse.Namespace) -> None:
    """Feature loss of ideal symbols: no waveform, gain and noise known."""
    table(f"Ideal symbols of {codec.name} in white noise", "uses/s", "SNR3k [dB]", "loss", "mean power")
    for rate in options.rates:
        with torch.inference_mode():
            sent: Symbols = codec.encode_features(original, rate)
            power = float(sent.values.abs().square().mean())
            for snr in options.snrs:
                es_n0 = snr - 10 * np.log10(rate / 3000) - 10 * np.log10(power)
                received = aether_lite.channels.awgn(sent, es_n0, seed=options.seed, csi="perfect")
                row(rate, snr, float(clip_feature_loss(codec.decode_features(received), original)[0]), power)


def acquisition(codec: Codec, original: torch.Tensor, options: argparse.Namespace) -> None:
    """From an entry at any time into an over to its first decoded frame, all profiles being looked for."""
    profile, random = find("narrow", 700), np.random.default_rng(options.seed)
    tokens = codec.encode_features(original, 700).values[0].numpy()
    audio = transmitted(profile, tokens, 4.0)
    names = ("channel", "SNR3k [dB]", "entries", "missed", "wrong", "median [s]", "90 % [s]", "decoded from its start")
    table("Acquisition: late entry, narrow 700, all profiles looked for", *names)
    for channel, snr in (("awgn", 10), ("awgn", 0), ("awgn", -3), ("awgn", -5), ("mpp", 0), ("mpg", 0), ("mpd", 3)):
        times, missed, wrong, whole = [], 0, 0, 0
        for trial in range(options.trials):
            begin = int(random.integers(RATE, len(audio) - 5 * RATE))
            offset, ppm = random.uniform(-95, 95), random.uniform(-200, 200)
            link = OnAir(snr, channel, offset, 0.0, ppm, 0.6, seed=options.seed + trial)
            every = list(overs(link.receive(audio[begin : begin + 3 * RATE], RATE), PROFILES))
            right = [each for each in every if each[0].profile == profile and abs(each[0].offset_hz - offset) < 2]
            wrong += len(every) - len(right)
            missed += not right
            if right:
                times.append(right[0][2] - 0.6)
                whole += right[0][0].start_s < 0.6 + 0.17
        quantiles = np.quantile(times, (0.5, 0.9)) if times else (np.nan, np.nan)
        row(channel, snr, options.trials, missed, wrong, *map(float, quantiles), f"{whole} of {len(times)}")


def alarms(codec: Codec, original: torch.Tensor, options: argparse.Namespace) -> None:
    """Overs found where there are none."""
    seconds = options.alarm_seconds
    t, random = np.arange(round(seconds * RATE)) / RATE, np.random.default_rng(options.seed)
    noise = random.standard_normal(len(t))
    speech = codec.speak(original[:, : 100 * int(seconds)]).numpy().ravel() if options.speech else noise
    chords = sum(np.sin(2 * np.pi * f * 2 ** (np.floor(2 * t) % 12 / 12) * t) for f in (220, 277, 330, 880, 1320))
    kinds: dict[str, Callable[[], np.ndarray]] = {
        "noise": lambda: noise,
        "tone": lambda: np.sin(2 * np.pi * 1470 * t) + 0.03 * noise,
        "swept tone": lambda: np.sin(2 * np.pi * (300 * t + 20 * t**2 % 2400 * t)) + 0.01 * noise,
        "speech": lambda: speech,
        "music": lambda: np.asarray(chords) + 0.01 * noise,
        "silence": lambda: 1e-5 * noise,
        "zeros": lambda: np.zeros(len(t)),
    }
    table("False locks, all profiles looked for", "signal", "seconds", "overs", "share of a core")
    for name, make in kinds.items():
        audio, begin = make(), time.process_time()
        found = len(list(overs(audio, PROFILES)))
        row(name, f"{len(audio) / RATE:.0f}", found, (time.process_time() - begin) / (len(audio) / RATE))


def text(codec: Codec, original: torch.Tensor, options: argparse.Namespace) -> None:
    """Texts of ten characters in overs of 12 s."""
    profile, random = find("narrow", 700), np.random.default_rng(options.seed)
    table("Text of 10 characters within 12 s", "channel", "SNR3k [dB]", "overs", "read", "wrong")
    for channel, snr in (("awgn", 0), ("awgn", -2), ("awgn", -4), ("mpp", 2), ("mpp", 0)):
        read = wrong = 0
        for trial in range(options.trials):
            tokens = (random.standard_normal((290, profile.uses // 2, 2)) @ (1, 1j)) * np.sqrt(0.5)
            audio = transmitted(profile, tokens, 4.0, "AB1CDE/QRP")
            link = OnAir(snr, channel, 20.0, lead_s=0.5, seed=options.seed + trial)
            texts = [report.text for report, *_ in overs(link.receive(audio, RATE), [profile]) if report.text]
            read += "AB1CDE/QRP" in texts
            wrong += any(each != "AB1CDE/QRP" for each in texts)
        row(channel, snr, options.trials, read, wrong)


def waveform(codec: Codec, original: torch.Tensor, options: argparse.Namespace) -> None:
    """Peaks and bandwidth of real speech."""
    table("Waveform of speech", "profile", "uses/s", "--papr", "PAPR 99.9 % [dB]", "peak [dB]", "99 % bandwidth [Hz]")
    for profile in PROFILES:
        tokens = codec.encode_features(original, profile.rate).values[0].numpy()
        for papr in (4.0, 3.3) if profile.name == "narrow" else (4.0,):
            audio = transmitted(profile, tokens, papr)
            envelope = analytic(audio)
            power = np.square(np.abs(np.fft.rfft(audio)))
            low, high = np.searchsorted(np.cumsum(power) / power.sum(), (0.005, 0.995)) * RATE / len(audio)
            peaks = [f"{envelope_papr_db(envelope, share):.2f}" for share in (0.999, 1.0)]
            row(profile.name, profile.rate, papr, *peaks, f"{high - low:.0f}")


PARTS = {each.__name__: each for each in (waveform, symbols, loss, acquisition, alarms, text)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path)
    parser.add_argument("--part", default=",".join(PARTS))
    parser.add_argument("--model", default="base")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--alarm-seconds", type=float, default=60.0)
    parser.add_argument("--speech", action="store_true", help="the vocoder's speech among the false alarms")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rates", type=int, nargs="+", default=[700, 1000])
    parser.add_argument("--papr", type=float, nargs="+", default=[4.0])
    parser.add_argument("--channels", nargs="+", default=["awgn", "mpp"])
    parser.add_argument("--snrs", type=float, nargs="+", default=[-6, -4, -2, 0, 2, 5, 10])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    codec, original = aether_lite.load(options.model), features(options.features, options.seconds)
    with torch.inference_mode():
        for part in options.part.split(","):
            PARTS[part](codec, original, options)


if __name__ == "__main__":
    main()
