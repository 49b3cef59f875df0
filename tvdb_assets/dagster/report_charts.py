"""Charts for the metadata of an asset: images in Markdown, which Dagster's UI shows.

What belongs here: drawing given numbers. What does not: reading them from the database.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tvdb_assets.redaction import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#4f43dd", "#0f9d8a", "#f2a93b", "#d1495b", "#7a7a8c")
_LABEL_LENGTH = 40
"""Maximum characters of a name: a longer one leaves no space for its bar."""
_INK = "#2b2b3b"
_LINES = "#e6e6ee"
_TITLE: dict[str, Any] = {"loc": "left", "fontsize": 10, "color": _INK}


def spend_by_day(days: Sequence[str], services: Mapping[str, Sequence[float]], limit: float) -> str:
    """Bars of US dollars a day, stacked by service, and the day's limit as a line.

    Args:
        days: ISO dates, oldest first.
        services: by name, dollars of each of the days.
        limit: US dollars a day.

    Returns:
        Markdown that contains the image.
    """
    figure, axes = _figure()
    base = [0.0] * len(days)
    for colour, (name, spent) in zip(_COLOURS * 9, services.items(), strict=False):
        axes.bar(range(len(days)), spent, bottom=base, label=_label(name), color=colour, width=0.7)
        base = [low + more for low, more in zip(base, spent, strict=True)]
    # With a limit far above all costs, the bars would be too low to read.
    if max(base, default=0.0) * 20 > limit:
        axes.axhline(limit, color=_COLOURS[3], linewidth=1.2, linestyle="--", label="limit")
    axes.set_xticks(range(len(days)), [day[5:] for day in days])
    axes.set_title(f"US dollars a day (UTC); the limit is ${limit:,.2f}", **_TITLE)
    axes.yaxis.set_major_formatter("${x:,.4g}")
    axes.grid(axis="y", color=_LINES, linewidth=0.6)
    if services:
        # Next to the title, where neither a bar nor the limit can be.
        axes.legend(
            frameon=False, fontsize=8, ncols=4, loc="lower right", bbox_to_anchor=(1.01, 0.98)
        )
    else:
        _note_no_costs(axes)
    return _markdown(figure, "spend by day")


def spend_by(title: str, amounts: Mapping[str, float]) -> str:
    """Horizontal bars of US dollars, the largest on top.

    Args:
        title: of the chart.
        amounts: US dollars by name.

    Returns:
        Markdown that contains the image.
    """
    ordered = sorted(amounts.items(), key=lambda item: item[1])
    figure, axes = _figure(height=1.0 + 0.32 * max(1, len(ordered)))
    bars = axes.barh(
        [_label(name) for name, _ in ordered], [usd for _, usd in ordered], color=_COLOURS[0]
    )
    axes.bar_label(bars, [f" ${usd:,.4f}" for _, usd in ordered], fontsize=8, color=_INK)
    axes.margins(x=0.18)
    # The bars carry their numbers.
    axes.spines["bottom"].set_visible(False)
    axes.xaxis.set_visible(False)
    axes.set_title(title, **_TITLE)
    if not ordered:
        _note_no_costs(axes)
    return _markdown(figure, title)


def quality_over_time(
    title: str, labels: Sequence[str], lines: Mapping[str, Sequence[float | None]]
) -> str:
    """A line for each ranking, from 0 to 1.

    Args:
        title: of the chart.
        labels: of the points in time, oldest first.
        lines: by ranking, a value for each point; None leaves a gap.

    Returns:
        Markdown that contains the image.
    """
    figure, axes = _figure()
    for colour, (name, values) in zip(_COLOURS, lines.items(), strict=False):
        known = [float("nan") if value is None else value for value in values]
        axes.plot(range(len(known)), known, label=_label(name), color=colour, marker="o", ms=3)
    step = max(1, len(labels) // 10)
    axes.set_xticks(range(0, len(labels), step), list(labels[::step]))
    axes.set_ylim(0, 1)
    axes.grid(axis="y", color=_LINES, linewidth=0.6)
    axes.set_title(title, **_TITLE)
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="lower right", bbox_to_anchor=(1.01, 0.98))
    return _markdown(figure, title)


def _label(name: str) -> str:
    """A name as it is written: a dollar sign does not begin a formula."""
    name = printable(name)
    if len(name) > _LABEL_LENGTH:
        name = f"…{name[1 - _LABEL_LENGTH :]}"
    return name.replace("$", r"\$")


def _note_no_costs(axes: Axes) -> None:
    axes.yaxis.set_visible(False)
    axes.text(
        0.5,
        0.5,
        "Nothing has been paid for yet.",
        transform=axes.transAxes,
        ha="center",
        color=_INK,
    )


def _figure(height: float = 2.8) -> tuple[Figure, Axes]:
    # pyplot would change global state and search for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, height), dpi=110, layout="constrained")
    axes = figure.subplots()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8, colors=_INK, length=0)
    axes.set_axisbelow(True)
    return figure, axes


def _markdown(figure: Figure, alternative: str) -> str:
    image = io.BytesIO()
    figure.savefig(image, format="png")
    encoded = base64.b64encode(image.getvalue()).decode()
    return f"![{alternative}](data:image/png;base64,{encoded})"
