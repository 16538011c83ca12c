"""``aether-lite live``: microphone to loudspeaker through a simulated channel."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aether_lite.cli import options
from aether_lite.cli.io import SAMPLE_RATE, console
from aether_lite.errors import AetherError
from aether_lite.optional import how_to_install

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aether_lite.link import AnyCodec, LinkConfig
    from aether_lite.streaming.duplex import Duplex

REFRESH_HZ = 8.0  # of the read-out
SILENCE_DBFS = -100.0  # least level shown
METER_DB = 60.0  # range of the level meter
METER_CELLS = 20


@dataclass
class ReadOut:
    """What the newest token was like.

    Attributes:
        level_dbfs: rms of the newest recorded block [dB full scale].
        snr_db: Es/N0 as the receiver estimates it [dB]; NaN if unknown.
        voiced: share of voiced frames, as received.
        f0_hz: median F0 of the voiced frames [Hz]; NaN without any.
        muted: whether the output is muted.
        tokens, lost: how many were sent, and lost on the way.
        token_ms: computing time of the newest token [ms].
    """

    level_dbfs: float = SILENCE_DBFS
    snr_db: float = math.nan
    voiced: float = 0.0
    f0_hz: float = math.nan
    muted: bool = False
    tokens: int = 0
    lost: int = 0
    token_ms: float = 0.0

    def line(self, duplex: Duplex) -> str:
        """One line for the terminal."""
        cells = round(METER_CELLS * min(1.0, max(0.0, 1 + self.level_dbfs / METER_DB)))
        meter = "#" * cells + "." * (METER_CELLS - cells)
        snr = "   -   " if math.isnan(self.snr_db) else f"{self.snr_db:5.1f} dB"
        tone = "U          " if self.voiced < 0.5 or math.isnan(self.f0_hz) else f"V {self.f0_hz:5.0f} Hz  "
        state = "muted" if self.muted else "     "
        return (
            f"[{meter}] {self.level_dbfs:6.1f} dBFS   Es/N0 {snr}   {tone}{state}   lost {self.lost}/{self.tokens}   "
            f"{self.token_ms:.0f} ms/token   underruns {duplex.underruns}, dropped {duplex.overruns}"
        )


class Chain:
    """Encoder, channel and decoder of one stream, with a read-out.

    Args:
        codec: at both ends.
        config: the link.
        mute: as :class:`~aether_lite.streaming.Decoder` has it.
    """

    def __init__(self, codec: AnyCodec, config: LinkConfig, mute: bool = True) -> None:
        from aether_lite.streaming import Decoder, Encoder
        from aether_lite.streaming.channel import StreamChannel

        self.link = StreamChannel(config, codec.token_frames)
        self.encoder, self.decoder = Encoder(codec, config.rate), Decoder(codec, config.rate, mute=mute)
        self.read_out = ReadOut()

    def process(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Recorded samples ``[n]`` to decoded ones ``[m]``."""
        import numpy as np

        from aether_lite.features.layout import PITCH, f0_from_pitch, voiced_frames

        start, out = time.perf_counter(), self.read_out
        rms = float((block.astype("f8") ** 2).mean() ** 0.5) if len(block) else 0.0
        out.level_dbfs = max(SILENCE_DBFS, 20 * math.log10(rms)) if rms > 0 else SILENCE_DBFS
        received = self.link.send(self.encoder.push(block))
        decoded = self.decoder.push(received)
        count = received.values.shape[1]
        if count:
            noise = received.state.noise_variance
            n0 = math.nan if noise is None else float(noise[0, -1])
            out.snr_db = -10 * math.log10(n0) if n0 > 0 else math.nan
            features: Any = np.asarray(decoded.features)
            voiced = np.asarray(voiced_frames(features))
            out.voiced = float(voiced.mean()) if len(voiced) else 0.0
            out.f0_hz = float(f0_from_pitch(np.median(features[voiced, PITCH]))) if voiced.any() else math.nan
            out.muted, out.tokens = self.decoder.muted, out.tokens + count
            out.lost += int(received.erased.sum())
            out.token_ms = 1000 * (time.perf_counter() - start) / count
        return np.asarray(decoded.samples)


