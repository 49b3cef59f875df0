"""Values of form fields and remarks of a PDF page, as lines of text with their labels.

What belongs here: fields to text. What does not: the page's own text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liteparse import ParsedPage
    from liteparse.types import FormField

CHECKED, UNCHECKED = "☒", "☐"
_MEANINGLESS = frozenset({"", "yes", "on", "off", "1", "true", "ja", "oui", "checked"})
_TEXT_FIELDS = frozenset({"text", "combobox", "listbox"})
_TICKS = frozenset({"checkbox", "radio", "radiobutton"})


def form_lines(page: ParsedPage, text: str) -> list[str]:
    """A line for each field with a value, and for each text that was typed onto the page."""
    flat = " ".join(text.split())
    lines: list[str] = []
    for field in page.form_fields or ():
        label = " ".join((field.alternate_name or field.name or "").split())
        if field.type in _TICKS:
            lines.append(_tick(field, label))
        elif field.type in _TEXT_FIELDS:
            value = " ".join(", ".join(field.selected_options or [field.value or ""]).split())
            # The text of the page already holds a value that has an appearance.
            if value and (value not in flat or (field.alternate_name and label not in flat)):
                lines.append(f"{label}: {value}" if label else value)
    for note in page.annotations or ():
        content = " ".join((note.contents or "").split())
        if note.subtype == "freetext" and content and content not in flat:
            lines.append(content)
    return list(dict.fromkeys(lines))


def _tick(field: FormField, label: str) -> str:
    mark = CHECKED if field.checked else UNCHECKED
    value = " ".join((field.export_value or "").split())
    parts = [part for part in (label, value) if part and part.lower() not in _MEANINGLESS]
    return f"{mark} {': '.join(dict.fromkeys(parts))}".rstrip()
