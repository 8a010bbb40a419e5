"""Charts as SVG text: lines over days, bars over names.

They are read by people who see no colours (each line has its own dashes and marks), on paper (nothing is shown by hovering
alone), and by screen readers (title and description; the numbers stand in the tables).
"""

from collections.abc import Sequence
from html import escape

from frontend_agent.reports.report import Chart

WIDTH, HEIGHT = 760, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 40
_COLOURS = ("#1b6ca8", "#c0504d", "#3d7a35", "#7a4fa3")  # contrast of 4.5 and more on white
_DASHES = ("", "6 3", "2 3", "8 3 2 3")
_BAR, _LABEL = 22, 250
_TICKS = 4


def svg(chart: Chart, description: str) -> str:
    """The chart, named and described."""
    draw = _lines if chart.shape == "lines" else _bars
    return draw(chart, description)


def _lines(chart: Chart, description: str) -> str:
    top_value = _nice(chart)
    parts = [_opening(chart, description, WIDTH, HEIGHT)]
    parts += _grid(chart, top_value)
    parts += _days(chart.labels)
    for n, (_, values) in enumerate(chart.series):
        parts += _series(values, top_value, _COLOURS[n % 4], _DASHES[n % 4])
    return "".join([*parts, "</svg>", _legend([name for name, _ in chart.series])])


def _nice(chart: Chart) -> float:
    """Where the axis ends: 1 for rates, else a round number above everything."""
    if chart.rate:
        return 1.0
    most = max((value for _, values in chart.series for value in values if value is not None), default=0.0)
    if most <= 0:
        return 1.0
    size = 10.0 ** (len(str(int(most))) - 1) if most >= 1 else 1.0
    return next(step * size for step in (1, 2, 4, 5, 8, 10) if step * size >= most)


def _grid(chart: Chart, top_value: float) -> list[str]:
    parts = []
    for tick in range(_TICKS + 1):
        share = tick / _TICKS
        y = _y(share)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(top_value * share, chart.rate)}</text>'
        )
    return parts


def _number(value: float, rate: bool) -> str:
    if rate:
        return f"{value:.0%}"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def _days(labels: Sequence[str]) -> list[str]:
    every = max(1, -(-len(labels) // 12))
    return [
        f'<text x="{_x(at, len(labels)):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{escape(label)}</text>'
        for at, label in enumerate(labels)
        if at % every == 0
    ]


def _series(values: Sequence[float | None], top_value: float, colour: str, dashes: str) -> list[str]:
    """A line where there are neighbours, a mark for every value: a day alone is seen, a gap stays a gap."""
    points = [
        None if value is None else (_x(at, len(values)), _y(min(value / top_value, 1.0)))
        for at, value in enumerate(values)
    ]
    path, pen = [], False
    for point in points:
        if point:
            path.append(f"{'L' if pen else 'M'}{point[0]:.1f} {point[1]:.1f}")
        pen = point is not None
    marks = [f'<circle cx="{p[0]:.1f}" cy="{p[1]:.1f}" r="2.5" fill="{colour}"/>' for p in points if p]
    line = f'<path d="{" ".join(path)}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
    return [line, *marks] if path else []


def _x(at: int, count: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (at + 0.5) / max(count, 1)


def _y(share: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)


def _bars(chart: Chart, description: str) -> str:
    height = TOP + _BAR * len(chart.labels) + 8
    top_value = _nice(chart)
    room = WIDTH - _LABEL - 90
    parts = [_opening(chart, description, WIDTH, height)]
    values = chart.series[0][1]
    for at, (label, value) in enumerate(zip(chart.labels, values, strict=True)):
        y = TOP + _BAR * at
        short = label if len(label) <= 22 else label[:21] + "…"
        parts.append(f'<text x="{_LABEL - 6}" y="{y + 14}" text-anchor="end">{escape(short)}</text>')
        if value is not None:
            width = room * min(value / top_value, 1.0)
            parts.append(
                f'<rect x="{_LABEL}" y="{y + 2}" width="{width:.1f}" height="{_BAR - 6}" fill="{_COLOURS[0]}"/>'
            )
            told = f"{value:.1%}" if chart.rate else f"{value:,}"
            parts.append(f'<text x="{_LABEL + width + 6:.1f}" y="{y + 14}">{told}</text>')
        else:
            parts.append(f'<text x="{_LABEL + 6}" y="{y + 14}">–</text>')
    return "".join([*parts, "</svg>"])


def _opening(chart: Chart, description: str, width: int, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="t-{chart.name} d-{chart.name}">'
        f'<title id="t-{chart.name}">{escape(chart.title)}</title>'
        f'<desc id="d-{chart.name}">{escape(description)}</desc>'
    )


def _legend(names: Sequence[str]) -> str:
    items = "".join(
        f'<li><svg viewBox="0 0 30 10" width="30" height="10" aria-hidden="true"><line x1="0" x2="30" y1="5" y2="5" '
        f'stroke="{_COLOURS[n % 4]}" stroke-width="3" stroke-dasharray="{_DASHES[n % 4]}"/></svg>{escape(name)}</li>'
        for n, name in enumerate(names)
    )
    return f'<ul class="legend">{items}</ul>'
