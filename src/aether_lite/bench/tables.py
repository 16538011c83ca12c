"""Markdown tables of a benchmark, each with the columns that it cannot be read without."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aether_lite.bench.cache import of_plugins
from aether_lite.bench.metadata import RunMetadata
from aether_lite.bench.results import ABSENT, Estimate, Row, Summary, channel_text, estimate, span
from aether_lite.errors import AetherError
from aether_lite.link import snr_3k_db
from aether_lite.metrics import AUDIO_METRICS, FEATURE_METRICS, METRICS

FEATURE_COLUMNS = ("feature_loss", "lsd_active_db", "pitch_median_cents", "gpe", "vuv_error", "f0_correlation")
AUDIO_COLUMNS = (
    "estoi", "pesq_wb", "dnsmos_ovrl", "wer", "cer", "phone_change", "speaker_similarity", "log_mel", "mr_stft",
)  # fmt: skip
BIT_AUDIO_COLUMNS = ("estoi_4k", "pesq_nb", *AUDIO_COLUMNS[:7])
CODER_COLUMNS = ("estoi_4k", "pesq_nb", "dnsmos_ovrl", "wer", "f0_correlation")
COMPARED = ("feature_loss", "vuv_error", "f0_correlation", "estoi", "pesq_wb", "dnsmos_ovrl", "dnsmos_p808", "wer")
TABLE_MEASURES = ("feature_loss", "vuv_error")
TABLE_BIT_MEASURES = ("feature_loss", "vuv_error", "f0_correlation", "estoi_4k", "pesq_nb", "dnsmos_ovrl")
DIGITS = {"pitch_median_cents": 0, "papr_db": 1} | dict.fromkeys(
    ("lsd_active_db", "pesq_wb", "pesq_nb", "dnsmos_ovrl"), 2
)  # of the others 3
BUSY, LATENCY, POWER = "busy [s per s]", "latency [ms]", "symbol_power"


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*rows, *(f"| {' | '.join(line)} |" for line in lines)])


def shown(value: float, digits: int = 3) -> str:
    """A number of a table, ``-`` where it is not defined."""
    return f"{value:.{digits}f}" if math.isfinite(value) else ABSENT


def with_interval(value: Estimate | None, measure: str) -> str:
    """A measure and its interval, ``0.160 [0.150, 0.172]``."""
    if value is None:
        return ABSENT
    middle, low, high = (shown(x, DIGITS.get(measure, 3)) for x in (value.value, value.low, value.high))
    return middle if low == ABSENT else f"{middle} [{low}, {high}]"


def systems_table(metadata: RunMetadata, summaries: Sequence[Summary]) -> str:
    """What is compared: latency, time on the channel, power sent, channel state, training data, notes."""
    head = ["system", LATENCY, BUSY, "P (mean power sent)", "receiver knows of the channel", "trained on", "notes"]
    lines = []
    for system in metadata.systems:
        own = [s for s in summaries if s.system == system.name and s.on_air]
        busy = span((s.occupied for s in own), " to ") or ABSENT
        power = span((s.value(POWER) for s in own), " to ").replace("nan", ABSENT) or ABSENT
        cells = (system.channel_state, system.trained_on or ABSENT, system.notes or ABSENT)
        lines.append([system.title, system.latency, busy, power, *cells])
    if metadata.on_bits:  # without power
        head, *lines = [[*line[:3], *line[4:]] for line in (head, *lines)]
    return markdown(head, lines)


def quality_table(metadata: RunMetadata, summaries: Sequence[Summary], measures: Sequence[str]) -> str:
    """A line for each system and condition with every measure and its interval."""
    axes = ["bit/s", "bit error rate"] if metadata.on_bits else ["uses/s", "Es/N0 [dB]", "SNR3k [dB]", "P"]
    head = ["system", "channel", *axes, BUSY, LATENCY]
    lines = []
    for s in summaries:
        system, condition, where = metadata.system(s.system), s.condition, [ABSENT] * (len(head) - 2)
        if s.on_air:
            noise = condition.noise
            cells = [ABSENT if noise is None else f"{noise:g}"]
            if condition.takes_symbols:
                low = ABSENT if noise is None else f"{snr_3k_db(noise, condition.rate):.1f}"
                cells += [low, shown(s.value(POWER), 2)]
            where = [channel_text(condition), str(condition.rate), *cells, shown(s.occupied, 2)]
        numbers = [with_interval(s.estimates.get(name), name) for name in measures]
        lines.append([system.title, *where, system.latency, *numbers])
    return markdown([*head, *(METRICS[name].heading() for name in measures)], lines)


def measure_table(metadata: RunMetadata, summaries: Sequence[Summary], channel: str, measure: str) -> str:
    """One measure on one channel: a line for each system and rate, a column for each Es/N0 or bit error rate."""
    groups: dict[tuple[str, int, str], dict[float, Summary]] = {}
    for s in summaries:
        if s.condition.channel == channel and s.on_air and s.condition.noise is not None:
            options = channel_text(s.condition).partition(" ")[2]
            groups.setdefault((s.system, s.condition.rate, options), {})[s.condition.noise] = s
    noises = sorted({noise for cells in groups.values() for noise in cells})
    lines = []
    for (name, rate, options), cells in groups.items():
        first, system = next(iter(cells.values())), metadata.system(name)
        symbols = [] if metadata.on_bits else [f"{snr_3k_db(0.0, rate):+.1f}", shown(first.value(POWER), 2)]
        title = system.title + (f" ({options})" if options else "")
        values = [shown(cells[n].value(measure), DIGITS.get(measure, 3)) if n in cells else ABSENT for n in noises]
        lines.append([title, str(rate), *symbols, shown(first.occupied, 2), system.latency, *values])
    where = ["bit/s"] if metadata.on_bits else ["uses/s", "SNR3k - Es/N0 [dB]", "P"]
    columns = [f"error rate {noise:g}" if metadata.on_bits else f"{noise:g} dB" for noise in noises]
    return markdown(["system", *where, BUSY, LATENCY, *columns], lines)


def difference_table(metadata: RunMetadata, rows: Sequence[Row], base: str) -> str:
    """Differences of every other system to ``base``, clip by clip, with the interval of their mean; a line a condition.

    Raises:
        AetherError: the base is not among the systems.
    """
    if base not in {row.system for row in rows}:
        raise AetherError(f"no system {base!r} to compare with; there are {', '.join({row.system for row in rows})}")
    pairs = {(row.system, row.condition, row.clip): row.record for row in rows}
    measures = [name for name in COMPARED if any(name in row.record for row in rows)]
    lines = []
    for name, condition in dict.fromkeys((row.system, row.condition) for row in rows if row.system != base):
        clips = [clip for system, where, clip in pairs if (system, where) == (name, condition)]
        both = [(pairs[name, condition, c], pairs[base, condition, c]) for c in clips if (base, condition, c) in pairs]
        if not both:
            continue
        noise = ABSENT if condition.noise is None else f"{condition.noise:g}"
        cells = (
            with_interval(estimate([x.get(measure, math.nan) - y.get(measure, math.nan) for x, y in both]), measure)
            for measure in measures
        )
        lines.append([metadata.system(name).title, condition.channel, str(condition.rate), noise, *cells])
    where = ["bit/s", "bit error rate"] if metadata.on_bits else ["uses/s", "Es/N0 [dB]"]
    return markdown(["system", "channel", *where, *(METRICS[name].heading() for name in measures)], lines)


def channels_of(summaries: Sequence[Summary]) -> list[str]:
    """Channels on which a measure changes with SNR or bit error rate."""
    return list(dict.fromkeys(s.condition.channel for s in summaries if s.on_air and s.condition.noise is not None))


def audio_columns(metadata: RunMetadata) -> tuple[str, ...]:
    """Audio measures of tables; those that plugins registered come last."""
    return (*(BIT_AUDIO_COLUMNS if metadata.on_bits else AUDIO_COLUMNS), *of_plugins(AUDIO_METRICS))


def feature_columns() -> tuple[str, ...]:
    """Feature measures of tables, likewise."""
    return (*FEATURE_COLUMNS, *of_plugins(FEATURE_METRICS))


def full_document(metadata: RunMetadata, summaries: Sequence[Summary], differences: str = "") -> str:
    """Every table, as ``tables.md``, with that of differences to one system if it is given."""
    parts = ["# Benchmark", "  \n".join(metadata.notes()), "## Systems", systems_table(metadata, summaries)]
    for channel in channels_of(summaries):
        for measure in TABLE_BIT_MEASURES if metadata.on_bits else TABLE_MEASURES:
            title = f"## {METRICS[measure].title}, channel {channel}"
            parts += [title, measure_table(metadata, summaries, channel, measure)]
    if differences:
        parts += ["## Differences, clip by clip", differences]
    if audible := [s for s in summaries if s.has_audio]:
        parts += ["## Audio metrics", quality_table(metadata, audible, audio_columns(metadata))]
    parts += ["## Feature metrics", quality_table(metadata, summaries, feature_columns())]
    return "\n\n".join(parts) + "\n"
