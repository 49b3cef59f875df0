"""Charts on a terminal: bars of US dollars, readable without colour.

What belongs here: drawing charts of numbers. What does not: reading the numbers from the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tvdb_assets.redaction import printable
from tvdb_assets.reporting.costs import CostReport
from tvdb_assets.spend_guard.budget import usd

_FILLS = (("█", "blue"), ("▓", "green"), ("▒", "yellow"), ("░", "magenta"))
"""Character and colour for each service, in order. The characters differ for use without colour."""
_LIMIT = ("┃", "red")
_MIN_WIDTH, _MAX_WIDTH = 10, 60
"""Bounds of the longest bar, in characters."""
_LABEL_WIDTH = 40
"""Maximum characters of a bar's label."""


class StackedBar:
    """One bar of several amounts, with a mark at the limit."""

    def __init__(
        self, amounts: Sequence[Decimal], full: Decimal, limit: Decimal | None = None
    ) -> None:
        """Create a bar.

        Args:
            amounts: US dollars of each part, from left to right.
            full: US dollars of a bar of full length.
            limit: US dollars at which the bar has a mark; None for no mark.
        """
        self._amounts = amounts
        self._full = full
        self._limit = limit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the bar as wide as the console allows."""
        width = max(_MIN_WIDTH, min(_MAX_WIDTH, options.max_width))
        line = Text(" " * width, no_wrap=True)
        cells = [" "] * width
        total, begin = Decimal(0), 0
        for amount, (fill, colour) in zip(self._amounts, _FILLS * 9, strict=False):
            total += amount
            end = self._cells(total, width)
            if amount and end == begin and begin < width and total == amount:
                end += 1  # so that a small amount is visible
            cells[begin:end] = fill * (end - begin)
            line.stylize(colour, begin, end)
            begin = end
        if self._limit is not None and self._limit <= self._full:
            at = min(width - 1, self._cells(self._limit, width))
            cells[at] = _LIMIT[0]
            line.stylize(_LIMIT[1], at, at + 1)
        line.plain = "".join(cells)
        yield line

    def _cells(self, amount: Decimal, width: int) -> int:
        return min(width, int(amount / self._full * width + Decimal("0.5"))) if self._full else 0

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """The bounds of the bar's width."""
        return Measurement(min(_MIN_WIDTH, options.max_width), min(_MAX_WIDTH, options.max_width))


def charts(costs: CostReport, limit: Decimal) -> Iterator[Table | Text]:
    """Draw costs by day, by service and by kind of file, and the most expensive documents.

    Args:
        costs: sums of the ledger.
        limit: US dollars per day.
    """
    services = sorted({row.service for row in costs.by_day})
    days: dict[str, dict[str, Decimal]] = {}
    for row in costs.by_day:
        days.setdefault(row.day, {})[row.service] = row.usd
    top = max((sum(spent.values(), Decimal(0)) for spent in days.values()), default=Decimal(0))
    # Bars would be too short to compare if the scale included a limit far above all costs.
    is_near = top * 20 > limit
    by_day = _table(f"US dollars per day (UTC); the limit is ${usd(limit)}")
    for day, spent in sorted(days.items()):
        amounts = [spent.get(service, Decimal(0)) for service in services]
        bar = StackedBar(amounts, max(top, limit) if is_near else top, limit if is_near else None)
        by_day.add_row(day, bar, _dollars(sum(amounts, Decimal(0)), top))
    legend = Text()
    for service, (fill, colour) in zip(services, _FILLS * 9, strict=False):
        legend.append(f"{fill} ", colour).append(f"{printable(service)}   ")
    if is_near:
        legend.append(f"{_LIMIT[0]} ", _LIMIT[1]).append("limit")
    by_day.add_row("", legend, "")
    yield by_day

    by_service = {
        service: sum((row.usd for row in costs.by_day if row.service == service), Decimal(0))
        for service in services
    }
    yield from _bars("By service, on these days", by_service.items())
    yield from _bars("By kind of document", costs.by_kind)
    yield from _bars(
        "Most expensive documents", [(name, amount) for name, amount, _ in costs.most_expensive]
    )


def _bars(title: str, amounts: Iterable[tuple[str, Decimal]]) -> Iterator[Table | Text]:
    rows = sorted(amounts, key=lambda row: -row[1])
    table = _table(title)
    for name, amount in rows:
        table.add_row(_label(name), StackedBar([amount], rows[0][1]), _dollars(amount, rows[0][1]))
    yield Text()
    yield table


def _table(title: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        show_header=False,
        box=None,
        padding=(0, 1, 0, 0),
    )
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    return table


def _dollars(amount: Decimal, top: Decimal) -> str:
    """Format an amount with 4 decimals, or with 6 if all amounts of its chart are small."""
    return f"${amount:,.{4 if top >= Decimal('0.1') else 6}f}"


def _label(name: str) -> Text:
    """Shorten a long name to its end, because names of files in one folder differ there."""
    name = printable(name)
    return Text(name if len(name) <= _LABEL_WIDTH else f"…{name[1 - _LABEL_WIDTH :]}")
