"""Diagrams (SmartArt) and charts of Office files: their texts and their data.

What belongs here: the parts of a diagram or chart. What does not: the documents that hold them.
"""

from __future__ import annotations

from tvdb_assets.core.superscripts import subscript, superscript
from tvdb_assets.parsing.reading.safe_xml import Element, local_name

_A = "{*}"  # two namespaces are in use
_MAX_CELLS = 10_000


def paragraph_text(paragraph: Element) -> str:
    """The text of a paragraph of DrawingML, on one line."""
    parts: list[str] = []
    for element in paragraph.iter(_A + "t", _A + "br", _A + "tab"):
        text = (element.text or "") if local_name(element) == "t" else " "
        run = element.getparent().find(_A + "rPr") if text.strip() else None
        shift = "0" if run is None else run.get("baseline") or "0"
        if shift.strip("-").rstrip("%").isdecimal() and shift.strip("0%"):
            text = (subscript if shift[0] == "-" else superscript)(text, "".join(parts))
        parts.append(text)
    return " ".join("".join(parts).split())


def diagram_texts(root: Element) -> list[str]:
    """The texts of a diagram's points, in order."""
    return [text for text in map(paragraph_text, root.iter(_A + "p")) if text]


def chart_data(root: Element) -> tuple[str, list[list[str]]]:
    """The title of a chart, and the rows of its data; the first row names the series."""
    title = " ".join(paragraph_text(p) for p in root.iterfind(".//{*}title//" + _A + "p"))
    columns: list[tuple[str, dict[int, str]]] = []
    categories: dict[int, str] = {}
    for series in root.iter("{*}ser"):
        name = " ".join(value.text or "" for value in series.iterfind("{*}tx//{*}v"))
        categories = categories or _points(series, "cat") or _points(series, "xVal")
        values = _points(series, "val") or _points(series, "yVal")
        columns.append((name, values))
    indexes = sorted({*categories, *(i for _, values in columns for i in values)})
    rows = [["", *(name for name, _ in columns)]] + [
        [categories.get(i, ""), *(values.get(i, "") for _, values in columns)] for i in indexes
    ]
    fits = len(rows) > 1 and len(rows) * len(columns) < _MAX_CELLS
    return title.strip(), rows if fits else []


def _points(series: Element, kind: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for point in series.iterfind("{*}" + kind + "//{*}pt"):
        index, value = point.get("idx") or "", point.findtext("{*}v") or ""
        if index.isdecimal() and value:
            found[int(index)] = value
    return found
