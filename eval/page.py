"""The report as one HTML file that needs nothing else: charts, tables, and every transcript one click away.

Whatever a person, a model or a judge wrote is escaped; nothing is fetched from anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from ..guards.training.conversations import Outcome
from ..guards.training.corpus import Message
from ..guards.training.filter_report import published
from .crisis import PREVALENCES, CrisisFigures
from .journal import Answered, Screened, Talked
from .lines import EvalError
from .report import WRONG_TALKS, Report, differ, limits, lowest, method, summary, tables
from .results import HUMAN, OVERALL, JudgeResult, RunResult
from .simulated import SimulationFigures
from .tables import Table

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""Told apart by colour-blind readers too (Okabe and Ito)."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
PATTERNS = ("", "/", ".", "x", "-")
"""Colour is the system, dash or pattern the judge."""
HEIGHT, LEGEND_LINE = 440, 21
"""Of a chart, and of each line of its legend, in pixels."""
HEAT_ROW, HEAT_WIDTH = 44, 860
"""Of the heat map: each row, and what a narrow screen scrolls over."""
MOST_MESSAGES = 5000
"""Of those that every system got right; a page of more opens slowly."""
_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1d2733; background: #fff; margin: 0 auto; max-width: 1180px;
  padding: 0 16px 64px; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; margin: 1.2em 0 .4em; } h2 { font-size: 1.2rem; margin: 2em 0 .4em; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .86rem; }
th, td { text-align: left; overflow-wrap: normal;
  vertical-align: top; padding: 5px 10px; border-bottom: 1px solid #dde3ea; }
th { background: #f3f6f9; } td { font-variant-numeric: tabular-nums; min-width: 4.5em; }
td.long { min-width: 22em; } td.figure { white-space: nowrap; }
.note { color: #52606d; font-size: .9rem; margin: .2em 0 .6em; }
.chart { width: 100%; height: 440px; } .chart.small { height: 230px; max-width: 560px; }
details { border-bottom: 1px solid #dde3ea; padding: 6px 0; }
summary { cursor: pointer; } blockquote { margin: 8px 0; padding: 6px 12px; border-left: 3px solid #0072B2;
  white-space: pre-wrap; } blockquote.person { border-color: #8a94a0; background: #f7f9fb; }
.tag { font-size: .78rem; background: #eef2f6; border-radius: 3px; padding: 1px 6px; margin-left: 6px; }
@media (max-width: 600px) { body { padding: 0 10px 40px; } }
"""
_SCRIPT = """
const narrow = window.matchMedia("(max-width: 600px)").matches;
for (const [id, chart] of Object.entries(CHARTS)) {
  const font = {family: "system-ui, sans-serif", size: narrow ? 11 : 13};
  const layout = Object.assign({margin: {t: 16, r: 12, b: 60, l: narrow ? 44 : 60}, font, 
    legend: {orientation: "h", y: -0.18, yanchor: "top"}}, chart.layout);
  Plotly.newPlot(id, chart.data, layout, {displaylogo: false, responsive: true, displayModeBar: false});
}
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  if (target) target.scrollIntoView();
}
addEventListener("hashchange", openTarget); openTarget();
"""


