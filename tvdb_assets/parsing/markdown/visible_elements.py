"""What of a page its reader can see: hidden elements go, values of fields become text.

What belongs here: visibility of HTML elements. What does not: the choice of a page's main text
(`formats.html`), rendering (`markdown.html_renderer`).

Hidden text is left out. What a reader unfolds by a click on the page, such as the answer in an
accordion, is not hidden.
"""

from __future__ import annotations

import re

from lxml import etree

from tvdb_assets.parsing.reading.safe_xml import Element

TICKED, UNTICKED = "☒", "☐"
_INVISIBLE_TAGS = (
    "script", "style", "template", "noscript", "iframe", "object", "embed", "svg", "canvas",
    "audio", "video", "map", "datalist",
)  # fmt: skip
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_TARGETS = ("aria-controls", "data-target", "data-bs-target", "aria-owns")
_TOGGLE_SIGNS = ("aria-expanded", "data-toggle", "data-bs-toggle", "aria-selected", *_TARGETS)
_TOGGLES = f"//*[{' or '.join('@' + sign for sign in _TOGGLE_SIGNS)}]"
_TOGGLE_NAMES = re.compile(r"accord|faq|question|collaps|toggle|expand|disclos", re.IGNORECASE)
_LABEL_PARENTS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "summary", "dt", "legend"})
_PANELS = frozenset({"tabpanel", "region"})
_WITHOUT_TEXT = frozenset(
    {"hidden", "password", "submit", "button", "reset", "image", "file", "color", "range", "search"}
)
_OPEN_QUOTE = re.compile(
    r"""<[a-zA-Z](?:[^<>"']|"[^"<>]*"|'[^'<>]*'){0,500}=\s{0,20}"""
    r"""(?:(")[^"<>]{0,2000}|(')[^'<>]{0,2000})(?=>)"""
)


def drop_invisible(tree: Element) -> None:
    """Remove invisible elements, and replace fields by what they show; the text around stays."""
    hidden = [element for element in tree.xpath("//*[@hidden or @style]") if _is_hidden(element)]
    if hidden:
        opened = _opened_by_a_click(tree)
        hidden = [element for element in hidden if element not in opened]
    for element in [*tree.iter(*_INVISIBLE_TAGS), *hidden]:
        _replace(element, "")
    for element in [*tree.iter("input", "select", "textarea", "button")]:
        if element.tag == "button":
            if not _is_label(element):
                _replace(element, " ")
        else:
            _replace(element, _value_of(element))


def close_open_marks(source: str) -> str:
    """A page whose rest is not taken in by a quote, comment, title or field that is never closed.

    A value whose second quote is missing ends where its tag ends.
    """

    def repaired(match: re.Match[str]) -> str:
        quote, end = match[1] or match[2], match.end()
        following = source.find(quote, end)
        inside = source[end : following if following >= 0 else len(source)]
        # A value that holds tags ends with a quote; here the next quote begins another one.
        if "<" in inside and (following < 0 or inside.rstrip().endswith("=")):
            return match[0] + quote
        return match[0]

    source = _OPEN_QUOTE.sub(repaired, source)
    if (comment := source.rfind("<!--")) > source.rfind("-->"):
        source = source[:comment] + source[comment + 4 :]
    lowered = source.lower()
    for tag in ("title", "textarea"):
        if f"<{tag}" in lowered and f"</{tag}" not in lowered:
            source = re.sub(f"<{tag}[^<>]*>", " ", source, flags=re.IGNORECASE)
    return source


def _is_hidden(element: Element) -> bool:
    hidden = element.get("hidden")
    if hidden is not None and hidden.lower() != "until-found":
        return True
    return _HIDDEN_STYLE.search(element.get("style") or "") is not None


def _opened_by_a_click(tree: Element) -> set[Element]:
    names: set[str] = set()
    opened: set[Element] = set()
    for element in tree.xpath(_TOGGLES):
        for target in (element.get(name) for name in _TARGETS):
            names.update(name.lstrip("#") for name in (target or "").split())
        # Without a reference, the panel is the next element after the button or its heading.
        here = element
        for _ in range(3):
            if (panel := here.getnext()) is not None:
                if isinstance(panel.tag, str) and _is_hidden(panel):
                    opened.add(panel)
                break
            parent = here.getparent()
            if parent is None:
                break
            here = parent
    for element in tree.xpath("//*[@id or @role]"):
        is_panel = element.get("role") in _PANELS and element.get("aria-labelledby") is not None
        if is_panel or (names and element.get("id") in names):
            opened.add(element)
    return opened


def _is_toggle(element: Element) -> bool:
    return any(element.get(sign) is not None for sign in _TOGGLE_SIGNS)


def _is_label(button: Element) -> bool:
    """Whether a button's text is a part of the page, as a question is, and no command."""
    names = f"{button.get('class') or ''} {button.get('id') or ''}"[:1_000]
    if _is_toggle(button) or _TOGGLE_NAMES.search(names):
        return True
    parent = button.getparent()
    if parent is not None and parent.tag in _LABEL_PARENTS:
        return True
    return "".join(button.itertext()).rstrip().endswith(("?", "\uff1f"))


def _value_of(element: Element) -> str:
    if element.tag == "textarea":
        return f" {''.join(element.itertext()).strip()} "
    if element.tag == "select":
        options = [*element.iter("option")]
        marked = [option for option in options if option.get("selected") is not None]
        if not marked and element.get("multiple") is None and options and options[0].get("value"):
            marked = options[:1]  # a browser shows the first; one without a value is a prompt
        return f" {', '.join(' '.join(''.join(each.itertext()).split()) for each in marked)} "
    kind = (element.get("type") or "text").lower()
    if kind in {"checkbox", "radio"}:
        return f" {TICKED if element.get('checked') is not None else UNTICKED} "
    return "" if kind in _WITHOUT_TEXT else f" {(element.get('value') or '').strip()} "


def _replace(element: Element, text: str) -> None:
    parent = element.getparent()
    if parent is None:
        return
    text += element.tail or ""
    previous = element.getprevious()
    if text:
        if previous is not None:
            previous.tail = (previous.tail or "") + text
        else:
            parent.text = (parent.text or "") + text
    parent.remove(element)


def visible_length(element: Element) -> int:
    """Characters other than white space, in code points."""
    return sum(len("".join(text.split())) for text in element.itertext(etree.Element))
