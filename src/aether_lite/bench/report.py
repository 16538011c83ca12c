"""One HTML page with everything, the result first: no script, no outside reference, pictures and audio in the page."""

from __future__ import annotations

import base64
import html
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile
from torch import Tensor

from aether_lite.audio import SAMPLE_RATE
from aether_lite.bench import tables
from aether_lite.bench.curves import LOSS, REFERENCE_RATE, Pictures
from aether_lite.bench.metadata import INTERVALS, RunMetadata
from aether_lite.bench.results import Summary, condition_text
from aether_lite.files import write_text
from aether_lite.metrics import METRICS

if TYPE_CHECKING:
    from aether_lite.bench.output import Example

STYLE = """
:root { color-scheme: light; } * { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; margin: 0 auto; max-width: 1180px; padding: 16px; }
h1 { font-size: 24px; margin: 0 0 8px; } h2 { font-size: 19px; margin: 32px 0 8px; border-bottom: 1px solid #d7dce2; }
h3 { font-size: 15px; margin: 20px 0 4px; } h3, p, li { max-width: 100ch; overflow-wrap: anywhere; }
.small { color: #57606a; font-size: 13px; } .wide { overflow-x: auto; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th { background: #f3f5f7; text-align: left; } th, td { padding: 4px 8px; border-bottom: 1px solid #e3e7eb; }
td { white-space: nowrap; } td.text { white-space: normal; min-width: 12ch; } td.number { text-align: right; }
img { max-width: 100%; height: auto; display: block; } .wide img { min-width: 620px; margin: 8px 0 20px; }
audio { height: 32px; width: 220px; } code { background: #f3f5f7; padding: 1px 4px; border-radius: 3px; }
details { margin: 12px 0; } summary { cursor: pointer; font-weight: 600; }
"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">\
<title>Aether-lite benchmark: {title}</title><style>{style}</style></head>
<body>
{body}
</body></html>
"""
HEADLINE_SNRS = 4  # columns of the first table: it fits a phone
PAGE_BIT_MEASURES = (LOSS, "estoi_4k", "pesq_nb")
PICTURE_WIDTH = 1100  # [px] at most, of a picture in the page
PICTURE_QUALITY = 60  # of WebP
PAGE_BUDGET = 2_800_000  # bytes; pictures beyond it stay in their folder
AUDIO_BUDGET = 1_200_000  # bytes of all players together; further examples are left out
COMPRESSION = 0.9  # of Opus, 0 (largest) to 1
_NUMBER = re.compile(r"^[-+]?[\d.,]+( \[.*\])?$")
_CODE = re.compile(r"`([^`]*)`")


def write_report(
    path: Path,
    metadata: RunMetadata,
    summaries: Sequence[Summary],
    pictures: Pictures,
    examples: Sequence[Example],
    speed: str,
    differences: str,
) -> None:
    """Write the page.

    Args:
        path: the HTML file.
        metadata, summaries: of the benchmark.
        pictures: heading and PNG of each, the most important first.
        examples: clips for the players.
        speed, differences: Markdown of speed figures and of differences to one system, empty if there are none.
    """
    audible = [s for s in summaries if s.has_audio]
    parts = ["<h1>Aether-lite benchmark</h1>", *_headline(metadata, summaries)]
    parts += [_image(*pictures[0])] if pictures else []
    parts += [f"<p>{_text(line)}</p>" for line in (metadata.data_line(), metadata.definitions(), INTERVALS)]
    parts += [f"<p><b>{_text(line)}</b></p>" for line in metadata.missing]
    parts += _players(metadata, examples)
    if audible:
        quality = tables.quality_table(metadata, audible, tables.audio_columns(metadata))
        parts += ["<h2>Audio metrics</h2>", _table(quality)]
    if differences:
        parts += ["<h2>Differences, clip by clip</h2>", _table(differences)]
    parts += ["<h2>Systems</h2>", _table(tables.systems_table(metadata, summaries))]
    parts += [f'<p class="small">{_text(metadata.state_line())}</p>', "<h2>Tables</h2>"]
    for channel in tables.channels_of(summaries):
        for measure in PAGE_BIT_MEASURES if metadata.on_bits else (LOSS,):
            title = _text(f"{METRICS[measure].title}, channel {channel}")
            parts += [f"<h3>{title}</h3>", _table(tables.measure_table(metadata, summaries, channel, measure))]
    every = _table(tables.quality_table(metadata, summaries, tables.feature_columns()))
    parts += [f"<details><summary>Feature metrics at every condition</summary>{every}</details>"]
    parts += _pictures(pictures[1:], PAGE_BUDGET - sum(map(len, parts)))
    if speed:
        table, _, said = speed.partition("\n\n")
        parts += ["<h2>Speed</h2>", _table(table), f'<p class="small">{_text(said)}</p>']
    versions = ", ".join(f"{name} {version}" for name, version in metadata.packages.items())
    parts += [f'<p class="small">{_text(metadata.made_by())}</p><p class="small">{_text(versions)}</p>']
    write_text(path, PAGE.format(title=_text(metadata.data), style=STYLE, body="\n".join(parts)))