def live(
    snr: options.Snr = None,
    rate: options.Rate = None,
    channel: options.SymbolChannel = "awgn",
    csi: options.Csi = None,
    seed: options.Seed = 0,
    erasure: options.Erasure = None,
    burst_tokens: options.BurstTokens = None,
    no_mute: options.NoMute = False,
    microphone: Annotated[str | None, typer.Option(metavar="NAME", help="Input device.",
                                                   show_default="the system's")] = None,
    loudspeaker: Annotated[str | None, typer.Option(metavar="NAME", help="Output device.",
                                                    show_default="the system's")] = None,
    block_ms: Annotated[float, typer.Option(metavar="MS", min=2, max=500, help="Block of the sound device.")] = 20.0,
    seconds: Annotated[float | None, typer.Option(metavar="S", min=0, help="How long.",
                                                  show_default="until Ctrl-C")] = None,
    model: options.Model = options.DEFAULT_MODEL,
    vocoder: options.Vocoder = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Play the microphone over a simulated channel on the loudspeaker, in real time; wear headphones (extra `live`)."""
    uses_per_s = options.DEFAULT_RATE if rate is None else rate
    losses = {"erasure": erasure, "burst_tokens": burst_tokens}
    config = options.link_config(channel, uses_per_s, snr, {"csi": csi}, seed=seed, **losses)
    options.check_link(config)
    device = _sound_device()
    from aether_lite.core.codec import CoreCodec

    codec = CoreCodec(model, vocoder, unit="uses/s")
    chain = Chain(codec, config, not no_mute)
    names = tuple(int(name) if name is not None and name.isdigit() else name for name in (microphone, loudspeaker))
    run(chain, device, names, round(block_ms * SAMPLE_RATE / 1000), seconds, quiet)


def run(
    chain: Chain, device: Any, names: tuple[int | str | None, ...], block: int, seconds: float | None, quiet: bool
) -> None:
    """Play until ``seconds`` are over or Ctrl-C.

    Args:
        device: the module ``sounddevice``, or anything with its ``Stream`` and ``PortAudioError``.
        names: input and output device by number or name; None for the default.
        block: samples that the device gives at a time.

    Raises:
        AetherError: no usable device.
    """
    from rich.live import Live
    from rich.text import Text

    from aether_lite.streaming.duplex import Duplex

    out = console(quiet)
    end = math.inf if seconds is None else time.monotonic() + seconds
    with Duplex(chain.process) as duplex:
        try:
            stream = device.Stream(
                samplerate=SAMPLE_RATE, blocksize=block, device=names, channels=1, dtype="float32",
                callback=duplex.callback,
            )  # fmt: skip
        except (device.PortAudioError, ValueError) as error:
            raise AetherError(f"no sound device for 16 kHz in and out ({error}); see: python -m sounddevice") from error
        with stream, Live(console=out, refresh_per_second=REFRESH_HZ, transient=True) as shown:
            try:
                while time.monotonic() < end and duplex.failure is None and stream.active:
                    time.sleep(min(1 / REFRESH_HZ, max(0.0, end - time.monotonic())))
                    shown.update(Text(chain.read_out.line(duplex), no_wrap=True))
            except KeyboardInterrupt:
                pass  # the usual way to end it
    if duplex.failure is not None:
        raise duplex.failure
    out.print(chain.read_out.line(duplex))


def _sound_device() -> Any:
    """The module ``sounddevice``."""
    try:
        import sounddevice
    except ImportError as error:
        raise AetherError(f"live needs the package sounddevice: {how_to_install('live')}") from error
    except OSError as error:
        raise AetherError(
            f"live needs the PortAudio library ({error}); on Debian: apt install libportaudio2"
        ) from error
    return sounddevice
