"""Markdown tables of a benchmark, each with the notes that it cannot be read without."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from aether_lite.baselines import Condition
from aether_lite.bench.about import INTERVALS, About
from aether_lite.bench.bootstrap import Estimate
from aether_lite.bench.results import options_text
from aether_lite.bench.summary import Summary
from aether_lite.channels.binary import BSC
from aether_lite.link import snr_3k_db
from aether_lite.metrics import AUDIO_METRICS, FEATURE_METRICS, METRICS

FEATURE_COLUMNS = ("feature_loss", "lsd_active_db", "pitch_median_cents", "gpe", "vuv_error", "f0_correlation")
AUDIO_COLUMNS = (
    "estoi", "pesq_wb", "dnsmos_ovrl", "wer", "cer", "speaker_similarity", "log_mel", "mr_stft",
)  # fmt: skip
BIT_AUDIO_COLUMNS = (
    "estoi_4k", "pesq_nb", "estoi", "pesq_wb", "dnsmos_ovrl", "wer", "cer", "speaker_similarity",
)  # fmt: skip
CODER_COLUMNS = ("estoi_4k", "pesq_nb", "dnsmos_ovrl", "wer", "f0_correlation")
TABLE_MEASURES = ("feature_loss", "vuv_error")
TABLE_BIT_MEASURES = ("feature_loss", "vuv_error", "f0_correlation", "estoi_4k", "pesq_nb", "dnsmos_ovrl")
DIGITS = {
    "lsd_active_db": 2,
    "pitch_median_cents": 0,
    "pesq_wb": 2,
    "pesq_nb": 2,
    "dnsmos_ovrl": 2,
    "papr_db": 1,
    "bit_rate": 0,
}
ABSENT = "-"


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*rows, *(f"| {' | '.join(line)} |" for line in lines)])


def shown(value: float, digits: int = 3) -> str:
    """A number of a table, ``-`` where it is not defined."""
    return f"{value:.{digits}f}" if math.isfinite(value) else ABSENT


def with_interval(estimate: Estimate | None, digits: int = 3) -> str:
    """A number and its interval, ``0.160 [0.150, 0.172]``."""
    if estimate is None or not math.isfinite(estimate.value):
        return ABSENT
    text = shown(estimate.value, digits)
    if not math.isfinite(estimate.low):
        return text
    return f"{text} [{shown(estimate.low, digits)}, {shown(estimate.high, digits)}]"


def systems_table(about: About, summaries: Sequence[Summary]) -> str:
    """What is compared: latency, time on the channel, state, training data, notes."""
    lines = []
    for system in about.systems:
        own = [s for s in summaries if s.system == system.name]
        busy = sorted({f"{s.occupied:.2f}" for s in own if s.on_air})
        lines.append(
            [
                system.title,
                f"{system.latency_ms:.0f}",
                " to ".join(dict.fromkeys((busy[0], busy[-1]))) if busy else ABSENT,
                system.channel_state,
                system.trained_on or ABSENT,
                system.notes or ABSENT,
            ]
        )
    return markdown(
        ["system", "latency [ms]", "busy [s per s]", "receiver knows of the channel", "trained on", "notes"], lines
    )


def quality_table(about: About, summaries: Sequence[Summary], measures: Sequence[str]) -> str:
    """A line for each system and condition with every measure and its interval."""
    noise = ["bit/s", "bit error rate"] if about.on_bits else ["uses/s", "Es/N0 [dB]", "SNR3k [dB]"]
    head = ["system", "channel", *noise, "busy [s per s]", "latency [ms]"]
    lines = [
        [
            *_where(about, summary),
            *(with_interval(summary.estimates.get(name), DIGITS.get(name, 3)) for name in measures),
        ]
        for summary in summaries
    ]
    return markdown([*head, *(METRICS[name].heading() for name in measures)], lines)


def snr_table(about: About, summaries: Sequence[Summary], channel: str, measure: str) -> str:
    """One measure on one channel: a line for each system and rate, a column for each Es/N0."""
    own = [s for s in summaries if s.condition.channel == channel and s.on_air and s.condition.snr_db is not None]
    snrs = sorted({s.condition.snr_db for s in own if s.condition.snr_db is not None})
    digits = DIGITS.get(measure, 3)
    lines = [
        [
            f"{about.system(name).title}{f' ({options})' if options else ''}",
            str(rate),
            f"{snr_3k_db(0.0, rate):+.1f}",
            shown(next(iter(cells.values())).occupied, 2),
            f"{about.system(name).latency_ms:.0f}",
            *(shown(cells[snr].value(measure), digits) if snr in cells else ABSENT for snr in snrs),
        ]
        for (name, rate, options), cells in _grouped(own, lambda condition: condition.snr_db).items()
    ]
    head = ["system", "uses/s", "SNR3k - Es/N0 [dB]", "busy [s per s]", "latency [ms]"]
    return markdown([*head, *(f"{snr:g} dB" for snr in snrs)], lines)


def ber_table(about: About, summaries: Sequence[Summary], measure: str) -> str:
    """One measure on the binary channel: a line for each system and bit rate, a column for each bit error rate."""
    own = [s for s in summaries if s.condition.error_rate is not None and s.on_air]
    shares = sorted({s.condition.error_rate for s in own if s.condition.error_rate is not None})
    digits = DIGITS.get(measure, 3)
    lines = [
        [
            f"{about.system(name).title}{f' ({options})' if options else ''}",
            str(rate),
            shown(next(iter(cells.values())).occupied, 2),
            f"{about.system(name).latency_ms:.0f}",
            *(shown(cells[share].value(measure), digits) if share in cells else ABSENT for share in shares),
        ]
        for (name, rate, options), cells in _grouped(own, lambda condition: condition.error_rate).items()
    ]
    head = ["system", "bit/s", "busy [s per s]", "latency [ms]"]
    return markdown([*head, *(f"error rate {share:g}" for share in shares)], lines)


def measure_table(about: About, summaries: Sequence[Summary], channel: str, measure: str) -> str:
    """One measure on one channel, by SNR or by bit error rate."""
    return ber_table(about, summaries, measure) if channel == BSC else snr_table(about, summaries, channel, measure)


def channels_of(summaries: Sequence[Summary]) -> list[str]:
    """Channels on which a measure changes with SNR or bit error rate."""
    own = [s.condition for s in summaries if s.on_air]
    return list(dict.fromkeys(c.channel for c in own if c.snr_db is not None or c.error_rate is not None))


def audio_columns(about: About) -> tuple[str, ...]:
    """Audio measures of tables."""
    return BIT_AUDIO_COLUMNS if about.on_bits else AUDIO_COLUMNS


def notes(about: About) -> str:
    """What has to be known to read the tables."""
    lines = [about.data_line(), about.definitions(), about.state_line(), INTERVALS, *about.missing, made_by(about)]
    return "  \n".join(lines)


def made_by(about: About) -> str:
    """Command, version and commit, and the systems whose results are of an earlier commit."""
    commit = f", commit {_short(about.commit)}" if about.commit else ""
    earlier: dict[str, list[str]] = {}
    for system in about.systems:
        if system.commit not in ("", about.commit):
            earlier.setdefault(system.commit, []).append(system.title)
    taken = "; ".join(f"{', '.join(titles)} (commit {_short(commit)})" for commit, titles in earlier.items())
    kept = f" Kept from earlier runs: {taken}." if taken else ""
    return f"Made by `{about.command}` (aether-lite {about.version}{commit}, seed {about.seed}).{kept}"


def _short(commit: str) -> str:
    return commit[:12] + ("+" if commit.endswith("+") else "")


def heard_summaries(summaries: Sequence[Summary]) -> list[Summary]:
    """Those with audio metrics."""
    return [s for s in summaries if any(s.estimates[n].clips for n in AUDIO_METRICS if n in s.estimates)]


def reference_conditions(summaries: Sequence[Summary], rate: int) -> list[Summary]:
    """Those at one rate, and those without a channel."""
    return [s for s in summaries if s.condition.rate == rate or not s.on_air]


def full_document(about: About, summaries: Sequence[Summary]) -> str:
    """``tables.md``: every table."""
    parts = ["# Benchmark", notes(about), "## Systems", systems_table(about, summaries)]
    for channel in channels_of(summaries):
        for measure in TABLE_BIT_MEASURES if about.on_bits else TABLE_MEASURES:
            title = f"## {METRICS[measure].title}, channel {channel}"
            parts += [title, measure_table(about, summaries, channel, measure)]
    heard = heard_summaries(summaries)
    if heard:
        parts += ["## Audio metrics", quality_table(about, heard, audio_columns(about))]
    parts += ["## Feature metrics", quality_table(about, summaries, FEATURE_COLUMNS)]
    if about.calibration:
        parts += ["## Calibration", "\n".join(f"* {line}" for line in about.calibration)]
    return "\n\n".join(parts) + "\n"


def all_measures() -> list[str]:
    """Columns of ``results.csv`` that are always there."""
    return [*FEATURE_METRICS, *AUDIO_METRICS]


def _grouped(
    summaries: Sequence[Summary], axis: Callable[[Condition], float | None]
) -> dict[tuple[str, int, str], dict[float | None, Summary]]:
    """(system, rate, options) -> place on the axis -> summary."""
    groups: dict[tuple[str, int, str], dict[float | None, Summary]] = {}
    for summary in summaries:
        where = (summary.system, summary.condition.rate, options_text(summary.condition))
        groups.setdefault(where, {})[axis(summary.condition)] = summary
    return groups


def _where(about: About, summary: Summary) -> list[str]:
    system, condition = about.system(summary.system), summary.condition
    latency = f"{system.latency_ms:.0f}"
    if not summary.on_air:
        return [system.title, *[ABSENT] * (4 if about.on_bits else 5), latency]
    return [
        system.title,
        " ".join([condition.channel, options_text(condition)]).strip(),
        str(condition.rate),
        *_noise(condition),
        shown(summary.occupied, 2),
        latency,
    ]


def _noise(condition: Condition) -> list[str]:
    if not condition.takes_symbols:
        return [f"{condition.error_rate:g}"]
    if condition.snr_db is None:
        return [ABSENT, ABSENT]
    return [f"{condition.snr_db:g}", f"{snr_3k_db(condition.snr_db, condition.rate):.1f}"]
