"""XML that may be hostile, to a tree: nothing is fetched, no entity is expanded.

What belongs here: reading XML, and other trees as HTML ones for `html_markdown`. What does
not: any format's element names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html.entities import html5

from lxml import etree

from tvdb_assets.parsing.formats.html_markdown import Element
from tvdb_assets.parsing.formats.refusals import corrupt

_ENCODING = re.compile(rb"\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{2,40})")
_DEPTH = 240  # libxml2 stops at 256 by itself
SKIP = ""
"""Instead of a tag: leave the element out with all that is in it, but not what follows."""


def declared_encoding(data: bytes) -> str | None:
    """What an XML declaration says."""
    found = _ENCODING.match(data[:1_024])
    return found[1].decode("ascii") if found else None


def read(data: bytes | str, what: str) -> Element:
    """The root element, also of a document that ends too early.

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
    _settle_entities(root)
    return root


def try_read(data: bytes | None, what: str = "part") -> Element | None:
    """The root element of a part that may be absent or broken without any harm."""
    from tvdb_assets.errors import ParseError

    if not data:
        return None
    try:
        return read(data, what)
    except ParseError:
        return None


def _settle_entities(root: Element) -> None:
    """Known characters take the place of their names; what a file declares is left out."""
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


def local(element: Element) -> str:
    """The element's name without its namespace."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element, name: str) -> str | None:
    """The first attribute of that local name."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return str(value)
    return None


def attribute_of(element: Element, namespace: str, name: str) -> str | None:
    """The attribute of that local name whose namespace has ``namespace`` in it."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name and namespace in key.rpartition("}")[0]:
            return str(value)
    return None


def plain(element: Element | None) -> str:
    """All text inside, on one line."""
    return "" if element is None else " ".join("".join(element.itertext()).split())


def as_html(root: Element, choose: Callable[[Element], str]) -> Element:
    """A tree of HTML elements with the text of ``root``, in its order.

    Args:
        root: Any tree.
        choose: The tag for an element; `SKIP` leaves it out. What it does not know should
            be ``span`` inside text and ``div`` around it.
    """
    top = etree.Element("body")
    stack = [top]
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        if not isinstance(element.tag, str):
            continue
        if event == "end":
            if element.get("_skipped") is None:
                made = stack.pop()
            else:
                made = None
                del element.attrib["_skipped"]
            if element is not root and element.tail:
                _append(stack[-1], made, element.tail)
            continue
        tag = choose(element)
        if tag == SKIP and element is not root:
            element.set("_skipped", "")
            walk.skip_subtree()
            continue
        made = etree.SubElement(stack[-1], tag or "div")
        for name in ("colspan", "rowspan"):
            if (value := element.get(name)) is not None:
                made.set(name, value)
        made.text = element.text
        stack.append(made)
    return top


def _append(parent: Element, after: Element | None, text: str) -> None:
    if after is None:
        children = len(parent)
        if children == 0:
            parent.text = (parent.text or "") + text
            return
        after = parent[-1]
    after.tail = (after.tail or "") + text