def _headline(metadata: RunMetadata, summaries: Sequence[Summary]) -> list[str]:
    """The result: feature loss of every system at one rate, and the best of this project's beside the best other."""
    channels = tables.channels_of(summaries)
    if not channels:
        return []
    own = [s for s in summaries if s.on_air and s.condition.channel == channels[0]]
    rates = sorted({s.condition.rate for s in own})
    rate = REFERENCE_RATE if REFERENCE_RATE in rates else rates[-1]
    losses = {(s.system, s.condition.noise or 0.0): s.value(LOSS) for s in reversed(own) if s.condition.rate == rate}
    columns = sorted({place for _, place in losses})
    columns = columns[:: max(1, -(-len(columns) // HEADLINE_SNRS))]
    lines = [
        [system.title, *(tables.shown(losses.get((system.name, place), math.nan)) for place in columns)]
        for system in metadata.systems
        if any(name == system.name for name, _ in losses)
    ]
    unit, noise = ("bit/s", "bit error rate") if metadata.on_bits else ("uses/s", "Es/N0")
    heads = [f"{place:g}" if metadata.on_bits else f"{place:g} dB" for place in columns]
    said = f"Feature loss at {rate} {unit}, channel {channels[0]}, by {noise}; lower is better, below 0.3 is usable."
    return [f"<p>{_text(said)}</p>", _table(tables.markdown(["system", *heads], lines))]


def _pictures(pictures: Pictures, room: int) -> list[str]:
    """Pictures under their headings, as many as fit into ``room`` bytes."""
    parts = ["<h2>Pictures</h2>"] if pictures else []
    for number, (name, file) in enumerate(pictures):
        part = f"<h3>{_text(name)}</h3>{_image(name, file)}"
        room -= len(part)
        if room < 0:
            parts.append(f"<p>{len(pictures) - number} more are in the folder <code>pictures</code>.</p>")
            break
        parts.append(part)
    return parts


def _players(metadata: RunMetadata, examples: Sequence[Example]) -> list[str]:
    """A table of players for each clip: a line a system, a column a condition."""
    parts: list[str] = []
    left = AUDIO_BUDGET
    for example in examples:
        conditions = example.conditions()
        head = "".join(f"<th>{_text(condition_text(condition))}</th>" for condition in conditions)
        whole = f'<td colspan="{max(1, len(conditions))}">'
        lines = [f"<tr><td>original</td>{whole}{_audio(example.clip.speech)}</td></tr>"]
        for name in dict.fromkeys(one.system for one in example.decoded):
            by_condition = {one.condition: _audio(one.audio) for one in example.decoded if one.system == name}
            cells = "".join(f"<td>{by_condition.get(condition, '-')}</td>" for condition in conditions)
            if None in by_condition:
                cells = f"{whole}{by_condition[None]}</td>"
            lines.append(f'<tr><td class="text">{_text(metadata.system(name).title)}</td>{cells}</tr>')
        table = f'<div class="wide"><table><tr><th>system</th>{head}</tr>{"".join(lines)}</table></div>'
        left -= len(table)
        if left >= 0 or not parts:
            parts += [f"<h3>{_text(example.clip.name)}</h3>", table]
    return ["<h2>Listen</h2>", *parts] if parts else []


def _table(text: str) -> str:
    """A Markdown table as HTML."""
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines()]
    head = "".join(f"<th>{_text(cell)}</th>" for cell in lines[0])
    body = ""
    for line in lines[2:]:
        cells = (f'<td class="{"number" if _NUMBER.match(cell) else "text"}">{_text(cell)}</td>' for cell in line)
        body += f"<tr>{''.join(cells)}</tr>"
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _text(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", html.escape(text))


def _image(name: str, picture: Path) -> str:
    """A picture, no wider than needed, as WebP."""
    from PIL import Image

    file = io.BytesIO()
    with Image.open(picture) as drawn:
        image = drawn.convert("RGB")
    image.thumbnail((PICTURE_WIDTH, 10 * PICTURE_WIDTH))
    image.save(file, "WEBP", quality=PICTURE_QUALITY, method=6)
    return f'<div class="wide"><img alt="{html.escape(name)}" src="{_data("image/webp", file.getvalue())}"></div>'


def _audio(samples: Tensor) -> str:
    """A player of samples ``[N]`` at 16 kHz: Ogg Opus, or a wav where libsndfile (below 1.0.29) has no Opus."""
    file = io.BytesIO()
    kind, options = "ogg", {"subtype": "OPUS", "compression_level": COMPRESSION}
    if "OPUS" not in soundfile.available_subtypes("OGG"):
        kind, options = "wav", {"subtype": "PCM_16"}
    soundfile.write(file, samples.clamp(-1, 1).numpy(), SAMPLE_RATE, format=kind.upper(), **options)
    return f'<audio controls preload="none" src="{_data(f"audio/{kind}", file.getvalue())}"></audio>'


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
