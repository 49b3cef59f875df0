"""Plots on a terminal: bars of US dollars, which need no colour to be read.

What belongs here: drawing numbers that are handed in. What does not: finding them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tvdb_assets.reporting.costs import CostReport
from tvdb_assets.spend_guard.budget import usd

_FILLS = (("█", "blue"), ("▓", "green"), ("▒", "yellow"), ("░", "magenta"))
"""Of services, one after the other: told apart where there is no colour, too."""
_LIMIT = ("┃", "red")
_LEAST, _MOST = 10, 60
"""Characters of the longest bar."""
_LABEL = 40


class Stack:
    """Amounts side by side in one line, and a mark where the limit is."""

    def __init__(
        self, amounts: Sequence[Decimal], full: Decimal, limit: Decimal | None = None
    ) -> None:
        """A line that is full at ``full`` dollars; None marks no limit."""
        self._amounts = amounts
        self._full = full
        self._limit = limit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it as wide as there is room."""
        width = max(_LEAST, min(_MOST, options.max_width))
        line = Text(" " * width, no_wrap=True)
        cells = [" "] * width
        total, begin = Decimal(0), 0
        for amount, (fill, colour) in zip(self._amounts, _FILLS * 9, strict=False):
            total += amount
            end = self._cells(total, width)
            if amount and end == begin and begin < width and total == amount:
                end += 1  # something was spent
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
        """From a short bar to a long one."""
        return Measurement(min(_LEAST, options.max_width), min(_MOST, options.max_width))


def plots(costs: CostReport, limit: Decimal) -> Iterator[Table | Text]:
    """What was spent, by day against the limit, by service, by kind, and the dearest documents.

    Args:
        costs: the ledger, summed up.
        limit: US dollars a day.
    """
    services = sorted({row.service for row in costs.by_day})
    days: dict[str, dict[str, Decimal]] = {}
    for row in costs.by_day:
        days.setdefault(row.day, {})[row.service] = row.usd
    top = max((sum(spent.values(), Decimal(0)) for spent in days.values()), default=Decimal(0))
    # A limit far above all spending would press the bars flat.
    is_near = top * 20 > limit
    by_day = _table(f"US dollars a day (UTC); the limit is ${usd(limit)}")
    for day, spent in sorted(days.items()):
        amounts = [spent.get(service, Decimal(0)) for service in services]
        bar = Stack(amounts, max(top, limit) if is_near else top, limit if is_near else None)
        by_day.add_row(day, bar, _dollars(sum(amounts, Decimal(0)), top))
    legend = Text()
    for service, (fill, colour) in zip(services, _FILLS * 9, strict=False):
        legend.append(f"{fill} ", colour).append(f"{service}   ")
    if is_near:
        legend.append(f"{_LIMIT[0]} ", _LIMIT[1]).append("limit")
    by_day.add_row("", legend, "")
    yield by_day

    by_service = {
        service: sum((row.usd for row in costs.by_day if row.service == service), Decimal(0))
        for service in services
    }
    yield from _bars("By service, of these days", by_service.items())
    yield from _bars("By kind of document", costs.by_kind)
    yield from _bars(
        "Dearest documents", [(name, dollars) for name, dollars, _ in costs.most_expensive]
    )


def _bars(title: str, amounts: Iterable[tuple[str, Decimal]]) -> Iterator[Table | Text]:
    rows = sorted(amounts, key=lambda row: -row[1])
    table = _table(title)
    for name, amount in rows:
        table.add_row(_ending(name), Stack([amount], rows[0][1]), _dollars(amount, rows[0][1]))
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
    """With as many decimals as the largest of its plot needs."""
    return f"${amount:,.{4 if top >= Decimal('0.1') else 6}f}"


def _ending(name: str) -> Text:
    """The end of a long name, where files of one folder differ."""
    return Text(name if len(name) <= _LABEL else f"…{name[1 - _LABEL :]}")
