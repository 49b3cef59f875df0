"""Subtitles (VTT, SRT): the spoken text with its start time.

What belongs here: cues. What does not: their styles and positions on the screen.
"""

from __future__ import annotations

import html
import re

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.parse_errors import empty
from tvdb_assets.parsing.reading.text_decoding import decode

_TIMES = re.compile(
    r"\s*((?:\d{1,4}:)?\d{1,2}:\d{1,2})[.,]\d{1,3}\s*-->\s*(?:\d{1,4}:)?\d{1,2}:\d{1,2}[.,]\d{1,3}"
)
_VOICE = re.compile(r"<v(?:\.[^\s>]{1,100})?\s+([^<>]{1,200})>")
_TAG = re.compile(r"</?[a-zA-Z0-9][^<>]{0,200}>|\{\\[^{}]{0,100}\}")


class SubtitleParser(BaseParser):
    """Writes a line per cue: ``[00:01:02] text``; a line that rolls on appears once."""

    media_types = frozenset({"text/vtt", "application/x-subrip"})
    name = "subtitles (VTT, SRT)"
    service = "chardetng-py"
    preserved = "the text of each cue, its start time, its speaker"
    not_preserved = "end times, numbers, styles, positions, comments"
    is_memory_safe = True

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse subtitles."""
        decoded = decode(data)
        lines: list[str] = []
        start: str | None = None
        cue: list[str] = []
        previous: list[str] = []
        for line in [*decoded.text.replace("\x00", "").splitlines(), ""]:
            if times := _TIMES.match(line):
                if cue and cue[-1].isdecimal():
                    cue.pop()  # the next cue's number, if no empty line precedes it
                previous = _write_cue(lines, start, cue, previous)
                start, cue = times[1], []
            elif not line.strip():
                previous = _write_cue(lines, start, cue, previous)
                start, cue = None, []
            elif start is not None and (text := _clean(line)):
                cue.append(text)
        if not lines:
            raise empty("The subtitle file")
        return build_document(
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


def _write_cue(
    lines: list[str], start: str | None, cue: list[str], previous: list[str]
) -> list[str]:
    """Write a cue without the lines of the previous cue; returns the cue."""
    if start is None or not cue:
        return previous
    new = [line for line in cue if line not in previous]
    if new:
        lines.append(f"[{start.zfill(5)}] {' '.join(new)}")
    return cue


PARSER = SubtitleParser()
