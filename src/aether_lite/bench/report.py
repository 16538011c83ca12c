"""One HTML page with everything: no script, no outside reference; pictures and sounds are in the page itself."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from pathlib import Path

from aether_lite.bench.about import INTERVALS, About
from aether_lite.bench.heard import Example, has_opus, opus_bytes
from aether_lite.bench.results import condition_text
from aether_lite.bench.summary import Summary
from aether_lite.bench.tables import (
    FEATURE_COLUMNS,
    audio_columns,
    channels_of,
    heard_summaries,
    made_by,
    measure_table,
    quality_table,
    systems_table,
)
from aether_lite.files import atomic_path
from aether_lite.metrics import METRICS

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; margin: 0 auto; max-width: 1180px; padding: 24px; }
h1 { font-size: 26px; margin: 0 0 8px; } h2 { font-size: 19px; margin: 36px 0 8px; border-bottom: 1px solid #d7dce2; }
h3 { font-size: 15px; margin: 20px 0 4px; } p, li { max-width: 100ch; } .small { color: #57606a; font-size: 13px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th { background: #f3f5f7; position: sticky; top: 0; } th, td { padding: 4px 9px; border-bottom: 1px solid #e3e7eb; }
td { white-space: nowrap; } td.text { white-space: normal; min-width: 14ch; } td.number { text-align: right; }
img { max-width: 100%; height: auto; display: block; margin: 10px 0 22px; } audio { height: 32px; width: 250px; }
code { background: #f3f5f7; padding: 1px 4px; border-radius: 3px; } details { margin: 10px 0; }
summary { cursor: pointer; font-weight: 600; }
"""
PAGE_MEASURES = ("feature_loss",)
PAGE_BIT_MEASURES = ("feature_loss", "estoi_4k", "pesq_nb")
_NUMBER = re.compile(r"^[-+]?[\d.,]+( \[.*\])?$")
_CODE = re.compile(r"`([^`]*)`")


def write_report(
    path: Path,
    about: About,
    summaries: Sequence[Summary],
    pictures: Sequence[tuple[str, Path]],
    heard: Sequence[Example] = (),
    speed: str = "",
) -> None:
    """Write the page.

    Args:
        path: the HTML file.
        about: of the benchmark.
        summaries: all.
        pictures: heading and PNG of each.
        heard: clips for the players.
        speed: Markdown of the speed figures, if they were measured.
    """
    audio = heard_summaries(summaries)
    parts = [
        "<h1>Aether-lite benchmark</h1>",
        *(f"<p>{_text(line)}</p>" for line in (about.data_line(), about.definitions(), INTERVALS)),
        *(f"<p><b>{_text(line)}</b></p>" for line in about.missing),
        f'<p class="small">{_text(made_by(about))}</p>',
        "<h2>Systems</h2>",
        _table(systems_table(about, summaries)),
        f'<p class="small">{_text(about.state_line())}</p>',
        *_players(about, heard),
        "<h2>Pictures</h2>",
        *(f"<h3>{_text(name)}</h3>{_image(name, picture)}" for name, picture in pictures),
        "<h2>Tables</h2>",
    ]
    for channel in channels_of(summaries):
        for measure in PAGE_BIT_MEASURES if about.on_bits else PAGE_MEASURES:
            title = METRICS[measure].title
            parts += [
                f"<h3>{_text(title)}, channel {_text(channel)}</h3>",
                _table(measure_table(about, summaries, channel, measure)),
            ]
    if audio:
        parts += ["<h3>Audio metrics</h3>", _table(quality_table(about, audio, audio_columns(about)))]
    every = _table(quality_table(about, summaries, FEATURE_COLUMNS))
    parts += [f"<details><summary>Feature metrics at every condition</summary>{every}</details>"]
    if about.calibration:
        items = "".join(f"<li>{_text(line)}</li>" for line in about.calibration)
        parts += ["<h2>Calibration</h2>", f"<ul>{items}</ul>"]
    if speed:
        table, _, said = speed.partition("\n\n")
        parts += ["<h2>Speed</h2>", _table(table), f'<p class="small">{_text(said)}</p>']
    versions = ", ".join(f"{name} {version}" for name, version in about.packages.items())
    parts += [f'<p class="small">{_text(versions)}</p>']
    head = f'<meta charset="utf-8"><title>Aether-lite benchmark: {_text(about.data)}</title><style>{STYLE}</style>'
    page = f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"
    with atomic_path(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _players(about: About, heard: Sequence[Example]) -> list[str]:
    """A table of players for each clip: a line a system, a column a condition."""
    parts = ["<h2>Listen</h2>"] if heard else []
    for example in heard:
        conditions = example.conditions()
        head = "".join(f"<th>{_text(condition_text(condition))}</th>" for condition in conditions)
        lines = [f'<tr><td>original</td><td colspan="{len(conditions)}">{_audio(example.clip.speech)}</td></tr>']
        for name in dict.fromkeys(sound.system for sound in example.sounds):
            own = [sound for sound in example.sounds if sound.system == name]
            if own[0].condition is None:
                cells = f'<td colspan="{len(conditions)}">{_audio(own[0].audio)}</td>'
            else:
                by_condition = {sound.condition: sound for sound in own}
                found = (by_condition.get(condition) for condition in conditions)
                cells = "".join(f"<td>{'-' if sound is None else _audio(sound.audio)}</td>" for sound in found)
            lines.append(f"<tr><td>{_text(about.system(name).title)}</td>{cells}</tr>")
        parts += [
            f"<h3>{_text(example.clip.name)}</h3>",
            f'<div class="wide"><table><tr><th>system</th>{head}</tr>{"".join(lines)}</table></div>',
        ]
    return parts


def _table(markdown: str) -> str:
    """A Markdown table of :mod:`.tables` as HTML."""
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in markdown.splitlines()]
    head = "".join(f"<th>{_text(cell)}</th>" for cell in lines[0])
    body = "".join("<tr>" + "".join(_cell(cell) for cell in line) + "</tr>" for line in lines[2:])
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(cell: str) -> str:
    kind = "number" if _NUMBER.match(cell) else "text"
    return f'<td class="{kind}">{_text(cell)}</td>'


def _text(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", html.escape(text))


def _image(name: str, picture: Path) -> str:
    return f'<img alt="{html.escape(name)}" src="{_data("image/png", picture.read_bytes())}">'


def _audio(samples: object) -> str:
    kind = "audio/ogg" if has_opus() else "audio/wav"
    return f'<audio controls preload="none" src="{_data(kind, opus_bytes(samples))}"></audio>'  # type: ignore[arg-type]


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
