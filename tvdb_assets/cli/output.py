"""Output of the command line: tables and colour on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tvdb_assets import error_codes as codes
from tvdb_assets.deprecation import TvdbDeprecationWarning
from tvdb_assets.errors import TvdbError
from tvdb_assets.redaction import (
    RedactedCause,
    display_path,
    printable,
    printable_json,
    printable_lines,
)
from tvdb_assets.working_folder import WorkingFolderWarning


class PrintingConsole(Console):
    """A console that prints the characters of names and texts, and never obeys them.

    It escapes what acts on a terminal in all output, so that no command can forget it. A line end
    is kept: a name is made `printable` where it is put into a sentence.
    """

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Render; Rich's own control codes, such as those of colours, are no text."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable_lines(text), style, control)


console = PrintingConsole(highlight=False, soft_wrap=not sys.stdout.isatty())
"""The console for results, on stdout."""
notices = PrintingConsole(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
"""The console for progress and warnings, on stderr, so that results can be piped."""


def pairs() -> Table:
    """Create a table of names and values, without a header."""
    return Table(show_header=False, box=None, padding=(0, 2, 0, 0))


def table_of(*columns: str) -> Table:
    """Create a table with a header and without lines."""
    return Table(*columns, box=None, padding=(0, 2, 0, 0))


def plain(text: str) -> Text:
    """A name as a cell of a table: no markup, no control characters."""
    return Text(printable(text))


def print_json(value: Mapping[str, Any]) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(printable_json(value) + "\n")


def print_error(error: TvdbError, *, as_json: bool) -> None:
    """Print the cause and the remedy to stderr, and with ``as_json`` also to stdout."""
    if as_json:
        problem = {"code": error.code, "message": error.message, "remedy": error.remedy}
        document = display_path(error.document) if error.document else None
        print_json({"error": problem | {"document": document, "id": error.run_id}})
    notices.print("[bold red]Error[/]", escape(f"[{error.code}] {error.message}"))
    notices.print(error.remedy, markup=False)
    if error.run_id:
        notices.print(f"id {error.run_id}", style="dim")
    cause = error.__cause__
    if error.code == codes.UNEXPECTED.code and isinstance(cause, RedactedCause):
        notices.print(f"cause: {cause}", style="dim", markup=False)


def show_warnings_as_notices() -> None:
    """Print a warning of this package as one line, without the line of code that it came from."""
    former = warnings.formatwarning

    def formatted(
        message: Warning | str, category: type[Warning], filename: str, lineno: int,
        line: str | None = None,
    ) -> str:  # fmt: skip
        if issubclass(category, TvdbDeprecationWarning | WorkingFolderWarning):
            return f"Warning: {message}\n"
        return former(message, category, filename, lineno, line)

    warnings.formatwarning = formatted
