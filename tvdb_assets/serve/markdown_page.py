"""A stored text as HTML: nothing in a document can run, load or leave the page.

What belongs here: Markdown to HTML, and its sanitizing. What does not: the page around it (`page`).

HTML in a document is shown as text. Links lead to other sites only, by http, https or mailto, so
that no document can send a request to this service. Pictures are replaced by their descriptions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from html import escape
from itertools import accumulate
from typing import Any, Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

MAX_RENDERED: Final = 200_000
"""Characters that are rendered at once; a longer part is shown as plain text."""
_BLOCKS: Final = ("blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "p", "pre", "table")
_TAGS: Final = frozenset(
    {*_BLOCKS, "a", "br", "code", "em", "ol", "s", "strong", "ul"}
    | {"tbody", "td", "th", "thead", "tr"}
)
_ATTRIBUTES: Final = {
    "a": {"href", "title"},
    "ol": {"start"},
    **{tag: {"id", "class"} for tag in _TAGS - {"a", "ol"}},
}
_SCHEMES: Final = frozenset({"http", "https", "mailto"})


class _Renderer(RendererHTML):
    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A picture would load from another site; its description is shown instead."""
        return f"<em>[picture: {escape(tokens[idx].content)}]</em>"


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer)
    parser.enable(["table", "strikethrough"])
    # Only links to other sites: no scheme that runs code, and no address of this service.
    parser.validateLink = lambda url: url.partition(":")[0].strip().casefold() in _SCHEMES  # type: ignore[method-assign]
    return parser


def render(text: str, offset: int, *, is_markdown: bool, hit: tuple[int, int] | None) -> Markup:
    """A part of a stored text as safe HTML.

    Args:
        text: the part.
        offset: its start in the whole text. Each block of the result has the id ``o`` and the
            offset of its first line.
        is_markdown: whether it is Markdown; plain text keeps its lines.
        hit: start and end of a passage in the whole text; its blocks have the class ``hit``
            and the first one the id ``hit``.
    """
    if not is_markdown or len(text) > MAX_RENDERED:
        return Markup("<pre>{}</pre>").format(text)
    parser = _parser()
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    tokens = parser.parse(text)
    # A passage may begin in one part of the text and end in the next one.
    needs_anchor = hit is not None and offset <= hit[0] < offset + len(text)
    for token in tokens:
        if token.map is None or token.nesting < 0 or token.type == "inline":
            continue
        start, end = (offset + starts[min(line, len(starts) - 1)] for line in token.map)
        if token.level == 0:
            token.attrSet("id", f"o{start}")
        if hit and start < hit[1] and end > hit[0] and _is_marked(token):
            token.attrSet("class", "hit")
            if needs_anchor and token.type != "heading_open":
                token.attrSet("id", "hit")
                needs_anchor = False
    html = parser.renderer.render(tokens, parser.options, {})
    return Markup(
        nh3.clean(
            html,
            tags=set(_TAGS),
            attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
            url_schemes=set(_SCHEMES),
            link_rel="noopener noreferrer nofollow",
        )
    )


def _is_marked(token: Token) -> bool:
    """Whether a block is marked itself, rather than the blocks inside it."""
    return token.type in ("paragraph_open", "heading_open", "tr_open", "fence", "code_block")


def split(text: str, page_starts: Sequence[int]) -> list[tuple[int, int]]:
    """Start and end of each part that a page shows: the document's pages, or parts of a long text.

    Args:
        text: the whole text.
        page_starts: starts of its pages; empty for a format without pages.
    """
    if page_starts:
        starts = [0, *page_starts[1:]]
    else:
        starts = [0]
        while len(text) - starts[-1] > MAX_RENDERED:
            low = starts[-1] + MAX_RENDERED // 2
            high = starts[-1] + MAX_RENDERED
            cut = text.rfind("\n\n", low, high)
            cut = cut if cut > 0 else text.rfind("\n", low, high)
            starts.append(cut + 1 if cut > 0 else high)
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def part_at(parts: Sequence[tuple[int, int]], offset: int) -> int:
    """The number of the part that contains an offset, from 0."""
    return max(0, bisect_right([start for start, _ in parts], offset) - 1)
