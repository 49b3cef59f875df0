"""How the command line speaks: tables and colour on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from tvdb_assets.errors import TvdbError

console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
"""For results."""
notices = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
"""For progress and warnings, so that results can be piped."""


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


def print_error(error: TvdbError, *, as_json: bool) -> None:
    """What went wrong and what to do."""
    if as_json:
        problem = {"code": error.code, "message": error.message, "remedy": error.remedy}
        print_json({"error": problem | {"document": error.document}})
    notices.print(f"[bold red]Error[/] [{error.code}]", error.message, sep=" ", markup=True)
    notices.print(error.remedy, markup=False)
