"""Subtitles (VTT, SRT): what is said, with the time at which it starts.

What belongs here: cues. What does not: their styles and places on the screen.
"""

from __future__ import annotations

import html
import re

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.formats.assemble import make
from tvdb_assets.parsing.formats.base import BaseParser
from tvdb_assets.parsing.formats.decode import decode
from tvdb_assets.parsing.formats.refusals import empty

_TIMES = re.compile(
    r"\s*((?:\d{1,4}:)?\d{1,2}:\d{1,2})[.,]\d{1,3}\s*-->\s*(?:\d{1,4}:)?\d{1,2}:\d{1,2}[.,]\d{1,3}"
)
_VOICE = re.compile(r"<v(?:\.[^\s>]{1,100})?\s+([^<>]{1,200})>")
_TAG = re.compile(r"</?[a-zA-Z0-9][^<>]{0,200}>|\{\\[^{}]{0,100}\}")


class SubtitleParser(BaseParser):
    """A line for each cue: ``[00:01:02] text``; words that roll on are kept once."""

    media_types = frozenset({"text/vtt", "application/x-subrip"})
    name = "subtitles (VTT, SRT)"
    service = "chardetng-py"
    kept = "the text of each cue, its start, its speaker"
    lost = "ends, numbers, styles, places, comments"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse subtitles."""
        decoded = decode(data)
        lines: list[str] = []
        start: str | None = None
        cue: list[str] = []
        before: list[str] = []
        for line in [*decoded.text.replace("\x00", "").splitlines(), ""]:
            if times := _TIMES.match(line):
                if cue and cue[-1].isdecimal():
                    cue.pop()  # the next cue's number, where no empty line stands before it
                before = _end(lines, start, cue, before)
                start, cue = times[1], []
            elif not line.strip():
                before = _end(lines, start, cue, before)
                start, cue = None, []
            elif start is not None and (text := _clean(line)):
                cue.append(text)
        if not lines:
            raise empty("The subtitle file")
        return make(
            ["\n".join(lines)],
            media_type=media_type,
            is_markdown=False,
            service=self.service,
            model="cues",
            encoding=decoded.encoding,
            notes=decoded.notes(),
            facts={"cues": len(lines)},
        )


def _clean(line: str) -> str:
    line = _VOICE.sub(lambda found: found[1].strip() + ": ", line)
    return " ".join(html.unescape(_TAG.sub("", line)).split())


def _end(lines: list[str], start: str | None, cue: list[str], before: list[str]) -> list[str]:
    """Write a cue without the lines that the cue before it showed already."""
    if start is None or not cue:
        return before
    fresh = [line for line in cue if line not in before]
    if fresh:
        lines.append(f"[{start.zfill(5)}] {' '.join(fresh)}")
    return cue


PARSER = SubtitleParser()
