"""Reads XML that may be hostile: nothing is fetched and no entity is expanded.

What belongs here: reading XML, and the conversion of other trees to HTML elements for
`markdown.html_renderer`. What does not: the element names of any format.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html.entities import html5
from typing import Any, TypeAlias

from lxml import etree

from tvdb_assets.errors import ParseError
from tvdb_assets.parsing.parse_errors import corrupt

Element: TypeAlias = Any  # the stubs of lxml have no usable type for its elements

_ENCODING = re.compile(rb"\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{2,40})")
SKIP = ""
"""Returned instead of a tag: omit the element with its content, but not the text after it."""


def declared_encoding(data: bytes) -> str | None:
    """The encoding in the XML declaration."""
    found = _ENCODING.match(data[:1_024])
    return found[1].decode("ascii") if found else None


def without_declaration(text: str) -> str:
    """A decoded text without its XML declaration, whose encoding no longer applies."""
    start = text.lstrip()
    return start[start.find("?>") + 2 :] if start.startswith("<?xml") else text


def read(data: bytes | str, what: str) -> Element:
    """The root element, also of a truncated document.

    Raises:
        ParseError: ``corrupt``.
    """
    content = data.encode("utf-8", errors="replace") if isinstance(data, str) else data
    root = None
    for recover in (False, True):
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
            recover=recover,
            encoding="utf-8" if isinstance(data, str) else None,
        )
        try:
            root = etree.fromstring(content, parser)
        except (etree.XMLSyntaxError, ValueError):
            if any("depth" in entry.message.lower() for entry in parser.error_log):
                raise corrupt(what, "it is nested too deeply") from None
            continue
        if root is not None:
            break
    if root is None:
        raise corrupt(what, "its XML can't be read")
    _resolve_entities(root)
    return root


def try_read(data: bytes | None, what: str = "part") -> Element | None:
    """The root element, or None for an optional part that is absent or broken."""
    if not data:
        return None
    try:
        return read(data, what)
    except ParseError:
        return None


def _resolve_entities(root: Element) -> None:
    """Replace the entities of HTML by their characters; remove entities that a file declares."""
    for entity in list(root.iter(etree.Entity)):
        parent = entity.getparent()
        if parent is None:
            continue
        text = html5.get(f"{entity.name}; ".strip(), "") + (entity.tail or "")
        previous = entity.getprevious()
        if previous is not None:
            previous.tail = (previous.tail or "") + text
        else:
            parent.text = (parent.text or "") + text
        entity.tail = None
        parent.remove(entity)


def local_name(element: Element) -> str:
    """The element's name without its namespace."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element, name: str) -> str | None:
    """The first attribute with this local name."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return str(value)
    return None


def attribute_of(element: Element, namespace: str, name: str) -> str | None:
    """The attribute with this local name and with ``namespace`` in its namespace."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name and namespace in key.rpartition("}")[0]:
            return str(value)
    return None


def inner_text(element: Element | None) -> str:
    """All text inside of the element, on one line."""
    return "" if element is None else " ".join("".join(element.itertext()).split())


def to_html_tree(root: Element, tag_of: Callable[[Element], str]) -> Element:
    """A tree of HTML elements with the text of ``root``, in the same order.

    Args:
        root: Any tree.
        tag_of: Returns the HTML tag for an element, or `SKIP`. For an unknown element it should
            return ``span`` inside of text and ``div`` around text.
    """
    top = etree.Element("body")
    stack = [top]
    elements = etree.iterwalk(root, events=("start", "end"))
    for event, element in elements:
        if not isinstance(element.tag, str):
            continue
        if event == "end":
            if element.get("_skipped") is None:
                created = stack.pop()
            else:
                created = None
                del element.attrib["_skipped"]
            if element is not root and element.tail:
                _append(stack[-1], created, element.tail)
            continue
        tag = tag_of(element)
        if tag == SKIP and element is not root:
            element.set("_skipped", "")
            elements.skip_subtree()
            continue
        created = etree.SubElement(stack[-1], tag or "div")
        for name in ("colspan", "rowspan"):
            if (value := element.get(name)) is not None:
                created.set(name, value)
        created.text = element.text
        stack.append(created)
    return top


def _append(parent: Element, after: Element | None, text: str) -> None:
    if after is None:
        children = len(parent)
        if children == 0:
            parent.text = (parent.text or "") + text
            return
        after = parent[-1]
    after.tail = (after.tail or "") + text
