"""Markdown that is written line by line: joined without needless blank lines.

What belongs here: what the line readers (`asciidoc`, `org`, `latex` …) do last. What does
not: any format.
"""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_LINE = 20_000
"""Characters: nobody writes markup into a longer one, and looking for it would take long."""


def join_lines(lines: Iterable[str]) -> str:
    """One blank line at most between two others, but inside code fences as they are."""
    out: list[str] = []
    in_fence = False
    for line in lines:
        if line.startswith("```"):
            in_fence = not in_fence
        if line.strip() or in_fence or (out and out[-1].strip()):
            out.append(line)
    return "\n".join(out).strip("\n")