def as_html(report: Report, title: str) -> str:
    """The whole page.

    Raises:
        EvalError: plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise EvalError("the HTML report needs plotly: pip install 'warmline[eval]'") from None
    charts = dict(_charts(report))
    body = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(line)}</p>" for line in summary(report))]
    for name, (heading, chart) in charts.items():
        kind = "chart small" if name.startswith("confusion") else "chart"
        room = f" style='{_room(name, chart)}'"
        place = f"<div class='{kind}' id='{name}' role='img' aria-label='{escape(heading)}'{room}></div>"
        if name == "heat":
            place = f"<div class='scroll'>{place}</div>"
        body.append(f"<h2>{escape(heading)}</h2>{place}")
    anchors = _anchors(report)
    body += [_table(one, anchors.get(one.title, {})) for one in tables(report)]
    if report.crisis:
        body.append("<h2>Published figures, on their own sets</h2>" + _markdown_table(published()))
    for heading, lines in (("Method", method(report)), ("Limits", limits(report))):
        body.append(f"<h2>{heading}</h2><ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>")
    for number, run in enumerate(report.runs):
        body.append(f"<h2>Transcripts of {escape(run.name)}</h2>")
        body += [_transcript(report, run, number, answer) for answer in run.answers.values()]
    if report.crisis:
        body += list(_messages(report.crisis))
    if report.dialogues:
        body.append("<h2>Conversations</h2>")
        body += [_conversation(outcome) for outcome in report.dialogues[0].outcomes]
    for one in report.simulations:
        body.append(f"<h2>Conversations with {escape(one.name)}</h2>")
        body += [_talk(one, talk) for talk in one.talks]
    drawn = json.dumps({name: chart for name, (_, chart) in charts.items()}).replace("<", "\\u003c")
    library = f"<script>{get_plotlyjs()}</script>" if charts else ""
    script = f"<script>const CHARTS = {drawn};{_SCRIPT if charts else _SCRIPT[_SCRIPT.index('function') :]}</script>"
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; img-src data: blob:\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(body)}{library}{script}</body></html>"
    )


# -- charts ------------------------------------------------------------------------------------------------------------


def _charts(report: Report) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    every = [(run, judge) for run in report.runs for judge in run.judges if judge.scores]
    # The heat map has each rater; in the other charts their mean speaks for them.
    scored = [(run, judge) for run, judge in every if judge.mode != HUMAN or judge is run.people]
    several = len({judge.name for _, judge in scored}) > 1
    names = [_short_name(run, judge if several else None) for run, judge in scored]
    ids = report.rubrics.ids
    labels = [_wrapped(report.name(id)) for id in ids]
    if scored:
        yield "radar", ("Rubrics at a glance", _radar(scored, names, ids, labels))
        yield "bars", ("Means with 95 % intervals", _bars(scored, names, (*ids, OVERALL), [*labels, "Overall"]))
        values = [[judge.by_rubric[id].value for id in (*ids, OVERALL)] for _, judge in every]
        rows = [_short_name(run, judge if several else None).replace(", ", "<br>") for run, judge in every]
        yield "heat", ("System and judge by rubric", _heat(values, [*labels, "Overall"], rows, 1, 10, ".1f"))
    if report.crisis:
        for number, s in enumerate(report.crisis.systems):
            b = s.binary
            counts = [[b.hits, b.misses], [b.alarms, b.calm]]
            heat = _heat(counts, ["heard as a crisis", "left alone"], ["a crisis", "none"], 0, None, "d")
            yield f"confusion{number}", (f"Confusion of {s.name}", heat)
        yield "ppv", ("How often an alarm would be right", _ppv(report))
        if any(s.reliability for s in report.crisis.systems):
            yield "reliability", ("Scores against what was true", _reliability(report.crisis))


def _room(name: str, chart: dict[str, Any]) -> str:
    """The size of a chart, where it is not that of the others: it grows with its rows or its legend."""
    if name == "heat":
        return f"height:{120 + HEAT_ROW * len(chart['data'][0]['y'])}px;min-width:{HEAT_WIDTH}px"
    lines = len(chart["data"]) if chart["layout"].get("showlegend") else 0
    return f"height:{HEIGHT + LEGEND_LINE * (lines - 3)}px" if lines > 3 else ""


def _wrapped(name: str) -> str:
    lines = name.replace(" & ", " &<br>").replace("-", "-<br>", 1)
    return lines if "<br>" in lines else lines.replace(" ", "<br>", 1)


def _short_name(run: RunResult, judge: JudgeResult | None) -> str:
    """For legends, where the whole name has no room; the tables have it."""
    system = run.name.removeprefix("answers of ").partition("@")[0].rpartition("/")[2]
    return f"{system}, {judge.judge.partition('@')[0].rpartition('/')[2]} ({judge.mode})" if judge else system


def _marks(scored: Sequence[tuple[RunResult, JudgeResult]]) -> list[tuple[str, int]]:
    """For each, the colour of its system and the number of its judge."""
    systems = list(dict.fromkeys(run.path for run, _ in scored))
    judges = list(dict.fromkeys(judge.name for _, judge in scored))
    return [(COLOURS[systems.index(run.path) % len(COLOURS)], judges.index(judge.name)) for run, judge in scored]


def _radar(
    scored: Sequence[tuple[RunResult, JudgeResult]], names: list[str], ids: Sequence[str], labels: list[str]
) -> Any:
    data = [
        {
            "type": "scatterpolar",
            "name": name,
            "r": [judge.by_rubric[id].value for id in (*ids, ids[0])],
            "theta": [*labels, labels[0]],
            "line": {"color": colour, "dash": DASHES[number % len(DASHES)]},
            "marker": {"symbol": number},
        }
        for (_, judge), name, (colour, number) in zip(scored, names, _marks(scored), strict=True)
    ]
    polar = {"radialaxis": {"range": [0, 10], "tickvals": [2, 4, 6, 8, 10]}}
    return {
        "data": data,
        "layout": {"polar": polar, "margin": {"t": 50, "r": 80, "b": 40, "l": 80}, "showlegend": True},
    }


def _bars(
    scored: Sequence[tuple[RunResult, JudgeResult]], names: list[str], ids: Sequence[str], labels: list[str]
) -> Any:
    data = []
    for (_, judge), name, (colour, number) in zip(scored, names, _marks(scored), strict=True):
        found = [judge.by_rubric[id] for id in ids]
        up, down = [e.high - e.value for e in found], [e.value - e.low for e in found]
        data.append(
            {
                "type": "bar",
                "name": name,
                "x": labels,
                "y": [e.value for e in found],
                "error_y": {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1},
                "marker": {"color": colour, "pattern": {"shape": PATTERNS[number % len(PATTERNS)], "size": 5}},
            }
        )
    y = {"range": [1, 10], "title": {"text": "score, 1 to 10"}}
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom"}
    layout = {"barmode": "group", "yaxis": y, "xaxis": {"tickangle": -40}, "legend": legend}
    return {"data": data, "layout": layout | {"showlegend": True, "margin": {"t": 60, "r": 12, "b": 130, "l": 56}}}


def _heat(z: Any, x: list[str], y: list[str], low: float, high: float | None, form: str) -> Any:
    one = {
        "type": "heatmap",
        "z": z,
        "x": x,
        "y": y,
        "zmin": low,
        "colorscale": [[0, "#f3f6f9"], [1, "#0072B2"]],
        "texttemplate": "%{z:" + form + "}",
        "showscale": False,
    }
    layout = {"yaxis": {"automargin": True, "autorange": "reversed"}, "xaxis": {"automargin": True, "tickangle": 0}}
    return {"data": [one | ({"zmax": high} if high is not None else {})], "layout": layout}


def _ppv(report: Report) -> Any:
    assert report.crisis
    grid = [10 ** (-3 + 0.05 * step) for step in range(47)]  # 0.1 % to 20 %
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": s.name,
            "x": [100 * p for p in grid],
            "y": [s.ppv_at(p) for p in grid],
            "line": {"color": COLOURS[i % len(COLOURS)], "dash": DASHES[i % len(DASHES)]},
        }
        for i, s in enumerate(report.crisis.systems)
    ]
    ticks = [100 * p for p in PREVALENCES]
    x = {
        "type": "log",
        "title": {"text": "share of crises among the messages, %"},
        "tickvals": ticks,
        "range": [-1, 1.32],
    }
    y = {"range": [0, 1], "title": {"text": "share of right alarms"}}
    return {"data": data, "layout": {"xaxis": x, "yaxis": y, "showlegend": True}}


def _reliability(crisis: CrisisFigures) -> Any:
    line = {"color": "#8a94a0", "dash": "dot"}
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines", "name": "as probabilities", "x": [0, 1], "y": [0, 1], "line": line}
    ]
    for i, s in enumerate(crisis.systems):
        if not s.reliability:
            continue
        bins = s.reliability.bins
        up, down = [b.true.high - b.true.value for b in bins], [b.true.value - b.true.low for b in bins]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"{s.name}, ECE {s.reliability.ece.value:.3f}",
                "x": [b.said for b in bins],
                "y": [b.true.value for b in bins],
                "text": [f"{b.true.n} messages" for b in bins],
                "error_y": {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1},
                "line": {"color": COLOURS[i % len(COLOURS)]},
                "marker": {"symbol": i, "size": 8},
            }
        )
    x = {"range": [-0.02, 1.02], "title": {"text": "score"}}
    y = {"range": [-0.02, 1.02], "title": {"text": "share of crises"}}
    return {"data": data, "layout": {"xaxis": x, "yaxis": y, "showlegend": True}}


# -- tables and transcripts --------------------------------------------------------------------------------------------


def _anchors(report: Report) -> dict[str, dict[str, str]]:
    """By the title of a table, where its rows lead."""
    answers = {run.name: {id: _anchor(number, id) for id in run.answers} for number, run in enumerate(report.runs)}
    found = {lowest(name): of for name, of in answers.items()}
    found |= {differ(one.a, one.b): answers[one.a] for one in report.comparisons}
    if report.crisis:
        for s in report.crisis.systems:
            found[f"Crises missed by {s.name}"] = {m.id: f"m-{m.id}" for m in s.missed}
            found[f"False alarms of {s.name}"] = {m.id: f"m-{m.id}" for m in s.false_alarms}
    if report.dialogues:
        found[WRONG_TALKS] = {o.dialogue.id: f"d-{o.dialogue.id}" for o in report.dialogues[0].outcomes}
    return found


def _anchor(run: int, id: str) -> str:
    return f"t{run}-{id}"


def _table(one: Table, anchors: dict[str, str]) -> str:
    note = f"<p class='note'>{escape(one.note)}</p>" if one.note else ""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in one.head)
    rows = []
    for row in one.rows:
        first = escape(str(row[0]))
        if target := anchors.get(str(row[0])):
            first = f"<a href='#{escape(target)}'>{first}</a>"
        cells = [first, *(escape(str(cell)) for cell in row[1:])]
        marked = (f"<td{_width(cell)}>{cell}</td>" for cell in cells)
        rows.append(f"<tr>{''.join(marked)}</tr>")
    body = f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    return f"<h2>{escape(one.title)}</h2>{note}{body}"


def _width(cell: str) -> str:
    return " class=long" if len(cell) > 70 else " class=figure" if cell[:1] in "+-0123456789" else ""


def _markdown_table(text: str) -> str:
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines()]
    return _table(Table("", rows[0], rows[2:]), {}).replace("<h2></h2>", "")


def _talk(one: SimulationFigures, talk: Talked) -> str:
    said = []
    for turn in talk.turns:
        tag = "<span class='tag'>crisis protocol</span>" if turn.route == "crisis" else ""
        said.append(f"<blockquote class='person'>{escape(turn.said)}</blockquote>{tag}")
        said.append(f"<blockquote>{escape(turn.reply)}</blockquote>")
    for judge in one.judges:
        grades = [[name, grade.value, ""] for name, grade in judge.grades.get(talk.id, {}).items()]
        asked = judge.answers.get(talk.id, ())
        rows = grades + [[a.question, a.answer or "unscored", a.reason or a.problem] for a in asked]
        head = ("dimension or question", "answer", "reason")
        said.append(_table(Table(judge.judge, head, rows), {}).replace("h2>", "h4>"))
    risk = f"<span class='tag'>risk: {escape(talk.risk)}</span>" if talk.risk else ""
    return f"<details><summary>{escape(talk.id)} {escape(talk.persona)}{risk}</summary>{''.join(said)}</details>"


def _messages(crisis: CrisisFigures) -> Iterator[str]:
    """Every message that somebody got wrong, then those that nobody did."""
    wrong = {m.id for s in crisis.systems for m in (*s.missed, *s.false_alarms)}
    yield "<h2>Messages that a system got wrong</h2>"
    yield from (_message(message, said) for message, said in crisis.said if message.id in wrong)
    right = [(message, said) for message, said in crisis.said if message.id not in wrong]
    left = f", the first {MOST_MESSAGES} of them" if len(right) > MOST_MESSAGES else ""
    yield f"<h2>Messages that every system got right</h2><details><summary>{len(right)} messages{left}</summary>"
    yield from (_message(message, said) for message, said in right[:MOST_MESSAGES])
    yield "</details>"


def _message(message: Message, said: Sequence[Screened]) -> str:
    rows = [
        [
            one.system,
            one.level.value if one.level else "no verdict",
            ", ".join(category.value for category in one.categories),
            "" if one.score is None else f"{one.score:.2f}",
        ]
        for one in said
    ]
    label = ", ".join([message.level.value, *sorted(message.categories)])
    tags = (label, message.language, message.kind, *message.style)
    tagged = "".join(f"<span class='tag'>{escape(tag)}</span>" for tag in tags if tag)
    table = _table(Table("", ["system", "level", "categories", "score"], rows), {}).replace("<h2></h2>", "")
    short = escape(" ".join(message.text.split())[:90])
    return (
        f"<details id='{escape(f'm-{message.id}')}'><summary>{escape(message.id)} {short}{tagged}</summary>"
        f"<blockquote class='person'>{escape(message.text)}</blockquote>{table}</details>"
    )


def _conversation(outcome: Outcome) -> str:
    dialogue = outcome.dialogue
    rows = [
        [number, text, truth.value, heard.value]
        for number, (text, truth, heard) in enumerate(
            zip(dialogue.texts, dialogue.levels, outcome.levels, strict=True), 1
        )
    ]
    table = _table(Table("", ["turn", "the person", "label", "heard"], rows), {}).replace("<h2></h2>", "")
    tag = f"<span class='tag'>{escape(dialogue.kind)}</span>" if dialogue.kind else ""
    head = f"<summary>{escape(dialogue.id)}{tag}</summary>"
    return f"<details id='{escape(f'd-{dialogue.id}')}'>{head}{table}</details>"


def _transcript(report: Report, run: RunResult, number: int, answer: Answered) -> str:
    tags = [
        answer.topic,
        "crisis protocol" if answer.route == "crisis" else "",
        "meant as a crisis" if answer.crisis else "",
    ]
    tagged = "".join(f"<span class='tag'>{escape(tag)}</span>" for tag in tags if tag)
    judged = []
    for judge in run.judges:
        if (scores := judge.scores.get(answer.id)) is None:
            said = "" if judge.human else f"<p class='note'>{escape(judge.name)}: unscored</p>"
            judged.append(said)
            continue
        reasons = judge.reasons.get(answer.id, {})
        rows = [[report.name(id), f"{scores[id]:g}", reasons.get(id, "")] for id in report.rubrics.ids]
        whole = f"<blockquote>{escape(reasons[''])}</blockquote>" if reasons.get("") else ""
        head = ("rubric", "score", "reason")
        judged.append(
            _table(Table(f"{judge.name}: {scores[OVERALL]:.1f}", head, rows), {}).replace("h2>", "h4>") + whole
        )
    others = [
        f"<a href='#{escape(_anchor(n, answer.id))}'>{escape(other.name)}</a>"
        for n, other in enumerate(report.runs)
        if n != number and other.header.checksum == run.header.checksum and answer.id in other.answers
    ]
    also = f"<p class='note'>The same question: {', '.join(others)}</p>" if others else ""
    short = escape(" ".join(answer.question.split())[:90])
    return (
        f"<details id='{escape(_anchor(number, answer.id))}'><summary>{escape(answer.id)} {short}{tagged}</summary>"
        f"<blockquote class='person'>{escape(answer.question)}</blockquote>"
        f"<blockquote>{escape(answer.text)}</blockquote>"
        f"{also}{''.join(judged)}</details>"
    )
